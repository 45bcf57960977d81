"""Derive the sequence ids of an orchestration's actions, which the SDK does not send, by walking its actions along its history.

The SDK numbers tasks with a counter of its own while it replays; results are matched by these numbers alone. The walk repeats that
numbering: it starts the actions in order, each as soon as the one before is done, and follows the retries that the host schedules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from emulators.functions_host.durable import history
from emulators.functions_host.durable.history import Event

Action = dict[str, Any]

CALL_ACTIVITY, CALL_ACTIVITY_RETRY, CALL_SUB, CALL_SUB_RETRY, CONTINUE_AS_NEW, CREATE_TIMER = range(6)
WAIT_EVENT, CALL_ENTITY, CALL_HTTP, SIGNAL_ENTITY = 6, 7, 8, 9
WHEN_ANY, WHEN_ALL = 11, 12
HTTP_ACTIVITY = "BuiltIn::HttpActivity"

_RECORDED = {history.TASK_SCHEDULED: "task", history.SUB_ORCHESTRATION_CREATED: "sub", history.TIMER_CREATED: "timer"}
_WORDS = {"task": "an activity task", "sub": "a sub-orchestration", "timer": "a timer", "entity": "an event to an entity"}


class NonDeterminismError(Exception):
    """The orchestrator no longer does what its history says it did, or its numbers cannot be followed any more."""


@dataclass
class Command:
    """Something to create in the world, under a sequence id.

    Attributes:
        kind: ``task``, ``sub``, ``timer``, ``call`` or ``signal``.
        action: the action of the SDK.
        fire_at: for timers, when.
        cancelled: for timers, that nobody waits for it any more.
    """

    kind: str
    action: Action
    fire_at: datetime | None = None
    cancelled: bool = False

    @property
    def name(self) -> str:
        """The function or entity it is for; empty for timers."""
        if self.action["actionType"] == CALL_HTTP:
            return HTTP_ACTIVITY
        return str(self.action.get("functionName") or self.action.get("instanceId") or "")


@dataclass
class _Node:
    action: Action
    parent: _Node | None
    children: list[_Node] = field(default_factory=list)
    done: bool = False
    failures: int = 0

    @property
    def kind(self) -> int:
        return int(self.action["actionType"])


class Walker:
    """One walk.

    Args:
        actions: the flat list of actions that the SDK returned (all since the start of the generation).
    """

    def __init__(self, actions: list[Action]) -> None:
        self._actions = actions
        self._next_action = 0
        self._current: _Node | None = None
        self._next_id = 0
        self._started = False
        self._now: str | None = None
        self._strict = False
        self._unclaimed: dict[str, int] = {}  # raised events nobody waited for
        self._last_attempts: set[int] = set()  # ids of the extra timers after a last failed attempt
        self.open: dict[int, _Node] = {}
        self.waiters: dict[str, list[_Node]] = {}
        self.entity_calls: dict[int | str, _Node] = {}
        self.commands: dict[int, Command] = {}
        self.cancelled_timers: set[int] = set()
        self.continued_input: str | None = None
        self.continued = False

    def walk(self, events: list[Event], strict_from: int | None = None) -> None:
        """Follow ``events``, the whole history of the generation up to now.

        Args:
            events: the history.
            strict_from: index of the first event of this episode if the SDK was :attr:`overtaken` at the end of the last one. A
                retry must not take a number from there on: the SDK has given it away already.

        Raises:
            NonDeterminismError: an event records something that the actions did not do, or the numbers part.
        """
        for position, item in enumerate(events):
            self._strict = strict_from is not None and position >= strict_from
            self._follow(item)

    @property
    def overtaken(self) -> bool:
        """Whether the orchestrator has gone on although, for the host, the task it awaited is not done.

        It happens after a task_all of which one task failed (the host waits for the others), and with a task_any over tasks that an
        earlier task_any or task_all has scheduled.
        """
        return self._next_action < len(self._actions)

    @property
    def idle(self) -> bool:
        """Whether every action was started, and what blocks the end is done."""
        current_done = self._current is None or self._current.done
        return self._next_action == len(self._actions) and current_done and not self.open

    def _take_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _start(self, action: Action, parent: _Node | None) -> _Node:
        node = _Node(action, parent)
        kind = node.kind
        if kind in (WHEN_ANY, WHEN_ALL):
            for child in action["compoundActions"]:
                node.children.append(self._start(child, node))
            done = [child.done for child in node.children]
            node.done = all(done) if kind == WHEN_ALL else any(done)
        elif kind in (CALL_ACTIVITY, CALL_ACTIVITY_RETRY, CALL_HTTP, CALL_SUB, CALL_SUB_RETRY):
            self._schedule(node)
        elif kind == CREATE_TIMER:
            number = self._take_id()
            node.done = bool(action["isCanceled"])
            self.commands[number] = Command("timer", action, history.parse_instant(action["fireAt"]), node.done)
            if node.done:
                self.cancelled_timers.add(number)
            else:
                self.open[number] = node
        elif kind == CALL_ENTITY:
            number = self._take_id()
            self.commands[number] = Command("call", action)
            self.entity_calls[number] = node
        elif kind == SIGNAL_ENTITY:
            self.commands[self._take_id()] = Command("signal", action)
            node.done = True
        elif kind == CONTINUE_AS_NEW:
            self.continued, self.continued_input = True, action["input"]
            node.done = True
        elif kind == WAIT_EVENT:
            name = action["externalEventName"]
            if self._unclaimed.get(name):
                self._unclaimed[name] -= 1
                node.done = True
            else:
                self.waiters.setdefault(name, []).append(node)
        else:
            raise NonDeterminismError(f"this host does not know orchestration actions of type {kind}")
        return node

    def _schedule(self, node: _Node) -> None:
        number = self._take_id()
        self.commands[number] = Command("sub" if node.kind in (CALL_SUB, CALL_SUB_RETRY) else "task", node.action)
        self.open[number] = node

    def _advance(self) -> None:
        while self._started and (self._current is None or self._current.done) and self._next_action < len(self._actions):
            action = self._actions[self._next_action]
            self._next_action += 1
            self._current = self._start(action, None)

    def _finish(self, node: _Node) -> None:
        node.done = True
        parent = node.parent
        while parent is not None and not parent.done:
            if parent.kind == WHEN_ALL and not all(child.done for child in parent.children):
                break
            parent.done = True
            parent = parent.parent

    def _fail(self, node: _Node) -> None:
        if node.kind not in (CALL_ACTIVITY_RETRY, CALL_SUB_RETRY):
            self._finish(node)
            return
        self._refuse_retry_if_overtaken(node)
        options = node.action["retryOptions"]
        node.failures += 1
        last = node.failures >= options["maxNumberOfAttempts"]
        pause = timedelta(milliseconds=0 if last else options["firstRetryIntervalInMilliseconds"])
        number = self._take_id()
        assert self._now is not None
        self.commands[number] = Command("timer", {"actionType": CREATE_TIMER}, history.parse_instant(self._now) + pause)
        self.open[number] = node
        if last:
            self._last_attempts.add(number)

    def _refuse_retry_if_overtaken(self, node: _Node) -> None:
        if self._strict:
            raise NonDeterminismError(
                f"a retry of {node.action['functionName']!r} goes on although the orchestrator has gone on already: after a failed "
                "task_all, or a task_any over tasks that were scheduled before. The real host would number tasks differently from "
                "the SDK and give results to the wrong tasks. Await the retries before anything else is scheduled."
            )

    def _fire(self, number: int) -> None:
        node = self.open.pop(number, None)
        if node is None:
            return
        if node.kind == CREATE_TIMER or number in self._last_attempts:
            self._finish(node)
        else:
            self._refuse_retry_if_overtaken(node)
            self._schedule(node)
        self._advance()

    def _record(self, item: Event) -> None:
        number = item["EventId"]
        recorded = _RECORDED.get(item["EventType"], "entity")
        name = str(item.get("Name") or "") if recorded in ("task", "sub") else str(item.get("InstanceId") or "")
        command = self.commands.pop(number, None)
        kind = None if command is None else "entity" if command.kind in ("call", "signal") else command.kind
        if command is None or kind != recorded or (recorded != "timer" and command.name.lower() != name.lower()):
            now = "has not scheduled it" if command is None else f"schedules {_WORDS[kind or '']} {command.name!r} there"
            raise NonDeterminismError(
                f"Non-Deterministic workflow detected: a previous execution of this orchestration scheduled {_WORDS[recorded]} "
                f"{name!r} with sequence ID {number}, but the current replay execution {now}. Was a change made to the "
                "orchestrator code after this instance had already started running?"
            )
        if command.kind == "call":
            self.entity_calls[json.loads(item["Input"])["id"]] = self.entity_calls.pop(number)

    def _follow(self, item: Event) -> None:
        kind = item["EventType"]
        if kind == history.ORCHESTRATOR_STARTED:
            self._now = item["Timestamp"]
        elif kind == history.EXECUTION_STARTED:
            self._started = True
            self._advance()
        elif kind in history.SCHEDULES:
            self._record(item)
        elif kind in history.COMPLETIONS:
            node = self.open.pop(item["TaskScheduledId"], None)
            if node is None:
                return
            if kind in (history.TASK_COMPLETED, history.SUB_ORCHESTRATION_COMPLETED):
                self._finish(node)
            else:
                self._fail(node)
            self._advance()
        elif kind == history.TIMER_FIRED:
            self._fire(item["TimerId"])
        elif kind == history.EVENT_RAISED:
            self._raised(item["Name"])
            self._advance()

    def _raised(self, name: str) -> None:
        if name in self.entity_calls:
            self._finish(self.entity_calls.pop(name))
        elif self.waiters.get(name):
            self._finish(self.waiters[name].pop())  # newest first, as in the SDK
        else:
            self._unclaimed[name] = self._unclaimed.get(name, 0) + 1
