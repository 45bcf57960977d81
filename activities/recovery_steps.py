"""The steps of a relay's recovery and of its resync."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import azure.durable_functions as df

from orchestrators.recoveries import ensure_recovery, wake_relays_of
from rowpost.app import App
from rowpost.operations.resync import resync_page
from rowpost.recovery.current import goes_on, looks_again, wait_for_next
from rowpost.recovery.redeliver import REDELIVER_AT_MOST, redeliver
from rowpost.recovery.survey import seconds_to_next_look, survey
from rowpost.relay.batch import Outcome
from rowpost.relay.rows_line import Doer, rows_line

_log = logging.getLogger("rowpost.recovery")
_PAUSE_SECONDS = 60  # at least, after a redelivery in which nothing succeeded; less if the first round comes sooner


def blueprint(app: App) -> df.Blueprint:
    """``survey_relay`` and ``redeliver_relay`` take ``{"relay": name, "number": of the recovery}``, ``resync_page`` takes
    ``{"relay": name}`` and what the page before said."""
    functions = df.Blueprint()

    @functions.function_name("survey_relay")
    @functions.activity_trigger(input_name="request")
    def survey_relay(request: dict) -> dict:  # type: ignore[type-arg]  # the worker refuses parametrised generics
        relay, number = request["relay"], request.get("number", 0)
        if not goes_on(app, relay, number):
            return {"replaced": True}
        found = _survey(app, relay)
        if not wait_for_next(app, relay, number, found):
            return found
        found = _survey(app, relay)  # rows may have come before it said that it ends; who comes later starts another one
        return found | {"ends": wait_for_next(app, relay, number, found)}

    @functions.function_name("redeliver_relay")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def redeliver_relay(request: dict, client: str) -> dict:  # type: ignore[type-arg]
        if not await asyncio.to_thread(goes_on, app, request["relay"], request.get("number", 0)):
            return {"pause_seconds": 0, "more": False}  # the next survey ends it
        outcome = await asyncio.to_thread(redeliver, app, request["relay"])
        if outcome.closed:
            await wake_relays_of(client, app, app.table(request["relay"]).relay.target)
        if outcome.rows:
            _log.info("%s", rows_line(request["relay"], Doer.RECOVERY, outcome))
        pause = 0
        if not outcome.settled:  # never in a hot loop: rows that were left out are due still
            next_look = await asyncio.to_thread(seconds_to_next_look, app, request["relay"])
            pause = max(next_look, min(_PAUSE_SECONDS, app.config.retry.backoff.delay_seconds(1)))
            await asyncio.to_thread(looks_again, app, request["relay"], request.get("number", 0), pause)
        return {"pause_seconds": pause, "more": outcome.settled > 0 and outcome.rows >= REDELIVER_AT_MOST}

    @functions.function_name("resync_page")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def take_page(request: dict, client: str) -> dict:  # type: ignore[type-arg]
        page = await asyncio.to_thread(resync_page, app, request["relay"], request["after"], request["since"])
        relay = app.config.relay(request["relay"])
        if page["rows"] and relay is not None:
            await ensure_recovery(client, app, relay)
        return page

    return functions


def _survey(app: App, relay: str) -> dict[str, Any]:
    found = survey(app, relay)
    if found["expired"]:
        _log.info("%s", rows_line(relay, Doer.RECOVERY, Outcome(expired=found["expired"])))
    return found
