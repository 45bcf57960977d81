"""Runs a plan: the real app on the stand-ins, over the wire, in virtual time, and records what happened; checks.py judges it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from devtools.sim.fleet import Fleet
from devtools.sim.plan import COLUMNS, TABLE, Action, Knobs, Plan, clock_text, key_of
from devtools.stack import Stack
from emulators.clock import VirtualTime
from emulators.downstream import Attempt
from emulators.launch import FunctionsHost

ROOT = Path(__file__).resolve().parents[2]
NAIVE_APP = Path(__file__).resolve().parent / "naive_app"
LEASES = "Leases_rowpost_dbo_Orders"
_STRIKE_SECONDS = 0.4  # of real time: how long the statement is held at which a host is killed
_QUIET_STEP_SECONDS = 600
_LOOK_EVERY_SECONDS = 300
_KILL_AT = {  # the statement of the app, or of the trigger, that the kill meets
    "claim": ("rowpost", r"SELECT k\.i, l\._az_func_ChangeVersion"),
    "settle": ("rowpost", r"rp_l varchar"),
    "survey": ("rowpost", r"@delays nvarchar"),
    "redeliver": ("rowpost", r"DECLARE @due TABLE"),
    "release": ("functions-host", r"SELECT @unprocessed = COUNT"),
}


@dataclass
class Wanted:
    """What the API must know of a row in the end: the last transaction that counts.

    ``version`` is the change version of the last transaction that touched a watched column, or inserted or deleted the row.
    """

    version: int
    deleted: bool
    since: float


@dataclass
class Look:
    """What the database said at one instant."""

    at: float
    cursor: int | None
    ledger: dict[str, tuple[str, int, int, int]]  # key text: state, version, attempts, rounds
    missed: list[str] = field(default_factory=list)


@dataclass
class Record:
    """All that a run leaves behind for the checks."""

    plan: Plan
    attempts: list[Attempt] = field(default_factory=list)
    alerts: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    mails: list[tuple[float, str, str]] = field(default_factory=list)
    wanted: dict[str, Wanted] = field(default_factory=dict)
    changes: list[tuple[float, str, int, bool]] = field(default_factory=list)  # at, key, version, whether it must be posted
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    kills: list[tuple[float, float, str]] = field(default_factory=list)  # from, to, how
    choices: list[tuple[float, tuple[str, ...] | None, bool]] = field(default_factory=list)  # at, columns, whether confirmed
    commands: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    counters: dict[str, int] = field(default_factory=dict)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    leases: list[tuple[Any, ...]] = field(default_factory=list)
    open_changes: list[tuple[str, int]] = field(default_factory=list)
    cursor: int | None = None
    instances: list[dict[str, Any]] = field(default_factory=list)
    quiet_at: float | None = None
    start: datetime | None = None

    def at(self, instant: str) -> float:
        """Seconds after the start of an ISO 8601 instant."""
        assert self.start is not None
        return (datetime.fromisoformat(instant) - self.start).total_seconds()


def key_text(key: dict[str, Any]) -> str:
    """A key as the checks compare it."""
    return json.dumps(key, separators=(",", ":"))


def relay_toml(knobs: Knobs) -> str:
    """The configuration of a plan."""
    lines = ["[downstream]", 'url = "%DOWNSTREAM_URL%"', 'timeout = "5s"', 'batch_budget = "30s"']
    lines += [
        f"concurrency = {knobs.concurrency}",
        f"breaker_failures = {knobs.breaker_failures}",
        "[downstream.headers]",
        'X-Api-Key = "%DOWNSTREAM_API_KEY%"',
    ]
    lines += ["[[notifications.webhooks]]", 'url = "%ALERT_WEBHOOK_URL%"']
    if knobs.email:
        lines += ["[notifications.email]", 'connection = "%EMAIL_CONNECTION_STRING%"', 'sender = "%EMAIL_SENDER%"']
        lines += ['recipients = ["a@example.com", "b@example.com"]']
    lines += ["[retry]", f"attempts = {knobs.attempts}", f'strategy = "{knobs.strategy}"', f'first_delay = "{knobs.first_delay}s"']
    lines += [f"factor = {knobs.factor}", f'max_delay = "{knobs.max_delay}s"', f'window = "{knobs.window}s"']
    lines += [f"notify_after_rounds = {knobs.notify_after_rounds}", f'rejected = "{knobs.rejected}"']
    lines += ["[[tables]]", f'name = "{TABLE}"']
    keys = list(knobs.key_columns)
    lines += [f"send = {json.dumps(keys + list(knobs.send))}"] if knobs.send is not None else []
    lines += [f"watch = {json.dumps(list(knobs.watch))}"] if knobs.watch is not None else []
    return "\n".join(lines) + "\n"


def table_sql(knobs: Knobs) -> str:
    """The script of the user's table."""
    region = "Region nvarchar(10) NOT NULL, " if knobs.key == "pair" else ""
    return (
        f"CREATE TABLE {TABLE} ({region}Id int NOT NULL, Note nvarchar(40) NULL, Total decimal(20, 4) NULL, Extra int NULL, "
        f"Secret nvarchar(40) NULL, CONSTRAINT PK_Orders PRIMARY KEY ({', '.join(knobs.key_columns)}));"
    )


