"""Instance ids, and starting or waking what they name: the one place that talks to the durable client about orchestrations."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import azure.durable_functions as df
from msgspec.structs import replace

from rowpost.app import App
from rowpost.config.sections import Config, RelayConfig
from rowpost.database.connection import DatabaseError
from rowpost.database.notices import Telling, record_notice, start_telling, tellings
from rowpost.notices.channels import recipients
from rowpost.notices.message import Notice, subject
from rowpost.operations.resync import Order, next_resync, take_on

_log = logging.getLogger("rowpost.notices")
WAKE = "wake"
_STARTING_SECONDS = 120  # a try that is due since then may be under way
_HANGS_SECONDS = 1800  # a try that is due since then is not made any more, whatever the instance's state is
_LIVE = {
    df.OrchestrationRuntimeStatus.Running,
    df.OrchestrationRuntimeStatus.Pending,
    df.OrchestrationRuntimeStatus.ContinuedAsNew,
    df.OrchestrationRuntimeStatus.Suspended,
}


def recovery_id(relay: RelayConfig) -> str:
    """The instance id of the relay's recovery: one per relay."""
    return f"recovery-{relay.slug}"


def resync_id(relay: RelayConfig, order: Order) -> str:
    """The instance id of the next start of a resync. A finished instance is never started anew: each start has its own id."""
    return f"resync-{relay.slug}-{order.resync}-s{order.starts + 1}"


async def is_live(client: Any, instance_id: str) -> bool:
    """Whether an instance of that id is running or about to."""
    status = await client.get_status(instance_id)
    return status is not None and status.runtime_status in _LIVE


async def ensure_recovery(client: Any, relay: RelayConfig, *, start: bool = True, wake: bool = True) -> None:
    """Wake the relay's recovery if it runs (and ``wake`` is set), or start it if it does not (and ``start`` is set).

    Each generation of it begins by surveying the database, so that a wake-up that is lost, or sent twice, costs nothing.

    Raises:
        Exception: the durable backend cannot be reached, or refused.
    """
    instance = recovery_id(relay)
    if await is_live(client, instance):
        if wake:
            await client.raise_event(instance, WAKE, None)
    elif start:
        await start_once(client, "recovery", instance, {"relay": relay.name})


async def wake_relays_of(client: Any, config: Config, target: str) -> None:
    """Wake the recovery of each relay of a target, where it runs: the target works, and what waited for it is due.

    A wake-up that fails is left out: a recovery that sleeps probes the target by itself.
    """
    for relay in config.relays:
        if relay.target.lower() == target.lower():
            try:
                await ensure_recovery(client, relay, start=False)
            except Exception:
                _log.exception("%s: recovery could not be woken; it looks again by itself", relay.name)


async def start_resync(client: Any, app: App, relay: RelayConfig) -> bool:
    """Start the relay's resync if one is ordered and nobody makes its steps: nobody was started, or the instance is gone or hangs.

    Whether it hangs is judged by the database, which knows when the next step is due: a suspended instance is live too.

    Returns:
        Whether an instance was started.

    Raises:
        DatabaseError: the database failed; the watchdog starts it.
        Exception: the durable backend cannot be reached, or refused; the watchdog starts it.
    """
    order = await asyncio.to_thread(next_resync, app, relay.name)
    if order is None:
        return False
    if order.starts and order.due_seconds > -_HANGS_SECONDS:
        started = resync_id(relay, replace(order, starts=order.starts - 1))
        if order.due_seconds > -_STARTING_SECONDS or await is_live(client, started):
            return False
    if not await asyncio.to_thread(take_on, app, relay.name, order):
        return False
    payload = {"relay": relay.name, "resync": order.resync, "start": order.starts + 1}
    await start_once(client, "resync", resync_id(relay, order), payload)
    return True


async def start_once(client: Any, name: str, instance_id: str, payload: dict[str, Any]) -> None:
    """Start an orchestration, unless one of that id is live already (another worker may start it at the same moment)."""
    try:
        await client.start_new(name, instance_id=instance_id, client_input=payload)
    except Exception:
        if not await is_live(client, instance_id):
            raise


def telling_id(notice: str, number: int, generation: int) -> str:
    """The instance id of telling one recipient. A finished instance is never started anew: each generation has its own id."""
    return f"{notice}-r{number}" + (f"-s{generation}" if generation > 1 else "")


async def tell(client: Any, app: App, notice: Notice) -> bool:
    """Write a notice down, and start to tell people of it.

    Returns:
        Whether it is new.

    Raises:
        DatabaseError: it could not be written down; nobody is told.
    """
    people = recipients(app.config.notifications)
    new = await asyncio.to_thread(record_notice, app.database, app.site, notice, people)
    if new:
        _log.warning("%s", subject(notice))  # without recipients as well: the log tells it, once
        await start_tellings(client, app, notice["relay"])
    return new


async def tell_without_database(client: Any, app: App, notice: Notice) -> None:
    """Start to tell people of a notice that cannot be written down; its instances show that it was told.

    Raises:
        Exception: the durable backend cannot be reached, or refused.
    """
    for number, recipient in enumerate(recipients(app.config.notifications), 1):
        if not await _was_started(client, telling_id(notice["id"], number, 1)):
            _log.warning("%s (to recipient %d, without the database)", subject(notice), number)
            await _start(client, dict(notice), dict(recipient), number=number, generation=0, tries=0, wait=0)


async def was_told(client: Any, app: App, notice: str) -> bool:
    """Whether telling of a notice was started, with or without the database."""
    return bool(recipients(app.config.notifications)) and await _was_started(client, telling_id(notice, 1, 1))


async def _was_started(client: Any, instance_id: str) -> bool:
    status = await client.get_status(instance_id)
    return status is not None and status.runtime_status is not None


async def start_tellings(client: Any, app: App, relay: str = "", *, look_after: bool = False) -> None:
    """Start to tell whom nobody was started to tell; of one relay, or of all.

    Args:
        client: the durable one.
        app: the app.
        relay: its name; empty for all.
        look_after: start anew as well where nobody tells any more: the instance is gone, has failed, or has not moved for long.
            Its state says nothing about that, since a suspended instance is live too: the database knows when a try is due.

    Raises:
        DatabaseError: the database failed; who was not started is started by the watchdog.
    """
    for telling in await asyncio.to_thread(tellings, app.database, app.site, relay):
        try:
            if telling.starts and not (look_after and await _hangs(client, telling)):
                continue
            if await asyncio.to_thread(start_telling, app.database, telling):
                values = {"number": telling.number, "generation": telling.starts + 1, "tries": telling.tries}
                await _start(client, telling.document, telling.recipient, wait=max(0, telling.due_seconds), **values)
        except DatabaseError:
            raise
        except Exception:  # of the durable client: the others are told, and the watchdog comes by again
            _log.exception("%s: nobody could be started to tell recipient %d", telling.notice, telling.number)


async def _hangs(client: Any, telling: Telling) -> bool:
    if telling.due_seconds > -_STARTING_SECONDS:
        return False
    return telling.due_seconds < -_HANGS_SECONDS or not await is_live(
        client, telling_id(telling.notice, telling.number, telling.starts)
    )


async def _start(client: Any, notice: dict[str, Any], recipient: dict[str, Any], **values: int) -> None:
    number, generation = values["number"], values["generation"]
    payload = {"notice": notice, "recipient": recipient, **values}
    await start_once(client, "notification", telling_id(notice["id"], number, generation), payload)
