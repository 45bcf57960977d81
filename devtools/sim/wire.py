"""Runs a plan over the wire: the real app in processes of the Functions host's emulator, real driver and kills, virtual time."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests

from devtools.sim.fleet import Fleet
from devtools.sim.lane import MAIN, TABLE
from devtools.sim.observer import Observer, Statements
from devtools.sim.plan import Action, Plan
from devtools.sim.record import Choice, Record
from devtools.sim.scenario import STATEMENTS, relay_toml, table_sql
from devtools.stack import Stack
from emulators.clock import VirtualTime
from emulators.launch import FunctionsHost

ROOT = Path(__file__).resolve().parents[2]
NAIVE_APP = Path(__file__).resolve().parent / "naive_app"
_STRIKE_SECONDS = 0.4  # of real time: how long the statement is held at which a host is killed
_QUIET_STEP_SECONDS = 600
_LOOK_EVERY_SECONDS = 300


class WireWorld:
    """One run of one plan."""

    def __init__(self, fleet: Fleet, plan: Plan) -> None:
        self.plan, self.settings = plan, plan.settings
        self.record = Record(plan)
        self.fleet = fleet
        self.time: VirtualTime = fleet.time
        self.directory = fleet.directory / f"seed-{plan.seed}"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        config, script = self.directory / "relay.toml", self.directory / "tables.sql"
        config.write_text(relay_toml(plan.settings))
        script.write_text(table_sql(plan.settings))
        server = fleet.empty_server(plan.offset_minutes)
        self.start = self.record.start = fleet.next_day()
        self.stack = Stack(self.directory, fleet.time.spec, config=config, tables_sql=script, sql_server=server)
        now = lambda: self.now  # noqa: E731
        self.observer = Observer(self.record, self.stack.execute, self.stack.downstream, self.stack.email, now)
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
            self.observer.collect(self._instances())
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
                "NAIVE_LEASES": MAIN.leases,
                "NAIVE_KEY": json.dumps(self.settings.key_columns),
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
            self.observer.look()
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
            self.observer.change(values["ops"], self._change)
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

    def _change(self, statements: Statements) -> None:
        for sql, parameters in statements:
            self.stack.connection.execute(sql, *parameters)

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
        base = f"/api/relays/{TABLE}"
        self.record.faults[f"command {values['do']}"] += 1
        if values["do"] != "columns":
            self.record.commands.append(self.now)
            path = "/retry" if values["do"] == "retry" else "/replay"
            with contextlib.suppress(requests.RequestException):  # the process may end while it answers
                host.request("POST", f"{base}{path}")
            return
        columns, begun = values["columns"], self.now
        method, options = ("DELETE", {}) if columns is None else ("PUT", {"json": {"columns": columns}})
        until, status = math.inf, 0
        with contextlib.suppress(requests.RequestException):
            status = host.request(method, f"{base}/columns", **options).status_code
            until = self.now
        self.record.choices.append(Choice(begun, until, None if columns is None else tuple(columns), status == 202))

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
            application, pattern = STATEMENTS[how]
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
        limit = self.plan.length + self.settings.window + 2 * self.settings.max_delay + 3600
        self.advance_to(self.now + 180)
        while not self._quiet() and self.now < limit:
            self.advance_to(self.now + _QUIET_STEP_SECONDS)
        if self._quiet():
            self.record.quiet_at = self.now

    def _quiet(self) -> bool:
        if self.plan.policy == "naive":
            return self.now >= self.plan.length + 2 * 3600
        live = self.observer.live()
        running = [each for each in self._instances() if each["runtimeStatus"] in ("Running", "Pending", "ContinuedAsNew")]
        return not live and not running and not self.observer.open_changes()

    def _instances(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for host in self.hosts:
            found += host.request("GET", "/runtime/webhooks/durabletask/instances").json()
        return [each for each in found if not each["instanceId"].startswith("@")]
