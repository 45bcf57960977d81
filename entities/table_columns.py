"""The client's choice of columns for one relay: a durable entity, keyed by the relay's name."""

from __future__ import annotations

import azure.durable_functions as df

from rowpost.config.sections import RelayConfig

ENTITY = "table_columns"


def entity_id(relay: RelayConfig) -> df.EntityId:
    """The entity of a relay."""
    return df.EntityId(ENTITY, relay.slug)


def blueprint() -> df.Blueprint:
    """Operation: ``set`` with ``{"columns", "chosen_at"}``, which is also the state; columns are a list, or None for all."""
    functions = df.Blueprint()

    @functions.function_name(ENTITY)
    @functions.entity_trigger(context_name="context")
    def table_columns(context: df.DurableEntityContext) -> None:
        given, known = context.get_input(), context.get_state()
        # A signal can arrive late, from a worker that stood still: the database has put the choices in order.
        if known is None or given["chosen_at"] > known["chosen_at"]:
            context.set_state(given)

    return functions
