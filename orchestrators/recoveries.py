"""Starting, waking and replacing the recovery of a relay.

Nobody who calls this ever fails or waits for long: what cannot be done now is done by the watchdog. Starters, wakers, terminators
and purges may meet in any order, since the database says which instance is the current one, and no id is used twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from orchestrators.instances import LIVE, start_once, state_of
from orchestrators.limits import ANSWER_SECONDS, within_limit
from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.log_lines import in_thread
from rowpost.recovery.current import begin_recovery, current_recovery

WAKE = "wake"
_STARTING_SECONDS = 30  # the instance of a number that was given since then may be about to start

_log = logging.getLogger("rowpost.recovery")


def recovery_id(relay: RelayConfig, number: int) -> str:
    """The instance id of a recovery of the relay."""
    return f"recovery-{relay.slug}-{number}"


async def ensure_recovery(client: Any, app: App, relay: RelayConfig, *, start: bool = True, wake: bool = True) -> bool:
    """Wake the relay's recovery if it runs (and ``wake`` is set), or start it if it does not (and ``start`` is set).

    Each generation of it begins by surveying the database, so that a wake-up that is lost, or sent twice, costs nothing.

    Returns:
        Whether that is done. If not the log says why, and it is left to the watchdog.
    """
    return await _try(relay, "started or woken", _ensure(client, app, relay, start=start, wake=wake))


async def wake_relays_of(client: Any, app: App, target: str) -> None:
    """Wake the recovery of each relay of a target, where it runs: the target works, and what waited for it is due."""
    relays = [relay for relay in app.config.relays if relay.target.lower() == target.lower()]
    await asyncio.gather(*(ensure_recovery(client, app, relay, start=False) for relay in relays))


async def replace_recovery(client: Any, app: App, relay: RelayConfig) -> None:
    """Start another recovery in the place of one that does not move, and end that one, as far as it can be reached.

    Should it move after all, it finds that it is not the current one any more, and ends by itself.
    """
    await _try(relay, "replaced", _replace(client, app, relay))


async def recovery_state(client: Any, relay: RelayConfig, number: int) -> dict[str, str | None]:
    """The instance of a recovery of the relay and its status, for who looks; ``unknown`` if there was no answer.

    Args:
        client: the durable one.
        relay: the relay.
        number: of its current recovery; 0 if there is none.
    """
    if not number:
        return {"instance": None, "status": None}
    instance = recovery_id(relay, number)
    try:
        state = await within_limit(state_of(client, instance))
    except Exception as error:  # of the durable client
        _log.warning("%s: the state of its recovery is not known (%s)", relay.name, type(error).__name__)
        return {"instance": instance, "status": "unknown"}
    return {"instance": instance, "status": None if state is None else state.name}


async def storage_problem(client: Any) -> str | None:
    """Why the storage of Durable Functions does not answer; None if it does."""
    try:
        await within_limit(state_of(client, "health"))
        return None
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:g} s"
    except Exception as error:  # of the durable client
        return f"its answer was an error ({type(error).__name__})"


async def _try(relay: RelayConfig, what: str, work: Awaitable[None]) -> bool:
    try:
        await within_limit(work)
        return True
    except Exception as error:  # of the database or of the durable client; nothing is lost: the rows are protected
        reason = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        _log.warning("%s: recovery could not be %s (%s); it is left to the watchdog", relay.name, what, reason)
        return False


async def _ensure(client: Any, app: App, relay: RelayConfig, *, start: bool, wake: bool) -> None:
    current = await in_thread(current_recovery, app, relay.name)
    if current.number and not current.ended:
        instance = recovery_id(relay, current.number)
        state = await state_of(client, instance)
        if state in LIVE and (not wake or await _woken(client, instance)):
            return
        if state is None and current.age_seconds < _STARTING_SECONDS:
            return  # somebody starts it at this moment; it begins by looking
    if start:
        await _begin(client, app, relay, current.number)


async def _woken(client: Any, instance: str) -> bool:
    """Send the wake-up; False if the instance has ended or was removed meanwhile."""
    try:
        await client.raise_event(instance, WAKE, None)
        return True
    except Exception:
        if await state_of(client, instance) in LIVE:
            raise
        return False


async def _begin(client: Any, app: App, relay: RelayConfig, seen: int) -> None:
    number = await in_thread(begin_recovery, app, relay.name, seen)
    if number is not None:  # else somebody else was faster
        await start_once(client, "recovery", recovery_id(relay, number), {"relay": relay.name, "number": number})


async def _replace(client: Any, app: App, relay: RelayConfig) -> None:
    current = await in_thread(current_recovery, app, relay.name)
    await _begin(client, app, relay, current.number)
    if current.number and await state_of(client, recovery_id(relay, current.number)) in LIVE:
        await client.terminate(recovery_id(relay, current.number), "it does not move")
