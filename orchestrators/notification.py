"""Telling one recipient of one notice. Each recipient has an orchestration of its own: none depends on another.

One generation is one try. What was told is written to the database, where the watchdog finds who was not told.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

_TRIES = 96  # with the longest pause: four days
_FIRST_PAUSE_SECONDS = 60
_MAX_PAUSE_SECONDS = 3600
_PAUSE_WITHOUT_DATABASE_SECONDS = 60


def tell(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """The orchestration; its input is what :func:`orchestrators.instances.start_tellings` gives.

    A generation of 0 is that of a notice that could not be written to the database: then nothing is asked of it.
    """
    given: dict[str, Any] = context.get_input() or {}
    due = context.current_utc_datetime + timedelta(seconds=given["wait"])
    while context.current_utc_datetime < due:  # a durable timer may fire up to a second early
        yield context.create_timer(due)
    told: dict[str, Any] = {"notice": given["notice"]["id"], "number": given["number"], "tries": given["tries"], "error": None}
    try:
        result = yield context.call_activity("send_notice", given)
    except Exception as error:  # the database could not be asked whether the recipient is still to be told
        context.set_custom_status({"state": "waiting", "error": type(error).__name__})
        context.continue_as_new({**given, "wait": _PAUSE_WITHOUT_DATABASE_SECONDS})
        return None
    if result["over"]:  # another one was started to tell
        return "over"
    if result.get("wait"):  # it is not the recipient's turn yet
        context.continue_as_new({**given, "wait": result["wait"]})
        return None
    told["tries"] += 1
    told["error"] = result["error"]
    over = result["sent"] or result["final"] or told["tries"] >= _TRIES
    told["state"] = "sent" if result["sent"] else "failed" if over else "waiting"
    pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(told["tries"] - 1, 6), _MAX_PAUSE_SECONDS)
    told["wait"] = 0 if over else max(pause, result["retry_after_seconds"] or 0)
    context.set_custom_status({"state": told["state"], "error": told["error"]})
    recorded = not given["generation"]
    while not recorded:
        try:
            yield context.call_activity("record_told", told)
            recorded = True
        except Exception:  # what was told is known here, and is written down as soon as the database is back
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=_MAX_PAUSE_SECONDS / 12))
    if not over:
        context.continue_as_new({**given, "tries": told["tries"], "wait": told["wait"]})
        return None
    return told["state"]


def blueprint() -> df.Blueprint:
    """The orchestration ``notification``."""
    functions = df.Blueprint()
    functions.function_name("notification")(functions.orchestration_trigger(context_name="context")(tell))
    return functions
