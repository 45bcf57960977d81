"""An app that starts days after the first changes, and one that is stopped for more than an hour."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devtools.sim.maker import Maker


def add(maker: Maker, rng: random.Random) -> bool:
    """One of both."""
    if rng.random() < 0.5:
        cut, late = rng.uniform(1, maker.length / 3), rng.choice([3600.0, 86400.0, 3 * 86400.0])
        moved = [replace(action, at=round(action.at + late, 1)) if action.at > cut else action for action in maker.actions]
        # What change tracking forgets before anybody has ever looked, nobody can know of.
        maker.actions = [action for action in moved if action.kind != "clean" or action.at > late]
        maker.starts = (round(late, 1), maker.starts[1] + (late if maker.starts[1] > cut else 0.0))
        maker.length += late
        return True
    at, down = rng.uniform(1, maker.length * 0.6), rng.choice([3700.0, 8000.0, 20000.0])
    for host in range(maker.hosts):
        maker.add(at + rng.choice([0, 5]), "kill", host=host, how="now", down=down + rng.uniform(0, 5), skip=0, late=0)
    for _ in range(rng.choice([1, 3])):
        maker.touch(at + rng.uniform(10, down), rng.randrange(1, maker.rows + 1))
    maker.length = max(maker.length, at + down + 300)
    return True
