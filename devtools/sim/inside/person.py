"""What people do to a running world: they change rows, give orders, and break things; at the end they mend all of it."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyodbc

from devtools.sim.inside.doom import Doom
from devtools.sim.inside.havoc import Havoc
from devtools.sim.inside.sql import Connection
from devtools.sim.lane import MAIN, TABLE
from devtools.sim.plan import Action
from devtools.sim.record import Choice
from devtools.sim.scenario import change_sql
from emulators.sql_server.storage.locks import LockTimeout
from emulators.sql_server.values.datetimes import instant_text
from emulators.sql_server.values.results import SqlError
from emulators.sql_server.wire.faults import Fault

_QUIET_STEP_SECONDS = 120.0
_WATCHDOG_SECONDS = 660.0  # two rounds of the watchdog
_UNTOLD = """SELECT 1 FROM rowpost.NoticeRecipients WHERE State = 'waiting' UNION ALL SELECT 1 FROM rowpost.Incidents"""


class Person:
    """Does the actions of a plan.

    Args:
        world: where: an InsideWorld, which knows this module.
    """

    def __init__(self, world: Any) -> None:
        self.world, self.plan, self.scheduler = world, world.plan, world.scheduler
        self.record = world.record
        self.havoc = Havoc(world)
        self._connection: Connection | None = None

    def live(self) -> None:
        """From the first action to the quiet end."""
        scheduler = self.scheduler
        for action in self.plan.actions:
            scheduler.sleep(max(0.0, action.at - scheduler.seconds()))
            self._do(action)
        scheduler.sleep(max(0.0, self.plan.length - scheduler.seconds()))
        self._mend()
        limit = self.plan.length + self.plan.settings.window + 2 * self.plan.settings.max_delay + 3600
        scheduler.sleep(_QUIET_STEP_SECONDS)
        while not self._quiet() and scheduler.seconds() < limit:
            self._resume()
            scheduler.sleep(_QUIET_STEP_SECONDS)
        if self._quiet():
            for record in self.world.records:
                record.quiet_at = scheduler.seconds()
        self.world.ended = True

    # --- actions ---

    def _do(self, action: Action) -> None:
        world, values, faults = self.world, dict(action.values), self.record.faults
        world.tell("-", action.kind, json.dumps(values))
        if action.kind == "change":
            self._change(values["ops"], values.get("table", TABLE))
        elif action.kind == "api":
            world.targets[values.pop("target", MAIN.target)].set_mode(**values)
            faults[f"api {values['mode']}"] += values != {"mode": "up"}
        elif action.kind == "rules":
            world.targets[values.get("target", MAIN.target)].set_rules(json.loads(json.dumps(values["rules"])))
            faults["rule"] += len(values["rules"])
        elif action.kind == "sql":
            world.sql.faults.add(Fault.from_json(values))
        elif action.kind == "database":
            faults["kill database"] += 1
            now = self.scheduler.seconds()
            for site in world.sites:
                world.record_of(world.numbers(site)[0]).kills.append((now, now, "database"))
            world.sql.break_all()
            world.pollers.nudge()
        elif action.kind == "mail":
            world.email.add_fault(**values)
            faults["mail"] += 1
        elif action.kind in ("kill", "stall"):
            self._doom(action)
        elif action.kind == "clean":
            self._clean(float(values["minutes"]))
        elif action.kind == "clock":
            self._shift(int(values["minutes"]))
        elif action.kind == "command":
            self._command(values)
        else:
            faults[action.kind] += 1
            self.havoc.do(action)

    def _change(self, ops: list[dict[str, Any]], table: str) -> None:
        """One transaction; each relay of the table has to bring it to its target. While the database is read-only there is none."""
        world = self.world
        if world.sql.database.catalogue.options.read_only:
            return
        statements, touched = change_sql(self.plan.settings, ops, table)
        self._execute_surely(statements)
        ((version,),) = world.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
        for observer in world.observers:
            if observer.lane.table == table:
                observer.note(touched, int(version), ops)
        self.havoc.changed(ops)
        world.pollers.nudge()

    def _doom(self, action: Action) -> None:
        world, number = self.world, int(action.values["host"])
        worker = world.workers[number]
        if action.values["how"] == "now":
            if worker is not None:
                self.scheduler.after(0.0, lambda: world.strike(worker, action) if not worker.dead else None)
            return
        world.dooms[number].append(Doom(action))

    def _clean(self, minutes: float) -> None:
        """Change tracking forgets changes that are older, as if its retention were so short."""
        world = self.world
        database = world.sql.database
        cutoff = instant_text((world.clock.now() - timedelta(minutes=minutes)).replace(tzinfo=None))
        while True:
            ((version,),) = world.looking.store.rows('SELECT MAX(version) FROM "$commits" WHERE time < ?', (cutoff,))
            if version is None:
                return
            try:
                database.cleanup._remove(world.looking, version)
                break
            except (LockTimeout, SqlError):  # somebody writes
                self.scheduler.sleep(0.5)
        self.record.faults["change tracking cleaned"] += 1
        self.record.cleaned.append(self.scheduler.seconds())
        for observer in world.observers:
            observer.excuse(version)
        world.pollers.nudge()

    def _shift(self, minutes: int) -> None:
        """The clocks of the server's time zone are changed."""
        self.world.sql.database.offset += timedelta(minutes=minutes)
        self.record.shifts.append((self.scheduler.seconds(), minutes))
        self.record.faults["clock shift"] += 1
        self.world.pollers.nudge()

    def _execute_surely(self, statements: list[tuple[str, list[Any]]]) -> None:
        """Run a transaction, again until no lock is in the way."""
        while True:
            if self._connection is None or self._connection.broken:
                self._connection = self.world.sql.connect("APP=person", autocommit=True)
            try:
                for sql, parameters in statements:
                    self._connection.execute(sql, *parameters)
                return
            except pyodbc.Error:
                self._connection.sever()
                self.scheduler.sleep(1.0)

    def _resume(self) -> None:
        """Somebody sees that the relay is paused still: the order to resume it was not granted, or nobody was there to take it."""
        ((paused,),) = self.world.execute("SELECT COUNT(*) FROM rowpost.Relays WHERE PausedAt IS NOT NULL")
        if paused:
            self._command({"do": "resume"})

    def _command(self, values: dict[str, Any]) -> None:
        world = self.world
        first = world.numbers(world.sites[0])
        live = [worker for worker in (world.workers[number] for number in first) if worker is not None and worker.started]
        if not live or not world.sites[0].has(self.record.lane):
            return
        worker = live[int(self.scheduler.rng.random() * len(live))]
        base = f"/api/relays/{self.record.lane.relay.name}"
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
            worker.request("POST", f"{base}/{do}", values.get("body"), lambda status, text: None)

    # --- the end ---

    def _mend(self) -> None:
        """Everything is up again, but for what lasts."""
        world = self.world
        world.tell("-", "mend", "")
        world.over = True
        for dooms in world.dooms.values():
            dooms.clear()
        world.sql.faults.clear()
        for name, api in world.targets.items():
            api.set_mode("up")
            lasting = self.plan.lasting_rules if name == MAIN.target else ()
            api.set_rules(json.loads(json.dumps(lasting)))
        world.email.set_faults([])
        self.havoc.mend(self._change)
        for number, worker in enumerate(world.workers):
            if worker is None:
                self.scheduler.after(0, functools.partial(self._revive, number))
        world.pollers.nudge()

    def _revive(self, number: int) -> None:
        if self.world.workers[number] is None and not self.world.ended:
            self.world.waits.discard(self.world.site_of_worker(number).number)
            self.world.start_worker(number)

    def _quiet(self) -> bool:
        world, now = self.world, self.scheduler.seconds()
        if self.plan.policy == "naive":
            return now >= self.plan.length + 2 * 3600
        for observer in world.observers:
            observer.look_closely()  # a row for which nobody does anything makes no look by itself
        if world.execute(_UNTOLD):  # also those for whom a worker died before it started anybody: the watchdog comes by
            return False
        if any(record.paused and record.paused[-1][1] == math.inf for record in world.records):
            self._command({"do": "resume"})
            return False
        if any(worker is None or worker.frozen for worker in world.workers) or any(o.live() for o in world.observers):
            return False
        if any(now < max(at, self.plan.length) + _WATCHDOG_SECONDS for at in self.record.cleaned):
            return False  # what was lost is to be told yet, once the app may look
        live = ("Running", "Pending", "ContinuedAsNew")
        running = [each["instanceId"] for site in world.sites for each in world.instances(site) if each["runtimeStatus"] in live]
        return not set(running) - set(self.record.hung) and not any(o.open_changes() for o in world.observers)
