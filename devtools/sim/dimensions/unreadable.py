"""Rows whose computed column divides by zero: neither the trigger nor the app can read them, until they are mended."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devtools.sim.maker import Maker


def add(maker: Maker, rng: random.Random) -> bool:
    """Spoil some rows, and mend them minutes or hours later; others change meanwhile."""
    if len(maker.lanes) > 1:
        return False
    maker.settings = replace(maker.settings, computed=True)
    numbers = rng.sample(range(1, maker.rows + 1), min(maker.rows, rng.choice([1, 1, 2, 3])))
    at = rng.uniform(5, maker.length / 2)
    last = at
    for number in numbers:
        begin = at + rng.choice([0, rng.uniform(0, 300)])
        maker.touch(begin, number, do="spoil")
        end = begin + rng.choice([20, 400, 2500, 2500])
        maker.touch(end, number)
        last = max(last, end)
    for _ in range(rng.choice([1, 3])):
        other = rng.randrange(1, maker.rows + 1)
        if other not in numbers:
            maker.touch(rng.uniform(at, at + 400), other)
    maker.length = max(maker.length, last + 60)
    return True
