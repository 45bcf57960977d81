"""A target that takes several events in a request: bad rows among them, statuses for each, limits, and one that asks for less."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from devtools.sim.plan import key_of

if TYPE_CHECKING:
    from devtools.sim.maker import Maker

_LONGEST = 900  # seconds after which a rule of this dimension is over, unless other rules have taken its place


def add(maker: Maker, rng: random.Random) -> bool:
    """Batches, transactions with many rows, and answers that concern some of them."""
    maker.settings = replace(
        maker.settings,
        batch=rng.choice([2, 3, 5, 10, 10, 30, 100]),
        rate=rng.choice(["", "", "", "", "20/s", "2/s", "120/m"]),
        answers_each=rng.choice([0, 0, 207, 207, 200]),
        api_events=rng.choice([None, None, None, 1, 2, 4, 7]),
    )
    if maker.rows < 12 and rng.random() < 0.6:
        maker.rows = rng.choice([12, 20, 30])
    at = rng.uniform(1, maker.length / 3)
    for _ in range(rng.choice([1, 2, 3])):
        if rng.random() < 0.7:
            _rules(maker, rng, at)
        _many(maker, rng, at + 0.5)
        if rng.random() < 0.4:
            _asks_for_less(maker, rng, at + rng.choice([0.2, 30, 200]))
        at += rng.uniform(60, maker.length / 3)
    maker.length = max(maker.length, at + 300)
    for rule in (rule for action in maker.actions if action.kind == "rules" for rule in action.values["rules"]):
        if rule.get("status") == 207:  # as the answer to a request as a whole it says nothing of its events
            rule["status"] = 226
    return True


def _many(maker: Maker, rng: random.Random, at: float) -> None:
    """Many rows change at once, or one after the other within a second or two."""
    numbers = rng.sample(range(1, maker.rows + 1), rng.randint(max(1, maker.rows // 2), maker.rows))
    if rng.random() < 0.7:
        ops = []
        for number in numbers:
            maker.stamp += 1
            ops.append({"do": "update" if maker._is_there(number, at) else "insert", "id": number, "stamp": maker.stamp})
        maker.add(at, "change", ops=ops)
    else:
        for number in numbers:
            maker.touch(at + rng.uniform(0, 2), number)
    if rng.random() < 0.3:
        how, late = rng.choice(["post", "post", "settle", "claim"]), rng.choice([0, 0.02])
        host = rng.randrange(maker.hosts)
        maker.add(at, "kill", host=host, how=how, down=rng.choice([0, 5, 70]), skip=rng.choice([0, 1, 3]), late=late)


def _rules(maker: Maker, rng: random.Random, at: float) -> None:
    """What the API says of some of the rows."""
    rules: list[dict[str, Any]] = []
    for number in rng.sample(range(1, maker.rows + 1), rng.choice([1, 1, 2, 3])):
        rule = rng.choice(
            [
                {"status": 422},
                {"status": 400, "times": rng.choice([1, 5, 20])},
                {"status": 503, "times": rng.choice([1, 3])},
                {"status": 500, "times": rng.choice([2, 8])},
                {"status": 429, "retry_after": rng.choice([5, 90]), "times": 1},
                {"status": 202, "accept": True, "omit": True, "times": rng.choice([1, 3])},
                {"status": 422, "omit": True, "times": 2},
            ]
        )
        rules.append({"match": {"path": "/rows", "key": key_of(maker.settings, number)}, **rule})
    maker.add(at, "rules", rules=rules)
    maker.add(at + rng.uniform(100, _LONGEST), "rules", rules=[])


def _asks_for_less(maker: Maker, rng: random.Random, at: float) -> None:
    """For some seconds everything is too much; then it works again."""
    status, retry_after = rng.choice([(429, 2), (429, 20), (429, 200), (429, None), (503, 10), (503, 100)])
    values = {"retry_after": retry_after} if retry_after is not None else {}
    maker.add(at, "api", mode="down", status=status, path="/rows", **values)
    maker.add(at + rng.choice([1, 10, 100]), "api", mode="up")
