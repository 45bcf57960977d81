"""One seed becomes one scenario, as data: nothing here runs anything, and the same seed gives the same plan for ever."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Policy = Literal["rowpost", "naive"]
TABLE = "dbo.Orders"
COLUMNS = ("Note", "Total", "Extra", "Secret")
OFFSETS_MINUTES = (0, 330, -480)  # of the server's time zone; each has a server of its own
MINUTE = 60.0


@dataclass(frozen=True)
class Knobs:
    """What relay.toml says. Durations in seconds."""

    key: Literal["int", "pair"] = "int"
    attempts: int = 5
    strategy: Literal["exponential", "fixed"] = "exponential"
    first_delay: int = 60
    factor: float = 2.0
    max_delay: int = 900
    window: int = 7200
    notify_after_rounds: int = 3
    rejected: Literal["retry", "dead_letter"] = "retry"
    concurrency: int = 4
    breaker_failures: int = 5
    send: tuple[str, ...] | None = None
    watch: tuple[str, ...] | None = None
    email: bool = False

    @property
    def ceiling(self) -> tuple[str, ...]:
        """The columns besides the key that may leave."""
        return COLUMNS if self.send is None else self.send

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
    the wire of the database), ``database`` (killed and started again), ``mail`` (faults of the mail service), ``kill`` (``host``,
    ``how``, ``down`` seconds), ``command``.
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
    knobs: Knobs
    actions: tuple[Action, ...]
    lasting_rules: tuple[dict[str, Any], ...]
    length: float

    def without(self, indexes: set[int]) -> Plan:
        """The plan without some of its actions."""
        return replace(self, actions=tuple(a for i, a in enumerate(self.actions) if i not in indexes))

    def __str__(self) -> str:
        head = f"seed {self.seed} ({self.policy}): {self.hosts} host(s), server at UTC{self.offset_minutes:+d} min, {self.knobs}"
        lasting = f"lasting rules: {json.dumps(self.lasting_rules)}" if self.lasting_rules else "no lasting rules"
        return "\n".join([head, lasting, *map(str, self.actions), f"{clock_text(self.length)}  everything up; runs until quiet"])


def clock_text(seconds: float) -> str:
    """Seconds since the start as h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{int(seconds * 10) % 10}"


def key_of(knobs: Knobs, number: int) -> dict[str, Any]:
    """The primary key of row ``number``."""
    return {"Id": number} if knobs.key == "int" else {"Region": f"R{number % 2}", "Id": number}


def make_plan(seed: int, policy: Policy = "rowpost") -> Plan:
    """The scenario of a seed."""
    return _Maker(random.Random(f"rowpost/{seed}"), seed, policy).make()


