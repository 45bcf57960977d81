"""Starting the resync of a relay that is ordered. The order, and how far the resync has come, are in the database."""

from __future__ import annotations

import logging
from typing import Any

from msgspec.structs import replace

from orchestrators.instances import is_live, start_once
from orchestrators.limits import within_limit
from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.log_lines import in_thread
from rowpost.operations.resync import Order, next_resync, take_on

_log = logging.getLogger("rowpost.resync")
_STARTING_SECONDS = 120  # a step that is due since then may be under way
_HANGS_SECONDS = 1800  # a step that is due since then is not made any more, whatever the instance's state is


def resync_id(relay: RelayConfig, order: Order) -> str:
    """The instance id of the next start of a resync. A finished instance is never started anew: each start has its own id."""
    return f"resync-{relay.slug}-{order.resync}-s{order.starts + 1}"


async def start_resync(client: Any, app: App, relay: RelayConfig) -> bool:
    """Start the relay's resync if one is ordered and nobody makes its steps: nobody was started, or the instance is gone or hangs.

    Whether it hangs is judged by the database, which knows when the next step is due: a suspended instance is live too.

    Returns:
        Whether an instance was started. What fails is in the log, and the watchdog tries it again: the order stands.
    """
    try:
        return await within_limit(_start(client, app, relay))
    except Exception as error:  # of the database, or of the durable client
        reason = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        _log.warning("%s: the resync could not be started (%s); it is left to the watchdog", relay.name, reason)
        return False


async def _start(client: Any, app: App, relay: RelayConfig) -> bool:
    order = await in_thread(next_resync, app, relay.name)
    if order is None:
        return False
    if order.starts and order.due_seconds > -_HANGS_SECONDS:
        started = resync_id(relay, replace(order, starts=order.starts - 1))
        if order.due_seconds > -_STARTING_SECONDS or await is_live(client, started):
            return False
    if not await in_thread(take_on, app, relay.name, order):
        return False
    payload = {"relay": relay.name, "resync": order.resync, "start": order.starts + 1}
    await start_once(client, "resync", resync_id(relay, order), payload)
    return True
