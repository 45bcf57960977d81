"""What the world of a seed has besides: each seed draws which of these dimensions it has, most of them none or one.

A dimension draws from a sequence of its own. So a seed that does not have it is as it was without it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devtools.sim.dimensions import (
    answers,
    apps,
    batches,
    filters,
    hangs,
    orders,
    relays,
    restores,
    rights,
    snapshots,
    starts,
    unreadable,
)

if TYPE_CHECKING:
    from devtools.sim.maker import Maker


@dataclass(frozen=True)
class Dimension:
    """One of them.

    Attributes:
        share: of the seeds that have it.
        add: puts it into a plan.
        what: for people.
    """

    share: float
    add: Callable[[Maker, random.Random], bool]
    what: str


DIMENSIONS = {  # in the order in which they are drawn; the last ones move what is there already in time
    "apps": Dimension(0.08, apps.add, "two apps on one table, each with a target of its own"),
    "relays": Dimension(0.1, relays.add, "several relays: tables that share a target, targets that share a table"),
    "unreadable": Dimension(0.08, unreadable.add, "rows whose computed column divides by zero"),
    "hangs": Dimension(0.1, hangs.add, "orchestrations that hang, are suspended or never start; lost timers"),
    "answers": Dimension(0.15, answers.add, "interim answers, and hostile ones"),
    "batches": Dimension(0.15, batches.add, "requests with several events, statuses for each, and a target that asks for less"),
    "rights": Dimension(0.08, rights.add, "rights withdrawn, rows hidden, a read-only database, refused logins"),
    "starts": Dimension(0.08, starts.add, "an app that starts late, or is stopped for more than an hour"),
    "snapshots": Dimension(0.1, snapshots.add, "relays that begin with a snapshot of rows that were there before"),
    "restores": Dimension(0.1, restores.add, "the database goes back to a backup"),
    "filters": Dimension(0.1, filters.add, "a condition that rows come and go with, and changes that are not sent"),
    "orders": Dimension(0.1, orders.add, "pauses, and rows that are tried again, replayed or given up by an order"),
}


def draw(maker: Maker, seed: int, wanted: frozenset[str]) -> frozenset[str]:
    """Put into a plan what its seed draws of the wanted dimensions."""
    had = set()
    for name, dimension in DIMENSIONS.items():
        rng = random.Random(f"dimension/{name}/{seed}")
        if rng.random() < dimension.share and name in wanted and dimension.add(maker, rng):
            had.add(name)
    return frozenset(had)
