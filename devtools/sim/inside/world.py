"""Runs a plan in process: the real app on the emulators' own modules, one thread, every step decided by the seed."""

from __future__ import annotations

import functools
import json
import logging
import os
import random
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from devtools.sim.counting import count_rows
from devtools.sim.inside.arena import FIRST_INSTANT, Arena
from devtools.sim.inside.clock import Pollers, SimClock
from devtools.sim.inside.doom import Doom
from devtools.sim.inside.host import Worker
from devtools.sim.inside.manners import Manners
from devtools.sim.inside.network import Network
from devtools.sim.inside.patches import patched
from devtools.sim.inside.person import Person
from devtools.sim.inside.scheduler import MICROSECONDS, Crash, Scheduler, Strand
from devtools.sim.inside.site import API_KEY, MAIL, Site, authority
from devtools.sim.inside.sockets import Sockets
from devtools.sim.inside.sql import APPLICATIONS, Connection, SqlServer
from devtools.sim.inside.waiting import Condition
from devtools.sim.observer import Observer
from devtools.sim.plan import Action, Plan
from devtools.sim.record import Record
from devtools.sim.scenario import APP_USER, STATEMENTS, api_settings, table_sql
from emulators.downstream.api import Downstream
from emulators.email_service.service import EmailService
from emulators.sql_server.engine.database import Database
from emulators.sql_server.storage.locks import LockManager
from infra.prepare_database import prepare
from rowpost.config.loading import load_config
from rowpost.operations.resync import PAGE_ROWS

_TOLD_ERRORS = (229, 3906, 8134, 18456)  # that only dimensions bring
_COLD_START_SECONDS = (0.5, 4.0)
_RENEWAL = re.compile(STATEMENTS["renew"][1])
_LOOK_AFTER = re.compile(
    r"\b(?:UPDATE|DELETE)(?: TOP \(\d+\))? g\b|\b(?:INSERT INTO|UPDATE(?: TOP \(\d+\))?|DELETE FROM) rowpost\."
)
_LOGGER = logging.getLogger("devtools.sim.host")


