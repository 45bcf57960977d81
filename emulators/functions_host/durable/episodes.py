"""One episode of an orchestration: replay it with the SDK, number its actions, and work out what the next transaction holds."""

from __future__ import annotations

import json
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from emulators.functions_host.durable import history
from emulators.functions_host.durable.history import Event, event, format_instant, parse_instant
from emulators.functions_host.durable.store import Instance, Message, Store
from emulators.functions_host.durable.walker import Action, Walker

_STATE_LABEL = "\n\n$OutOfProcData$:"
_MAX_CUSTOM_STATUS_BYTES = 16 * 1024
_CONTROL = frozenset({history.EXECUTION_TERMINATED, history.EXECUTION_SUSPENDED, history.EXECUTION_RESUMED})


class LoadedHistory:
    """The history of one generation, as texts for the SDK and as events for the walk."""

    def __init__(self, execution_id: str, texts: Iterable[str]) -> None:
        self.execution_id = execution_id
        self.texts: list[str] = []
        self.events: list[Event] = []
        self.pending: set[int] = set()  # ids of activities, sub-orchestrations and timers without a completion
        self.entity_calls: set[str] = set()  # request ids of entity calls without an answer
        self._last_started: str | None = None
        self.overtaken = False  # as the walker said at the end of the last episode
        for text in texts:
            self._add(json.loads(text), text)

    def _add(self, item: Event, text: str) -> None:
        self.texts.append(text)
        self.events.append(item)
        kind = item["EventType"]
        if kind in (history.TASK_SCHEDULED, history.SUB_ORCHESTRATION_CREATED, history.TIMER_CREATED):
            self.pending.add(item["EventId"])
        elif kind in history.COMPLETIONS:
            self.pending.discard(item["TaskScheduledId"])
        elif kind == history.TIMER_FIRED:
            self.pending.discard(item["TimerId"])
        elif kind == history.EVENT_SENT:
            request = json.loads(item["Input"])
            if not request.get("signal"):
                self.entity_calls.add(request["id"])
        elif kind == history.EVENT_RAISED:
            self.entity_calls.discard(item["Name"])
        elif kind == history.ORCHESTRATOR_STARTED:
            self._last_started = item["Timestamp"]

    @property
    def last_instant(self) -> datetime | None:
        """The time of the last episode, None before the first."""
        return parse_instant(self._last_started) if self._last_started else None

    def append(self, item: Event) -> None:
        """Add an event at the end."""
        self._add(item, json.dumps(item))


class HistoryCache:
    """The histories of the instances that ran last, so that an episode need not read and parse them again."""

    def __init__(self, store: Store, size: int = 500) -> None:
        self._store, self._size = store, size
        self._loaded: OrderedDict[str, LoadedHistory] = OrderedDict()

    def load(self, instance: Instance) -> LoadedHistory:
        """The history of the instance's present generation."""
        loaded = self._loaded.pop(instance.instance_id, None)
        if loaded is None or loaded.execution_id != instance.execution_id:
            loaded = LoadedHistory(instance.execution_id, self._store.history(instance.instance_id))
        self._loaded[instance.instance_id] = loaded
        if len(self._loaded) > self._size:
            self._loaded.popitem(last=False)
        return loaded

    def forget(self, instance_id: str) -> None:
        """Drop a history: it has ended, changed otherwise, or an episode was given up."""
        self._loaded.pop(instance_id, None)


@dataclass
class Delivery:
    """What an episode takes from the inbox.

    Attributes:
        events: events for the orchestrator, the start first.
        control: suspend and resume events.
        terminated: the terminate event, if there is one; nothing else counts then.
        suspended: whether the instance is suspended after the control events.
        consumed: ids of all messages that this episode removes, also those that are obsolete.
    """

    events: list[Event] = field(default_factory=list)
    control: list[Event] = field(default_factory=list)
    terminated: Event | None = None
    suspended: bool = False
    consumed: list[int] = field(default_factory=list)


def select_messages(instance: Instance, loaded: LoadedHistory, messages: list[Message]) -> Delivery:
    """Choose the messages that can be delivered now.

    External events wait in the inbox until the orchestrator awaits them: the SDK would lose those that come before.
    """
    delivery = Delivery(suspended=instance.status == "Suspended")
    for message in messages:
        if message.event["EventType"] in _CONTROL:
            _take_control(delivery, message)
    if delivery.terminated is not None or delivery.suspended:
        return delivery
    awaited = Counter(instance.waiting)
    pending, entity_calls = set(loaded.pending), set(loaded.entity_calls)
    for message in messages:
        item = message.event
        kind = item["EventType"]
        if kind in _CONTROL:
            continue
        if message.execution_id not in (None, instance.execution_id):
            delivery.consumed.append(message.id)
            continue
        if kind == history.EVENT_RAISED and item["Name"] not in entity_calls:
            if awaited[item["Name"]] == 0:
                continue
            awaited[item["Name"]] -= 1
            delivery.events.append(item)
        elif kind == history.EVENT_RAISED:
            entity_calls.discard(item["Name"])
            delivery.events.append(item)
        elif kind == history.EXECUTION_STARTED:
            delivery.events.insert(0, item)
        elif kind == history.GENERIC_EVENT:
            delivery.events.append(item)
        else:
            number = item["TimerId"] if kind == history.TIMER_FIRED else item["TaskScheduledId"]
            if number in pending:  # otherwise a duplicate, or the late timer of a task that is decided
                pending.discard(number)
                delivery.events.append(item)
        delivery.consumed.append(message.id)
    return delivery


