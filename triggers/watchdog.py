"""The timers: the watchdog, and the clean-up of old orchestration history."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from orchestrators.choices import store_choice
from orchestrators.instances import start_tellings, tell, tell_without_database, was_told
from orchestrators.lives import look_at_database, see_to_epoch
from orchestrators.recoveries import ensure_recovery, replace_recovery, wake_relays_of
from orchestrators.resyncs import start_resync
from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import DatabaseError
from rowpost.database.notices import remove_incidents, remove_notices
from rowpost.log_lines import in_thread
from rowpost.operations.audit import remove_orders
from rowpost.operations.columns import unstored_choice
from rowpost.operations.gauges import note_state
from rowpost.operations.pauses import long_pause, pause_notice
from rowpost.operations.resync import (
    next_resync,
    order_initial_snapshot,
    order_resync,
    remove_resyncs,
    waiting_notice,
    why_it_waits,
)
from rowpost.operations.status import relay_status, state_line
from rowpost.recovery.redeliver import redeliver
from rowpost.recovery.survey import survey
from rowpost.relay.batch import Outcome
from rowpost.relay.rows_line import tell_rows
from rowpost.telemetry.journal import Doer, Journal
from rowpost.watchdog.adopt import Need, database_now, inspect_table, move_watch_base
from rowpost.watchdog.altered import Altered, altered_notice
from rowpost.watchdog.history import keep_sample
from rowpost.watchdog.retention import look_at_retention, record_coverage, retention_notices
from rowpost.watchdog.stalled_trigger import look_at_trigger, stall_notice, take_over
from rowpost.watchdog.unable import (
    Problem,
    check_relay,
    problem,
    take_altered,
    unable_notice,
    unconfigured,
    unconfigured_notice,
)

_log = logging.getLogger("rowpost.watchdog")
_REDELIVERIES = 20  # of one run, each of many rows: a run stays well below the time limit of a function
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def blueprint(app: App) -> df.Blueprint:
    """``watchdog`` and ``clean_history``."""
    functions = df.Blueprint()
    config = app.config.watchdog
    overdue: set[str] = set()  # relays whose rows were long due at the last look: a host that has just started has seen none
    failing: set[str] = set()  # relays whose database failed at the last look in a way that may be over in a moment
    waiting: set[str] = set()  # relays whose resync waited at the last look
    warned: set[str] = set()  # warnings that are in the log: each once per process

    # At start as well: a table that cannot be relayed is told at once, and a crash is mended before the first schedule.
    @functions.function_name("watchdog")
    @functions.timer_trigger(arg_name="timer", schedule=config.schedule, run_on_startup=True)
    @functions.durable_client_input(client_name="client")
    async def watchdog(timer: func.TimerRequest, client: str, context: func.Context) -> None:
        for warning in set(app.warnings) - warned:
            _log.warning("%s", warning)
        warned.update(app.warnings)
        await _look_at_database(app, client)
        away: Problem | None = None  # then one look is enough: it takes long, and all relays have the same database
        for relay in app.config.relays:
            found = away or await _check(app, client, relay)
            if found is not None and away is None and not found.reachable and await _is_away(app):
                away = found
            if found is not None:
                await _tell_whether_it_runs(app, client, relay, found, timer, failing, away=away is not None)
            if found is None or found.reachable:
                begin = partial(app.telemetry.journal, relay.name, Doer.WATCHDOG, context.trace_context.trace_parent)
                error = await _look_after(app, client, relay, overdue, warned, begin)
                if found is None:
                    failed = None if error is None else problem(error)
                    await _tell_whether_it_runs(app, client, relay, failed, timer, failing)
                    if relay.name not in failing:
                        await _tell_of_waiting_resync(app, client, relay, waiting)
        await _tell_what_is_left(app, client)

    @functions.function_name("clean_history")
    @functions.timer_trigger(arg_name="timer", schedule=config.history_schedule)
    @functions.durable_client_input(client_name="client")
    async def clean_history(timer: func.TimerRequest, client: str) -> None:
        now = datetime.fromisoformat(await in_thread(database_now, app)).replace(tzinfo=UTC)
        finished = [
            df.OrchestrationRuntimeStatus.Completed,
            df.OrchestrationRuntimeStatus.Failed,
            df.OrchestrationRuntimeStatus.Terminated,
        ]
        result = await client.purge_instance_history_by(  # type: ignore[attr-defined]
            _LONG_AGO, now - timedelta(seconds=config.history.seconds), finished
        )
        before = (now - timedelta(seconds=config.history.seconds)).replace(tzinfo=None).isoformat()
        await in_thread(remove_notices, app.database, app.site, before)
        await in_thread(remove_incidents, app.database, app.site, before)
        await in_thread(remove_resyncs, app, before)
        await in_thread(remove_orders, app, before)
        _log.info("history of %s finished orchestrations removed", result.instances_deleted)

    return functions


async def _look_at_database(app: App, client: Any) -> None:
    """Whether the change versions go on. Whatever fails of it: the relays are looked after, which tells more."""
    try:
        await look_at_database(client, app)
    except DatabaseError as error:
        _log.error("%s; the next run tries again", error)
    except Exception:  # of the durable client
        _log.exception("what the database is could not be looked at; the next run tries again")


async def _check(app: App, client: Any, relay: RelayConfig) -> Problem | None:
    """Why the relay cannot run, if it cannot. If its table has changed, first people are told, then it is taken as it is now."""
    found = await in_thread(check_relay, app, relay)
    if not isinstance(found, Altered):
        return found
    try:
        try:
            await tell(client, app, altered_notice(relay, found, await in_thread(database_now, app)))
        except DatabaseError:
            raise
        except Exception:  # of the durable client: it is written down, and the end of the run looks after it
            _log.exception("%s: people could not be told of changed columns yet", relay.name)
        await in_thread(take_altered, app, relay, found)
    except (ConfigError, DatabaseError) as error:
        return problem(error)
    return None


async def _tell_whether_it_runs(
    app: App,
    client: Any,
    relay: RelayConfig,
    found: Problem | None,
    timer: func.TimerRequest,
    failing: set[str],
    *,
    away: bool = False,
) -> None:
    """If the relay cannot run, or not all can be done for it, people are told, once a day."""
    if found is None:
        failing.discard(relay.name)
        return
    _log.error("%s: %s", relay.name, found.text)
    if found.lasts or relay.name in failing:
        try:
            await _tell_of_problem(app, client, relay, found, timer, away=away)
        except Exception:  # of the durable client: the other relays are looked after, and the next look tells
            _log.exception("%s: people could not be told that it cannot run", relay.name)
    failing.add(relay.name)


async def _is_away(app: App) -> bool:
    """Whether the database cannot be reached at all: else it is something about a table, such as a lock, that takes too long."""
    try:
        await in_thread(database_now, app)
        return False
    except DatabaseError as error:
        return error.number is None


async def _tell_of_problem(
    app: App, client: Any, relay: RelayConfig, found: Problem, timer: func.TimerRequest, *, away: bool
) -> None:
    if away:
        await tell_without_database(client, app, unable_notice(app.site, relay, found, _scheduled(timer)))
        return
    try:
        notice = unable_notice(app.site, relay, found, await in_thread(database_now, app))
        if not await was_told(client, app, notice):  # in the database, or without it
            await tell(client, app, notice)
    except DatabaseError:  # it cannot be asked or cannot write it down; and its clock may be out of reach
        await tell_without_database(client, app, unable_notice(app.site, relay, found, _scheduled(timer)))


async def _tell_of_waiting_resync(app: App, client: Any, relay: RelayConfig, waiting: set[str]) -> None:
    """Tell once a day of a resync that does not go on, though the relay can run: two looks must find it."""
    try:
        order = await in_thread(next_resync, app, relay.name)
        reason = order and why_it_waits(order, app.config.notifications.after_rounds)
        if order and reason and relay.name in waiting:
            await tell(client, app, waiting_notice(relay, order, reason, await in_thread(database_now, app)))
    except Exception:  # of the database or the durable client: the next look tells
        _log.exception("%s: people could not be told that a resync waits", relay.name)
        return
    if reason:
        waiting.add(relay.name)
    else:
        waiting.discard(relay.name)


def _scheduled(timer: func.TimerRequest) -> str:
    """The time of a look by the timer's own schedule, UTC: that of the next occurrence, which is minutes away. Empty if unknown."""
    text = str(timer.schedule_status.get("Next") or "")  # type: ignore[attr-defined]
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None).isoformat()
    except ValueError:
        return ""


