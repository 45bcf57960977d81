"""The sections of ``relay.toml`` as types. Reading and checking them is :mod:`rowpost.config.loading`'s."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from rowpost.config.credentials import Credentials
from rowpost.config.notifications import Hook, NotificationsConfig
from rowpost.config.section import Section
from rowpost.config.units import Duration, Rate
from rowpost.rules.backoff import Backoff, RetryPolicy

Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
Format = Literal["cloudevents", "cloudevents-binary", "plain", "row"]
Numbers = Literal["string", "exact"]
Operation = Literal["insert", "update", "delete"]
Body = dict[str, Any] | str  # a JSON template, as a TOML table or as JSON text

LONGEST_IDENTIFIER = 128  # characters of a name in SQL Server
_LONGEST_FUNCTION = 128  # the host takes no longer name: https://github.com/Azure/azure-functions-host, Utility.cs


def mark_of(name: str) -> str:
    """Eight digits that stand for a name in an id; names that differ only in case have the same."""
    return hashlib.sha256(name.lower().encode()).hexdigest()[:8]


class DatabaseConfig(Section, frozen=True):
    """``connection`` is the NAME of the app setting that holds the connection string, as the trigger binding wants it."""

    connection: str = "SqlConnectionString"


class TargetConfig(Credentials, frozen=True):
    """An API that rows are posted to. What is known of its health belongs to it, whatever relay found it out.

    ``resync_events``: whether it takes the events of the beginning and the end of a resync, which are no rows. ``ca``: the
    certificates that vouch for its own, in PEM form; without, those that the public trusts. How it knows the app: ``Credentials``.
    ``max_event_bytes`` and ``gzip`` are sizes of a body: a larger one is never sent, and from the other on bodies are compressed.

    ``batch``: so many events a request has at most, and ``max_batch_bytes`` (before compression) unless it is one event;
    ``batch_format``: how those that are no CloudEvents stand in it. ``rate``: events in a time, of all relays of one instance.
    """

    name: str
    url: str
    format: Format = "cloudevents"
    numbers: Numbers = "string"
    max_event_bytes: Positive | None = None
    gzip: Positive | None = None
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 1
    max_batch_bytes: Annotated[int, Meta(ge=1, le=1 << 26)] = 1 << 20
    batch_format: Literal["array", "ndjson"] = "array"
    rate: Rate | None = None
    source: str = "rowpost"
    headers: dict[str, str] = {}
    timeout: Duration = Duration(10.0)
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8
    batch_budget: Duration = Duration(90.0)
    breaker_failures: Positive = 5
    probe: Duration = Duration(300.0)
    resync_events: bool = True
    ca: str | None = None


class RetryConfig(Section, frozen=True):
    """The built-in attempts, and the rounds of recovery that follow them."""

    attempts: Annotated[int, Meta(ge=1, le=5)] = 5
    strategy: Literal["exponential", "fixed"] = "exponential"
    first_delay: Duration = Duration(60.0)
    factor: Annotated[float, Meta(ge=1, le=1_000_000)] = 2.0
    max_delay: Duration = Duration(6 * 3600.0)
    window: Duration = Duration(168 * 3600.0)
    detach_after_rounds: Positive = 5
    rejected: Literal["retry", "dead_letter"] = "retry"

    @property
    def backoff(self) -> Backoff:
        """The delays between rounds."""
        factor = self.factor if self.strategy == "exponential" else 1.0
        return Backoff(self.first_delay.seconds, factor, self.max_delay.seconds)

    @property
    def policy(self) -> RetryPolicy:
        """What the rules need of this section."""
        return RetryPolicy(self.attempts, self.backoff, self.rejected == "dead_letter")


class WatchdogConfig(Section, frozen=True):
    """The timer that restarts what a crash left behind, and the clean-up of old orchestration history."""

    schedule: str = "0 */5 * * * *"
    history: Duration = Duration(30 * 86400.0)
    history_schedule: str = "0 30 3 * * *"


class ApiConfig(Section, frozen=True):
    """The HTTP API and the console.

    ``auth``: who is let in: whoever has a key of the function, or whom App Service authentication knows and who has an app
    role. ``keys``: names of keys for the audit, each with the fingerprint of the key. ``console``: whether its pages are served.
    """

    auth: Literal["keys", "entra"] = "keys"
    keys: dict[str, str] = {}
    console: bool = True


class TelemetryConfig(Section, frozen=True):
    """What is told of the work.

    ``attempts``: which requests have a line of the log of their own. ``traceparent``: whether a request names its trace.
    ``opentelemetry``: whether metrics and spans are sent.
    """

    attempts: Literal["failed", "all", "none"] = "failed"
    traceparent: bool = True
    opentelemetry: bool = False


class RelayConfig(Section, frozen=True):
    """One tracked table to one target. All that is remembered belongs to the relay, by its name.

    ``send`` is the ceiling of columns that may ever leave; ``watch`` narrows which updates count. ``name`` is the table's, and
    ``target`` the only one, unless the file says otherwise. ``on_gap``: what follows when changes may be lost, besides a notice.
    ``initial``: whether the rows that are there at the start of the relay are sent too, once in its life.

    ``upsert``, ``delete`` and ``resync`` are methods and paths of its own, such as ``PUT /orders/{OrderId}``; ``query`` and
    ``headers`` are added to the target's. ``delete_success``: statuses besides 2xx that say that the row is deleted. ``body`` and
    ``delete_body`` are templates. ``format``, ``numbers`` and ``max_event_bytes`` are the target's unless they stand here.

    ``operations``: which changes of the source are sent. ``where``: a T-SQL condition on the row's columns; ``leaving``: what is
    sent of a row that does not meet it. ``ignore_context``: of changes that are not sent, since their writer knows them.
    ``lost_columns``: what follows, besides a notice, when a column that is sent is gone.
    """

    table: str
    target: str = ""
    name: str = ""
    send: list[str] | None = None
    watch: list[str] | None = None
    leases_table: str | None = None
    on_gap: Literal["resync", "notify"] = "resync"
    initial: Literal["changes", "snapshot"] = "changes"
    upsert: str | None = None
    delete: str | None = None
    resync: str | None = None
    delete_success: list[int] = []
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    format: Format | None = None
    numbers: Numbers | None = None
    max_event_bytes: Positive | None = None
    body: Body | None = None
    delete_body: Body | None = None
    operations: list[Operation] | None = None
    where: str | None = None
    leaving: Literal["delete", "ignore"] = "delete"
    ignore_context: str | None = None
    lost_columns: Literal["continue", "stop"] = "stop"

    def __post_init__(self) -> None:
        if not self.name:
            msgspec.structs.force_setattr(self, "name", self.table)

    @property
    def quoted_table(self) -> str:
        """The table's name in brackets: the trigger's extension parses it as T-SQL, to which ``dbo.Order Lines`` is no name."""
        return ".".join(f"[{part}]" for part in self.table.split("."))

    @property
    def slug(self) -> str:
        """The name in a form that fits function names, lease tables and instance ids: ASCII, and different for different names.

        ``sales.eu_Orders`` and ``sales_eu.Orders`` would be the same with underscores alone: what cannot be read back has a hash.
        So has a name that is too long for a function.
        """
        return self._slug(_LONGEST_FUNCTION - len("relay_"))

    def _slug(self, longest: int) -> str:
        plain = re.sub(r"\W+", "_", self.name, flags=re.ASCII)
        if re.fullmatch(r"[A-Za-z0-9]+\.[A-Za-z0-9_]+", self.name) and len(plain) <= longest:
            return plain
        mark = mark_of(self.name)
        return f"{plain[: longest - len(mark) - 1]}_{mark}"

    @property
    def function(self) -> str:
        """The name of the trigger function; part of the trigger's identity in the database."""
        return f"relay_{self.slug}"

    def lease_table(self, site: str) -> str:
        """The lease table's name in schema ``az_func``, for the app of that site: two apps never share one by chance."""
        owner = mark_of(site)
        return self.leases_table or f"Leases_rowpost_{self._slug(LONGEST_IDENTIFIER - len(f'Leases_rowpost__{owner}'))}_{owner}"


