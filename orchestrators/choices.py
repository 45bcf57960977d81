"""Telling the durable entity ``table_columns`` of a choice of columns. The database has it already, and is the truth."""

from __future__ import annotations

import logging
from typing import Any

from entities.table_columns import entity_id
from orchestrators.limits import within_limit
from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.log_lines import in_thread
from rowpost.operations.columns import Choice, mark_stored

_log = logging.getLogger("rowpost.columns")


async def store_choice(client: Any, app: App, relay: RelayConfig, choice: Choice) -> bool:
    """Tell the entity of a choice, and write down that it was told. It takes no choice that is older than what it knows.

    Returns:
        Whether that is done. If not the log says why, and the watchdog does it.
    """
    told = {"columns": choice.columns, "chosen_at": choice.chosen_at}
    try:
        await within_limit(client.signal_entity(entity_id(relay), "set", told))
        await in_thread(mark_stored, app, relay.name, choice)
        return True
    except Exception as error:  # of the durable client, or of the database
        _log.warning("%s: the entity could not be told of a choice of columns (%s)", relay.name, type(error).__name__)
        return False
