"""What is remembered of the database outside of it: a durable entity, one for the app.

A restore takes back all that the database says of itself. What stands here shows it.
"""

from __future__ import annotations

import hashlib

import azure.durable_functions as df
import msgspec

from rowpost.rules.epoch import Memory

ENTITY = "database_memory"


def entity_id(site: str) -> df.EntityId:
    """The entity of an app."""
    return df.EntityId(ENTITY, hashlib.sha256(site.lower().encode()).hexdigest()[:16])


def blueprint() -> df.Blueprint:
    """Operation: ``remember`` with what :class:`rowpost.rules.epoch.Memory` has, which is also the state. It only ever grows."""
    functions = df.Blueprint()

    @functions.function_name(ENTITY)
    @functions.entity_trigger(context_name="context")
    def database_memory(context: df.DurableEntityContext) -> None:
        given, state = context.get_input(), context.get_state()
        known = None if state is None else msgspec.convert(state, Memory)
        if msgspec.convert(given, Memory).follows(known):
            context.set_state(given)

    return functions
