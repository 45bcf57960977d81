"""A plan in the making: what happens in the world of one seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from devtools.sim.lane import MAIN, Lane
from devtools.sim.plan import OFFSETS_MINUTES, Action, Plan, Policy, Settings, consistent, key_of

MINUTE = 60.0
KILLS = ("now", "effect", "effect", "effect", "durable", "post", "post", "claim", "settle", "survey", "redeliver", "release")


class Maker:
    """A plan in the making."""

    def __init__(self, rng: random.Random, seed: int, policy: Policy, features: frozenset[str]) -> None:
        self.rng, self.seed, self.policy, self.features = rng, seed, policy, features
        self.actions: list[Action] = []
        self.alive: set[int] = set()
        self.stamp = 0
        self.lasting: list[dict[str, Any]] = []
        self.lanes: tuple[Lane, ...] = (MAIN,)
        self.starts: tuple[float, ...] = (0.0, 0.0)
        self.length = 0.0
        self.spoiled: set[int] = set()  # rows that nobody can read for some time

    def make(self, draw: Callable[[Maker], frozenset[str]]) -> Plan:
        """The whole plan; ``draw`` puts in what the seed has of dimensions, and names them."""
        rng = self.rng
        self.length = rng.choice([15, 15, 15, 15, 30, 30, 30, 60, 60, 150]) * MINUTE
        self.settings = self._settings()
        self.rows = rng.choice([3, 3, 4, 6, 6, 12, 12, 30])
        self.hosts = rng.choice([1, 1, 2, 2, 3, 4])
        self._changes()
        self._api()
        self._rules()
        if self.policy == "rowpost":
            self._sql_faults()
            self._notice_faults()
            self._commands()
            self._time()
        self._kills()
        if self.policy == "rowpost":
            rng.choice([self._duel, self._overtaken, self._late_success, *[lambda: None] * 9])()
            self._end_triggers(random.Random(f"triggers/{self.seed}"))
            self._shift_into_work(random.Random(f"shifts/{self.seed}"))
            self._meet_renewals(random.Random(f"renewals/{self.seed}"))
        offset = rng.choice(OFFSETS_MINUTES)
        pace = rng.choice([0.0, 0.002, 0.02, 0.02, 0.2])
        had = draw(self) if self.policy == "rowpost" else frozenset()
        actions = consistent(sorted(self.actions, key=lambda action: action.at))
        return Plan(
            *(self.seed, self.policy, offset, self.hosts, self.settings, actions, tuple(self.lasting), self.length, pace),
            *(self.lanes, had, self.starts),
        )

    def touch(self, at: float, number: int, do: str = "update") -> None:
        """Plan a change of a row, which is inserted if it is not there."""
        self.stamp += 1
        if do == "spoil" and not self._is_there(number, at):
            self.add(at, "change", ops=[{"do": "insert", "id": number, "stamp": self.stamp}])
            at, self.stamp = at + 0.2, self.stamp + 1
        elif not self._is_there(number, at):
            do = "insert"
        self.add(at, "change", ops=[{"do": do, "id": number, "stamp": self.stamp}])

    def own(self, at: float, number: int, do: str) -> None:
        """Plan a change of a row that the other side makes itself, if the row is there."""
        self.stamp += 1
        if self._is_there(number, at):
            op = {"do": do, "id": number, "own": True}
            self.add(at, "change", ops=[op if do == "delete" else {**op, "stamp": self.stamp}])

    def add(self, at: float, kind: str, /, **values: Any) -> None:
        """Plan an action."""
        self.actions.append(Action(round(at, 1), kind, values))

    def _settings(self) -> Settings:
        rng = self.rng
        window = rng.choice([1800, 1800, 3600, 3600, 7200])
        return Settings(
            key=rng.choice(["int", "int", "pair"]),
            attempts=rng.choice([5, 5, 5, 3, 1]),
            strategy=rng.choice(["exponential", "exponential", "fixed"]),
            first_delay=rng.choice([30, 60, 120]),
            factor=rng.choice([1.5, 2.0, 3.0]),
            max_delay=rng.choice([300, 900, 1800]),
            window=window,
            notify_after_rounds=rng.choice([1, 2, 3]),
            rejected=rng.choice(["retry", "dead_letter"]),
            concurrency=rng.choice([1, 1, 4, 8]),
            breaker_failures=rng.choice([2, 5, 100, 100]),
            send=rng.choice([None, None, ("Note", "Total", "Extra")]),
            watch=rng.choice([None, None, ("Note", "Total")]),
            email=rng.random() < 0.1,
            detach_after_rounds=rng.choice([1, 2, 5]),
            probe=rng.choice([60, 120, 300]),
            timeout=rng.choice([3, 5, 10]),
        )

    def _row(self) -> int:
        return self.rng.randrange(1, self.rows + 1)

    def _changes(self) -> None:
        rng, at = self.rng, 1.0
        pace = rng.choice([20, 120, 600])
        limit = rng.choice([6, 12, 25, 40])
        while at < self.length and len(self.actions) < limit:
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
                {"mode": "slow", "seconds": rng.choice([1.0, 4.0, 8.0, 20.0])},
                {"mode": "up", "answer": "reset_after_accept"},
            ]
        )

    def _duel(self) -> None:
        """A worker stands still while it posts a row, the row changes and fails with another worker, which may die of it."""
        rng, number = self.rng, self._row()
        at = rng.uniform(1, self.length / 2)
        self._leave_alone(number, at)
        there = self._is_there(number, at)
        first = {"do": "update" if there else "insert", "id": number, "stamp": self.stamp + 1}
        length = rng.choice([70, 100, 130, 200])
        for host in range(self.hosts):
            if rng.random() < 0.7:
                self.add(at, "stall", host=host, how="post", skip=0, late=rng.choice([0, 0.02]), seconds=length)
        self.add(at + 0.5, "change", ops=[first])
        match = {"path": "/rows", "key": key_of(self.settings, number)}
        failing = rng.choice([{"status": 500, "times": 3}, {"status": 422, "times": 2}, {"status": 500, "times": 20}])
        if rng.random() < 0.8:
            self.add(at + rng.choice([0.6, 5, 30]), "rules", rules=[{"match": match, **failing}])
        for pause in (rng.uniform(1, 60), rng.uniform(60, length), rng.uniform(length, length + 60)):
            self.stamp += 2
            self.add(at + pause, "change", ops=[{"do": "update", "id": number, "stamp": self.stamp}])
        if rng.random() < 0.5:
            self._kill(
                at + rng.uniform(60, length + 60), rng.choice(["post", "settle", "effect", "release"]), 70, 0, rng.choice([0, 0.02])
            )

    def _late_success(self) -> None:
        """A worker stands still after the API has taken a row that had failed; a newer change of it fails with others meanwhile."""
        rng, number = self.rng, self._row()
        self.settings = replace(self.settings, attempts=1, first_delay=30, strategy="fixed", detach_after_rounds=1)
        at = rng.uniform(1, self.length / 3)
        self._leave_alone(number, at)
        there = self._is_there(number, at)
        self.hosts = max(2, self.hosts)
        match = {"path": "/rows", "key": key_of(self.settings, number)}
        self.add(at - 0.2, "rules", rules=[{"match": match, "status": 500, "times": 1}])
        self.stamp += 2
        self.add(at, "change", ops=[{"do": "update" if there else "insert", "id": number, "stamp": self.stamp - 1}])
        for host in range(self.hosts - 1):
            self.add(at + 15, "stall", host=host, how="post", skip=0, late=0.02, seconds=400)
        self.add(at + 40, "change", ops=[{"do": "update", "id": number, "stamp": self.stamp}])
        self.add(at + 41, "rules", rules=[{"match": match, "status": 500, "times": 12}])
        others = [other for other in range(1, self.rows + 1) if other != number and self._is_there(other, at + 200)]
        for other in others[:2]:
            self.stamp += 1
            self.add(at + 200, "change", ops=[{"do": "update", "id": other, "stamp": self.stamp}])

    def _overtaken(self) -> None:
        """A row that fails changes at the very time at which it is to be tried again, by a target that takes its time."""
        rng, number, settings = self.rng, self._row(), self.settings
        at = rng.uniform(1, self.length / 4)
        self._leave_alone(number, at)
        rounds = rng.randint(1, settings.detach_after_rounds + 2)
        failures = settings.attempts - 1 + rounds
        match = {"path": "/rows", "key": key_of(settings, number)}
        self.add(at - 0.5, "rules", rules=[{"match": match, "status": rng.choice([500, 422]), "times": failures}])
        self.stamp += 1
        there = self._is_there(number, at)
        self.add(at, "change", ops=[{"do": "update" if there else "insert", "id": number, "stamp": self.stamp}])
        due = at + 60.0 * (settings.attempts - 1) + sum(settings.delay(each) + 1.5 for each in range(1, rounds + 1))
        self.actions = [action for action in self.actions if action.kind != "api" or action.at < at]
        self.add(due - 20, "api", mode="slow", seconds=settings.timeout - rng.choice([0.5, 1.5]), path="/rows")
        for _ in range(4):
            self.stamp += 1
            self.add(due + rng.uniform(-2, 12), "change", ops=[{"do": "update", "id": number, "stamp": self.stamp}])
        self.length = max(self.length, due + 120)

    def _end_triggers(self, rng: random.Random) -> None:
        """All start anew, and the database refuses what their triggers connect with first: those end without a word."""
        if rng.random() >= 0.06:
            return
        at, counts = rng.uniform(0, self.length * 0.7), range(1, 2 * self.hosts + 1)
        for host in range(self.hosts):
            self.add(at, "kill", host=host, how="now", down=rng.choice([0, 0, 5]), skip=0, late=0)
        fault = {"action": "refuse_login", "number": 40613, "application": "functions-host"}
        self.add(at, "sql", **fault, skip=rng.choice(counts), times=rng.choice(counts))

    def _shift_into_work(self, rng: random.Random) -> None:
        """Half of the clock's jumps fall shortly after a change of rows: their leases are live then."""
        changes = [action.at for action in self.actions if action.kind == "change"]
        for index, action in enumerate(self.actions):
            if action.kind == "clock" and changes and rng.random() < 0.5:
                at = rng.choice(changes) + rng.choice([0.5, 3, rng.uniform(0, 70)])
                self.actions[index] = replace(action, at=round(at, 1))

    def _meet_renewals(self, rng: random.Random) -> None:
        """Batches that last so long that their leases are renewed, and workers that die or stand still at it."""
        if rng.random() >= 0.06:
            return
        at = rng.uniform(1, self.length * 0.7)
        self.add(at, "api", mode="slow", seconds=self.settings.timeout - 0.5, path="/rows")
        self.add(at + 300, "api", mode="up")
        ops = []
        for number in range(1, self.rows + 1):
            self.stamp += 1
            ops.append({"do": "update" if self._is_there(number, at) else "insert", "id": number, "stamp": self.stamp})
        self.add(at + 1, "change", ops=ops)
        values = {"how": "renew", "skip": rng.choice([0, 0, 1]), "late": rng.choice([0, 0.02])}
        for host in range(self.hosts):
            if rng.random() < 0.5:
                self.add(at, "kill", host=host, down=rng.choice([0, 5, 70]), **values)
            else:
                self.add(at, "stall", host=host, seconds=rng.choice([20, 70, 130]), **values)

    def _leave_alone(self, number: int, at: float) -> None:
        """Plan no other change of a row from an instant on."""
        for action in self.actions:
            if action.kind == "change" and action.at > at:
                action.values["ops"][:] = [op for op in action.values["ops"] if number not in (op["id"], op.get("to"))]
        self.actions = [action for action in self.actions if action.kind != "change" or action.values["ops"]]

    def _is_there(self, number: int, at: float) -> bool:
        there = False
        for action in sorted(self.actions, key=lambda each: each.at):
            ops = action.values["ops"] if action.kind == "change" and action.at <= at and "table" not in action.values else ()
            for op in ops:
                if number in (op["id"], op.get("to")):
                    there = op["do"] in ("insert", "update", "unwatched", "spoil") or op.get("to") == number
        return there

    def _rule(self) -> dict[str, Any]:
        rng = self.rng
        rule: dict[str, Any] = {"match": {"path": "/rows", "key": key_of(self.settings, self._row())}}
        rule |= rng.choice(
            [
                {"status": 422},
                {"status": 400, "times": rng.choice([1, 3, 7])},
                {"status": 500, "times": rng.choice([1, 6, 20])},
                {"status": 429, "retry_after": rng.choice([20, 200]), "times": rng.choice([1, 3])},
                {"status": 202, "accept": True, "answer": "reset_after_accept", "times": rng.choice([1, 2, 6])},
                {"status": 307, "times": 2},
                {"status": rng.choice([200, 204, 207, 226]), "accept": True},
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
            self._kill(mended + rng.choice([1.5, 20, 60]), "redeliver", rng.choice([0, 70]), 0, 0)
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
        if self.settings.email and rng.random() < 0.6:
            mailbox = rng.choice(["a@example.com", None])
            kind = rng.choice(["throttle", "throttle", "drop"])
            fault = {"mailbox": mailbox, "kind": kind, "times": rng.choice([1, 4]), "retry_after": 180}
            self.add(rng.uniform(0, self.length / 2), "mail", **fault)

    def _commands(self) -> None:
        rng = self.rng
        kinds = ["retry", "replay", "columns", "columns", *(["resync"] if "resync" in self.features else [])]
        for _ in range(rng.choice([0, 0, 1, 3])):
            command = rng.choice(kinds)
            values: dict[str, Any] = {"do": command}
            if command == "columns":
                count = rng.randint(0, len(self.settings.ceiling))
                values["columns"] = sorted(rng.sample(self.settings.ceiling, count)) if count else None
            self.add(rng.uniform(0, self.length), "command", **values)

    def _time(self) -> None:
        rng = self.rng
        if rng.random() < 0.1:  # daylight saving time begins or ends
            self.add(rng.uniform(0, self.length), "clock", minutes=rng.choice([60, -60]))
        if "clean" in self.features and rng.random() < 0.1:
            at = rng.uniform(400, self.length)
            self.add(at, "clean", minutes=rng.choice([0.02, 1, 5, 30]))
            if rng.random() < 0.5:  # while nobody is there to look
                for host in range(self.hosts):
                    self.add(at - 100, "kill", host=host, how="now", down=rng.choice([120, 300]), skip=0, late=0)

    def _kill(self, at: float, how: str, down: float, skip: int, late: float) -> None:
        self.add(at, "kill", host=self.rng.randrange(self.hosts), how=how, down=down, skip=skip, late=late)

    def _kills(self) -> None:
        rng = self.rng
        for _ in range(rng.choice([0, 0, 1, 2, 3])):
            how = rng.choice(KILLS)
            skip = rng.randrange(80) if how == "effect" else rng.choice([0, 0, 1, 4])
            down = rng.choice([0, 5, 70, 400, 1800])
            self._kill(rng.uniform(0, self.length), how, down, skip, rng.choice([0, 0, 0.002, 0.02]))
        if rng.random() < 0.12:  # a crash loop: hand-out after hand-out ends without an outcome
            at, how = rng.uniform(0, self.length), rng.choice(["claim", "post", "settle"])
            for number in range(rng.randint(3, 7)):
                self._kill(at + number * rng.choice([20, 61, 65]), how, rng.choice([0, 5]), 0, 0)
        for _ in range(rng.choice([0, 0, 0, 1, 2]) if self.policy == "rowpost" else 0):
            how = rng.choice(KILLS[1:])
            skip = rng.randrange(80) if how == "effect" else rng.choice([0, 0, 1, 4])
            values = {"host": rng.randrange(self.hosts), "how": how, "skip": skip, "late": rng.choice([0, 0.02])}
            self.add(rng.uniform(0, self.length), "stall", seconds=round(rng.uniform(70, 400)), **values)
        if rng.random() < 0.1:
            self.add(rng.uniform(0, self.length), "database", do="kill")