async def _look_after(
    app: App, client: Any, relay: RelayConfig, overdue: set[str], warned: set[str], begin: Callable[[], Journal]
) -> ConfigError | DatabaseError | None:
    """All that is to be done for one relay. Whatever fails of it is logged, and is tried again at the next look.

    Returns:
        The first thing that failed for the sake of the relay or of the database.
    """
    first: ConfigError | DatabaseError | None = None
    steps = (
        partial(_warn, warned),
        _check_epoch,
        _check_trigger,
        partial(_look_after_recovery, overdue, begin),
        _check_retention,
        _start_resync,
        _tell_of_pause,
        _store_choice,
        _log_state,
    )
    for step in steps:
        try:
            await step(app, client, relay)
        except ConfigError as error:  # told as one sentence
            _log.error("%s", error)
            first = first or error
        except DatabaseError as error:
            _log.error("%s: %s; the next run tries again", relay.name, error)
            first = first or error
        except Exception:  # of the durable client
            _log.exception("%s: the watchdog could not do all of its work; the next run tries again", relay.name)
    return first


async def _do_the_work_of_recovery(begin: Callable[[], Journal], app: App, client: Any, relay: RelayConfig) -> None:
    """Plan and redeliver here. Whoever posts a row holds its lease: should a recovery do the same, the two are not in each other's
    way."""
    found = await in_thread(survey, app, relay.name)
    if found["expired"]:
        with begin() as journal:
            tell_rows(journal, Outcome(expired=found["expired"]))
    for _ in range(_REDELIVERIES):
        with begin() as journal:
            outcome = await in_thread(redeliver, app, relay.name, journal)
            if outcome.rows:
                tell_rows(journal, outcome)
        if outcome.closed:
            await wake_relays_of(client, app, relay.target)
        if not outcome.settled:
            break


