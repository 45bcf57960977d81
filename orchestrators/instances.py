"""Instance ids, and starting or waking what they name: the one place that talks to the durable client about orchestrations."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import azure.durable_functions as df

from rowpost.config.sections import Config, RelayConfig
from rowpost.notices.channel import Recipient
from rowpost.notices.message import Notice, subject

_log = logging.getLogger("rowpost.notices")
WAKE = "wake"
_LIVE = {
    df.OrchestrationRuntimeStatus.Running,
    df.OrchestrationRuntimeStatus.Pending,
    df.OrchestrationRuntimeStatus.ContinuedAsNew,
    df.OrchestrationRuntimeStatus.Suspended,
}


def recovery_id(relay: RelayConfig) -> str:
    """The instance id of the relay's recovery: one per relay."""
    return f"recovery-{relay.slug}"


def resync_id(relay: RelayConfig) -> str:
    """The instance id of the relay's resync: one per relay."""
    return f"resync-{relay.slug}"


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


async def start_once(client: Any, name: str, instance_id: str, payload: dict[str, Any]) -> None:
    """Start an orchestration, unless one of that id is live already (another worker may start it at the same moment)."""
    try:
        await client.start_new(name, instance_id=instance_id, client_input=payload)
    except Exception:
        if not await is_live(client, instance_id):
            raise


async def start_notification(client: Any, notice: Notice, people: Sequence[Recipient]) -> bool:
    """Start the fan-out of a notice, once: its id finds the instance that was started before.

    It is an orchestration of its own, so that a mailbox that is throttled for hours never holds anything else up.

    Returns:
        Whether it was started now; if not, it was before.

    Raises:
        Exception: the durable backend cannot be reached, or refused.
    """
    status = await client.get_status(notice["id"])
    if status is not None and status.runtime_status is not None:
        return False
    _log.warning("%s", subject(notice))  # without recipients as well: the log tells it, once
    await start_once(client, "notification", notice["id"], {"notice": notice, "recipients": list(people)})
    return True
