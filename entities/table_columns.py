"""The client's choice of columns for one table: a durable entity, keyed by the table's name."""

from __future__ import annotations

import logging

import azure.durable_functions as df

from rowpost.app import App
from rowpost.columns import store_choice
from rowpost.config import TableConfig
from rowpost.database import DatabaseError

_log = logging.getLogger("rowpost.table_columns")
ENTITY = "table_columns"


def entity_id(table: TableConfig) -> df.EntityId:
    """The entity of a table."""
    return df.EntityId(ENTITY, table.slug)


def blueprint(app: App) -> df.Blueprint:
    """Operations: ``set`` with ``{"table", "columns"}`` and ``clear`` with ``{"table"}``. The state is the list, or nothing."""
    functions = df.Blueprint()

    @functions.function_name(ENTITY)
    @functions.entity_trigger(context_name="context")
    def table_columns(context: df.DurableEntityContext) -> None:
        given = context.get_input()
        columns = given["columns"] if context.operation_name == "set" else None
        # The API has written the choice before it signalled. Written again in the order of the signals, two choices made at the
        # same moment end as the state says; a database that fails just now leaves what the API wrote.
        try:
            store_choice(app, given["table"], columns)
        except DatabaseError as error:
            _log.error("%s: %s", given["table"], error)
        context.set_state({"columns": columns})

    return functions
