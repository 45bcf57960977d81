"""Recovery of one relay: it surveys, tells, redelivers, and sleeps until a row is due.

One generation is one look: it waits for the wake-up event at most once and then continues as new, so history stays short.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

from orchestrators.instances import WAKE

_PAUSE_AFTER_FAILURE_SECONDS = 60  # the database is away: the rows are held, so nothing is in a hurry
_REDELIVERIES = 20  # of one generation, each of many rows: history stays short, and the notices up to date


def blueprint() -> df.Blueprint:
    """The orchestration ``recovery``; its input is ``{"relay": name}``, and what it carries from generation to generation."""
    functions = df.Blueprint()

    @functions.function_name("recovery")
    @functions.orchestration_trigger(context_name="context")
    def recovery(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
        state: dict[str, Any] = dict(context.get_input() or {})
        relay = state["relay"]
        # An incident begins with its first generation; its notices carry this id, so that each goes out once.
        incident = state.setdefault("incident", str(context.new_uuid()))
        try:
            survey = yield context.call_activity("survey_relay", {"relay": relay})
            context.set_custom_status({"relay": relay, "round": survey["round"], "live": survey["live"], "incident": incident})
            if survey["alarm"] and not state.get("alarmed"):
                yield context.call_activity("start_notice", _notice("alarm", incident, survey, relay, survey["live"]))
                state["alarmed"] = True
            pause = survey["next_seconds"]
            if survey["unnoticed_dead"] and not survey["digest_seconds"] and "untold" not in state:
                number = f"{incident}-{state.get('told', 0) + 1}"
                state["untold"] = _notice("dead_letter", number, survey, relay, survey["unnoticed_dead"])
            if "untold" in state:  # the very same notice until it is started and recorded, or some row would be told of twice
                yield context.call_activity("start_notice", state["untold"])
                del state["untold"]
                state["told"] = state.get("told", 0) + 1
                survey["unnoticed_dead"] = 0
            about_to_tell = survey["unnoticed_dead"] and survey["digest_seconds"] <= _PAUSE_AFTER_FAILURE_SECONDS
            if not survey["live"] and not about_to_tell:
                if state.get("alarmed") and survey["as_of"]:  # a relay that is no longer configured has not recovered
                    yield context.call_activity("start_notice", _notice("recovered", incident, survey, relay, 0))
                if not survey["unnoticed_dead"]:
                    return {"relay": relay, "incident": incident, "dead": survey["dead"]}
                state.pop("alarmed", None)  # dead letters wait for their digest, and what fails meanwhile is another incident
                state.pop("incident")
            for _ in range(_REDELIVERIES if survey["due"] else 0):
                outcome = yield context.call_activity("redeliver_relay", {"relay": relay})
                pause = outcome["pause_seconds"]
                if not outcome["more"]:
                    break
        except Exception as error:  # recovery never fails: it looks again a little later
            context.set_custom_status({"relay": relay, "incident": incident, "error": type(error).__name__})
            pause = _PAUSE_AFTER_FAILURE_SECONDS
        if pause:
            timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=pause))
            woken = context.wait_for_external_event(WAKE)
            winner = yield context.task_any([timer, woken])
            if winner is woken:
                timer.cancel()  # an open timer would keep this generation alive until it fires
        context.continue_as_new(state)
        return None

    return functions


def _notice(kind: str, number: str, survey: dict[str, Any], relay: str, rows: int) -> dict[str, Any]:
    return {
        "id": f"notice-{kind}-{number}",
        "kind": kind,
        "relay": relay,
        "rows": rows,
        "round": survey["round"],
        "since": survey["oldest_failure"],
        "at": survey["as_of"],
        "last_error": survey["last_error"],
    }
