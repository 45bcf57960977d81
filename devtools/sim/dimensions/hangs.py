"""Orchestrations that do not move: suspended, without their timer, or never started, while rows or people wait for them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from devtools.sim.plan import key_of

if TYPE_CHECKING:
    from devtools.sim.maker import Maker


def add(maker: Maker, rng: random.Random) -> bool:
    """A row that fails for a while, and an orchestration that hangs."""
    settings = maker.settings
    maker.settings = replace(settings, attempts=rng.choice([1, settings.attempts]), notify_after_rounds=1)
    number, at = rng.randrange(1, maker.rows + 1), rng.uniform(1, maker.length / 3)
    match = {"path": "/rows", "key": key_of(settings, number)}
    rules = [{"match": match, "status": 500, "times": maker.settings.attempts + rng.choice([1, 3, 6])}]
    what = rng.choice(["recovery", "recovery", "notification"])
    if what == "notification":
        rules.append({"match": {"path": "/alerts"}, "status": 500, "times": rng.choice([1, 3])})
    maker.add(at, "rules", rules=rules)
    maker.touch(at + 0.5, number)
    app = rng.randrange(len({lane.app for lane in maker.lanes}))
    for _ in range(rng.choice([1, 1, 2])):
        maker.add(
            at + rng.choice([1, 30, rng.uniform(0, 600)]),
            "hang",
            app=app,
            what=what,
            how=rng.choice(["suspend", "timers", "start"]),
        )
    return True
