"""Scaling votes out of counts of unprocessed rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise

SAMPLES_NEEDED = 5
_TREND = timedelta(seconds=30)


class Vote(Enum):
    """What the incremental scaler asks for."""

    NONE = "none"
    OUT = "scale out"
    IN = "scale in"


@dataclass(frozen=True, slots=True)
class Sample:
    """A count of unprocessed rows at an instant."""

    count: int
    at: datetime


def target_worker_count(unprocessed: int, max_changes_per_worker: int, instance_concurrency: int | None = None) -> int:
    """Workers that ``unprocessed`` rows ask for; a dynamic concurrency replaces the limit of the settings.

    Raises:
        ValueError: the concurrency is below 1.
    """
    concurrency = max_changes_per_worker if instance_concurrency is None else instance_concurrency
    if concurrency < 1:
        raise ValueError(f"the concurrency of an instance must be at least 1, not {concurrency}")
    return math.ceil(unprocessed / concurrency)


def scale_vote(samples: Sequence[Sample], workers: int, max_changes_per_worker: int) -> Vote:
    """Vote on the last five samples, oldest first; no vote on fewer."""
    if len(samples) < SAMPLES_NEEDED:
        return Vote.NONE
    recent = samples[-SAMPLES_NEEDED:]
    latest = recent[-1]
    if latest.count > workers * max_changes_per_worker:
        return Vote.OUT
    pairs = list(pairwise(recent))
    if all(earlier.count < later.count for earlier, later in pairs):
        reference = next(sample for sample in recent if sample.at > latest.at - _TREND)
        if 2 * latest.count - reference.count > workers * max_changes_per_worker:
            return Vote.OUT
    falling = all(later.count == 0 or earlier.count > later.count for earlier, later in pairs)
    if falling and latest.count <= (workers - 1) * max_changes_per_worker:
        return Vote.IN
    return Vote.NONE
