"""The timers: the watchdog, and the clean-up of old orchestration history."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from orchestrators.instances import ensure_recovery, start_notification
from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import DatabaseError
from rowpost.notices.channels import recipients
from rowpost.operations.status import relay_status, state_line
from rowpost.watchdog.adopt import Need, database_now, inspect_table, move_watch_base
from rowpost.watchdog.retention import look_at_retention, record_coverage, retention_notices
from rowpost.watchdog.stalled_trigger import look_at_trigger, stall_notice, take_over

_log = logging.getLogger("rowpost.watchdog")
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def blueprint(app: App) -> df.Blueprint:
    """``watchdog`` and ``clean_history``."""
    functions = df.Blueprint()
    config = app.config.watchdog
    warned: set[str] = set()

    # At start as well: a table that cannot be relayed is told at once, and a crash is mended before the first schedule.
    @functions.function_name("watchdog")
    @functions.timer_trigger(arg_name="timer", schedule=config.schedule, run_on_startup=True)
    @functions.durable_client_input(client_name="client")
    async def watchdog(timer: func.TimerRequest, client: str) -> None:
        for relay in app.config.relays:
            try:
                for warning in (await asyncio.to_thread(app.table, relay.name)).warnings:
                    if warning not in warned:  # once per process
                        _log.warning("%s: %s", relay.name, warning)
                        warned.add(warning)
                await _check_trigger(app, client, relay)
                need = await asyncio.to_thread(inspect_table, app, relay.name)
                if need is not Need.NOTHING:
                    await ensure_recovery(client, relay, wake=need is Need.LOOK)
                await asyncio.to_thread(move_watch_base, app, relay.name)
                await _check_retention(app, client, relay)
                _log.info("%s", state_line(await asyncio.to_thread(relay_status, app, relay.name)))
            except ConfigError as error:  # told as one sentence, and the other tables go on
                _log.error("%s", error)
            except DatabaseError as error:
                _log.error("%s: %s; the next run tries again", relay.name, error)

    @functions.function_name("clean_history")
    @functions.timer_trigger(arg_name="timer", schedule=config.history_schedule)
    @functions.durable_client_input(client_name="client")
    async def clean_history(timer: func.TimerRequest, client: str) -> None:
        now = datetime.fromisoformat(await asyncio.to_thread(database_now, app)).replace(tzinfo=UTC)
        finished = [
            df.OrchestrationRuntimeStatus.Completed,
            df.OrchestrationRuntimeStatus.Failed,
            df.OrchestrationRuntimeStatus.Terminated,
        ]
        result = await client.purge_instance_history_by(  # type: ignore[attr-defined]
            _LONG_AGO, now - timedelta(seconds=config.history.seconds), finished
        )
        _log.info("history of %s finished orchestrations removed", result.instances_deleted)

    return functions


async def _check_trigger(app: App, client: Any, relay: RelayConfig) -> None:
    """Take over what a trigger that has ended does not hand out, and tell people: only a restart of the host mends it."""
    seen = await asyncio.to_thread(look_at_trigger, app, relay.name)
    if seen is not None:
        await start_notification(client, stall_notice(relay, seen), recipients(app.config.notifications))
        await asyncio.to_thread(take_over, app, relay.name, seen)


async def _check_retention(app: App, client: Any, relay: RelayConfig) -> None:
    """Tell of changes that the change retention has taken, or soon will; first told, then recorded, so that none goes untold."""
    coverage = await asyncio.to_thread(look_at_retention, app, relay.name)
    if coverage is None:
        return
    told = False
    for notice in retention_notices(relay, coverage):
        started = await start_notification(client, notice, recipients(app.config.notifications))
        told |= started and notice["kind"] == "gap"
    await asyncio.to_thread(record_coverage, app, relay.name, coverage, told=told)
