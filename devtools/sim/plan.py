"""A scenario as data: nothing here runs anything."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from devtools.sim.lane import MAIN, TABLE, Lane

Policy = Literal["rowpost", "naive"]
COLUMNS = ("Note", "Total", "Extra", "Secret")
COMPUTED = ("Divisor", "Ratio")  # a row whose divisor is 0 cannot be read
OFFSETS_MINUTES = (0, 330, -480)  # of the server's time zone; over the wire each has a server of its own
WIRE_KINDS = frozenset({"change", "api", "rules", "sql", "database", "mail", "kill", "command"})
NOT_ON_THE_WIRE = frozenset({"resync", "pause", "resume", "discard"})
WIRE_KILLS = frozenset({"now", "post", "claim", "settle", "survey", "redeliver", "release"})


@dataclass(frozen=True)
class Settings:
    """What relay.toml says. Durations in seconds."""

    key: Literal["int", "pair"] = "int"
    attempts: int = 5
    strategy: Literal["exponential", "fixed"] = "exponential"
    first_delay: int = 60
    factor: float = 2.0
    max_delay: int = 900
    window: int = 7200
    notify_after_rounds: int = 3
    notify_after: int = 900
    rejected: Literal["retry", "dead_letter"] = "retry"
    concurrency: int = 4
    breaker_failures: int = 5
    send: tuple[str, ...] | None = None
    watch: tuple[str, ...] | None = None
    email: bool = False
    detach_after_rounds: int = 5
    probe: int = 300
    timeout: int = 5
    filter: str = ""  # which filter the relay has, see devtools/sim/dimensions/filters.py
    computed: bool = False  # whether the table has a computed column that can fail
    batch: int = 1
    rate: str = ""
    answers_each: int = 0  # the status of the API's answers to batches if they have one for each event; 0: one for all
    api_events: int | None = None  # the API takes no more in a request
    initial: bool = False  # whether each relay begins with a snapshot

    @property
    def ceiling(self) -> tuple[str, ...]:
        """The columns besides the key that may leave."""
        return self.columns if self.send is None else self.send

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table besides the key."""
        return COLUMNS + COMPUTED if self.computed else COLUMNS

    @property
    def key_columns(self) -> tuple[str, ...]:
        return ("Id",) if self.key == "int" else ("Region", "Id")

    def delay(self, round_number: int) -> float:
        """Seconds that a row is held before round ``round_number``, by the documented rule."""
        factor = self.factor if self.strategy == "exponential" else 1.0
        return max(1, round(min(self.first_delay * factor ** (round_number - 1), self.max_delay)))


@dataclass(frozen=True)
class Action:
    """Something that happens at ``at`` seconds after the start.

    Kinds: ``change`` (one transaction: ``ops``), ``api`` (mode of the API), ``rules`` (its rules, all of them), ``sql`` (a fault on
    the wire of the database), ``database`` (killed and started again), ``mail`` (faults of the mail service), ``kill`` (``host``
    dies at an effect, after ``skip`` others that match ``how``, and is away for ``down`` seconds), ``stall`` (``host`` stands still
    for ``seconds`` at an effect), ``clock`` (the local time of the server jumps by ``minutes``), ``clean`` (changes older than
    ``minutes`` are forgotten), ``command``.
    """

    at: float
    kind: str
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{clock_text(self.at)}  {self.kind:8}{json.dumps(self.values)}"


