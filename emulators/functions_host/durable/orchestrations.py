"""Run orchestration instances: one episode, one transaction."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import datetime

from azure.functions.meta import Datum

from emulators.functions_host.app.invocation import FunctionFailed
from emulators.functions_host.durable import history
from emulators.functions_host.durable.engine import Effects, Engine
from emulators.functions_host.durable.episodes import (
    EpisodeFailed,
    HistoryCache,
    LoadedHistory,
    State,
    context_text,
    entity_request,
    episode_instant,
    read_state,
    select_messages,
    started_event,
    waiting_counts,
)
from emulators.functions_host.durable.history import FINISHED, STATUS_NUMBERS, Event, event, format_instant
from emulators.functions_host.durable.store import Instance, TimerItem
from emulators.functions_host.durable.walker import Command, NonDeterminismError, Walker
from emulators.functions_host.host_log import of_function


def new_execution_id() -> str:
    """An execution id, as 32 hexadecimal digits."""
    return uuid.uuid4().hex


class OrchestrationRunner:
    """Runs episodes for the engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._store, self._clock, self._logger = engine, engine.store, engine.clock, engine.logger
        self._histories = HistoryCache(engine.store)

    def forget(self, instance_id: str) -> None:
        """Drop what is in memory of an instance whose rows were deleted or replaced."""
        self._histories.forget(instance_id)
        self._engine.drop_timers(instance_id)

    def create(self, instance: Instance) -> None:
        """Insert a new instance in place of a finished one, and its start message. Within a transaction."""
        self._store.erase_work(instance.instance_id, keep_events=False)
        self.forget(instance.instance_id)
        self._store.save_instance(instance)
        self._store.post(instance.instance_id, instance.execution_id, started_event(instance, self._clock.now()))

    async def run_episode(self, instance_id: str) -> bool:
        """One episode; False if there was nothing to deliver."""
        try:
            return await self._run_episode(instance_id)
        except BaseException:
            self._histories.forget(instance_id)  # it may hold events that were not committed
            raise

    async def _run_episode(self, instance_id: str) -> bool:
        store = self._store
        messages = store.inbox(instance_id)
        instance = store.instance(instance_id)
        if instance is None or instance.status in FINISHED:
            if messages:
                with store.transaction():
                    store.delete_messages(message.id for message in messages)
            return False
        loaded = self._histories.load(instance)
        delivery = select_messages(instance, loaded, messages)
        if not delivery.consumed:
            return False
        now = episode_instant(self._clock.now(), loaded, delivery.events)
        if delivery.terminated is not None:
            effects = Effects()
            with store.transaction():
                store.delete_messages(delivery.consumed)
                self._terminate(instance, loaded, delivery.terminated, now, effects)
            self.forget(instance_id)
            self._engine.apply(effects)
            return True
        status = "Suspended" if delivery.suspended else "Running" if loaded.events or delivery.events else "Pending"
        if not delivery.events:
            with store.transaction():
                store.delete_messages(delivery.consumed)
                if delivery.control and loaded.events:
                    marks = [
                        event(history.ORCHESTRATOR_STARTED, now),
                        *delivery.control,
                        event(history.ORCHESTRATOR_COMPLETED, now),
                    ]
                    self._append(instance_id, loaded, marks)
                if status != instance.status:
                    store.save_instance(replace(instance, status=status, updated_at=format_instant(now)))
            return bool(delivery.control)
        control = delivery.control if loaded.events else []
        before = len(loaded.events)
        for item in [event(history.ORCHESTRATOR_STARTED, now), *control, *delivery.events]:
            loaded.append({**item, "Timestamp": format_instant(now)} if item["EventType"] == history.EXECUTION_STARTED else item)
        await self._replay_and_commit(instance, loaded, before, delivery.consumed, now)
        return True

    async def _replay_and_commit(
        self, instance: Instance, loaded: LoadedHistory, before: int, consumed: list[int], now: datetime
    ) -> None:
        first = before == 0
        if first:
            self._tell("started", instance)
        walker = Walker([])
        state: State | None = None
        error: str | None = None
        try:
            state = await self._replay(instance, loaded)
            if len(state.actions) > self._engine.config.max_actions:
                raise EpisodeFailed(f"the orchestration took more than {self._engine.config.max_actions} actions")
            walker = Walker(state.actions)
            walker.walk(loaded.events, before if loaded.overtaken else None)
            loaded.overtaken = walker.overtaken
            for number, command in walker.commands.items():
                self._check(instance, number, command)
        except (EpisodeFailed, NonDeterminismError) as problem:
            error = str(problem)
        present = self._store.instance(instance.instance_id)
        if present is None or present.execution_id != instance.execution_id or present.status in FINISHED:
            self._histories.forget(instance.instance_id)  # purged or replaced while it ran
            return
        instance = replace(
            instance,
            status="Running",
            updated_at=format_instant(now),
            waiting=waiting_counts(walker),
            custom_status=state.custom_status if state else instance.custom_status,
        )
        effects = Effects()
        with self._store.transaction():
            self._store.delete_messages(consumed)
            if error is not None or state is None:
                self._store.append_history(instance.instance_id, before, loaded.texts[before:])
                self._fail(instance, loaded, error or "", now, effects)
            else:
                scheduled = [self._schedule(instance, number, c, now, effects) for number, c in sorted(walker.commands.items())]
                for item in scheduled:
                    loaded.append(item)
                self._store.append_history(instance.instance_id, before, loaded.texts[before:])
                self._drop_cancelled_timers(instance, walker)
                self._conclude(instance, loaded, walker, state, now, effects)
        self._engine.apply(effects)
        ended = self._store.instance(instance.instance_id)
        if ended is not None and ended.status in FINISHED:
            self.forget(instance.instance_id)
        elif not walker.continued:
            self._tell("awaits", instance)

    async def _replay(self, instance: Instance, loaded: LoadedHistory) -> State:
        function = self._engine.functions.find("orchestrationTrigger", instance.name)
        if function is None:
            raise EpisodeFailed(self._engine.functions.missing("orchestrationTrigger", instance.name))
        value = Datum(context_text(instance, loaded), "string")
        try:
            returned = await self._engine.invoker.invoke(function, value, f"instance {instance.instance_id}")
        except FunctionFailed as failure:
            return read_state(None, failure.__cause__)
        return read_state(returned, None)

    def _check(self, instance: Instance, number: int, command: Command) -> None:
        """Refuse what could never be answered.

        Raises:
            EpisodeFailed: an unknown function, or an impossible child id.
        """
        functions = self._engine.functions
        if command.kind == "task" and "functionName" in command.action:
            kind, name = "activityTrigger", command.name
        elif command.kind == "sub":
            kind, name = "orchestrationTrigger", command.name
            child = self._child_id(instance, number, command)
            if child.startswith("@") or child in (instance.instance_id, instance.parent_id):
                raise EpisodeFailed(f"sub-orchestration id {child!r} is not allowed: it is an entity's, the own or the parent's")
        elif command.kind in ("call", "signal"):
            kind, name = "entityTrigger", command.name.split("@")[1]
        else:
            return
        if functions.find(kind, name) is None:
            raise EpisodeFailed(functions.missing(kind, name))

    @staticmethod
    def _child_id(instance: Instance, number: int, command: Command) -> str:
        return str(command.action.get("instanceId") or f"{instance.execution_id}:{number}")

    def _schedule(self, instance: Instance, number: int, command: Command, now: datetime, effects: Effects) -> Event:
        """Put a command into the tables; the event that records it."""
        store, action = self._store, command.action
        instance_id, execution_id = instance.instance_id, instance.execution_id
        if command.kind == "task":
            text = json.dumps(action["httpRequest"]) if "httpRequest" in action else action["input"]
            effects.activities.append(store.add_activity(instance_id, execution_id, number, command.name, text))
            return event(history.TASK_SCHEDULED, now, number, Name=command.name, Version="", Input=None)
        if command.kind == "timer":
            assert command.fire_at is not None
            fire_at = format_instant(command.fire_at)
            if not command.cancelled:
                timer = TimerItem(instance_id, number, execution_id, fire_at)
                store.add_timer(timer)
                effects.timers.append(timer)
            return event(history.TIMER_CREATED, now, number, FireAt=fire_at)
        if command.kind == "sub":
            child_id = self._child_id(instance, number, command)
            self._start_child(instance, number, command, child_id, now, effects)
            return event(
                history.SUB_ORCHESTRATION_CREATED, now, number, Name=command.name, Version="", InstanceId=child_id, Input=None
            )
        request = entity_request(action["operation"], action["input"], instance, now, signal=command.kind == "signal")
        store.add_entity_request(action["instanceId"], request)
        effects.entities.append(action["instanceId"])
        return event(history.EVENT_SENT, now, number, InstanceId=action["instanceId"], Name="op", Input=json.dumps(request))

    def _start_child(self, parent: Instance, number: int, command: Command, child_id: str, now: datetime, effects: Effects) -> None:
        existing = self._store.instance(child_id)
        if existing is not None and existing.status not in FINISHED:
            self._logger.warning(
                "sub-orchestration '%s' of '%s' is running already: the second start is dropped, the parent may wait for ever",
                child_id,
                parent.instance_id,
            )
            return
        instant = format_instant(now)
        child = Instance(
            instance_id=child_id,
            execution_id=new_execution_id(),
            name=command.name,
            version=command.action.get("version") or "",
            input=json.dumps(command.action["input"]),
            status="Pending",
            created_at=instant,
            updated_at=instant,
            parent_id=parent.instance_id,
            parent_execution=parent.execution_id,
            parent_name=parent.name,
            parent_task=number,
        )
        self.create(child)
        effects.instances.append(child_id)

    def _drop_cancelled_timers(self, instance: Instance, walker: Walker) -> None:
        dropped = {
            number
            for number in walker.cancelled_timers
            if self._store.delete_timer(instance.instance_id, instance.execution_id, number)
        }
        if dropped:
            self._engine.drop_timers(instance.instance_id, dropped)

    def _conclude(
        self, instance: Instance, loaded: LoadedHistory, walker: Walker, state: State, now: datetime, effects: Effects
    ) -> None:
        if not (state.done or state.error) or not walker.idle:
            self._append(instance.instance_id, loaded, [event(history.ORCHESTRATOR_COMPLETED, now)])
            self._store.save_instance(instance)
        elif state.error:
            self._fail(instance, loaded, state.error, now, effects)
        elif walker.continued:
            self._continue_as_new(instance, walker.continued_input, now, effects)
        else:
            self._finish(instance, loaded, "Completed", state.output, now)
            if instance.parent_id is not None:
                done = event(history.SUB_ORCHESTRATION_COMPLETED, now, TaskScheduledId=instance.parent_task, Result=state.output)
                self._answer_parent(instance, done, effects)
            self._tell("completed", instance)

    def _tell(self, what: str, instance: Instance) -> None:
        """A step in the life of an orchestration, as the extension tells it: under the category of the function's own lines."""
        told = of_function(instance.name, lifecycle=True)
        self._logger.info("orchestration %s '%s' %s", instance.name, instance.instance_id, what, extra=told)

    def _continue_as_new(self, instance: Instance, text: str | None, now: datetime, effects: Effects) -> None:
        self._store.erase_work(instance.instance_id, keep_events=True)
        self.forget(instance.instance_id)
        renewed = replace(
            instance, execution_id=new_execution_id(), input=json.dumps(text), created_at=format_instant(now), waiting={}
        )
        self._store.save_instance(renewed)
        self._store.post(renewed.instance_id, renewed.execution_id, started_event(renewed, now))
        effects.instances.append(renewed.instance_id)
        self._tell("continues as new", instance)

    def _fail(self, instance: Instance, loaded: LoadedHistory, error: str, now: datetime, effects: Effects) -> None:
        text = f"Orchestrator function '{instance.name}' failed: {error}"
        self._finish(instance, loaded, "Failed", json.dumps(text), now)
        if instance.parent_id is not None:
            failed = event(
                history.SUB_ORCHESTRATION_FAILED,
                now,
                TaskScheduledId=instance.parent_task,
                Reason=text,
                Details=f"Message: {error}, StackTrace: ",
                FailureDetails=None,
            )
            self._answer_parent(instance, failed, effects)
        # The details of a failed activity, which follow its first line, are in the log already.
        self._logger.error("orchestration %s '%s' failed: %s", instance.name, instance.instance_id, error.split(" \n ")[0])

    def _terminate(self, instance: Instance, loaded: LoadedHistory, request: Event, now: datetime, effects: Effects) -> None:
        self._append(instance.instance_id, loaded, [event(history.ORCHESTRATOR_STARTED, now), request])
        reason = request["Input"]
        self._finish(instance, loaded, "Terminated", json.dumps(reason), now)
        if instance.parent_id is not None:
            ended = event(
                history.SUB_ORCHESTRATION_FAILED,
                now,
                TaskScheduledId=instance.parent_task,
                Reason=reason,
                Details=None,
                FailureDetails=None,
            )
            self._answer_parent(instance, ended, effects)
        self._logger.warning("orchestration %s '%s' terminated: %s", instance.name, instance.instance_id, reason)

    def _finish(self, instance: Instance, loaded: LoadedHistory, status: str, output: str | None, now: datetime) -> None:
        completed = event(
            history.EXECUTION_COMPLETED, now, OrchestrationStatus=STATUS_NUMBERS[status], Result=output, FailureDetails=None
        )
        self._append(instance.instance_id, loaded, [completed, event(history.ORCHESTRATOR_COMPLETED, now)])
        self._store.delete_pending(instance.instance_id)
        self._store.save_instance(replace(instance, status=status, output=output, updated_at=format_instant(now), waiting={}))

    def _answer_parent(self, instance: Instance, answer: Event, effects: Effects) -> None:
        assert instance.parent_id is not None
        self._store.post(instance.parent_id, instance.parent_execution, answer)
        effects.instances.append(instance.parent_id)

    def _append(self, instance_id: str, loaded: LoadedHistory, events: list[Event]) -> None:
        before = len(loaded.events)
        for item in events:
            loaded.append(item)
        self._store.append_history(instance_id, before, loaded.texts[before:])
