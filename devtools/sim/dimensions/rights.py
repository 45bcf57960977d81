"""The app may not do for a while what it needs: a right is withdrawn, rows are hidden, nothing can be written, or no login."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devtools.sim.maker import Maker


def add(maker: Maker, rng: random.Random) -> bool:
    """One or two such times, one after the other."""
    at = rng.uniform(5, maker.length / 2)
    for _ in range(rng.choice([1, 1, 2])):
        how, seconds = rng.choice(["select", "hide", "read_only", "refuse"]), rng.choice([200, 1000, 1500, 4000])
        begin, end = round(at, 1), round(at + seconds, 1)
        if how == "read_only":  # nobody can change rows then
            maker.actions = [
                action
                for action in maker.actions
                if action.kind not in ("change", "clean") or not begin - 1 <= action.at <= end + 1
            ]
        maker.add(begin, "deny", how=how, on=True)
        if how != "read_only":
            for number in rng.sample(range(1, maker.rows + 1), min(maker.rows, 2)):
                maker.touch(rng.uniform(begin, begin + 100), number)
        maker.add(end, "deny", how=how, on=False)
        at = end + rng.uniform(60, 600)
        maker.length = max(maker.length, end + 60)
    return True