class World:
    """One run of one plan."""

    def __init__(self, fleet: Fleet, plan: Plan) -> None:
        self.plan, self.knobs = plan, plan.knobs
        self.record = Record(plan)
        self.fleet = fleet
        self.time: VirtualTime = fleet.time
        self.directory = fleet.directory / f"seed-{plan.seed}"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        config, script = self.directory / "relay.toml", self.directory / "tables.sql"
        config.write_text(relay_toml(plan.knobs))
        script.write_text(table_sql(plan.knobs))
        server = fleet.empty_server(plan.offset_minutes)
        self.start = self.record.start = fleet.next_day()
        self.stack = Stack(self.directory, fleet.time.spec, config=config, tables_sql=script, sql_server=server)
        self.hosts: list[FunctionsHost] = []
        self._down: dict[int, tuple[float, float, str]] = {}  # host: killed at, back at, how
        self._struck: set[int] = set()  # hosts that were sent SIGKILL a moment ago
        self._over = threading.Event()
        self._strikers: list[threading.Thread] = []
        self._strike_values: dict[int, tuple[float, str]] = {}  # host: down for, how, of its latest planned kill

    # --- the run ---

    def run(self) -> Record:
        """Everything, from the empty database to the quiet end.

        Raises:
            TimeoutError: virtual time stood still, so that something hangs.
        """
        try:
            self.stack.start_services()
            self.stack.prepare()
            self._start_hosts()
            self.advance_to(2)
            for action in self.plan.actions:
                self.advance_to(action.at)
                self._do(action)
            self.advance_to(self.plan.length)
            self._mend()
            self._run_until_quiet()
            self._collect()
            return self.record
        finally:
            self._over.set()
            self.stack.sql.clear_faults()
            for host in self.hosts:
                host.kill()
            for striker in self._strikers:
                striker.join(5)
            self.stack.stop()

    def _start_hosts(self) -> None:
        settings = dict(self.stack.settings)
        app = ROOT
        if self.plan.policy == "naive":
            app = NAIVE_APP
            settings |= {
                "NAIVE_TABLE": TABLE,
                "NAIVE_LEASES": LEASES,
                "NAIVE_KEY": json.dumps(self.knobs.key_columns),
                "NAIVE_ODBC": f"{self.stack.sql.odbc_connection_string};APP=rowpost",
            }
        for number in range(self.plan.hosts):
            host = FunctionsHost(app, self.directory, self.stack.clock_spec, settings, name=f"host{number}")
            self.hosts.append(host)
            host.start()

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return (self.time.now() - self.start).total_seconds()

    def advance_to(self, target: float) -> None:
        """Let time run; look at the database every few minutes; hosts that were killed come back when they are due."""
        while True:
            due = min([target, self.now + _LOOK_EVERY_SECONDS, *(back for _, back, _ in self._down.values())])
            self.time.advance_to(self.start + timedelta(seconds=max(due, self.now)), until=self._newly_dead)
            self._note_dead()
            for number, (since, back, how) in list(self._down.items()):
                if self.now >= back - 0.001:
                    del self._down[number]
                    self.record.kills.append((since, self.now, how))
                    self.hosts[number].start()
            self.look()
            if self.now >= target - 0.001:
                return

    def _newly_dead(self) -> bool:
        for number in list(self._struck):
            patience = time.monotonic() + 5
            while self.hosts[number].running and time.monotonic() < patience:
                time.sleep(0.001)  # it dies in some milliseconds, and without it time would fly meanwhile
            self._struck.discard(number)
        return any(not host.running and number not in self._down for number, host in enumerate(self.hosts))

    def _note_dead(self) -> None:
        for number, host in enumerate(self.hosts):
            if not host.running and number not in self._down:
                host.kill()
                down, how = self._strike_values.get(number, (5.0, "crash"))
                self.record.faults["kill" if how != "crash" else "crash"] += 1
                down = 0.0 if self._over.is_set() else down  # everything comes back at the end
                self._down[number] = (self.now, self.now + down, how)

    # --- actions ---

    def _do(self, action: Action) -> None:
        values = dict(action.values)
        if action.kind == "change":
            self._change(values["ops"])
        elif action.kind == "api":
            self.stack.downstream.set_mode(**values)
            self.record.faults[f"api {values['mode']}"] += values != {"mode": "up"}
        elif action.kind == "rules":
            self.stack.downstream.set_rules(json.loads(json.dumps(values["rules"])))
            self.record.faults["rule"] += len(values["rules"])
        elif action.kind == "sql":
            self.stack.sql.inject(**values)
            self.record.faults[f"sql {values['action']}"] += 1
        elif action.kind == "database":
            self._kill_database()
        elif action.kind == "mail":
            self.stack.email.add_fault(**values)
            self.record.faults["mail"] += 1
        elif action.kind == "kill":
            self._kill(**values)
        else:
            self._command(values)

    def _change(self, ops: list[dict[str, Any]]) -> None:
        """One transaction."""
        touched: list[tuple[str, bool, bool]] = []  # key, deleted, must be posted
        statements = ["SET XACT_ABORT ON; BEGIN TRANSACTION;"]
        for op in ops:
            key = key_of(self.knobs, op["id"])
            where = " AND ".join(f"{name} = {_sql(value)}" for name, value in key.items())
            text = key_text(key)
            if op["do"] == "insert":
                values = {**key, **_values(op["stamp"])}
                statements.append(f"INSERT INTO {TABLE} ({', '.join(values)}) VALUES ({', '.join(map(_sql, values.values()))});")
                touched.append((text, False, True))
            elif op["do"] in ("update", "unwatched"):
                values = _values(op["stamp"])
                names = COLUMNS if op["do"] == "update" else ("Extra", "Secret")
                assignments = ", ".join(f"{name} = {_sql(values[name])}" for name in names)
                statements.append(f"UPDATE {TABLE} SET {assignments} WHERE {where};")
                touched.append((text, False, op["do"] == "update" or self.knobs.watch is None))
            elif op["do"] == "delete":
                statements.append(f"DELETE FROM {TABLE} WHERE {where};")
                touched.append((text, True, True))
            else:
                other = key_of(self.knobs, op["to"])
                assignments = ", ".join(f"{name} = {_sql(value)}" for name, value in other.items())
                statements.append(f"UPDATE {TABLE} SET {assignments} WHERE {where};")
                touched += [(text, True, True), (key_text(other), False, True)]
        statements.append("COMMIT;")
        self.stack.connection.execute(" ".join(statements))
        ((version,),) = self.stack.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
        for text, deleted, counts in touched:
            self.record.changes.append((self.now, text, int(version), counts))
            if counts or text not in self.record.wanted:
                self.record.wanted[text] = Wanted(int(version), deleted, self.now)

    def _kill_database(self) -> None:
        self.stack.sql.kill()
        self.record.faults["kill database"] += 1
        self.record.kills.append((self.now, self.now, "database"))
        self.stack.sql.start()
        self.stack._connection = None  # the old one is broken

    def _command(self, values: dict[str, Any]) -> None:
        host = next((host for host in self.hosts if host.running), None)
        if host is None:
            return
        base = f"/api/tables/{TABLE}"
        self.record.commands.append(self.now)
        self.record.faults[f"command {values['do']}"] += 1
        with contextlib.suppress(requests.RequestException):  # the process may end while it answers
            if values["do"] == "columns" and values["columns"] is not None:
                answer = host.request("PUT", f"{base}/columns", json={"columns": values["columns"]})
                choice: tuple[str, ...] | None = tuple(values["columns"])
            elif values["do"] == "columns":
                answer, choice = host.request("DELETE", f"{base}/columns"), None
            else:
                path = "/retry" if values["do"] == "retry" else "/dead-letters/replay"
                host.request("POST", f"{base}{path}")
                return
            if answer.status_code == 202 or answer.status_code >= 500:
                self.record.choices.append((self.now, choice, answer.status_code == 202))

    def _kill(self, host: int, how: str, down: float, skip: int, late: float) -> None:
        target = self.hosts[host]
        self._strike_values[host] = (down, how)
        if not target.running:
            return
        if how == "now":
            target.kill()
            self._note_dead()
            return
        api, sql = self.stack.downstream, self.stack.sql
        pid = target.pid

        def strike(condition: Callable[[], bool], pause: float) -> None:
            while not self._over.is_set() and not condition():
                time.sleep(pause)
            time.sleep(late)
            if not self._over.is_set() and target.running and target.pid == pid:
                self._struck.add(host)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)  # not target.kill(): the process may be started again meanwhile

        if how == "post":
            pause = 0.01
            limit = api.counters()["requests"] + skip
            condition: Callable[[], bool] = lambda: api.counters()["requests"] > limit  # noqa: E731
        else:
            application, pattern = _KILL_AT[how]
            pause, late = 0.06, late and late + _STRIKE_SECONDS  # before the statement runs, or after it
            seconds = _STRIKE_SECONDS + len(self._strikers) / 1000  # tells this fault from others of its kind
            sql.inject(action="delay", seconds=seconds, pattern=pattern, application=application, times=1, skip=skip)

            def condition() -> bool:
                with contextlib.suppress(requests.RequestException):
                    return all(float(fault["seconds"]) != seconds for fault in sql.faults())
                return False

        striker = threading.Thread(target=strike, args=(condition, pause), daemon=True)
        self._strikers.append(striker)
        striker.start()

    # --- the end ---

    def _mend(self) -> None:
        """Everything is up again, but for what lasts."""
        self._over.set()
        for striker in self._strikers:
            striker.join(5)
        self._note_dead()
        self.stack.sql.clear_faults()
        self.stack.downstream.set_mode("up")
        self.stack.downstream.set_rules(json.loads(json.dumps(self.plan.lasting_rules)))
        self.stack.email.set_faults([])
        for number, (since, _, how) in list(self._down.items()):
            self._down[number] = (since, self.now, how)
        self.advance_to(self.now + 1)

    def _run_until_quiet(self) -> None:
        limit = self.plan.length + self.knobs.window + 2 * self.knobs.max_delay + 3600
        self.advance_to(self.now + 180)
        while not self._quiet() and self.now < limit:
            self.advance_to(self.now + _QUIET_STEP_SECONDS)
        if self._quiet():
            self.record.quiet_at = self.now

    def _quiet(self) -> bool:
        if self.plan.policy == "naive":
            return self.now >= self.plan.length + 2 * 3600
        ((live,),) = self.stack.execute("SELECT COUNT(*) FROM rowpost.Ledger WHERE State <> 'dead' OR Noticed = 0")
        running = [each for each in self._instances() if each["runtimeStatus"] in ("Running", "Pending", "ContinuedAsNew")]
        return not live and not running and not self._open_changes()

    def _instances(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for host in self.hosts:
            found += host.request("GET", "/runtime/webhooks/durabletask/instances").json()
        return [each for each in found if not each["instanceId"].startswith("@")]

    # --- looking ---

    def _cursor(self) -> int | None:
        ((cursor,),) = self.stack.execute(
            f"SELECT MIN(LastSyncVersion) FROM az_func.GlobalState WHERE UserTableID = OBJECT_ID(N'{TABLE}')"
        )
        return None if cursor is None else int(cursor)

    def look(self) -> None:
        """A checkpoint: the cursor and the ledger, and whether the cursor has passed a row that nobody will deliver."""
        cursor = self._cursor()
        rows = self.stack.execute("SELECT RowKey, State, ChangeVersion, Attempts, Rounds FROM rowpost.Ledger")
        ledger = {row[0]: (row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows}
        look = Look(self.now, cursor, ledger)
        for text, wanted in self.record.wanted.items():
            if cursor is None or wanted.version > cursor:
                continue
            known = self.stack.downstream.find(TABLE, json.loads(text))
            entry = ledger.get(text)
            if known is not None and (known.version or 0) >= wanted.version:
                continue
            if known is not None and self.plan.policy == "naive" and self.record.at(known.at) >= wanted.since:
                continue
            if entry is None or (entry[0] == "dead" and entry[1] < wanted.version):
                look.missed.append(text)
        self.record.looks.append(look)

    def _open_changes(self) -> list[tuple[str, int]]:
        """Tracked changes beyond the cursor that the trigger has not released."""
        keys = ", ".join(f"c.{name}" for name in self.knobs.key_columns)
        match = " AND ".join(f"l.{name} = c.{name}" for name in self.knobs.key_columns)
        rows = self.stack.execute(
            f"""DECLARE @last bigint =
              (SELECT MIN(LastSyncVersion) FROM az_func.GlobalState WHERE UserTableID = OBJECT_ID(N'{TABLE}'));
            SELECT {keys}, c.SYS_CHANGE_VERSION FROM CHANGETABLE(CHANGES {TABLE}, @last) c
            LEFT JOIN az_func.{LEASES} l ON {match}
            WHERE l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion <> c.SYS_CHANGE_VERSION
               OR l._az_func_LeaseExpirationTime IS NOT NULL OR l._az_func_AttemptCount <> 0"""
        )
        return [(key_text(dict(zip(self.knobs.key_columns, row[:-1], strict=True))), int(row[-1])) for row in rows]

    def _collect(self) -> None:
        record, api = self.record, self.stack.downstream
        for attempt in api.attempts():
            if attempt.path == "/rows":
                record.attempts.append(attempt)
            elif attempt.path == "/alerts":
                record.alerts.append((record.at(attempt.at), attempt.body))
        for message in self.stack.email.messages():
            for address in message.recipients:
                record.mails.append((record.at(message.at), address, message.plain_text or ""))
        record.counters = api.counters()
        record.state = {key_text(state.key): state for state in api.state(TABLE) if isinstance(state.key, dict)}
        names = [*self.knobs.key_columns, *COLUMNS]
        for row in self.stack.execute(f"SELECT {', '.join(names)} FROM {TABLE}"):
            values = dict(zip(names, row, strict=True))
            record.rows[key_text({name: values[name] for name in self.knobs.key_columns})] = values
        columns = ["RowKey", "State", "ChangeVersion", "Attempts", "Rounds", "FirstFailure", "NextAttempt", "LastError"]
        for row in self.stack.execute(f"SELECT {', '.join(columns)} FROM rowpost.Ledger"):
            record.ledger.append(dict(zip(columns, row, strict=True)))
        record.leases = [tuple(row) for row in self.stack.execute(f"SELECT * FROM az_func.{LEASES}")]
        record.open_changes = self._open_changes()
        record.cursor = self._cursor()
        record.instances = self._instances()


def _values(stamp: int) -> dict[str, Any]:
    return {"Note": f"note {stamp}", "Total": f"{stamp}.2500", "Extra": stamp, "Secret": f"secret {stamp}"}


def _sql(value: Any) -> str:
    if isinstance(value, str) and not value.replace(".", "").isdigit():
        return f"N'{value}'"
    return str(value)


__all__ = ["Look", "Record", "Wanted", "World", "clock_text"]
