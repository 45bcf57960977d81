"""The task hub that all workers share, as on Azure: one store; one live worker runs the engine; when it dies another takes over."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from multidict import CIMultiDict
from yarl import URL

from devtools.sim.inside.member import Member
from devtools.sim.inside.scheduler import Scheduler
from emulators.functions_host.durable.engine import Effects, Engine
from emulators.functions_host.durable.history import EXECUTION_STARTED, Event
from emulators.functions_host.durable.store import ActivityItem, Store

_TAKE_OVER_SECONDS = (1.0, 40.0)  # until the lease of a dead or frozen worker's partition is noticed to have ended
_LOST_MESSAGE_SECONDS = 300.0  # until the message of an activity that died with its worker is seen again


class HubStore(Store):
    """The store in memory; what it commits are effects of whichever worker runs."""

    def __init__(self, scheduler: Scheduler, pause: Callable[[], float]) -> None:
        super().__init__(Path(":memory:"))
        self._scheduler, self._pause = scheduler, pause
        self._depth = 0
        self.lost_starts: list[tuple[str, Callable[[str], None]]] = []  # of ids that begin so the next start is lost; who is told

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        strand = self._scheduler.current
        asked = strand is not None and strand.owner is not None and strand.owner.asks
        self._scheduler.effect("durable", may_freeze=not asked)
        with contextlib.suppress(RuntimeError):  # no task, but a thread
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # deposed while it stood still: its commit would be refused
        with super().transaction():
            yield
        self._scheduler.effect("durable done", self._pause())

    def post(self, instance_id: str, execution_id: str | None, event: Event) -> None:
        """Queue an event; the message of a start can be lost."""
        if self.lost_starts and event["EventType"] == EXECUTION_STARTED:
            for entry in self.lost_starts:
                if instance_id.startswith(entry[0]):
                    self.lost_starts.remove(entry)
                    entry[1](instance_id)
                    return
        super().post(instance_id, execution_id, event)


class HubEngine(Engine):
    """The engine of one worker's term: it only works while its worker leads; others hand what became due to the leader."""

    def bind(self, hub: Hub, worker: Member) -> None:
        """Say whose engine it is."""
        self._hub, self._worker = hub, worker

    def apply(self, effects: Effects) -> None:
        leader = self._hub.leader
        if leader is None:
            return  # whoever leads next finds it in the tables
        if leader is self._worker:
            leader.engine.lead(effects)
        else:
            leader.loop.call_soon(lambda: leader.engine.lead(effects))  # the engine it has then: its term may be about to begin

    def lead(self, effects: Effects) -> None:
        """Set in motion what another worker has committed."""
        if self._hub.leader is self._worker:
            super().apply(effects)

    def look_again(self) -> None:
        """Set in motion what a worker has committed that died before it could say so."""
        store = self.store
        self.lead(Effects(store.instances_with_messages(), store.entities_with_requests()))

    async def _activity_result(self, item: ActivityItem) -> str | None:
        """Run the activity on some worker; again, minutes later, if that one dies."""
        while True:
            worker = self._hub.pick()
            if worker is self._worker:
                return await super()._activity_result(item)
            done = self._worker.loop.create_future()
            worker.loop.call_soon(worker.run_activity, item, done)
            self._hub.guests.append((worker, done))
            ended, result = await done
            if ended:
                if isinstance(result, BaseException):
                    raise result
                return result  # type: ignore[no-any-return]
            await self.clock.sleep(_LOST_MESSAGE_SECONDS)

    async def run_here(self, item: ActivityItem) -> str | None:
        """Run an activity for the leader."""
        return await super()._activity_result(item)


class Hub:
    """The shared hub.

    Args:
        scheduler: of the simulation.
        pause: draws how long a commit takes.
    """

    def __init__(self, scheduler: Scheduler, pause: Callable[[], float]) -> None:
        self.scheduler = scheduler
        self.store = HubStore(scheduler, pause)
        self.leader: Member | None = None
        self.workers: list[Member] = []
        self.guests: list[tuple[Member, Any]] = []
        self.timers: dict[str, dict[str, str]] = {}

    def pick(self) -> Member:
        """A live worker."""
        live = [worker for worker in self.workers if not worker.frozen]
        return live[int(self.scheduler.rng.random() * len(live))]

    def joined(self, worker: Member) -> None:
        """A worker has started."""
        self.workers.append(worker)
        if self.leader is None:
            self._lead(worker)

    def left(self, worker: Member) -> None:
        """A worker has died."""
        if worker in self.workers:
            self.workers.remove(worker)
        lost = [future for each, future in self.guests if each is worker]
        self.guests = [entry for entry in self.guests if entry[0] is not worker and not entry[1].done()]
        for future in lost:
            if not future.done() and not future.get_loop().is_closed():
                future.set_result((False, None))
        if self.leader is worker:
            self.leader = None
            low, high = _TAKE_OVER_SECONDS
            self.scheduler.after(self.scheduler.rng.uniform(low, high), self._take_over)
        elif (leader := self.leader) is not None:
            leader.loop.call_soon(lambda: leader.engine.look_again())

    def froze(self, worker: Member) -> None:
        """A worker stands still: if it leads, its lease ends too."""
        if self.leader is worker:
            low, high = _TAKE_OVER_SECONDS
            self.scheduler.after(self.scheduler.rng.uniform(low, high), lambda: self._depose(worker))

    def _depose(self, worker: Member) -> None:
        if self.leader is worker and worker.frozen and any(not each.frozen for each in self.workers):
            self.leader = None
            worker.step_down()
            self._take_over()

    def _take_over(self) -> None:
        live = [worker for worker in self.workers if not worker.frozen] or self.workers
        if self.leader is None and live:
            self._lead(live[int(self.scheduler.rng.random() * len(live))])

    def _lead(self, worker: Member) -> None:
        self.leader = worker
        worker.loop.call_soon(worker.take_the_lead)


class DurableRequest:
    """A request to the endpoints of the durable engine, as their handler reads one."""

    def __init__(self, method: str, url: str, body: Any) -> None:
        self.method = method
        self.rel_url = URL(url)
        self.query = self.rel_url.query
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.content_type = "application/json"
        self._body = b"" if body is None and method != "POST" else json.dumps(body).encode()

    @property
    def content(self) -> DurableRequest:
        """The stream of the body."""
        return self

    async def read(self) -> bytes:
        """The whole body."""
        return self._body