class _Maker:
    def __init__(self, rng: random.Random, seed: int, policy: Policy) -> None:
        self.rng, self.seed, self.policy = rng, seed, policy
        self.actions: list[Action] = []
        self.alive: set[int] = set()
        self.stamp = 0
        self.lasting: list[dict[str, Any]] = []

    def make(self) -> Plan:
        rng = self.rng
        self.knobs = self._knobs()
        self.length = rng.choice([15, 40, 90, 180]) * MINUTE
        self.rows = rng.choice([3, 6, 12, 40])
        hosts = rng.choice([1, 1, 2])
        self._changes()
        self._api()
        self._rules()
        if self.policy == "rowpost":
            self._sql_faults()
            self._notice_faults()
            self._commands()
        self._kills(hosts)
        actions = tuple(sorted(self.actions, key=lambda action: action.at))
        offset = rng.choice(OFFSETS_MINUTES)
        return Plan(self.seed, self.policy, offset, hosts, self.knobs, actions, tuple(self.lasting), self.length)

    def add(self, at: float, kind: str, /, **values: Any) -> None:
        self.actions.append(Action(round(at, 1), kind, values))

    def _knobs(self) -> Knobs:
        rng = self.rng
        first = rng.choice([30, 60, 120])
        send = rng.choice([None, None, ("Note", "Total", "Extra")])
        return Knobs(
            key=rng.choice(["int", "int", "pair"]),
            attempts=rng.choice([5, 5, 5, 3, 1]),
            strategy=rng.choice(["exponential", "exponential", "fixed"]),
            first_delay=first,
            factor=rng.choice([1.5, 2.0, 3.0]),
            max_delay=rng.choice([300, 900, 1800]),
            window=rng.choice([3600, 7200, 4 * 3600]),
            notify_after_rounds=rng.choice([1, 2, 3]),
            rejected=rng.choice(["retry", "dead_letter"]),
            concurrency=rng.choice([1, 1, 4, 8]),
            breaker_failures=rng.choice([2, 5, 100, 100]),
            send=send,
            watch=rng.choice([None, None, ("Note", "Total")]),
            email=rng.random() < 0.2,
        )

    def _row(self) -> int:
        return self.rng.randrange(1, self.rows + 1)

    def _changes(self) -> None:
        rng, at = self.rng, 1.0
        pace = rng.choice([20, 120, 600])
        while at < self.length and len(self.actions) < 40:
            big = rng.random() < 0.1
            ops: dict[int, dict[str, Any]] = {}
            for _ in range(self.rows if big else rng.randint(1, 4)):
                op = self._op()
                if op is not None and not {op["id"], op.get("to", op["id"])} & set(ops):
                    self._apply(op)
                    ops[op["id"]] = op
                    if "to" in op:
                        ops[op["to"]] = {}
            taken = [op for op in ops.values() if op]
            if taken:
                self.add(at, "change", ops=taken)
            at += rng.choice([0.3, 1, 15, rng.expovariate(1 / pace), rng.expovariate(1 / pace)])

    def _op(self) -> dict[str, Any] | None:
        rng, number = self.rng, self._row()
        self.stamp += 1
        if number not in self.alive:
            return {"do": "insert", "id": number, "stamp": self.stamp}
        chance = rng.random()
        if chance < 0.15:
            return {"do": "delete", "id": number}
        if chance < 0.22:
            target = self._row()
            return None if target in self.alive or target == number else {"do": "move", "id": number, "to": target}
        if chance < 0.4:
            return {"do": "unwatched", "id": number, "stamp": self.stamp}
        return {"do": "update", "id": number, "stamp": self.stamp}

    def _apply(self, op: dict[str, Any]) -> None:
        if op["do"] in ("delete", "move"):
            self.alive.discard(op["id"])
        if op["do"] in ("insert", "move"):
            self.alive.add(op.get("to", op["id"]))

    def _api(self) -> None:
        rng, at = self.rng, 0.0
        for _ in range(rng.choice([0, 1, 1, 2, 4])):
            at += rng.uniform(0, self.length / 2)
            if at >= self.length:
                return
            self.add(at, "api", path="/rows", **self._mode())
            at += rng.choice([20, 90, 400, 1500, 5400])
            if at < self.length:
                self.add(at, "api", mode="up")

    def _mode(self) -> dict[str, Any]:
        rng = self.rng
        retry_after = rng.choice([30, 240, 900])
        return rng.choice(
            [
                {"mode": "down", "status": 503},
                {"mode": "down", "status": 500},
                {"mode": "down", "status": 503, "retry_after": retry_after},
                {"mode": "down", "status": 429, "retry_after": retry_after},
                {"mode": "down", "status": 401},
                {"mode": "down", "status": 307},
                {"mode": "refuse"},
                {"mode": "flaky", "status": 502, "rate": rng.choice([0.2, 0.6]), "seed": rng.randrange(1000)},
                {"mode": "slow", "seconds": 0.02},
                {"mode": "up", "answer": "reset_after_accept"},
            ]
        )

    def _rule(self) -> dict[str, Any]:
        rng = self.rng
        rule: dict[str, Any] = {"match": {"path": "/rows", "key": key_of(self.knobs, self._row())}}
        rule |= rng.choice(
            [
                {"status": 422},
                {"status": 400, "times": rng.choice([1, 3, 7])},
                {"status": 500, "times": rng.choice([1, 6, 20])},
                {"status": 429, "retry_after": rng.choice([20, 200]), "times": rng.choice([1, 3])},
                {"status": 202, "accept": True, "answer": "reset_after_accept", "times": rng.choice([1, 2, 6])},
                {"status": 307, "times": 2},
            ]
        )
        return rule

    def _rules(self) -> None:
        rng = self.rng
        rules = [self._rule() for _ in range(rng.choice([0, 1, 1, 2]))]
        if rules and rng.random() < 0.5:
            rules[0] = {"match": rules[0]["match"], "status": 422}
        alerts: list[dict[str, Any]] = []
        if rng.random() < 0.3:
            taken = {"status": 202, "accept": True, "answer": "reset_after_accept"}
            fault = rng.choice([{"status": 500}, {"status": 429, "retry_after": 120}, taken])
            alerts.append({"match": {"path": "/alerts"}, "times": rng.choice([1, 3]), **fault})
        if rules or alerts:
            self.add(rng.choice([0, 0, rng.uniform(0, self.length / 2)]), "rules", rules=rules + alerts)
        if rules and rng.random() < 0.4:  # dead letters that are mended and replayed
            mended = rng.uniform(self.length / 2, self.length)
            self.add(mended, "rules", rules=[])
            self.add(mended + rng.choice([1, 30]), "command", do="replay")
            self.add(mended + rng.choice([1.5, 20, 60]), "kill", host=0, how="redeliver", down=rng.choice([0, 70]), skip=0, late=0)
        elif rng.random() < 0.25:
            self.lasting = [rule for rule in rules if rule["status"] == 422]

    def _sql_faults(self) -> None:
        rng = self.rng
        for _ in range(rng.choice([0, 0, 1, 2, 4])):
            fault: dict[str, Any] = rng.choice(
                [
                    {"action": "drop_before"},
                    {"action": "drop_after"},
                    {"action": "error", "number": 1205},
                    {"action": "error", "number": 40613},
                    {"action": "error", "number": 10928},
                    {"action": "refuse_login", "number": 40613},
                ]
            )
            fault = fault | {"application": rng.choice(["rowpost", "rowpost", "functions-host"]), "times": rng.choice([1, 2, 5])}
            if fault["action"] != "refuse_login":
                fault["pattern"] = rng.choice([None, "rowpost.Ledger", "_az_func_", "OPENJSON"])
                fault["skip"] = rng.choice([0, 0, 1, 3])
            self.add(rng.uniform(0, self.length), "sql", **fault)

    def _notice_faults(self) -> None:
        rng = self.rng
        if self.knobs.email and rng.random() < 0.6:
            mailbox = rng.choice(["a@example.com", None])
            kind = rng.choice(["throttle", "throttle", "drop"])
            fault = {"mailbox": mailbox, "kind": kind, "times": rng.choice([1, 4]), "retry_after": 180}
            self.add(rng.uniform(0, self.length / 2), "mail", **fault)

    def _commands(self) -> None:
        rng = self.rng
        for _ in range(rng.choice([0, 0, 1, 3])):
            command = rng.choice(["retry", "replay", "columns", "columns"])
            values: dict[str, Any] = {"do": command}
            if command == "columns":
                count = rng.randint(0, len(self.knobs.ceiling))
                values["columns"] = sorted(rng.sample(self.knobs.ceiling, count)) if count else None
            self.add(rng.uniform(0, self.length), "command", **values)

    def _kills(self, hosts: int) -> None:
        rng = self.rng
        for _ in range(rng.choice([0, 0, 1, 2, 3])):
            how = rng.choice(["now", "post", "post", "claim", "settle", "survey", "redeliver", "release"])
            values = {"host": rng.randrange(hosts), "how": how, "down": rng.choice([0, 5, 70, 400, 1800])}
            values |= {"skip": rng.choice([0, 0, 1, 4]), "late": rng.choice([0, 0, 0.002, 0.02])}
            self.add(rng.uniform(0, self.length), "kill", **values)
        if rng.random() < 0.15:  # a crash loop: hand-out after hand-out ends without an outcome
            at, how = rng.uniform(0, self.length), rng.choice(["claim", "post", "settle"])
            for number in range(rng.randint(3, 7)):
                values = {"host": rng.randrange(hosts), "how": how, "down": rng.choice([0, 5]), "skip": 0, "late": 0}
                self.add(at + number * rng.choice([20, 61, 65]), "kill", **values)
        if rng.random() < 0.15:
            self.add(rng.uniform(0, self.length), "database", do="kill")
