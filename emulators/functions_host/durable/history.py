"""History events: their numbers, their JSON, and their shape in the management API."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]

EXECUTION_STARTED = 0
EXECUTION_COMPLETED = 1
EXECUTION_TERMINATED = 3
TASK_SCHEDULED = 4
TASK_COMPLETED = 5
TASK_FAILED = 6
SUB_ORCHESTRATION_CREATED = 7
SUB_ORCHESTRATION_COMPLETED = 8
SUB_ORCHESTRATION_FAILED = 9
TIMER_CREATED = 10
TIMER_FIRED = 11
ORCHESTRATOR_STARTED = 12
ORCHESTRATOR_COMPLETED = 13
EVENT_SENT = 14
EVENT_RAISED = 15
CONTINUE_AS_NEW = 16
GENERIC_EVENT = 17
EXECUTION_SUSPENDED = 19
EXECUTION_RESUMED = 20

SCHEDULES = frozenset({TASK_SCHEDULED, SUB_ORCHESTRATION_CREATED, TIMER_CREATED, EVENT_SENT})
COMPLETIONS = frozenset({TASK_COMPLETED, TASK_FAILED, SUB_ORCHESTRATION_COMPLETED, SUB_ORCHESTRATION_FAILED})

_NAMES = {
    0: "ExecutionStarted",
    1: "ExecutionCompleted",
    3: "ExecutionTerminated",
    4: "TaskScheduled",
    5: "TaskCompleted",
    6: "TaskFailed",
    7: "SubOrchestrationInstanceCreated",
    8: "SubOrchestrationInstanceCompleted",
    9: "SubOrchestrationInstanceFailed",
    10: "TimerCreated",
    11: "TimerFired",
    14: "EventSent",
    15: "EventRaised",
    16: "ContinueAsNew",
    17: "GenericEvent",
    19: "ExecutionSuspended",
    20: "ExecutionResumed",
}
_STATUS_NAMES = ("Running", "Completed", "ContinuedAsNew", "Failed", "Canceled", "Terminated", "Pending", "Suspended")
STATUS_NUMBERS = {name: number for number, name in enumerate(_STATUS_NAMES)}
FINISHED = frozenset({"Completed", "Failed", "Canceled", "Terminated"})


def format_instant(instant: datetime) -> str:
    """ISO text with seven digits of a second and Z, as the extension writes it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def parse_instant(text: str) -> datetime:
    """The instant of an ISO text; without a zone it counts as UTC, digits past microseconds are cut.

    Raises:
        ValueError: no instant.
    """
    body = text.strip()
    if body.upper().endswith("Z"):
        body = body[:-1] + "+00:00"
    head, dot, tail = body.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        body = f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
    instant = datetime.fromisoformat(body)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def event(kind: int, instant: datetime | str, event_id: int = -1, **fields: Any) -> Event:
    """One history event. ``IsPlayed`` is always false: the SDK tells replays by the last OrchestratorStarted."""
    timestamp = instant if isinstance(instant, str) else format_instant(instant)
    return {"EventType": kind, "EventId": event_id, "IsPlayed": False, "Timestamp": timestamp, **fields}


def reshape(events: Iterable[Event], show_input: bool, show_output: bool) -> list[dict[str, Any]]:
    """The history as the status endpoint shows it: schedule events merged into their completions, plumbing removed."""
    scheduled: dict[int, Event] = {}
    shown: list[dict[str, Any]] = []
    for item in events:
        kind = item["EventType"]
        if kind in (ORCHESTRATOR_STARTED, ORCHESTRATOR_COMPLETED):
            continue
        if kind in (TASK_SCHEDULED, SUB_ORCHESTRATION_CREATED):
            scheduled[item["EventId"]] = item
            continue
        entry: dict[str, Any] = {"EventType": _NAMES[kind], "Timestamp": item["Timestamp"]}
        if kind in COMPLETIONS and (cause := scheduled.pop(item["TaskScheduledId"], None)):
            entry["ScheduledTime"] = cause["Timestamp"]
            entry["FunctionName"] = cause["Name"]
            if show_input:
                entry["Input"] = cause.get("Input")
        for key in ("Name", "Input", "Result", "Reason", "Details", "FireAt", "OrchestrationStatus", "InstanceId"):
            if key not in item or (key == "Result" and not show_output) or (key == "Input" and not show_input):
                continue
            value = item[key]
            if key == "OrchestrationStatus":
                value = _STATUS_NAMES[value]
            elif key in ("Result", "Input"):
                value = decode_json(value)
            entry["FunctionName" if key == "Name" and kind == EXECUTION_STARTED else key] = value
        shown.append(entry)
    pending = [
        {"EventType": _NAMES[item["EventType"]], "Timestamp": item["Timestamp"], "FunctionName": item["Name"]}
        for item in scheduled.values()
    ]
    return sorted(shown + pending, key=lambda entry: entry["Timestamp"]) if pending else shown


def event_name(kind: int) -> str:
    """The name of a kind of event, as the management API spells it."""
    return _NAMES.get(kind, f"event {kind}")


def decode_json(text: str | None) -> Any:
    """The value of a JSON text; a text that is none stands for itself."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
