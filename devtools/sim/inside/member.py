"""What the task hub asks of a worker: the hub knows no more of it than this."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from devtools.sim.inside.loop import Loop
from emulators.functions_host.durable.engine import Effects
from emulators.functions_host.durable.store import ActivityItem


class Term(Protocol):
    """The engine of a worker, from one time that it took the lead to the next."""

    def lead(self, effects: Effects) -> None:
        """Set in motion what another worker has committed."""

    def look_again(self) -> None:
        """Set in motion what a worker has committed that died before it could say so."""


class Member(Protocol):
    """A worker, as the hub sees it.

    Attributes:
        loop: where the hub calls it.
        frozen: whether it stands still.
    """

    loop: Loop
    frozen: bool

    @property
    def engine(self) -> Term:
        """That of its present term."""

    def take_the_lead(self) -> None:
        """Run the hub's engine and the timers from now on."""

    def step_down(self) -> None:
        """Somebody else takes over: what it was about to commit is void."""

    def run_activity(self, item: ActivityItem, done: asyncio.Future[Any]) -> None:
        """Run an activity for the leader, who waits for ``done``."""
