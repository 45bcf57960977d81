"""The whole app on the emulators, in virtual time: what tests of several folders drive over the wire."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from devtools.stack import Stack
from emulators.clock import VirtualTime
from emulators.downstream.attempt import Attempt
from rowpost.config.sections import RelayConfig
from tests.harness.contract import KeptContract

LEASES = f"az_func.{RelayConfig(table='dbo.Orders').lease_table('rowpost-local')}"
PAUSED = "AzureWebJobs.relay_dbo_Orders.Disabled"  # the setting that keeps the trigger from being listened to
INSTANCES = "/runtime/webhooks/durabletask/instances"
START = datetime(2026, 3, 2, 6, tzinfo=UTC)

ORDERS = """
CREATE TABLE dbo.Orders (
    OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY,
    Customer nvarchar(40) NOT NULL,
    Total decimal(20, 4) NULL,
    Secret nvarchar(40) NULL
)
"""


LISTENER_LINES = {"AzureFunctionsJobHost__logging__logLevel__Host.Triggers.Sql": "Error"}
"""A setting that shows the errors of the trigger's listener, which host.json silences."""

_PREPARED = Path(tempfile.mkdtemp(prefix="rowpost-prepared-"))  # databases as their scripts leave them
atexit.register(shutil.rmtree, _PREPARED, ignore_errors=True)


class Relay:
    """A running stack with helpers; the table is dbo.Orders unless a test says otherwise."""

    def __init__(self, directory: Path, config: str, tables: str, **options: Any) -> None:
        self.time = VirtualTime(directory, START)
        self.config_file = directory / "relay.toml"
        self.config_file.write_text(textwrap.dedent(config))
        script = directory / "tables.sql"
        script.write_text(tables)
        self.stack = Stack(directory, self.time.spec, config=self.config_file, tables_sql=script, **options)
        self.directory, self.tables = directory, tables
        self.contract = KeptContract(self.stack, self.config_file)
        self._prepared = _PREPARED / hashlib.sha256(f"{self.config_file.read_text()}\0{tables}".encode()).hexdigest()

    # --- the world ---

    def start(self) -> None:
        """Start everything. A database is prepared once for each script of tables and configuration, and copied then."""
        if self.stack.owns_sql and self._prepared.exists():
            shutil.copyfile(self._prepared, self.directory / "sql_server.db")
            self.stack.start_services()
        else:
            self.stack.start_services()
            self.stack.prepare()
            if self.stack.owns_sql:
                self.stack.sql.backup(self._prepared)
        self.contract.note_tables(self.tables)
        self.start_host()

    def start_host(self) -> None:
        """Start the host, and wait until the watchdog's first look is over: it must not race with what a test does next."""
        self.stack.start_host()
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is running any more. No time passes."""
        self.advance()

    def advance(self, seconds: float = 0, *, hours: float = 0, until: Callable[[], bool] | None = None) -> bool:
        """Let virtual time pass; returns whether ``until`` held."""
        return self.time.advance_to(self.time.now() + timedelta(seconds=seconds, hours=hours), until=until)

    def execute(self, sql: str, *parameters: Any) -> list[Any]:
        self.contract.note_statement(sql)
        return self.stack.execute(sql, *parameters)

    def insert(self, *ids: int, total: str = "10.5") -> None:
        """Rows of dbo.Orders, in one transaction."""
        values = ", ".join(f"({i}, N'customer {i}', {total}, N'hidden {i}')" for i in ids)
        self.execute(f"INSERT INTO dbo.Orders (OrderId, Customer, Total, Secret) VALUES {values}")

    def reject(self, order: int, status: int = 422, **values: Any) -> None:
        """Let the API refuse one row."""
        self.stack.downstream.add_rule(match={"key": {"OrderId": order}}, status=status, **values)

    def accept_all(self) -> None:
        self.stack.downstream.set_rules([])
        self.stack.downstream.set_mode("up")

    def restart(self, **settings: str) -> None:
        """Kill the host and start it anew, with app settings that have changed."""
        assert self.stack.host is not None
        self.stack.host.kill()
        self.stack.change_settings(settings)
        self.start_host()

    # --- what can be seen ---

    def posts(self, order: int | None = None) -> list[Attempt]:
        """Attempts to deliver rows (of one order), oldest first."""
        return [
            attempt
            for attempt in self.stack.downstream.attempts()
            if attempt.path == "/rows"
            and (order is None or (isinstance(attempt.key, dict) and attempt.key.get("OrderId") == order))
        ]

    def accepted(self, order: int) -> dict[str, Any] | None:
        """The row that the API has for an order; None if it has none or took its deletion."""
        state = self.stack.downstream.find("dbo.Orders", {"OrderId": order})
        return None if state is None or state.operation == "delete" else state.row

    def ledger(self) -> list[Any]:
        """(RowKey, State, Attempts, Rounds) of every record."""
        return [tuple(row) for row in self.execute("SELECT RowKey, State, Attempts, Rounds FROM rowpost.Ledger ORDER BY RowKey")]

    def leases(self) -> list[Any]:
        return self.execute(f"SELECT * FROM {LEASES}")

    def get(self, path: str) -> Any:
        assert self.stack.host is not None
        answer = self.stack.host.request("GET", path)
        answer.raise_for_status()
        return answer.json()

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.get("/api/relays")["relays"][0]
        return status

    def recovery(self, relay: str = "dbo.Orders") -> str:
        """The path of the current recovery's instance among the management addresses."""
        ((number,),) = self.execute("SELECT RecoveryNumber FROM rowpost.Relays WHERE Relay = ?", relay)
        return f"{INSTANCES}/recovery-{RelayConfig(table=relay).slug}-{number}"

    def alerts(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Notices that arrived at the webhook."""
        bodies = [attempt.body for attempt in self.stack.downstream.attempts() if attempt.path == "/alerts"]
        return [body for body in bodies if kind is None or body["kind"] == kind]

    def host_log(self) -> str:
        assert self.stack.host is not None
        return self.stack.host.log_file.read_text(encoding="utf-8", errors="replace")


CONFIG = """
[[targets]]
name = "api"
url = "%DOWNSTREAM_URL%"
timeout = "5s"
batch_budget = "30s"
[targets.headers]
X-Api-Key = "%DOWNSTREAM_API_KEY%"
[notifications]
after_rounds = 3
[[notifications.webhooks]]
url = "%ALERT_WEBHOOK_URL%"
[retry]
max_delay = "1h"
window = "12h"
[watchdog]
schedule = "0 */5 * * * *"
[[relays]]
table = "dbo.Orders"
"""


def changed_config(**replacements: str) -> str:
    """CONFIG with some lines replaced, by key."""
    lines = []
    for line in CONFIG.splitlines():
        key = line.split(" = ")[0]
        lines.append(f"{key} = {replacements[key]}" if key in replacements else line)
    return "\n".join(lines)


def body_of(attempt: Attempt) -> dict[str, Any]:
    """The event of an attempt."""
    body: dict[str, Any] = attempt.body if isinstance(attempt.body, dict) else json.loads(attempt.body)
    return body
