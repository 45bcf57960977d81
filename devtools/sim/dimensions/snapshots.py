"""Relays that begin with a snapshot: rows are there before the app starts, and change tracking knows nothing of them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devtools.sim.maker import Maker

_FIRST = 101  # the numbers of these rows: other rows come before them and among them
_FORGOTTEN_AT = 0.6


def add(maker: Maker, rng: random.Random) -> bool:
    """Rows that nobody changes, changes and deletions while they are sent, and whatever can go wrong then."""
    maker.settings = replace(maker.settings, initial=True)
    count, start = rng.choice([0, 3, 8, 8, 21, 40]), max(maker.starts[0], rng.choice([2.0, 10.0, 200.0]))
    numbers = range(_FIRST, _FIRST + count)
    if count:
        maker.add(0.2, "change", ops=[{"do": "insert", "id": number, "stamp": number} for number in numbers])
        maker.add(_FORGOTTEN_AT, "clean", minutes=0)
    maker.starts = (start, max(start, maker.starts[1]))
    for number in rng.sample(numbers, min(count, 6)):
        maker.touch(start + rng.uniform(0.2, 20), number, rng.choice(["update", "update", "unwatched", "delete"]))
    for number in rng.sample(range(1, maker.rows + 1), min(2, maker.rows)):
        maker.touch(start + rng.uniform(0.2, 20), number)
    for _ in range(rng.choice([0, 1, 1, 3])):
        how = rng.choice(["order", "page", "page", "redeliver", "settle", "claim", "post", "effect", "now"])
        strike = {"host": rng.randrange(maker.hosts), "how": how, "skip": rng.randrange(3), "late": rng.choice([0, 0, 0.02])}
        if rng.random() < 0.25:
            maker.add(start, "stall", **strike | {"how": "page" if how == "now" else how}, seconds=rng.choice([5, 70, 400]))
        else:
            maker.add(start + rng.uniform(0, 15), "kill", **strike, down=rng.choice([0, 3, 60, 400]))
    if rng.random() < 0.4:
        at = start + rng.uniform(0, 12)
        maker.add(at, "api", mode="down", status=503, path="/rows")
        maker.add(at + rng.choice([5, 60, 600]), "api", mode="up")
    maker.length = max(maker.length, start + 700)
    return True