class InsideWorld:
    """One run of one plan.

    Args:
        arena: databases to use again.
        plan: what happens.
    """

    def __init__(self, arena: Arena, plan: Plan) -> None:
        self.plan, self.arena = plan, arena
        self.records = _records(plan)
        self.record = self.records[0]
        rng = random.Random(f"steps/{plan.seed}")
        self.noise = random.Random(f"noise/{plan.seed}")
        self.scheduler = scheduler = Scheduler(rng, FIRST_INSTANT)
        pace = plan.pace
        self.pause: Callable[[], float] = (lambda: rng.random() * pace) if pace else (lambda: 0.0)
        self.pollers = Pollers(scheduler)
        self.clock = SimClock(scheduler, self.pollers)
        self.condition = Condition(scheduler)
        self.email = EmailService(self.clock)
        self.network = Network(scheduler, self.pause)
        self.network.serve(MAIL, self.email._answer)
        self.targets: dict[str, Downstream] = {}
        for lane in plan.lanes:
            self._serve(lane.target)
        self.network.unanswered = self._unanswered
        self.network.numbered = self._numbered
        self.send = self.network.send
        manners = Manners(random.Random(f"manners/{plan.seed}"), scheduler)
        self.page_rows = 5 if plan.settings.initial else PAGE_ROWS
        through_sockets = "answers" in plan.dimensions
        self.sockets = Sockets(self.network, scheduler, self.pause, manners, self._took) if through_sockets else None
        self.sites = [Site(arena, plan, number, scheduler, self.pause) for number in sorted({lane.app for lane in plan.lanes})]
        self.workers: list[Worker | None] = [None] * plan.workers
        self.waits: set[int] = {site.number for site in self.sites if plan.starts[site.number] > 0}  # apps not started yet
        self.dooms: dict[int, list[Doom]] = {number: [] for number in range(plan.workers)}
        self.over = False  # whether everything is up again
        self.ended = False
        self.died: dict[int, tuple[float, str]] = {}
        self._restart_after: dict[int, float] = {}
        self._cursors: dict[int, int | None] = {}
        self._status: dict[int, str] = {}  # by which statement the app counts the rows of each relay

    def _serve(self, target: str) -> None:
        if target not in self.targets:
            api = self.targets[target] = Downstream(self.clock)
            api.set_settings(auth={"header": "X-Api-Key", "value": API_KEY, "path": "/rows"}, **api_settings(self.plan.settings))
            self.network.serve(authority(target), api._answer)

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
        if self.plan.settings.email:
            import azure.communication.email  # noqa: F401  # before its poller is given other threads
        self._use(self.arena.fresh(Arena.shape(self.plan)) or self._prepared())
        person = Person(self)
        with patched(self):
            try:
                for site in self.sites:
                    self._begin(site)
                self.scheduler.spawn(Strand(None, person.live))
                self.scheduler.run_until(self.scheduler.start + 90 * 86400 * MICROSECONDS, lambda: self.ended)
                for worker in self.workers:
                    self._note_deaf(worker)
                self._collect()
                self._tell_problems()
            finally:
                self._end()

    def _begin(self, site: Site) -> None:
        """Start the workers of an app, at its time."""
        late = self.plan.starts[site.number]
        for number in self.numbers(site):
            if not late:
                self.start_worker(number)
                continue
            self.died[number] = (0.0, "not started")
            self.scheduler.after(late, functools.partial(self._start_late, site, number))

    def _start_late(self, site: Site, number: int) -> None:
        self.waits.discard(site.number)
        for lane, observer in zip(self.plan.lanes, self.observers, strict=True):
            if lane.app == site.number and observer.record.wanted:
                self._took("a late start that rows waited for")
        if self.workers[number] is None and not self.ended:
            self.start_worker(number)

    def _collect(self) -> None:
        relays = {lane.relay.name for lane in self.plan.lanes}
        for observer in self.observers:
            observer.collect(self.instances(self.site_of(observer.lane.app)))
            self._note_choice(observer)
            hub = self.site_of(observer.lane.app).hub
            self._note_snapshots(observer)
            observer.record.open_timers = hub.store._db.execute("SELECT COUNT(*) FROM timers").fetchone()[0]
        for (name,) in self.execute("SELECT DISTINCT Relay FROM rowpost.Ledger") if self.plan.policy == "rowpost" else ():
            if name not in relays:
                self.record.strangers.append(f"the ledger has records of {name}, which is no relay")
        for site in self.sites:
            own = {lane.relay.name for lane in site.lanes}
            for attempt in self.targets[site.alerts].attempts():
                told = attempt.body.get("relay") if attempt.path == "/alerts" and isinstance(attempt.body, dict) else None
                if told is not None and told not in own:
                    self.record.strangers.append(f"{site.name} told its people of {told}, which is not its own")

    def _end(self) -> None:
        self.over = True
        for worker in self.workers:
            if worker is not None:
                worker.kill()
        self.sql.database.catalogue.options.read_only = False
        self.sql.break_all()
        self.looking.close()
        Arena.reset(self.sql.database)
        for site in self.sites:
            site.hub.store.close()

    def _prepared(self) -> Database:
        """A new database with the user's tables, the app's own ones and the trigger's; kept for plans of this shape."""
        shape = Arena.shape(self.plan)
        database = self.arena.new(shape)
        server = SqlServer(database, self.scheduler, lambda: 0.0, self.condition)
        connection: Any = server.connect("APP=person", autocommit=True)
        for table in dict.fromkeys(lane.table for lane in self.plan.lanes):
            connection.execute(table_sql(self.plan.settings, table))
        for site in self.sites:
            prepare(connection, load_config(site.config, site.settings.values))
        connection.execute(APP_USER)
        connection.close()
        first = InsideWorld(self.arena, self.plan.silent())
        first._use(database)
        first.sql.watchers.clear()  # the trigger's tables, which a look reads, are made by and by
        with patched(first):
            for site in first.sites:
                first.start_worker(first.numbers(site)[0])
            first.scheduler.run_until(first.scheduler.start + 30 * MICROSECONDS)
            for table in ("az_func.GlobalState", "rowpost.Ledger", "rowpost.Relays"):
                first.execute(f"DELETE FROM {table}")
            for lane in self.plan.lanes:
                first.execute(f"DELETE FROM az_func.{lane.leases}")
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
        self.sql.failed = self._failed
        self.connect = self.sql.connect
        self.looking = database.open_session("sa", "look", "host", None)
        self.observers: list[Observer] = []
        for record in self.records:
            alerts = self.site_of(record.lane.app).alerts
            api = self.targets[record.lane.target]
            observer = Observer(record, self.execute, api, self.email, self.scheduler.seconds, self.targets[alerts])
            observer.unheard = next(each.unanswered for each in self.records if each.lane.target == alerts)
            observer.execute_all = self._execute_all
            self.observers.append(observer)
        self.observer = self.observers[0]

    # --- workers ---

    def site_of(self, app: int) -> Site:
        """An app by its number."""
        return next(site for site in self.sites if site.number == app)

    def numbers(self, site: Site) -> range:
        """The numbers of an app's workers."""
        first = 0 if site.number == 0 else self.plan.hosts
        return range(first, first + self.plan.hosts_of(site.number))

    def site_of_worker(self, number: int) -> Site:
        """The app of a worker."""
        return next(site for site in self.sites if number in self.numbers(site))

    def start_worker(self, number: int) -> None:
        """A process begins."""
        site = self.site_of_worker(number)
        worker = Worker(f"w{number}", self.scheduler, self.clock, site.hub, site.settings, self._at_effect, self._on_death, _LOGGER)
        self.workers[number] = worker
        if number in self.died:
            since, how = self.died.pop(number)
            self.record_of(number).kills.append((since, self.scheduler.seconds(), how))

    def record_of(self, number: int) -> Record:
        """A record that shares what happens to the workers of an app with the others of that app."""
        app = self.site_of_worker(number).number
        return next(record for record in self.records if record.lane.app == app)

    def _at_effect(self, worker: Worker, kind: str, may_freeze: bool, detail: str) -> None:
        self.record.effects.append((self.scheduler.now_us, worker.name, kind, detail))
        number = int(worker.name[1:])
        dooms = self.dooms[number]
        for doom in dooms:
            if not (may_freeze or doom.action.kind == "kill") or not doom.strikes(kind, detail):
                continue
            dooms.remove(doom)
            self.strike(worker, doom.action)
            if worker.dead:
                raise Crash
            return

    def strike(self, worker: Worker, action: Action) -> None:
        """Kill a worker, or let it stand still."""
        now = self.scheduler.seconds()
        number = int(worker.name[1:])
        if action.kind == "stall":
            seconds = float(action.values["seconds"])
            self.record_of(number).stalls.append((now, now + seconds, worker.name))
            self.record.frozen.append((now, now + seconds))
            self.record.faults["stall"] += 1
            self.tell(worker.name, "stall", f"{seconds:.0f} s")
            worker.freeze(seconds)
            return
        down = 0.0 if self.over else float(action.values["down"])
        self.died[number] = (now, action.values["how"])
        self._restart_after[number] = down
        self.record.faults[f"kill {action.values['how']}"] += 1
        if down > 3600:
            self._took("a stop of more than an hour")
        self.tell(worker.name, "crash", f"{action.values['how']}, down {down:.0f} s")
        worker.kill()

    def _on_death(self, worker: Worker) -> None:
        number = int(worker.name[1:])
        self._note_deaf(worker)
        self.sql.break_of(worker)
        self.workers[number] = None
        if self.ended:
            return
        self._tell_problems(worker)
        self.pollers.nudge()
        low, high = _COLD_START_SECONDS
        start = self._restart_after.get(number, 5.0) + self.scheduler.rng.uniform(low, high)
        self.scheduler.after(start, lambda: None if self.ended or self.workers[number] else self.start_worker(number))

    def _note_choice(self, observer: Observer) -> None:
        record, relay = observer.record, observer.lane.relay
        chosen = f"SELECT ClientColumns FROM rowpost.Relays WHERE Relay = N'{relay.name}'"
        for (text,) in self.execute(chosen) if self.plan.policy == "rowpost" else ():
            record.in_force = json.loads(text) if text else None
        entities = "SELECT entity_id, state FROM entities WHERE present = 1"
        states = dict(self.site_of(observer.lane.app).hub.store._db.execute(entities).fetchall())
        own = [state for name, state in states.items() if name.rpartition("@")[2].lower() == relay.slug.lower()]
        record.known = json.loads(own[0])["columns"] if own else None

    def _note_snapshots(self, observer: Observer) -> None:
        sent = (
            f"SELECT Queued FROM rowpost.Resyncs WHERE Relay = N'{observer.lane.relay.name}' AND Cause = 'initial' AND Queued > 0"
        )
        if self.plan.settings.initial and self.execute(sent):
            self._took("an initial snapshot with rows")

    def _note_deaf(self, worker: Worker | None) -> None:
        if worker is not None and worker.deaf_since is not None:
            deaf = (worker.deaf_since, self.scheduler.seconds(), worker.name)
            self.record_of(int(worker.name[1:])).deaf.append(deaf)
            self.record.faults["trigger ended"] += 1

    def _tell_problems(self, *workers: Worker) -> None:
        for worker in workers or [each for each in self.workers if each is not None]:
            for problem in worker.loop.problems:
                self.record.problems.append(f"{worker.name}: {problem.get('message')}: {problem.get('exception')!r}")
            worker.loop.problems.clear()

    def _struck(self, action: str) -> None:
        self.record.struck.append(self.scheduler.seconds())
        self.record.faults[f"sql {action}"] += 1

    def _failed(self, application: str, number: int) -> None:
        if number in _TOLD_ERRORS and application in APPLICATIONS:
            self.record.took[f"SQL error {number} of {application}"] += 1

    def _took(self, what: str) -> None:
        self.record.took[what] += 1

    def _numbered(self, to: str) -> int:
        found = [api for name, api in self.targets.items() if authority(name) == to]
        return found[0]._counters["events"] if found else 0

    def _unanswered(self, to: str, number: int) -> None:
        for record in self.records:
            if authority(record.lane.target) == to:
                record.unanswered.update(self.targets[record.lane.target].numbers_beside(number))

    def tell(self, name: str, kind: str, detail: str) -> None:
        """Note for the trace what somebody does."""
        self.record.effects.append((self.scheduler.now_us, name, kind, detail))

    async def durable_request(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        """What an SDK client sends; see :meth:`devtools.sim.inside.host.Worker.durable_request`."""
        strand = self.scheduler.current
        assert strand is not None and isinstance(strand.owner, Worker)
        return await strand.owner.durable_request(method, url, body)

    def logged(self, line: str) -> None:
        """Keep a line of the log with the relay that it names, of the app whose worker has written it."""
        strand = self.scheduler.current
        if strand is None or not isinstance(strand.owner, Worker):
            return
        app = self.site_of_worker(int(strand.owner.name[1:])).number
        for record in self.records:
            name = record.lane.relay.name
            if record.lane.app == app and (line.startswith(f"{name}: ") or f'"relay": "{name}"' in line):
                record.logged.append(line)

    # --- looking ---

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
        return Connection(_Silent(self.sql), self.looking, "look", None)

    def look_anew(self) -> None:
        """Connect again after all sessions were ended."""
        self.looking = self.sql.database.open_session("sa", "look", "host", None)
        self.__dict__.pop("_looker", None)

    def instances(self, site: Site) -> list[dict[str, Any]]:
        """The orchestrations of an app."""
        rows = site.hub.store._db.execute("SELECT instance_id, status FROM instances ORDER BY instance_id")
        return [{"instanceId": name, "runtimeStatus": status} for name, status in rows]

    def _ran(self, application: str, sql: str) -> None:
        """After each batch: look if it may have moved the cursor, written the ledger, or claimed rows."""
        if application == "functions-host" and _RENEWAL.search(sql):
            for observer in self.observers:
                if observer.lane.leases in sql:
                    observer.record.renewals.append(self.scheduler.seconds())
        if application == "functions-host":
            for index, observer in enumerate(self.observers if "LastSyncVersion =" in sql else ()):
                if (cursor := observer.cursor()) != self._cursors.get(index):
                    self._cursors[index] = cursor
                    self._look_and_count(index)
        elif application == "rowpost" and _LOOK_AFTER.search(sql):
            for observer in self.observers:
                observer.note_order(sql)
            for index in range(len(self.observers)):
                self._look_and_count(index)
        elif application == "rowpost" and sql.startswith("-- rowpost: status.sql"):
            for index, observer in enumerate(self.observers):
                if f"Relay = N'{observer.lane.relay.name}'" in sql:
                    self._status[index] = sql
                    self._look_and_count(index)

    def _look_and_count(self, index: int) -> None:
        look = self.observers[index].look_closely()
        if index in self._status:
            count_rows(self.observers[index], look, self._status[index])


def _records(plan: Plan) -> list[Record]:
    """A record for each relay. What happens to all, to an app or to a target is in one list or set that they share."""
    records = [Record(plan.of_lane(lane), every_commit=True, lane=lane, start=FIRST_INSTANT) for lane in plan.lanes]
    main = records[0]
    main.others = records[1:]
    for record in main.others and records:
        mine = (record.lane.app, record.lane.target)
        record.of_target = [each for each in records if (each.lane.app, each.lane.target) == mine]
    for record in records[1:]:
        for name in ("faults", "took", "effects", "shifts", "cleaned", "struck", "strangers", "troubles", "hung", "frozen"):
            setattr(record, name, getattr(main, name))
        before = records[: records.index(record)]
        for other in before:
            if other.lane.app == record.lane.app:
                record.kills, record.stalls, record.deaf = other.kills, other.stalls, other.deaf
            if other.lane.target == record.lane.target:
                record.unanswered, record.commands = other.unanswered, other.commands
    return records


class _Silent:
    """A server as somebody sees it who only looks."""

    def __init__(self, server: SqlServer) -> None:
        self.database, self.scheduler, self.condition = server.database, server.scheduler, server.condition
        self.watchers: list[Any] = []
        self.failed: Callable[[str, int], None] = lambda application, number: None
