"""Runs a plan in process: the real app on the emulators' own modules, one thread, every step decided by the seed."""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import random
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyodbc

from devtools.sim.counting import count_rows
from devtools.sim.inside.arena import FIRST_INSTANT, Arena
from devtools.sim.inside.clock import Pollers, SimClock
from devtools.sim.inside.host import Worker
from devtools.sim.inside.hub import Hub
from devtools.sim.inside.network import Network
from devtools.sim.inside.patches import patched
from devtools.sim.inside.scheduler import MICROSECONDS, Crash, Scheduler, Strand
from devtools.sim.inside.sql import Connection, SqlServer
from devtools.sim.inside.waiting import Condition
from devtools.sim.observer import Observer
from devtools.sim.plan import TABLE, Action, Plan
from devtools.sim.record import Choice, Record
from devtools.sim.scenario import LEASES, STATEMENTS, relay_toml, table_sql
from emulators.downstream.api import Downstream
from emulators.email_service.service import EmailService
from emulators.functions_host.settings import AppSettings, load_host_json
from emulators.sql_server.engine.database import Database
from emulators.sql_server.storage.locks import LockManager, LockTimeout
from emulators.sql_server.values.datetimes import instant_text
from emulators.sql_server.values.results import SqlError
from infra.prepare_database import prepare
from rowpost.config.loading import load_config

ROOT = Path(__file__).resolve().parents[3]
NAIVE_APP = Path(__file__).resolve().parents[1] / "naive_app"
_API, _MAIL = "api.example", "mail.example"
_API_KEY = "local-key"
_QUIET_STEP_SECONDS = 120.0
_WATCHDOG_SECONDS = 660.0  # two rounds of the watchdog
_COLD_START_SECONDS = (0.5, 4.0)
_LOOK_AFTER = re.compile(r"\b(?:UPDATE|DELETE) g\b|\b(?:INSERT INTO|UPDATE(?: TOP \(\d+\))?|DELETE FROM) rowpost\.")
_LOGGER = logging.getLogger("devtools.sim.host")


class _Doom:
    """A kill or a stall that waits for its effect."""

    def __init__(self, action: Action) -> None:
        self.action = action
        values = action.values
        self.left = int(values["skip"])
        how, late = values["how"], bool(values.get("late"))
        self.kinds: frozenset[str] | None = None
        self.pattern: re.Pattern[str] | None = None
        if how == "post":
            self.kinds = frozenset({"http answer" if late else "http"})
        elif how == "durable":
            self.kinds = frozenset({"durable done"} if late else {"durable", *(["durable call"] if action.kind == "stall" else [])})
        elif how != "effect":
            self.kinds = frozenset({"sql answer" if late else "sql"})
            self.pattern = re.compile(STATEMENTS[how][1])

    def strikes(self, kind: str, detail: str) -> bool:
        if self.kinds is not None and kind not in self.kinds:
            return False
        if self.pattern is not None and not self.pattern.search(detail):
            return False
        self.left -= 1
        return self.left < 0


