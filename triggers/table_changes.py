"""The SQL trigger of one relay: relays the batch, and wakes recovery when rows have used up the built-in attempts."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import azure.durable_functions as df

from orchestrators.instances import ensure_recovery, wake_relays_of
from orchestrators.lives import doubt, verify_first
from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.relay.batch import relay_batch

_log = logging.getLogger("rowpost.table_changes")


def blueprint(app: App, relay: RelayConfig) -> df.Blueprint:
    """The trigger function of ``relay``. Its name is part of the trigger's identity: a new name starts from scratch."""
    functions = df.Blueprint()
    # One batch of a relay is under way at a time. Its own thread, so that slow batches leave the loop's threads to the HTTP API.
    batches = ThreadPoolExecutor(1, thread_name_prefix=f"rowpost-{relay.slug}")

    @functions.function_name(relay.function)
    @functions.sql_trigger(
        arg_name="changes",
        table_name=relay.table,
        connection_string_setting=app.config.database.connection,
        leases_table_name=relay.lease_table(app.site),
    )
    @functions.durable_client_input(client_name="client")
    async def relay_table(changes: str, client: str) -> None:
        await verify_first(client, app)
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(batches, relay_batch, app, relay.name, changes)
        _log.info(
            "%s: delivered %d, skipped %d, failed %d (exhausted %d), dead %d, recovered %d",
            *(relay.name, outcome.delivered, outcome.skipped, outcome.failed, outcome.exhausted, outcome.dead, outcome.recovered),
        )
        if outcome.doubted:
            try:
                await doubt(client, app)
            except Exception:  # of the durable client
                _log.exception(
                    "%s: what the database is could not be looked at; the next batch or the watchdog tries again", relay.name
                )
        if outcome.closed:
            await wake_relays_of(client, app.config, relay.target)
        if outcome.concerns_recovery:
            try:
                # Recovery looks when the circuit breaker is half-open. A look after each batch would cost more than the batch.
                await ensure_recovery(client, relay, start=outcome.needs_recovery, wake=not outcome.breaker_open)
            except Exception:  # nothing is lost: the rows are protected, and the watchdog comes by
                _log.exception("%s: recovery could not be started or woken; the watchdog will try again", relay.name)
        outcome.raise_if_incomplete(relay.name)

    return functions
