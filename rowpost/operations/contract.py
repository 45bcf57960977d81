"""The contract of this app's relays, from their tables, their configuration and the client's choice of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from rowpost.app import App
from rowpost.contract.asyncapi import Described, asyncapi_document
from rowpost.contract.schema import relay_schema
from rowpost.database.table import Table
from rowpost.operations.columns import chosen_columns


def schema_of(app: App, relay: str) -> dict[str, Any]:
    """The JSON Schema of the events of a relay, as it sends them now.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(relay)
    found = describe(app, table, chosen_columns(app, table))
    return relay_schema(found.table, found.shape, found.chosen)


def asyncapi_of(app: App) -> dict[str, Any]:
    """The AsyncAPI document of all relays.

    Raises:
        ConfigError: a table cannot be relayed.
        DatabaseError: the database failed.
    """
    tables = [app.table(relay.name) for relay in app.config.relays]
    return asyncapi_document(describe(app, table, chosen_columns(app, table)) for table in tables)


def describe(app: App, table: Table, chosen: Sequence[str] | None) -> Described:
    """A relay as its contract needs it."""
    target = app.config.target(table.relay.target)
    shape = app.shape(table.relay)
    if not target.resync_events:
        shape = replace(shape, resync=None)
    return Described(table, shape, target, None if chosen is None else list(chosen))
