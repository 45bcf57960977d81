"""What the dimensions of a plan do to a running world, and whether it really had an effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyodbc

from devtools.sim.inside.backups import Backups
from devtools.sim.inside.scheduler import Strand
from devtools.sim.inside.site import Site
from devtools.sim.lane import Lane
from devtools.sim.plan import Action, key_of
from devtools.sim.record import Trouble, key_text
from emulators.sql_server.wire.faults import Fault

_LIVE = ("Running", "Pending", "ContinuedAsNew")
_FINISHED = ("Completed", "Failed", "Terminated", "Canceled")
_PATIENCE_SECONDS = 1800.0  # how long somebody waits for an orchestration that he can disturb
_STEP_SECONDS = 5.0
_HIDDEN = """CREATE FUNCTION dbo.hidden(@id AS int) RETURNS TABLE WITH SCHEMABINDING AS
RETURN SELECT 1 AS ok WHERE @id % 2 = 0 OR USER_NAME() <> 'relay'"""

_SHOW = ("DROP SECURITY POLICY IF EXISTS dbo.Hiding", "DROP FUNCTION IF EXISTS dbo.hidden")


def _kind(lane: Lane) -> str:
    return f"hang {lane.relay.name}"


class Havoc:
    """Does the actions of the dimensions.

    Args:
        world: where: an InsideWorld, which knows this module.
    """

    def __init__(self, world: Any) -> None:
        self.world, self.record, self.scheduler = world, world.record, world.scheduler
        self.backups = Backups(world)
        self._bad: set[int] = set()  # rows that cannot be read at present
        self._saved: set[int] = set()  # the same in the backup
        self._stamp = 10**6
        self._since: dict[str, float] = {}  # open troubles, by what they are
        if "rights" in world.plan.dimensions:
            world.sql.app_user = "relay"

    def do(self, action: Action) -> None:
        """Do one action."""
        values = dict(action.values)
        if action.kind == "hang":
            self.scheduler.spawn(Strand(None, lambda: self._hang(**values)))
        elif action.kind == "deny":
            self._deny(values["how"], bool(values["on"]))
        elif action.kind == "relays":
            self._configure(values["without"])
        elif action.kind == "backup":
            self.backups.backup()
            self._saved = set(self._bad)
        elif action.kind == "restore":
            if self.backups.restore():
                before, self._bad = bool(self._bad), set()
                for number in self._saved:
                    self._spoil(number)
                self._mark("unreadable", before, bool(self._bad))
            if "rights" in self.world.plan.dimensions:  # the backup may be of a time at which rights were withdrawn
                for statement in () if "hide" in self._since else _SHOW:
                    self._as_owner(statement)
                if "select" not in self._since:
                    self._as_owner("GRANT SELECT ON dbo.Orders TO rowpost_app")
        else:
            raise ValueError(f"no such action: {action.kind}")

    # --- rows that cannot be read ---

    def changed(self, ops: list[dict[str, Any]]) -> None:
        """Note which rows cannot be read after a transaction."""
        before = bool(self._bad)
        for op in ops:
            if op["do"] == "spoil":
                self._spoil(op["id"])
            elif op["do"] == "move" and op["id"] in self._bad:
                self._bad.discard(op["id"])
                self._spoil(op["to"])
            elif op["do"] != "unwatched":
                self._bad.discard(op["id"])
        self._mark("unreadable", before, bool(self._bad))

    def _spoil(self, number: int) -> None:
        self._bad.add(number)
        self.record.spoiled.append((self.scheduler.seconds(), key_text(key_of(self.world.plan.settings, number))))

    def _mark(self, what: str, before: bool, after: bool, kind: str = "") -> None:
        now = self.scheduler.seconds()
        if after and not before:
            self._since[what] = now
        elif before and not after:
            self.record.troubles.append(Trouble(kind or what, self._since.pop(what), now))

    # --- rights ---

    def _deny(self, how: str, on: bool) -> None:
        world = self.world
        if on == (how in self._since) or (how != "read_only" and "read_only" in self._since):
            return  # rights cannot be changed either while nobody can write
        self._mark(how, not on, on, kind={"hide": "hidden", "select": "denied dbo.Orders"}.get(how, "denied"))
        if how == "select":
            self._as_owner(f"{'REVOKE' if on else 'GRANT'} SELECT ON dbo.Orders {'FROM' if on else 'TO'} rowpost_app")
        elif how == "hide":
            predicate = "CREATE SECURITY POLICY dbo.Hiding ADD FILTER PREDICATE dbo.hidden(Id) ON dbo.Orders WITH (STATE = ON)"
            for statement in (_HIDDEN, predicate) if on else _SHOW:
                self._as_owner(statement)
        elif how == "read_only":
            world.sql.break_all()
            world.sql.database.catalogue.options.read_only = on
        else:
            world.sql.refuses = Fault.from_json({"action": "refuse_login", "number": 18456}) if on else None
            if on:
                world.sql.break_all()
        world.pollers.nudge()

    def _as_owner(self, statement: str) -> None:
        while True:
            try:
                connection = self.world.sql.connect("APP=owner", autocommit=True)
                connection.execute(statement)
                connection.close()
                return
            except pyodbc.Error:
                self.scheduler.sleep(1.0)

    # --- orchestrations that do not move ---

    def _hang(self, app: int, how: str, what: str) -> None:
        """Wait for an orchestration with rows waiting, and let it hang; then watch until it is replaced."""
        world, scheduler = self.world, self.scheduler
        site = world.site_of(app)
        limit = scheduler.seconds() + _PATIENCE_SECONDS
        if how == "start":
            prefix = "recovery-" if what == "recovery" else "notice-"
            site.hub.store.lost_starts.append((prefix, lambda instance: self._note_hang(site, instance, "start")))
            return
        while scheduler.seconds() < limit and not world.over:
            found = self._live(site, "recovery-" if what == "recovery" else "notice-", timers=how == "timers")
            if found and (what != "recovery" or self._waiting(site)):
                self._let_hang(site, found[0], how)
                return
            scheduler.sleep(_STEP_SECONDS)

    def _live(self, site: Site, prefix: str, *, timers: bool) -> list[str]:
        store = site.hub.store
        names = [each["instanceId"] for each in self.world.instances(site) if each["runtimeStatus"] in _LIVE]
        with_timer = {timer.instance_id for timer in store.timers()}
        return [name for name in names if name.startswith(prefix) and (not timers or name in with_timer)]

    def _waiting(self, site: Site) -> int:
        observers = [observer for observer in self.world.observers if observer.lane.app == site.number]
        return sum(observer.waiting() for observer in observers)

    def _note_hang(self, site: Site, instance: str, how: str) -> None:
        now = self.scheduler.seconds()
        if instance.startswith("recovery-"):
            execution = self._execution(site, instance)
            self.scheduler.spawn(Strand(None, lambda: self._watch(site, instance, execution, now)))
        self.record.hung[instance] = now
        self.record.took[f"hang: {how} of a {'recovery' if instance.startswith('recovery-') else 'notice'}"] += 1
        self.world.tell("-", "hangs", f"{instance} ({how})")

    def _let_hang(self, site: Site, instance: str, how: str) -> None:
        world, store = self.world, site.hub.store
        if how == "timers":
            store._db.execute("DELETE FROM timers WHERE instance_id = ?", (instance,))
            self._note_hang(site, instance, how)
            return
        live = [
            worker for worker in (world.workers[number] for number in world.numbers(site)) if worker is not None and worker.started
        ]
        if live:
            live[0].order("suspend", instance)
            self._note_hang(site, instance, how)

    def _execution(self, site: Site, instance: str) -> str | None:
        found = site.hub.store.instance(instance)
        return None if found is None or found.status in _FINISHED else found.execution_id

    def _watch(self, site: Site, instance: str, execution: str | None, since: float) -> None:
        """Wait until a recovery that hangs is replaced; that it did is the trouble of its relay."""
        lane = next(lane for lane in site.lanes if instance.startswith(f"recovery-{lane.relay.slug}-"))
        while self._execution(site, instance) == execution and not self.world.ended:
            self.record.troubles[:] = [each for each in self.record.troubles if (each.kind, each.since) != (_kind(lane), since)]
            self.record.troubles.append(Trouble(_kind(lane), since, self.scheduler.seconds()))
            self.scheduler.sleep(_STEP_SECONDS)

    # --- relays that are taken out of relay.toml ---

    def _configure(self, without: list[str]) -> None:
        world = self.world
        site = world.sites[0]
        left_out = frozenset(without)
        rows = sum(observer.waiting() for observer in world.observers if observer.lane.relay.name in left_out)
        if rows:
            self.record.took["a relay taken out with rows waiting"] += 1
        for name in left_out | site.left_out:
            self._mark(f"out {name}", name in site.left_out, name in left_out, kind=f"unconfigured {name}")
        site.configure(left_out)
        for number in world.numbers(site):
            worker = world.workers[number]
            if worker is not None:
                action = Action(self.scheduler.seconds(), "kill", {"host": number, "how": "new configuration", "down": 1.0})
                self.scheduler.after(0.0, lambda worker=worker, action=action: self._restart(worker, action))  # type: ignore[misc]

    def _restart(self, worker: Any, action: Action) -> None:
        if not worker.dead:
            self.world.strike(worker, action)

    # --- the end ---

    def mend(self, change: Callable[[list[dict[str, Any]], str], None]) -> None:
        """Give back what was taken, and make all rows readable."""
        world = self.world
        for how in [each for each in ("read_only", "select", "hide", "refuse") if each in self._since]:
            self._deny(how, False)
        for site in world.sites:
            site.hub.store.lost_starts.clear()
        if world.sites[0].left_out:
            self._configure([])
        ops = []
        for number in sorted(self._bad):
            self._stamp += 1
            ops.append({"do": "update", "id": number, "stamp": self._stamp})
        if ops:
            change(ops, world.plan.lanes[0].table)
