"""One seed becomes one scenario: the same seed gives the same plan for ever."""

from __future__ import annotations

import random

from devtools.sim.dimensions import DIMENSIONS, draw
from devtools.sim.maker import Maker
from devtools.sim.plan import Plan, Policy

_ACTIONS = frozenset({"clean", "resync"})  # change tracking forgets; an operator has a table sent again
FEATURES = _ACTIONS | frozenset(DIMENSIONS)  # in a plan, unless some are left out


def make_plan(seed: int, policy: Policy = "rowpost", features: frozenset[str] = FEATURES) -> Plan:
    """The scenario of a seed; ``features`` names kinds of actions that not every app is made for."""
    maker = Maker(random.Random(f"rowpost/{seed}"), seed, policy, features)
    return maker.make(lambda making: draw(making, seed, features))