async def _look_after_recovery(overdue: set[str], begin: Callable[[], Journal], app: App, client: Any, relay: RelayConfig) -> None:
    """Adopt what a crash has left, and see that recovery runs where it has something to do."""
    need = await in_thread(inspect_table, app, relay.name)
    stuck = need is Need.WORK
    if stuck and relay.name in overdue:
        _log.error("%s: recovery does not move; it is replaced, and its rows are redelivered by the watchdog", relay.name)
        await replace_recovery(client, app, relay)
        await _do_the_work_of_recovery(begin, app, client, relay)
    elif need is not Need.NOTHING:
        wake = stuck or need is Need.LOOK
        if not await ensure_recovery(client, app, relay, wake=wake) and wake:
            await _do_the_work_of_recovery(begin, app, client, relay)
    if stuck:
        overdue.add(relay.name)
    else:
        overdue.discard(relay.name)
    await in_thread(move_watch_base, app, relay.name)


async def _store_choice(app: App, client: Any, relay: RelayConfig) -> None:
    """Tell the durable entity of a choice of columns that it was not told yet."""
    choice = await in_thread(unstored_choice, app, relay.name)
    if choice is not None:
        await store_choice(client, app, relay, choice)


async def _warn(warned: set[str], app: App, client: Any, relay: RelayConfig) -> None:
    """Log what is not as it should be, though the table can be relayed."""
    for warning in (await in_thread(app.table, relay.name)).warnings:
        if warning not in warned:
            _log.warning("%s: %s", relay.name, warning)
            warned.add(warning)


async def _log_state(app: App, client: Any, relay: RelayConfig) -> None:
    """Tell the log the state of the relay, and keep it as a sample."""
    status = await in_thread(relay_status, app, relay.name)
    _log.info("%s", state_line(status))
    await in_thread(keep_sample, app, relay.name, status)
    if app.telemetry.signals is not None:
        note_state(app.telemetry, status, await in_thread(database_now, app))


async def _tell_what_is_left(app: App, client: Any) -> None:
    """Tell of relays that are not configured any more, and whom nobody tells any more."""
    try:
        for found in await in_thread(unconfigured, app):
            await tell(client, app, unconfigured_notice(found, await in_thread(database_now, app)))
        await start_tellings(client, app, look_after=True)
    except DatabaseError as error:
        _log.error("%s; the next run tries again", error)
    except Exception:  # of the durable client
        _log.exception("not everybody could be told; the next run tries again")


async def _check_epoch(app: App, client: Any, relay: RelayConfig) -> None:
    await see_to_epoch(client, app, relay)


async def _check_trigger(app: App, client: Any, relay: RelayConfig) -> None:
    """Take over what a trigger that has ended does not hand out, and tell people: only a restart of the host mends it."""
    seen = await in_thread(look_at_trigger, app, relay.name)
    if seen is not None:
        await tell(client, app, stall_notice(await in_thread(app.table, relay.name), seen))
        await in_thread(take_over, app, relay.name, seen)


async def _check_retention(app: App, client: Any, relay: RelayConfig) -> None:
    """Tell of changes that the change retention has taken, or soon will, and order a resync of what may be lost.

    First ordered and told, then recorded, so that none is left out.
    """
    coverage = await in_thread(look_at_retention, app, relay.name)
    if coverage is None:
        return
    if coverage.gap is not None and relay.on_gap == "resync":
        first, last = coverage.gap
        reason = f"changes {first} to {last} may be lost"
        await in_thread(partial(order_resync, app, relay.name, reason, gap=last))
    told = False
    for notice in retention_notices(relay, coverage):
        new = await tell(client, app, notice)
        told |= new and notice["kind"] == "gap"
    await in_thread(record_coverage, app, relay.name, coverage, told=told)


async def _tell_of_pause(app: App, client: Any, relay: RelayConfig) -> None:
    """Tell once a day of a relay that is paused for a day or longer: nobody may remember it."""
    found = await in_thread(long_pause, app, relay.name)
    if found is not None:
        await tell(client, app, pause_notice(relay, found))


async def _start_resync(app: App, client: Any, relay: RelayConfig) -> None:
    """Order the initial snapshot of a relay that is to have one. Start what was ordered, and what nobody goes on with any more."""
    if await in_thread(order_initial_snapshot, app, relay.name):
        _log.info("%s: its initial snapshot is ordered", relay.name)
    await start_resync(client, app, relay)
