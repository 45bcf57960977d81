"""Several relays of one app: a second table to the same target, the same table to a second target, or both."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from devtools.sim.dimensions.apps import outage
from devtools.sim.lane import MAIN, TABLE, Lane

if TYPE_CHECKING:
    from devtools.sim.maker import Maker

LINES = Lane(table="dbo.Lines", target=MAIN.target)
FAR = Lane(table=TABLE, target="far", name="dbo.Orders@far")


def add(maker: Maker, rng: random.Random) -> bool:
    """Other relays, an outage, and a relay that is taken out of relay.toml for a while."""
    if len(maker.lanes) > 1:
        return False
    maker.lanes = rng.choice([(MAIN, LINES), (MAIN, FAR), (MAIN, LINES, FAR)])
    maker.settings = replace(maker.settings, email=False)
    if LINES in maker.lanes:
        _lines(maker, rng)
    outage(maker, rng, rng.choice(maker.lanes).target, rng.choice([300, 900, 3600]))
    if rng.random() < 0.35:
        _take_out(maker, rng)
    return True


def _lines(maker: Maker, rng: random.Random) -> None:
    alive: set[int] = set()
    rows, at = rng.choice([1, 2, 4]), rng.uniform(0.5, 30)
    for stamp in range(1, rng.choice([4, 8, 16])):
        number = rng.randrange(1, rows + 1)
        do = "insert" if number not in alive else rng.choice(["update", "update", "unwatched", "delete"])
        (alive.discard if do == "delete" else alive.add)(number)
        op: dict[str, Any] = {"do": do, "id": number, **({} if do == "delete" else {"stamp": 5000 + stamp})}
        maker.add(at, "change", table=LINES.table, ops=[op])
        at += rng.choice([1, 15, rng.expovariate(1 / 200)])
        if at >= maker.length:
            return


def _take_out(maker: Maker, rng: random.Random) -> None:
    """While its target is down and rows of it wait; it comes back later."""
    lane = rng.choice(maker.lanes)
    at = rng.uniform(60, maker.length / 2)
    where = {} if lane.target == MAIN.target else {"target": lane.target}
    maker.add(at, "api", mode="down", status=503, path="/rows", **where)
    maker.touch(at + 1, 1)
    out, seconds = at + rng.choice([30, 200, 700]), rng.choice([900, 1500, 5000])
    maker.add(out, "relays", without=[lane.relay.name])
    maker.touch(out + rng.uniform(10, 300), 1)
    maker.add(out + rng.choice([10, 800, 800]), "api", mode="up", **where)
    maker.add(out + seconds, "relays", without=[])
    maker.length = max(maker.length, out + seconds + 300)