def _take_control(delivery: Delivery, message: Message) -> None:
    kind = message.event["EventType"]
    delivery.consumed.append(message.id)
    if kind == history.EXECUTION_TERMINATED:
        delivery.terminated = delivery.terminated or message.event
    elif delivery.suspended != (kind == history.EXECUTION_SUSPENDED):
        delivery.suspended = kind == history.EXECUTION_SUSPENDED
        delivery.control.append(message.event)


def episode_instant(now: datetime, loaded: LoadedHistory) -> datetime:
    """The time the orchestrator sees: never back. A timer may have fired early."""
    return max(now, loaded.last_instant) if loaded.last_instant else now


def context_text(instance: Instance, loaded: LoadedHistory) -> str:
    """The JSON that the orchestrator function receives."""
    head = '{"history":[' + ",".join(loaded.texts) + '],"input":' + (instance.input or "null")
    rest = {
        "instanceId": instance.instance_id,
        "isReplaying": False,
        "parentInstanceId": instance.parent_id,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 2,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
    }
    return head + "," + json.dumps(rest)[1:]


@dataclass(frozen=True)
class State:
    """What the SDK said at the end of a replay."""

    actions: list[Action]
    done: bool
    output: str | None
    error: str | None
    custom_status: str | None


class EpisodeFailed(Exception):
    """The orchestrator fails at once; the text is the error."""


def read_state(returned: str | None, error: str | None) -> State:
    """Parse what the orchestrator function returned, or the state inside the text of the error that it raised.

    Raises:
        EpisodeFailed: the error carries no state, or the state breaks a limit.
    """
    if error is not None:
        if _STATE_LABEL not in error:
            raise EpisodeFailed(f" {error}")  # the label of the host's message leaves a blank
        returned = error.partition(_STATE_LABEL)[2]
    try:
        state = json.loads(returned or "")
    except ValueError as problem:  # the message of the error has the label too
        raise EpisodeFailed(f"the state of the orchestrator cannot be read: {problem}") from None
    if state.get("schemaVersion") != 2:
        raise EpisodeFailed(f"the SDK answered with schema version {state.get('schemaVersion')}: this host needs 2")
    custom = state.get("customStatus")
    custom_text = None if custom is None else json.dumps(custom)
    if custom_text is not None and len(custom_text.encode("utf-16-le")) > _MAX_CUSTOM_STATUS_BYTES:
        raise EpisodeFailed("The size of the JSON-serialized custom status must not exceed 16 KB of UTF-16 text.")
    output = json.dumps(state["output"]) if "output" in state else None
    actions = state["actions"][0] if state["actions"] else []
    return State(actions, bool(state["isDone"]), output, state.get("error"), custom_text)


def waiting_counts(walker: Walker) -> dict[str, int]:
    """How many external events of each name are awaited."""
    return {name: len(nodes) for name, nodes in walker.waiters.items() if nodes}


def entity_request(operation: str, text: str | None, instance: Instance, now: datetime, *, signal: bool) -> dict[str, Any]:
    """The message that carries an operation to an entity; ``text`` is the action's input (JSON text)."""
    request: dict[str, Any] = {
        "op": operation,
        "input": json.dumps(text),
        "id": str(uuid.uuid4()),
        "parent": instance.instance_id,
        "parentExecution": instance.execution_id,
        "Timestamp": format_instant(now),
    }
    return {**request, "signal": True} if signal else request


def started_event(instance: Instance, now: datetime) -> Event:
    """The first event of a generation."""
    parent = None
    if instance.parent_id is not None:
        parent = {
            "Name": instance.parent_name,
            "TaskScheduleId": instance.parent_task,
            "OrchestrationInstance": {"InstanceId": instance.parent_id, "ExecutionId": instance.parent_execution},
        }
    return event(
        history.EXECUTION_STARTED,
        now,
        Name=instance.name,
        Version=instance.version,
        Input=instance.input,
        Tags=None,
        OrchestrationInstance={"InstanceId": instance.instance_id, "ExecutionId": instance.execution_id},
        ParentInstance=parent,
    )
