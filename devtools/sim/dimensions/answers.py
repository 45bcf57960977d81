"""Answers of the API as the network may bring them: interim ones before, in pieces, with bodies that are no use to anybody."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devtools.sim.maker import Maker


def add(maker: Maker, rng: random.Random) -> bool:
    """The network of this seed draws by itself what it does to each answer."""
    return True