class Config(Section, frozen=True):
    """The whole file."""

    targets: list[TargetConfig]
    relays: list[RelayConfig]
    database: DatabaseConfig = DatabaseConfig()
    retry: RetryConfig = RetryConfig()
    notifications: NotificationsConfig = NotificationsConfig()
    watchdog: WatchdogConfig = WatchdogConfig()
    api: ApiConfig = ApiConfig()
    telemetry: TelemetryConfig = TelemetryConfig()

    def __post_init__(self) -> None:
        for relay in self.relays if len(self.targets) == 1 else ():
            if not relay.target:
                msgspec.structs.force_setattr(relay, "target", self.targets[0].name)

    def relay(self, name: str) -> RelayConfig | None:
        """The configured relay of that name; case does not matter, as in SQL Server's names."""
        return next((relay for relay in self.relays if relay.name.lower() == name.lower()), None)

    def target(self, name: str) -> TargetConfig:
        """The configured target of that name; case does not matter.

        Raises:
            KeyError: there is none.
        """
        found = next((target for target in self.targets if target.name.lower() == name.lower()), None)
        if found is None:
            raise KeyError(name)
        return found

    @property
    def receivers(self) -> list[tuple[str, TargetConfig | Hook]]:
        """Who rows and notices are posted to, each with its section."""
        return [*((f"targets[{index}]", target) for index, target in enumerate(self.targets)), *self.notifications.hooks]
