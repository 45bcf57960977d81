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
    if rng.random() < 0.7:
        at = _given_to_recovery(maker, rng, numbers, at)
    last = at
    for number in numbers:
        begin = at + rng.choice([0, rng.uniform(0, 300)])
        maker.touch(begin, number, do="spoil")
        maker.spoiled.add(number)
        end = begin + rng.choice([20, 400, 2500, 2500])
        maker.touch(end, number)
        last = max(last, end)
    for _ in range(rng.choice([1, 3])):
        other = rng.randrange(1, maker.rows + 1)
        if other not in numbers:
            maker.touch(rng.uniform(at, at + 400), other)
    maker.length = max(maker.length, last + 60)
    return True


def _given_to_recovery(maker: Maker, rng: random.Random, numbers: list[int], at: float) -> float:
    """The rows fail before, until recovery has them: so the app itself meets them, and not only the trigger.

    Returns:
        when recovery has them, in seconds of the plan.
    """
    maker.settings = replace(maker.settings, attempts=rng.choice([1, 3]), first_delay=30, detach_after_rounds=1)
    at = max(at, 60.0 * maker.settings.attempts + 120)
    begin = at - 60 * maker.settings.attempts - 115
    maker.add(begin, "api", mode="down", status=500, path="/rows")
    for number in numbers:
        maker.touch(begin + 1, number)
    maker.add(at + rng.choice([100, 400, 1500]), "api", mode="up")
    return at
