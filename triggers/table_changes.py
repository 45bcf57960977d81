"""The SQL trigger of one relay: relays the batch, and wakes recovery when rows have used up the built-in attempts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from orchestrators.lives import doubt, verify_first
from orchestrators.recoveries import ensure_recovery, wake_relays_of
from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.relay.batch import relay_batch
from rowpost.relay.rows_line import tell_rows
from rowpost.telemetry.journal import Doer

_log = logging.getLogger("rowpost.table_changes")


def blueprint(app: App, relay: RelayConfig) -> df.Blueprint:
    """The trigger function of ``relay``. Its name is part of the trigger's identity: a new name starts from scratch."""
    functions = df.Blueprint()
    # One batch of a relay is under way at a time. Its own thread, so that slow batches leave the loop's threads to the HTTP API.
    batches = ThreadPoolExecutor(1, thread_name_prefix=f"rowpost-{relay.slug}")

    @functions.function_name(relay.function)
    @functions.sql_trigger(
        arg_name="changes",
        table_name=relay.quoted_table,
        connection_string_setting=app.config.database.connection,
        leases_table_name=relay.lease_table(app.site),
    )
    @functions.durable_client_input(client_name="client")
    async def relay_table(changes: str, client: str, context: func.Context) -> None:
        await verify_first(client, app)
        loop = asyncio.get_running_loop()
        with app.telemetry.journal(relay.name, Doer.TRIGGER, context.trace_context.trace_parent) as journal:
            outcome = await loop.run_in_executor(batches, relay_batch, app, relay.name, changes, journal)
            tell_rows(journal, outcome)
        if outcome.doubted:
            await _look_anew(client, app, relay)
        # A batch never waits long for the storage: what is not done here in time is left to the watchdog.
        calls: list[Coroutine[Any, Any, Any]] = [wake_relays_of(client, app, relay.target)] if outcome.closed else []
        if outcome.concerns_recovery:
            # Recovery looks when the circuit breaker is half-open. A look after each batch would cost more than the batch.
            start, wake = outcome.needs_recovery, not outcome.breaker_open
            calls.append(ensure_recovery(client, app, relay, start=start, wake=wake))
        await asyncio.gather(*calls)
        outcome.raise_if_incomplete(relay.name)

    return functions


async def _look_anew(client: Any, app: App, relay: RelayConfig) -> None:
    try:
        await doubt(client, app)
    except Exception:  # of the durable client
        _log.exception("%s: what the database is could not be looked at; the next batch or the watchdog tries again", relay.name)
