"""Recovery of one relay: it surveys, tells, redelivers, and sleeps until a row is due.

One generation is one look: it waits for the wake-up event at most once and then continues as new, so history stays short.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

from orchestrators.recoveries import WAKE

_PAUSE_AFTER_FAILURE_SECONDS = 60  # the database is away: the rows are held, so nothing is in a hurry
_REDELIVERIES = 20  # of one generation, each of many rows: history stays short, and the notices up to date


def blueprint() -> df.Blueprint:
    """The orchestration ``recovery``; its input is ``{"relay": name, "number": its own}``. All else is in the database."""
    functions = df.Blueprint()

    @functions.function_name("recovery")
    @functions.orchestration_trigger(context_name="context")
    def recovery(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        state: dict[str, Any] = dict(context.get_input() or {})
        relay = state["relay"]
        known = {"relay": relay, "number": state.get("number", 0)}  # before numbers there were instances without one
        try:
            survey = yield context.call_activity("survey_relay", known)
            if survey.get("replaced"):  # this one has slept for long; another one is the relay's recovery
                return {"relay": relay, "replaced": True}
            context.set_custom_status({"relay": relay, "round": survey["round"], "live": survey["live"]})
            pause = survey["next_seconds"]
            if survey["untold"]:
                try:
                    yield context.call_activity("start_notice", {"relay": relay})
                except Exception:  # the rows are not less in a hurry for that
                    pause = min(pause, _PAUSE_AFTER_FAILURE_SECONDS)
            if survey.get("ends"):
                return {"relay": relay, "dead": survey["dead"]}
            for _ in range(_REDELIVERIES if survey["due"] else 0):
                outcome = yield context.call_activity("redeliver_relay", known)
                pause = outcome["pause_seconds"]
                if not outcome["more"]:
                    break
        except Exception as error:  # recovery never fails: it looks again a little later
            context.set_custom_status({"relay": relay, "error": type(error).__name__})
            pause = _PAUSE_AFTER_FAILURE_SECONDS
        if pause:
            timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=pause))
            woken = context.wait_for_external_event(WAKE)
            winner = yield context.task_any([timer, woken])
            if winner is woken:
                timer.cancel()  # an open timer would keep this generation alive until it fires
        context.continue_as_new(known)
        return None

    return functions
