"""The client's choice of columns for one table: a durable entity, keyed by the table's name."""

from __future__ import annotations

import azure.durable_functions as df

from rowpost.app import App
from rowpost.columns import store_choice
from rowpost.config import TableConfig

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
        # First where the claims read it, then the state: if the process ends in between, the operation runs again.
        store_choice(app, given["table"], columns)
        context.set_state({"columns": columns})

    return functions
