"""Resync of one relay: step after step, no faster than recovery delivers its rows. How far it has come is in the database."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

_STEPS = 20  # of one generation: history stays short
_PAUSE_AFTER_FAILURE_SECONDS = 10


def blueprint() -> df.Blueprint:
    """The orchestration ``resync``; its input is ``{"relay": name, "resync": id, "start": number}``, and stays so."""
    functions = df.Blueprint()

    @functions.function_name("resync")
    @functions.orchestration_trigger(context_name="context")
    def resync(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        given: dict[str, Any] = dict(context.get_input() or {})
        for _ in range(_STEPS):
            try:
                step = yield context.call_activity("resync_step", given)
                if step["over"]:
                    return None
                pause = step["pause_seconds"]
            except Exception as error:  # it goes on a little later, from where the database says that it is
                context.set_custom_status({"relay": given["relay"], "error": type(error).__name__})
                pause = _PAUSE_AFTER_FAILURE_SECONDS
            if pause:
                yield context.create_timer(context.current_utc_datetime + timedelta(seconds=pause))
        context.continue_as_new(given)
        return None

    return functions
