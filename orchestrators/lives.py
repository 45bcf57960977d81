"""Looking at the life of the database: it is compared with what is remembered outside, and begins anew if it is another one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from typing import Any

import msgspec

from entities.database_memory import entity_id
from orchestrators.instances import tell
from orchestrators.resyncs import start_resync
from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import DatabaseError
from rowpost.database.lives import advance_life, begin_life, look_at_life
from rowpost.log_lines import in_thread
from rowpost.operations.resync import order_resync
from rowpost.rules.epoch import Found, Memory, Verdict, Verified, judge, same_mark
from rowpost.watchdog.epochs import begin_epoch, begin_epochs, epoch_notice, reason_of, record_handled, rewind_cursor

_log = logging.getLogger("rowpost.lives")
MEMORY_SECONDS = 10  # for the memory to answer: it is durable storage, which may be away
FIRST_BATCH_SECONDS = 5  # the same, while a batch waits for it
_READS = 3  # of the memory, while it changes


class _Away(Exception):
    """The memory did not answer."""


async def look_at_database(client: Any, app: App, seconds: float = MEMORY_SECONDS) -> Verdict:
    """Compare the database with what is remembered of it, begin a new life if it is another one, and remember it.

    Args:
        client: the durable one.
        app: the app.
        seconds: for the memory to answer. If it does not, the database and this process alone decide.

    Raises:
        DatabaseError: the database failed; the next look goes on.
    """
    known = app.life.known
    memory, away = None, False
    for _ in range(_READS):
        try:
            memory = await _recall(client, app, seconds)
            found = await in_thread(look_at_life, app.database, app.site)
            # A worker that stood still between the two has an old memory: it is not the database that has changed.
            verdict = judge(found, memory, known)
            if verdict is not Verdict.NEW or await _recall(client, app, seconds) == memory:
                break
        except _Away:
            away = True
            found = await in_thread(look_at_life, app.database, app.site)
            verdict = judge(found, None, known)
            break
    else:
        return Verdict.UNKNOWN
    _say_once(app, away=away)
    if verdict is Verdict.UNKNOWN:
        return verdict
    token = str(uuid.uuid4())
    if verdict is Verdict.NEW:
        await in_thread(begin_life, app.database, app.site, found, memory, token, app.config.relays)
    elif verdict is Verdict.SAME and not away:
        await in_thread(advance_life, app.database, app.site, found, token)
    found = await in_thread(look_at_life, app.database, app.site)
    _verify(app, found, 0 if memory is None else memory.epoch)
    if not away:
        await _remember(client, app, found, seconds)
    return verdict


async def verify_first(client: Any, app: App, seconds: float = FIRST_BATCH_SECONDS) -> None:
    """Look at the database before the first batch of this process. Whatever fails: the batch is not held up for it."""
    if app.life.known is None:
        try:
            if await look_at_database(client, app, seconds) is Verdict.NEW:
                await _follow(client, app, seconds)
            # The versions of the whole database may have begun again, and have come further than before.
            await in_thread(begin_epochs, app)
        except DatabaseError:
            pass  # the claim tells


async def doubt(client: Any, app: App, seconds: float = MEMORY_SECONDS) -> None:
    """Look at the database since a batch saw another one than before, and see to what follows.

    The new epoch is written by then, or another one was. The rest waits for the watchdog if durable storage does not answer: the
    next batch does not wait for it.
    """
    try:
        await look_at_database(client, app, seconds)
        await _follow(client, app, seconds)
    except DatabaseError as error:
        _log.error("%s; the next batch or the watchdog tries again", error)


async def _follow(client: Any, app: App, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await see_to_epochs(client, app)


async def see_to_epochs(client: Any, app: App) -> None:
    """See to the epoch of each relay; what fails of it is done by the next look."""
    for relay in app.config.relays:
        try:
            await see_to_epoch(client, app, relay)
        except (ConfigError, DatabaseError) as error:
            _log.error("%s: %s; the watchdog tries again", relay.name, error)
        except Exception:  # of the durable client
            _log.exception("%s: not all could be done that a new epoch asks for; the watchdog tries again", relay.name)


async def see_to_epoch(client: Any, app: App, relay: RelayConfig) -> None:
    """Begin a new epoch if the tracking of the table has begun anew; of each new epoch tell people once, and send all rows again.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the next look repeats what was not written down.
    """
    look = await in_thread(begin_epoch, app, relay.name)
    if not look.handled or look.rewind_due or look.ahead:
        await in_thread(rewind_cursor, app, relay.name)
    if not look.handled:
        if relay.on_gap == "resync":
            await in_thread(order_resync, app, relay.name, reason_of(look))
        await tell(client, app, epoch_notice(relay, look))
    if not look.handled or look.rewind_due:
        await in_thread(record_handled, app, relay.name, look)
    await start_resync(client, app, relay)


def _verify(app: App, found: Found, remembered: int) -> None:
    """Let this process know the life that was seen."""
    recorded = found.recorded
    if found.version is None or (recorded is not None and not same_mark(recorded.mark, found.mark)):
        return
    life, number, floor = (0, 0, 0) if recorded is None else (recorded.life, recorded.number, recorded.version)
    if found.version >= floor:
        app.life.verify(Verified(found.mark, life, number, found.version), max(found.epoch, remembered))


async def _recall(client: Any, app: App, seconds: float) -> Memory | None:
    try:
        state = await asyncio.wait_for(client.read_entity_state(entity_id(app.site)), seconds)
        return msgspec.convert(state.entity_state, Memory) if state.entity_exists and state.entity_state else None
    except Exception as error:  # of the durable client, or of its storage; also a time-out
        raise _Away from error


async def _remember(client: Any, app: App, found: Found, seconds: float) -> None:
    """Tell the memory. If the signal is lost, the next look finds the database ahead of it."""
    recorded = found.recorded
    if recorded is None:
        return
    epoch = max(found.epoch, recorded.life)
    memory = Memory(recorded.mark, recorded.token, recorded.number, recorded.version, epoch)
    try:
        await asyncio.wait_for(client.signal_entity(entity_id(app.site), "remember", msgspec.to_builtins(memory)), seconds)
    except Exception as error:
        _log.warning("what the database is could not be remembered (%s); the next look tries again", type(error).__name__)


def _say_once(app: App, *, away: bool) -> None:
    if app.life.memory_is_away(away=away):
        _log.warning(
            "what is remembered of the database cannot be read: durable storage does not answer; the app goes on without it"
        )