@dataclass(frozen=True)
class Plan:
    """A whole scenario."""

    seed: int
    policy: Policy
    offset_minutes: int
    hosts: int
    settings: Settings
    actions: tuple[Action, ...]
    lasting_rules: tuple[dict[str, Any], ...]
    length: float
    pace: float = 0.0  # the longest time, in seconds, that a message takes one way (in process; the wire takes none)
    lanes: tuple[Lane, ...] = (MAIN,)  # the relays; the first app is the one that actions are about, unless they say otherwise
    dimensions: frozenset[str] = frozenset()  # what the world of this seed has besides, see devtools/sim/dimensions
    starts: tuple[float, ...] = (0.0, 0.0)  # when each app starts

    def hosts_of(self, app: int) -> int:
        """How many workers an app has; the first app's numbers come first."""
        return self.hosts if app == 0 else 1

    @property
    def workers(self) -> int:
        """How many workers all apps have."""
        return sum(self.hosts_of(app) for app in {lane.app for lane in self.lanes})

    def of_lane(self, lane: Lane) -> Plan:
        """What concerns one relay: its target, its table, the workers of its app."""
        if self.lanes == (MAIN,):
            return self
        kept = []
        for action in self.actions:
            values = dict(action.values)
            if values.pop("target", "api") == lane.target and values.pop("table", TABLE) in (lane.table, TABLE):
                kept.append(replace(action, values=values))
        lasting = self.lasting_rules if lane.target == "api" else ()
        return replace(self, actions=tuple(kept), lasting_rules=lasting, hosts=self.hosts_of(lane.app))

    def without(self, indexes: set[int]) -> Plan:
        """The plan without some of its actions."""
        return replace(self, actions=consistent(a for i, a in enumerate(self.actions) if i not in indexes))

    def for_wire(self) -> Plan:
        """What the wire can play of it: two workers at most, each with a hub of its own, killed at a statement or a post.

        It has one relay, and of the dimensions only what they change in time.
        """
        actions = []
        for action in self.actions:
            values = dict(action.values)
            elsewhere = values.get("target", MAIN.target) != MAIN.target or values.get("table", TABLE) != TABLE
            if action.kind not in WIRE_KINDS or values.get("do") in NOT_ON_THE_WIRE or "body" in values or elsewhere:
                continue
            if action.kind == "kill":
                values["host"] %= 2
                values["how"] = values["how"] if values["how"] in WIRE_KILLS else "now"
            if values.get("mode") == "slow":
                values["seconds"] = 0.02  # of real time
            if action.kind == "rules":
                values["rules"] = [rule for rule in values["rules"] if rule.get("status") != 207]
            actions.append(replace(action, values=values))
        settings = replace(
            self.settings, computed=False, filter="", initial=False, batch=1, rate="", answers_each=0, api_events=None
        )
        alone = {"lanes": (MAIN,), "dimensions": frozenset(), "starts": (0.0, 0.0)}
        return replace(self, actions=tuple(actions), hosts=min(self.hosts, 2), pace=0.0, settings=settings, **alone)

    def silent(self) -> Plan:
        """The same app on the same table, and nothing happens."""
        return replace(self, actions=(), lasting_rules=(), hosts=1, starts=(0.0, 0.0))

    def __str__(self) -> str:
        head = f"seed {self.seed} ({self.policy}): {self.hosts} host(s), server at UTC{self.offset_minutes:+d} min, {self.settings}"
        if self.dimensions:
            head += f"\ndimensions: {', '.join(sorted(self.dimensions))}; relays: {'; '.join(map(str, self.lanes))}"
        lasting = f"lasting rules: {json.dumps(self.lasting_rules)}" if self.lasting_rules else "no lasting rules"
        return "\n".join([head, lasting, *map(str, self.actions), f"{clock_text(self.length)}  everything up; runs until quiet"])


def consistent(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Actions as they are when others are left out: a change of a row that is not there any more is left out too."""
    tables: defaultdict[str, set[int]] = defaultdict(set)
    kept: list[Action] = []
    saved: dict[str, set[int]] = {}
    for action in actions:
        if action.kind == "backup":
            saved = {table: set(alive) for table, alive in tables.items()}
        elif action.kind == "restore" and saved:
            tables = defaultdict(set, {table: set(alive) for table, alive in saved.items()})
        if action.kind != "change":
            kept.append(action)
            continue
        alive = tables[action.values.get("table", TABLE)]
        ops = []
        for op in action.values["ops"]:
            inserts = op["do"] == "insert"
            if (op["id"] in alive) == inserts or op.get("to") in alive:
                continue
            ops.append(op)
            if op["do"] in ("delete", "move"):
                alive.discard(op["id"])
            if op["do"] in ("insert", "move"):
                alive.add(op.get("to", op["id"]))
        if ops:
            kept.append(replace(action, values={**action.values, "ops": ops}))
    return tuple(kept)


def clock_text(seconds: float) -> str:
    """Seconds since the start as h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{int(seconds * 10) % 10}"


def key_of(settings: Settings, number: int) -> dict[str, Any]:
    """The primary key of row ``number``."""
    return {"Id": number} if settings.key == "int" else {"Region": f"R{number % 2}", "Id": number}
