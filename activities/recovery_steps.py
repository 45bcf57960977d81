"""The steps of a relay's recovery and of its resync."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from orchestrators.instances import start_tellings
from orchestrators.lives import doubt, verify_first
from orchestrators.recoveries import ensure_recovery, wake_relays_of
from orchestrators.resyncs import start_resync
from rowpost.app import App
from rowpost.log_lines import in_thread
from rowpost.operations.resync import resync_step
from rowpost.recovery.current import goes_on, looks_again, wait_for_next
from rowpost.recovery.redeliver import redeliver, rows_at_most
from rowpost.recovery.survey import seconds_to_next_look, survey
from rowpost.relay.batch import Outcome
from rowpost.relay.rows_line import tell_rows
from rowpost.telemetry.journal import Doer, Journal

_log = logging.getLogger("rowpost.recovery")
_PAUSE_SECONDS = 60  # at least, after a redelivery in which nothing succeeded; less if the first round comes sooner


def blueprint(app: App) -> df.Blueprint:
    """The steps of a recovery take ``{"relay": name, "number": its own}``, those of a resync also ``resync`` and ``start``."""
    functions = df.Blueprint()

    @functions.function_name("survey_relay")
    @functions.activity_trigger(input_name="request")
    def survey_relay(request: dict, context: func.Context) -> dict:  # type: ignore[type-arg]  # the worker takes no dict[…]
        relay, number = request["relay"], request.get("number", 0)
        if not goes_on(app, relay, number):
            return {"replaced": True}
        begin = partial(app.telemetry.journal, relay, Doer.RECOVERY, context.trace_context.trace_parent)
        found = _survey(app, relay, begin)
        if not wait_for_next(app, relay, number, found):
            return found
        found = _survey(app, relay, begin)  # rows may have come before it said that it ends; who comes later starts another one
        return found | {"ends": wait_for_next(app, relay, number, found)}

    @functions.function_name("redeliver_relay")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def redeliver_relay(request: dict, client: str, context: func.Context) -> dict:  # type: ignore[type-arg]
        if not await in_thread(goes_on, app, request["relay"], request.get("number", 0)):
            return {"pause_seconds": 0, "more": False}  # the next survey ends it
        await verify_first(client, app)
        with app.telemetry.journal(request["relay"], Doer.RECOVERY, context.trace_context.trace_parent) as journal:
            outcome = await in_thread(redeliver, app, request["relay"], journal)
            if outcome.rows:
                tell_rows(journal, outcome)
        if outcome.doubted:
            await doubt(client, app)
        if outcome.closed:
            await wake_relays_of(client, app, app.table(request["relay"]).relay.target)
        pause = 0
        if not outcome.settled:  # never in a hot loop: rows that were left out are due still
            next_look = await in_thread(seconds_to_next_look, app, request["relay"])
            pause = max(next_look, min(_PAUSE_SECONDS, app.config.retry.backoff.delay_seconds(1)))
            await in_thread(looks_again, app, request["relay"], request.get("number", 0), pause)
        # Rows that have failed now, or meanwhile, are planned by the survey: thousands of others do not come first.
        full = outcome.rows >= rows_at_most(app.config.target(app.table(request["relay"]).relay.target))
        more = outcome.settled > 0 and full and not outcome.failed and not outcome.slow
        return {"pause_seconds": pause, "more": more}

    @functions.function_name("resync_step")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def make_step(request: dict, client: str, context: func.Context) -> dict:  # type: ignore[type-arg]
        name = request["relay"]
        with app.telemetry.journal(name, Doer.RECOVERY, context.trace_context.trace_parent) as journal:
            step = await in_thread(resync_step, app, name, request["resync"], request["start"], journal)
        relay = app.config.relay(name)
        if relay is not None:
            if step.queued:
                await ensure_recovery(client, app, relay)
            if step.told:
                await _tell(client, app, name)
            if step.over:
                await start_resync(client, app, relay)  # the one that waits for the end of this one
        return {"over": step.over, "pause_seconds": step.pause_seconds}

    return functions


def _survey(app: App, relay: str, begin: Callable[[], Journal]) -> dict[str, Any]:
    found = survey(app, relay)
    if found["expired"]:
        with begin() as journal:
            tell_rows(journal, Outcome(expired=found["expired"]))
    return found


async def _tell(client: Any, app: App, relay: str) -> None:
    try:
        await start_tellings(client, app, relay)
    except Exception:  # what is to be told is written down, and the watchdog comes by
        _log.exception("%s: nobody could be started to tell people of a resync", relay)
