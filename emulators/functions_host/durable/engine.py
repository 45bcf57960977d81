"""The engine: which instance, entity, activity or timer runs when.

Queues live in memory and are fed at each commit; after a restart they are rebuilt from the tables. So nothing is polled, and the
process can be killed between any two commits: what was not committed is done again, from the same rows.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import azure.functions as func
from azure.functions.meta import Datum

from emulators.clock import Clock
from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.invocation import FunctionFailed, Invoker, app_traceback
from emulators.functions_host.durable import history
from emulators.functions_host.durable.config import DurableConfig
from emulators.functions_host.durable.history import Event, event, parse_instant
from emulators.functions_host.durable.http_call import call_http
from emulators.functions_host.durable.store import ActivityItem, Store, TimerItem
from emulators.functions_host.durable.walker import HTTP_ACTIVITY
from emulators.functions_host.durable.work import WorkSet
from emulators.functions_host.host_log import of_function


@dataclass
class Effects:
    """What to set in motion once a transaction is committed."""

    instances: list[str] = field(default_factory=list)
    entities: list[str] = field(default_factory=list)
    activities: list[ActivityItem] = field(default_factory=list)
    timers: list[TimerItem] = field(default_factory=list)


Step = Callable[[str], Awaitable[bool]]


class Functions:
    """The durable functions of an app, by the names the extension gives them (without regard to case)."""

    def __init__(self, functions: list[IndexedFunction]) -> None:
        self._by_kind: dict[str, dict[str, IndexedFunction]] = {}
        for function in functions:
            self._by_kind.setdefault(function.kind, {})[function.durable_name.lower()] = function

    def find(self, kind: str, name: str) -> IndexedFunction | None:
        """The function with that kind of trigger and name."""
        return self._by_kind.get(kind, {}).get(name.lower())

    def missing(self, kind: str, name: str) -> str:
        """The error for a name that is not registered."""
        word = kind.removesuffix("Trigger").replace("orchestration", "orchestrator")
        known = ", ".join(f"'{f.durable_name}'" for f in self._by_kind.get(kind, {}).values()) or "none"
        article = "an" if word[0] in "aeiou" else "a"
        return (
            f"The function '{name}' doesn't exist, is disabled, or is not {article} {word} function. "
            f"Additional info: The following are the known {word} functions: {known}."
        )


class Engine:
    """Sets work in motion and runs activities and timers; instances and entities run in the steps given to :meth:`start`.

    Args:
        store: the tables.
        config: limits and names.
        functions: the durable functions of the app.
        invoker: calls them.
        clock: the shared clock.
        work: where tasks run.
        logger: receives what a person should know.
    """

    def __init__(
        self,
        store: Store,
        config: DurableConfig,
        functions: Functions,
        invoker: Invoker,
        clock: Clock,
        work: WorkSet,
        logger: logging.Logger,
    ) -> None:
        self.store, self.config, self.functions = store, config, functions
        self.invoker, self.clock, self.logger = invoker, clock, logger
        self._work = work
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._timer_tasks: dict[tuple[str, str, int], asyncio.Task[None]] = {}
        self._instance_slots = asyncio.Semaphore(config.max_orchestrators)
        self._entity_slots = asyncio.Semaphore(config.max_entities)
        self._activity_slots = asyncio.Semaphore(config.max_activities)
        self._instance_step: Step | None = None
        self._entity_step: Step | None = None

    def start(self, instance_step: Step, entity_step: Step) -> None:
        """Rebuild the queues from the tables and go on where the last process ended.

        Args:
            instance_step: runs one episode of an instance; tells whether it did anything.
            entity_step: runs one batch of an entity; tells whether it did anything.
        """
        self._instance_step, self._entity_step = instance_step, entity_step
        store = self.store
        self.apply(Effects(store.instances_with_messages(), store.entities_with_requests(), store.activities(), store.timers()))

    def apply(self, effects: Effects) -> None:
        """Set in motion what a committed transaction has made due."""
        for activity in effects.activities:
            self._work.spawn(self._run_activity(activity))
        for timer in effects.timers:
            task = self._work.spawn(self._run_timer(timer))
            if task is not None:
                self._timer_tasks[timer.instance_id, timer.execution_id, timer.timer_id] = task
        for instance_id in dict.fromkeys(effects.instances):
            self._wake(instance_id, self._instance_step, self._instance_slots)
        for entity_id in dict.fromkeys(effects.entities):
            self._wake(entity_id, self._entity_step, self._entity_slots)

    def _wake(self, key: str, step: Step | None, slots: asyncio.Semaphore) -> None:
        if step is None:
            return  # not started yet: start() will find the rows
        if key in self._running:
            self._again.add(key)
        else:
            self._running.add(key)
            self._work.spawn(self._serve(key, step, slots))

    async def _serve(self, key: str, step: Step, slots: asyncio.Semaphore) -> None:
        """Run steps of one instance or entity, one at a time, until nothing is left to do."""
        try:
            while True:
                self._again.discard(key)
                async with slots:
                    progress = await step(key)
                if not progress and key not in self._again:
                    return
        finally:
            self._running.discard(key)

    def drop_timers(self, instance_id: str, timer_ids: set[int] | None = None) -> None:
        """Forget the running timers of an instance (all, or some), whose rows are gone."""
        for key in [key for key in self._timer_tasks if key[0] == instance_id and (timer_ids is None or key[2] in timer_ids)]:
            self._timer_tasks.pop(key).cancel()

    async def _run_timer(self, timer: TimerItem) -> None:
        fire_at = parse_instant(timer.fire_at)
        while self.clock.now() < fire_at:
            await self.clock.sleep_until(fire_at)
        self._timer_tasks.pop((timer.instance_id, timer.execution_id, timer.timer_id), None)
        with self.store.transaction():
            if not self.store.delete_timer(timer.instance_id, timer.execution_id, timer.timer_id):
                return
            fired = event(history.TIMER_FIRED, self.clock.now(), TimerId=timer.timer_id, FireAt=timer.fire_at)
            self.store.post(timer.instance_id, timer.execution_id, fired)
        self.apply(Effects([timer.instance_id]))

    async def _run_activity(self, item: ActivityItem) -> None:
        async with self._activity_slots:
            completion = await self._activity_completion(item)
        with self.store.transaction():
            if not self.store.delete_activity(item.id):
                return  # terminated or purged meanwhile
            self.store.post(item.instance_id, item.execution_id, completion)
        self.apply(Effects([item.instance_id]))

    async def _activity_completion(self, item: ActivityItem) -> Event:
        try:
            result = await self._activity_result(item)
        except FunctionFailed as failure:
            cause = failure.__cause__
            details = {
                "$type": "System.Exception, System.Private.CoreLib",
                "ClassName": "System.Exception",
                "Message": f" {failure}",
                "StackTraceString": app_traceback(cause) if cause else None,
            }
            return event(
                history.TASK_FAILED,
                self.clock.now(),
                TaskScheduledId=item.task_id,
                Reason=f"Activity function '{item.name}' failed:  {failure}",
                Details=json.dumps(details),
                FailureDetails=None,
            )
        return event(history.TASK_COMPLETED, self.clock.now(), TaskScheduledId=item.task_id, Result=result)

    async def _activity_result(self, item: ActivityItem) -> str | None:
        """Run the activity; its result as JSON text.

        Raises:
            FunctionFailed: it failed, or its result is no JSON.
        """
        if item.name == HTTP_ACTIVITY:
            try:
                return await call_http(json.loads(item.input or "null"))
            except Exception as problem:
                raise FunctionFailed(problem) from problem
        function = self.functions.find("activityTrigger", item.name)
        if function is None:  # known when it was scheduled: the app has changed since
            unknown = LookupError(self.functions.missing("activityTrigger", item.name))
            raise FunctionFailed(unknown) from unknown
        value = Datum(item.input if item.input is not None else "null", "string")
        self._tell(item, "started")
        returned = await self.invoker.invoke(function, value, f"orchestration {item.instance_id}, task {item.task_id}")
        try:
            encoded = func.get_binding_registry().get("activityTrigger").encode(returned, expected_type=None)
        except Exception as problem:
            self.logger.error("activity %s returned what cannot be encoded: %s", item.name, problem)
            raise FunctionFailed(problem) from problem
        self._tell(item, "completed")
        return str(encoded.value)

    def _tell(self, item: ActivityItem, what: str) -> None:
        told = of_function(item.name, lifecycle=True)
        self.logger.info("activity %s of '%s' %s", item.name, item.instance_id, what, extra=told)
