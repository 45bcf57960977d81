"""Orders of people: pauses, some longer than the retry window or the change retention, and orders about rows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from devtools.sim.plan import key_of

if TYPE_CHECKING:
    from devtools.sim.maker import Maker

_STATEMENTS = ("pause", "orders", "claim", "settle", "post", "redeliver", "survey", "release", "effect", "now")


def add(maker: Maker, rng: random.Random) -> bool:
    """A pause or two, orders about rows that fail, and whatever can go wrong then."""
    if any(action.kind == "restore" for action in maker.actions):
        return False  # the backup says itself what is paused
    at = rng.uniform(5, maker.length / 3)
    for _ in range(rng.choice([1, 1, 2])):
        at = _pause(maker, rng, at)
    if not maker.settings.filter:  # what was given up is told by its version
        for _ in range(rng.choice([0, 1, 2, 4])):
            maker.add(
                rng.uniform(1, at), "command", do=rng.choice(["discard", "discard", "replay", "retry"]), body=_rows(maker, rng)
            )
    for _ in range(rng.choice([0, 1, 2, 3])):
        how, late = rng.choice(_STATEMENTS), rng.choice([0, 0.02])
        strike = {"host": rng.randrange(maker.hosts), "how": how, "skip": rng.choice([0, 0, 1, 3]), "late": late}
        maker.add(rng.uniform(1, at), "kill", **strike, down=rng.choice([0, 5, 70, 400]))
    maker.length = max(maker.length, at + 120)
    return True


def _pause(maker: Maker, rng: random.Random, at: float) -> float:
    """A pause with changes before, in and behind it; returns when it is over."""
    window = maker.settings.window
    length = rng.choice([20.0, 200.0, 1500.0, window + 400.0])
    for _ in range(rng.choice([2, 4, 8])):
        moment = rng.choice([at - 2, at - 0.1, at + 0.1, at + rng.uniform(0, length), at + length + rng.uniform(0, 5)])
        maker.touch(max(1.0, moment), rng.randrange(1, maker.rows + 1), rng.choice(["update", "update", "unwatched", "delete"]))
    if rng.random() < 0.5:
        number = rng.randrange(1, maker.rows + 1)
        rule = {"match": {"path": "/rows", "key": key_of(maker.settings, number)}, "status": rng.choice([422, 500]), "times": 9}
        maker.add(max(0.5, at - 90), "rules", rules=[rule])
        maker.touch(max(1.0, at - 80), number)
    maker.add(at, "command", do="pause")
    if length > 1000 and "clean" in maker.features and not maker.settings.filter and rng.random() < 0.5:
        maker.add(at + length - 300, "clean", minutes=1)  # change tracking has forgotten what the ledger still knows
    maker.add(at + length, "command", do="resume")
    return at + length + rng.choice([30.0, 400.0])


def _rows(maker: Maker, rng: random.Random) -> dict[str, Any]:
    """Which rows an order is about."""
    numbers = rng.sample(range(1, maker.rows + 1), min(maker.rows, rng.choice([1, 2, 5])))
    return rng.choice(
        [
            {"all": True},
            {"keys": [key_of(maker.settings, number) for number in numbers]},
            {"filter": {"class": [rng.choice(["rejected", "server_error", "other", "unreachable"])]}},
            {"filter": {"state": [rng.choice(["dead", "held", "detached", "exhausted"]), "retrying"]}},
        ]
    )
