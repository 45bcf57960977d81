"""A backup of the database, and hours of changes later it is restored: change versions begin again where they were then."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devtools.sim.maker import Maker


def add(maker: Maker, rng: random.Random) -> bool:
    """One backup, one or two restores of it."""
    if maker.lanes and len(maker.lanes) > 1:
        return False
    at = rng.uniform(5, maker.length / 2)
    maker.add(at, "backup")
    for _ in range(rng.choice([1, 1, 2])):
        at += rng.uniform(20, maker.length / 2)
        maker.touch(at - 10, rng.randrange(1, maker.rows + 1))
        maker.add(at, "restore")
        maker.touch(at + rng.choice([1, 30, 200]), rng.randrange(1, maker.rows + 1))
    for number in sorted(maker.spoiled):  # the backup may have a row that was mended since
        maker.touch(at + rng.choice([205, 600]), number)
    maker.length = max(maker.length, at + 300)
    return True
