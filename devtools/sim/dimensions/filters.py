"""Filters of a relay: rows that come and go with a condition, deletions that are not sent, and changes that the other side made.

Each seed has one of them, so that what the other side must have in the end is known exactly.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from devtools.sim.dimensions.apps import outage
from devtools.sim.lane import MAIN

if TYPE_CHECKING:
    from devtools.sim.maker import Maker


_LOOK_SECONDS = 300  # between two looks of the watchdog, which moves the base


def add(maker: Maker, rng: random.Random) -> bool:
    """A filter, an outage, and rows that change before it, in it and behind it."""
    if len(maker.lanes) > 1 or maker.settings.computed or any(action.kind == "restore" for action in maker.actions):
        return False
    kind = rng.choice(["where", "where", "ignored", "own", "own", "kept"])
    maker.settings = replace(maker.settings, filter=kind, email=False)
    # What change tracking has forgotten is repaired by a resync, which is no matter of filters.
    maker.actions = [action for action in maker.actions if action.kind != "clean"]
    outage(maker, rng, MAIN.target, rng.choice([60, 300, 1200]))
    for _ in range(rng.choice([3, 6, 12])):
        number, at = rng.randrange(1, maker.rows + 1), rng.uniform(1, maker.length - 30)
        maker.touch(at, number, rng.choice(["update", "unwatched"]))
        if kind == "own":
            # Between the two there is no hand-out, or one, or many: some changes are delivered before the base moves.
            maker.own(at + rng.choice([0.1, 0.4, 2, 30, 400]), number, rng.choice(["update", "unwatched", "unwatched", "delete"]))
        else:
            maker.touch(at + rng.choice([0.1, 2, 70, 400]), number, rng.choice(["update", "unwatched"]))
    if kind == "own":
        _at_a_look(maker, rng)
    maker.length += 450
    return True


def _at_a_look(maker: Maker, rng: random.Random) -> None:
    """Somebody else changes a row just before the watchdog looks, and the other side just behind it: both come as one."""
    looks = range(1, int(maker.length) // _LOOK_SECONDS + 1)
    for look in rng.sample(looks, min(len(looks), 4)):
        number, at = rng.randrange(1, maker.rows + 1), float(look * _LOOK_SECONDS)
        maker.touch(at - 60, number)
        maker.touch(at - rng.choice([0.1, 0.3]), number)
        maker.own(at + rng.choice([0.2, 0.4]), number, "unwatched")
