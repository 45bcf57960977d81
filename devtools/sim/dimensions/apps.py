"""Two apps on one table of one database, and one of their targets is down for long."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from devtools.sim.lane import MAIN, TABLE, Lane

if TYPE_CHECKING:
    from devtools.sim.maker import Maker

OTHER = Lane(app=1, table=TABLE, target="far", name="dbo.Orders@other")
_DOWN = ({"mode": "down", "status": 503}, {"mode": "refuse"}, {"mode": "down", "status": 401}, {"mode": "down", "status": 307})


def add(maker: Maker, rng: random.Random) -> bool:
    """The second app: its outage, its late start, its crashes."""
    maker.lanes = (MAIN, OTHER)
    maker.settings = replace(maker.settings, email=False)
    down = rng.choice([MAIN.target, OTHER.target, OTHER.target])
    outage(maker, rng, down, rng.choice([600, 1800, 3600]))
    if rng.random() < 0.3:
        maker.starts = (0.0, round(rng.uniform(600, 7200), 1))
        maker.length = max(maker.length, maker.starts[1] + 600)
        # What change tracking forgets before a relay has ever looked, nobody can know of.
        maker.actions = [action for action in maker.actions if action.kind != "clean" or action.at > maker.starts[1]]
    for _ in range(rng.choice([0, 1, 2])):
        how, late = rng.choice(["now", "post", "claim", "settle", "survey", "redeliver"]), rng.choice([0, 0.02])
        values = {"how": how, "down": rng.choice([0, 5, 70, 400]), "skip": rng.choice([0, 0, 1]), "late": late}
        maker.add(rng.uniform(1, maker.length), "kill", host=maker.hosts, **values)
    return True


def outage(maker: Maker, rng: random.Random, target: str, seconds: float) -> None:
    """Let a target be down for a while, and rows change meanwhile."""
    at = rng.uniform(0, maker.length / 3)
    where = {} if target == MAIN.target else {"target": target}
    maker.actions = [
        action for action in maker.actions if action.kind != "api" or target != MAIN.target or not at <= action.at <= at + seconds
    ]
    maker.add(at, "api", path="/rows", **rng.choice(_DOWN), **where)
    for _ in range(rng.choice([1, 2, 4])):
        maker.touch(rng.uniform(at, at + min(seconds, 600)), rng.randrange(1, maker.rows + 1))
    maker.add(at + seconds, "api", mode="up", **where)
    maker.length = max(maker.length, at + seconds + 60)
