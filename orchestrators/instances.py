"""Instance ids, starting what they name, and telling people: an orchestration for each recipient of a notice."""

from __future__ import annotations

import logging
from typing import Any

import azure.durable_functions as df

from orchestrators.limits import within_limit
from rowpost.app import App
from rowpost.database.connection import DatabaseError
from rowpost.database.notices import Telling, is_recorded, record_notice, start_telling, tellings
from rowpost.log_lines import in_thread
from rowpost.notices.channels import recipients
from rowpost.notices.message import Notice, subject

_log = logging.getLogger("rowpost.notices")
_STARTING_SECONDS = 120  # a try that is due since then may be under way
_HANGS_SECONDS = 1800  # a try that is due since then is not made any more, whatever the instance's state is
_ERROR_FIELDS = ("message", "Message", "ExceptionMessage")  # of the extension's answer 500, and of one that is a text
LIVE = {
    df.OrchestrationRuntimeStatus.Running,
    df.OrchestrationRuntimeStatus.Pending,
    df.OrchestrationRuntimeStatus.ContinuedAsNew,
    df.OrchestrationRuntimeStatus.Suspended,
}


class StorageFailed(Exception):
    """The storage of Durable Functions answered with an error."""


async def status_of(client: Any, instance_id: str) -> df.DurableOrchestrationStatus | None:
    """The status of an instance; None if there is none of that id.

    Raises:
        StorageFailed: the storage failed. The client itself takes its error for the status of an instance without a state.
        Exception: the storage cannot be reached, or refused.
    """
    status = await client.get_status(instance_id)
    if status.runtime_status is not None:
        return status
    if any(getattr(status, name, None) for name in _ERROR_FIELDS):
        raise StorageFailed(f"there is no status of {instance_id}")
    return None


async def state_of(client: Any, instance_id: str) -> df.OrchestrationRuntimeStatus | None:
    """The state of an instance; None if there is none of that id.

    Raises:
        Exception: the storage failed.
    """
    status = await status_of(client, instance_id)
    return None if status is None else status.runtime_status


async def is_live(client: Any, instance_id: str) -> bool:
    """Whether an instance of that id is running or about to."""
    return await state_of(client, instance_id) in LIVE


async def start_once(client: Any, name: str, instance_id: str, payload: dict[str, Any]) -> None:
    """Start an orchestration, unless there is one of that id already.

    Somebody else may start it at the same moment, and it may have ended by the time that this one asks for it.
    """
    try:
        await client.start_new(name, instance_id=instance_id, client_input=payload)
    except Exception:
        if await state_of(client, instance_id) is None:
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
    new = await in_thread(record_notice, app.database, app.site, notice, people)
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


async def was_told(client: Any, app: App, notice: Notice) -> bool:
    """Whether telling of a notice was started, with or without the database.

    Whoever was left out is told now: without the database, the process may have ended before it came to all recipients.

    Raises:
        DatabaseError: whether it was written down cannot be asked.
        Exception: the durable backend cannot be reached, or refused.
    """
    numbers = range(1, 1 + len(recipients(app.config.notifications)))
    started = [await _was_started(client, telling_id(notice["id"], number, 1)) for number in numbers]
    if any(started) and not all(started) and not await in_thread(is_recorded, app.database, notice["id"]):
        await tell_without_database(client, app, notice)
    return any(started)


async def _was_started(client: Any, instance_id: str) -> bool:
    return await within_limit(state_of(client, instance_id)) is not None


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
    for telling in await in_thread(tellings, app.database, app.site, relay):
        try:
            if telling.starts and not (look_after and await _hangs(client, telling)):
                continue
            if await in_thread(start_telling, app.database, telling):
                values = {"number": telling.number, "generation": telling.starts + 1, "tries": telling.tries}
                # Not the document, which may hold keys of rows: whoever tells reads it from the database.
                await _start(client, {"id": telling.notice}, telling.recipient, wait=max(0, telling.due_seconds), **values)
        except DatabaseError:
            raise
        except TimeoutError:  # the storage is slow for all of them
            _log.error("%s: nobody could be started to tell in time; the watchdog tries again", telling.notice)
            return
        except Exception:  # of the durable client: the others are told, and the watchdog comes by again
            _log.exception("%s: nobody could be started to tell recipient %d", telling.notice, telling.number)


async def _hangs(client: Any, telling: Telling) -> bool:
    if telling.due_seconds > -_STARTING_SECONDS:
        return False
    if telling.due_seconds < -_HANGS_SECONDS:
        return True
    return not await within_limit(is_live(client, telling_id(telling.notice, telling.number, telling.starts)))


async def _start(client: Any, notice: dict[str, Any], recipient: dict[str, Any], **values: int) -> None:
    number, generation = values["number"], values["generation"]
    payload = {"notice": notice, "recipient": recipient, **values}
    await within_limit(start_once(client, "notification", telling_id(notice["id"], number, generation), payload))
