"""The fan-out of one notice: one activity per recipient and channel, each with its own retries."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

_TRIES = 12
_FIRST_PAUSE_SECONDS = 60
_MAX_PAUSE_SECONDS = 3600


def blueprint() -> df.Blueprint:
    """The orchestration ``notification``; its input is ``{"notice": …, "recipients": […]}``."""
    functions = df.Blueprint()

    @functions.function_name("notification")
    @functions.orchestration_trigger(context_name="context")
    def notification(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        given: dict[str, Any] = context.get_input() or {}
        now = context.current_utc_datetime
        waiting: list[dict[str, Any]] = [{"recipient": recipient, "due": now, "tries": 0} for recipient in given["recipients"]]
        outcome: dict[str, str] = {}
        while waiting:
            # Whoever was throttled waits for as long as asked; the others do not wait for them, nor are they told again.
            moment = min(entry["due"] for entry in waiting)
            if moment > context.current_utc_datetime:
                yield context.create_timer(moment)
            due = [entry for entry in waiting if entry["due"] <= context.current_utc_datetime]
            calls = [
                context.call_activity("send_notice", {"notice": given["notice"], "recipient": entry["recipient"]}) for entry in due
            ]
            results = yield context.task_all(calls)
            for entry, result in zip(due, results, strict=True):
                address = f"{entry['recipient']['channel']}:{entry['recipient']['address']}"
                entry["tries"] += 1
                if result["sent"] or result["final"] or entry["tries"] >= _TRIES:
                    outcome[address] = "sent" if result["sent"] else f"failed: {result['error']}"
                    waiting.remove(entry)
                    continue
                outcome[address] = f"waiting: {result['error']}"
                pause = min(_FIRST_PAUSE_SECONDS * 2 ** (entry["tries"] - 1), _MAX_PAUSE_SECONDS)
                pause = max(pause, result["retry_after_seconds"] or 0)
                entry["due"] = context.current_utc_datetime + timedelta(seconds=pause)
            context.set_custom_status(outcome)
        return outcome

    return functions