class InsideWorld:
    """One run of one plan.

    Args:
        arena: databases to use again.
        plan: what happens.
    """

    def __init__(self, arena: Arena, plan: Plan) -> None:
        self.plan, self.arena = plan, arena
        self.record = Record(plan, every_commit=True)
        self.record.start = FIRST_INSTANT
        rng = random.Random(f"steps/{plan.seed}")
        self.noise = random.Random(f"noise/{plan.seed}")
        self.scheduler = scheduler = Scheduler(rng, FIRST_INSTANT)
        pace = plan.pace
        self.pause: Callable[[], float] = (lambda: rng.random() * pace) if pace else (lambda: 0.0)
        self.pollers = Pollers(scheduler)
        self.clock = SimClock(scheduler, self.pollers)
        self.condition = Condition(scheduler)
        self.downstream = Downstream(self.clock)
        self.downstream.set_settings(auth={"header": "X-Api-Key", "value": _API_KEY, "path": "/rows"})
        self.email = EmailService(self.clock)
        self.network = Network(scheduler, self.pause)
        self.network.serve(_API, self.downstream._answer)
        self.network.serve(_MAIL, self.email._answer)
        self.network.unanswered = self._unanswered
        self.send = self.network.send
        self.hub = Hub(scheduler, self.pause)
        self.workers: list[Worker | None] = [None] * plan.hosts
        self._died: dict[int, tuple[float, str]] = {}
        self._dooms: dict[int, list[_Doom]] = {number: [] for number in range(plan.hosts)}
        self._restart_after: dict[int, float] = {}
        self._over = False
        self._ended = False
        self._cursor: int | None = None
        self._status: str | None = None  # the statement by which the app counts its rows
        self._person_connection: Connection | None = None

    # --- the run ---

    def run(self) -> Record:
        """Everything, from the prepared database to the quiet end.

        Raises:
            Stuck: time stands still.
        """
        directory = os.getcwd()
        environment = dict(os.environ)
        try:
            self._run()
        finally:
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(environment)
        return self.record

    def _run(self) -> None:
        config = self.arena.settings_file("relay.toml", relay_toml(self.plan.settings))
        self.settings = self._app_settings(config)
        if self.plan.settings.email:
            import azure.communication.email  # noqa: F401  # before its poller is given other threads
        database = self.arena.fresh(Arena.shape(self.plan)) or self._prepared(config)
        self._use(database)
        with patched(self):
            try:
                for number in range(self.plan.hosts):
                    self._start_worker(number)
                self.scheduler.spawn(Strand(None, self._person))
                self.scheduler.run_until(self.scheduler.start + 90 * 86400 * MICROSECONDS, lambda: self._ended)
                for worker in self.workers:
                    self._note_deaf(worker)
                self.observer.collect(self._instances())
                self._note_choice()
                self.record.open_timers = self.hub.store._db.execute("SELECT COUNT(*) FROM timers").fetchone()[0]
                self._tell_problems()
            finally:
                self._end()

    def _end(self) -> None:
        self._over = True
        for worker in self.workers:
            if worker is not None:
                worker.kill()
        self.sql.break_all()
        self._looking.close()
        Arena.reset(self.sql.database)
        self.hub.store.close()

    def _prepared(self, config: Path) -> Database:
        """A new database with the user's table, the app's own ones and the trigger's; kept for plans of this shape."""
        shape = Arena.shape(self.plan)
        database = self.arena.new(shape)
        server = SqlServer(database, self.scheduler, lambda: 0.0, self.condition)
        connection: Any = server.connect("APP=person", autocommit=True)
        connection.execute(table_sql(self.plan.settings))
        prepare(connection, load_config(config, self.settings.values))
        connection.close()
        first = InsideWorld(self.arena, self.plan.silent())
        first.settings = self.settings
        first._use(database)
        with patched(first):
            first._start_worker(0)
            first.scheduler.run_until(first.scheduler.start + 30 * MICROSECONDS)
            for table in ("az_func.GlobalState", f"az_func.{LEASES}", "rowpost.Ledger", "rowpost.Relays"):
                first.execute(f"DELETE FROM {table}")
            first._end()
        self.arena.keep(shape, database)
        return database

    def _use(self, database: Database) -> None:
        database.clock = self.clock
        database.offset = timedelta(minutes=self.plan.offset_minutes)
        database.locks = LockManager(self.condition, self.scheduler.monotonic)
        self.sql = SqlServer(database, self.scheduler, self.pause, self.condition)
        self.sql.watchers.append(self._ran)
        self.sql.struck = self._struck
        self.connect = self.sql.connect
        self._looking = database.open_session("sa", "look", "host", None)
        self.observer = Observer(self.record, self.execute, self.downstream, self.email, self.scheduler.seconds)
        self.observer.execute_all = self._execute_all

    def _app_settings(self, config: Path) -> AppSettings:
        connection = f"Server=tcp:sql.example,1433;Database=rowpost;User ID=sa;Password={SqlServer.password};Encrypt=False"
        values = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "WEBSITE_SITE_NAME": "rowpost-local",
            "ODBC_DRIVER": "ODBC Driver 18 for SQL Server",
            "ROWPOST_CONFIG": str(config),
            "SqlConnectionString": connection,
            "DOWNSTREAM_URL": f"http://{_API}/rows",
            "DOWNSTREAM_API_KEY": _API_KEY,
            "EMAIL_CONNECTION_STRING": f"endpoint=http://{_MAIL}/;accesskey=cm93cG9zdC1lbXVsYXRvcg==",
            "EMAIL_SENDER": "rowpost@example.com",
            "ALERT_WEBHOOK_URL": f"http://{_API}/alerts",
        }
        app = ROOT
        if self.plan.policy == "naive":
            app = NAIVE_APP
            key = json.dumps(self.plan.settings.key_columns)
            values |= {"NAIVE_TABLE": TABLE, "NAIVE_LEASES": LEASES, "NAIVE_KEY": key, "NAIVE_ODBC": "APP=rowpost"}
        return AppSettings(app, _host_json(app), values)

    # --- workers ---

    def _start_worker(self, number: int) -> None:
        worker = Worker(f"w{number}", self.scheduler, self.clock, self.hub, self.settings, self._at_effect, self._on_death, _LOGGER)
        self.workers[number] = worker
        if number in self._died:
            since, how = self._died.pop(number)
            self.record.kills.append((since, self.scheduler.seconds(), how))

    def _at_effect(self, worker: Worker, kind: str, may_freeze: bool, detail: str) -> None:
        self.record.effects.append((self.scheduler.now_us, worker.name, kind, detail))
        number = int(worker.name[1:])
        dooms = self._dooms[number]
        for doom in dooms:
            if not (may_freeze or doom.action.kind == "kill") or not doom.strikes(kind, detail):
                continue
            dooms.remove(doom)
            self._strike(worker, doom.action)
            if worker.dead:
                raise Crash
            return

    def _strike(self, worker: Worker, action: Action) -> None:
        now = self.scheduler.seconds()
        number = int(worker.name[1:])
        if action.kind == "stall":
            seconds = float(action.values["seconds"])
            self.record.stalls.append((now, now + seconds, worker.name))
            self.record.faults["stall"] += 1
            self._note(worker.name, "stall", f"{seconds:.0f} s")
            worker.freeze(seconds)
            return
        down = 0.0 if self._over else float(action.values["down"])
        self._died[number] = (now, action.values["how"])
        self._restart_after[number] = down
        self.record.faults[f"kill {action.values['how']}"] += 1
        self._note(worker.name, "crash", f"{action.values['how']}, down {down:.0f} s")
        worker.kill()

    def _on_death(self, worker: Worker) -> None:
        number = int(worker.name[1:])
        self._note_deaf(worker)
        self.sql.break_of(worker)
        self.workers[number] = None
        if self._ended:
            return
        self._tell_problems(worker)
        self.pollers.nudge()
        low, high = _COLD_START_SECONDS
        start = self._restart_after.get(number, 5.0) + self.scheduler.rng.uniform(low, high)
        self.scheduler.after(start, lambda: None if self._ended or self.workers[number] else self._start_worker(number))

    def _note_choice(self) -> None:
        for (text,) in self.execute("SELECT ClientColumns FROM rowpost.Relays") if self.plan.policy == "rowpost" else ():
            self.record.in_force = json.loads(text) if text else None
        entity = "SELECT state FROM entities WHERE present = 1 AND entity_id LIKE '@table_columns@%'"
        rows = self.hub.store._db.execute(entity).fetchall()
        self.record.known = json.loads(rows[0][0])["columns"] if rows else None

    def _note_deaf(self, worker: Worker | None) -> None:
        if worker is not None and worker.deaf_since is not None:
            self.record.deaf.append((worker.deaf_since, self.scheduler.seconds(), worker.name))
            self.record.faults["trigger ended"] += 1

    def _tell_problems(self, *workers: Worker) -> None:
        for worker in workers or [each for each in self.workers if each is not None]:
            for problem in worker.loop.problems:
                self.record.problems.append(f"{worker.name}: {problem.get('message')}: {problem.get('exception')!r}")
            worker.loop.problems.clear()

    def _struck(self, action: str) -> None:
        self.record.struck.append(self.scheduler.seconds())
        self.record.faults[f"sql {action}"] += 1

    def _unanswered(self, authority: str) -> None:
        if authority == _API and self.downstream._attempts:
            self.record.unanswered.add(self.downstream._attempts[-1].number)

    def _note(self, name: str, kind: str, detail: str) -> None:
        self.record.effects.append((self.scheduler.now_us, name, kind, detail))

    async def durable_request(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        """What an SDK client sends; see :meth:`devtools.sim.inside.host.Worker.durable_request`."""
        strand = self.scheduler.current
        assert strand is not None and isinstance(strand.owner, Worker)
        return await strand.owner.durable_request(method, url, body)

    # --- the person ---

    def _person(self) -> None:
        scheduler = self.scheduler
        for action in self.plan.actions:
            scheduler.sleep(max(0.0, action.at - scheduler.seconds()))
            self._do(action)
        scheduler.sleep(max(0.0, self.plan.length - scheduler.seconds()))
        self._mend()
        limit = self.plan.length + self.plan.settings.window + 2 * self.plan.settings.max_delay + 3600
        scheduler.sleep(_QUIET_STEP_SECONDS)
        while not self._quiet() and scheduler.seconds() < limit:
            scheduler.sleep(_QUIET_STEP_SECONDS)
        if self._quiet():
            self.record.quiet_at = scheduler.seconds()
        self._ended = True

    def _do(self, action: Action) -> None:
        values, faults = dict(action.values), self.record.faults
        self._note("-", action.kind, json.dumps(values))
        if action.kind == "change":
            self.observer.change(values["ops"], self._execute_surely)
            self.pollers.nudge()
        elif action.kind == "api":
            self.downstream.set_mode(**values)
            faults[f"api {values['mode']}"] += values != {"mode": "up"}
        elif action.kind == "rules":
            self.downstream.set_rules(json.loads(json.dumps(values["rules"])))
            faults["rule"] += len(values["rules"])
        elif action.kind == "sql":
            self.sql.faults.add(_fault(values))
        elif action.kind == "database":
            faults["kill database"] += 1
            self.record.kills.append((scheduler_now := self.scheduler.seconds(), scheduler_now, "database"))
            self.sql.break_all()
            self.pollers.nudge()
        elif action.kind == "mail":
            self.email.add_fault(**values)
            faults["mail"] += 1
        elif action.kind in ("kill", "stall"):
            self._doom(action)
        elif action.kind == "clean":
            self._clean(float(values["minutes"]))
        elif action.kind == "clock":
            self._shift(int(values["minutes"]))
        else:
            self._command(values)

    def _doom(self, action: Action) -> None:
        number = int(action.values["host"])
        worker = self.workers[number]
        if action.values["how"] == "now":
            if worker is not None:
                self.scheduler.after(0.0, lambda: self._strike(worker, action) if not worker.dead else None)
            return
        self._dooms[number].append(_Doom(action))

    def _clean(self, minutes: float) -> None:
        """Change tracking forgets changes that are older, as if its retention were so short."""
        database = self.sql.database
        cutoff = instant_text((self.clock.now() - timedelta(minutes=minutes)).replace(tzinfo=None))
        while True:
            ((version,),) = self._looking.store.rows('SELECT MAX(version) FROM "$commits" WHERE time < ?', (cutoff,))
            if version is None:
                return
            try:
                database.cleanup._remove(self._looking, version)
                break
            except (LockTimeout, SqlError):  # somebody writes
                self.scheduler.sleep(0.5)
        self.record.faults["change tracking cleaned"] += 1
        self.record.cleaned.append(self.scheduler.seconds())
        self.observer.excuse(version)
        self.pollers.nudge()

    def _shift(self, minutes: int) -> None:
        """The clocks of the server's time zone are changed."""
        self.sql.database.offset += timedelta(minutes=minutes)
        self.record.shifts.append((self.scheduler.seconds(), minutes))
        self.record.faults["clock shift"] += 1
        self.pollers.nudge()

    def _execute_surely(self, statements: list[tuple[str, list[Any]]]) -> None:
        """Run a transaction, again until no lock is in the way."""
        while True:
            if self._person_connection is None or self._person_connection.broken:
                self._person_connection = self.sql.connect("APP=person", autocommit=True)
            try:
                for sql, parameters in statements:
                    self._person_connection.execute(sql, *parameters)
                return
            except pyodbc.Error:
                self._person_connection.sever()
                self.scheduler.sleep(1.0)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a batch as somebody who only looks (no effect, no waiting): the rows of its last result."""
        results = self._execute_all(sql)
        return results[-1] if results else []

    def _execute_all(self, sql: str) -> list[list[tuple[Any, ...]]]:
        results, problem = self._looker._perform(sql, ())
        if problem is not None:
            raise problem
        return [[tuple(row) for row in result.rows] for result in results]

    @functools.cached_property
    def _looker(self) -> Connection:
        return Connection(_Silent(self.sql), self._looking, "look", None)

    def _command(self, values: dict[str, Any]) -> None:
        live = [worker for worker in self.workers if worker is not None and worker.started]
        if not live:
            return
        worker = live[int(self.scheduler.rng.random() * len(live))]
        base = f"/api/relays/{TABLE}"
        begun = self.scheduler.seconds()
        if values["do"] != "columns":
            self.record.commands.append(begun)
        self.record.faults[f"command {values['do']}"] += 1

        def chosen(choice: tuple[str, ...] | None) -> Callable[[int, str], None]:
            entry = len(self.record.choices)
            self.record.choices.append(Choice(begun, math.inf, choice, False))

            def done(status: int, _: str) -> None:
                self.record.choices[entry] = Choice(begun, self.scheduler.seconds(), choice, status == 202)

            return done

        do = values["do"]
        if do == "columns" and values["columns"] is not None:
            worker.request("PUT", f"{base}/columns", {"columns": values["columns"]}, chosen(tuple(values["columns"])))
        elif do == "columns":
            worker.request("DELETE", f"{base}/columns", None, chosen(None))
        else:
            path = {"retry": "/retry", "replay": "/dead-letters/replay", "resync": "/resync"}[do]
            worker.request("POST", f"{base}{path}", None, lambda status, text: None)

    # --- the end ---

    def _mend(self) -> None:
        """Everything is up again, but for what lasts."""
        self._note("-", "mend", "")
        self._over = True
        for dooms in self._dooms.values():
            dooms.clear()
        self.sql.faults.clear()
        self.downstream.set_mode("up")
        self.downstream.set_rules(json.loads(json.dumps(self.plan.lasting_rules)))
        self.email.set_faults([])
        for number, worker in enumerate(self.workers):
            if worker is None:
                self.scheduler.after(0, functools.partial(self._revive, number))
        self.pollers.nudge()

    def _revive(self, number: int) -> None:
        if self.workers[number] is None and not self._ended:
            self._start_worker(number)

    def _quiet(self) -> bool:
        if self.plan.policy == "naive":
            return self.scheduler.seconds() >= self.plan.length + 2 * 3600
        if any(worker is None or worker.frozen for worker in self.workers) or self.observer.live():
            return False
        if any(self.scheduler.seconds() < at + _WATCHDOG_SECONDS for at in self.record.cleaned):
            return False  # what was lost is to be told yet
        running = [each for each in self._instances() if each["runtimeStatus"] in ("Running", "Pending", "ContinuedAsNew")]
        return not running and not self.observer.open_changes()

    def _instances(self) -> list[dict[str, Any]]:
        rows = self.hub.store._db.execute("SELECT instance_id, status FROM instances ORDER BY instance_id")
        return [{"instanceId": name, "runtimeStatus": status} for name, status in rows]

    def _ran(self, application: str, sql: str) -> None:
        """After each batch: look if it may have moved the cursor, written the ledger, or claimed rows."""
        if application == "functions-host":
            if "LastSyncVersion =" in sql and (cursor := self.observer.cursor()) != self._cursor:
                self._cursor = cursor
                self._look_and_count()
        elif application == "rowpost" and _LOOK_AFTER.search(sql):
            self._look_and_count()
        elif application == "rowpost" and sql.startswith("-- rowpost: status.sql"):
            self._status = sql
            self._look_and_count()

    def _look_and_count(self) -> None:
        look = self.observer.look_closely()
        if self._status is not None:
            count_rows(self.observer, look, self._status)


class _Silent:
    """A server as somebody sees it who only looks."""

    def __init__(self, server: SqlServer) -> None:
        self.database, self.scheduler, self.condition = server.database, server.scheduler, server.condition
        self.watchers: list[Any] = []


@functools.cache
def _host_json(app: Path) -> dict[str, Any]:
    return load_host_json(app)


def _fault(values: dict[str, Any]) -> Any:
    from emulators.sql_server.wire.faults import Fault

    return Fault.from_json(values)
