"""The downstream system's own choice of columns."""

from __future__ import annotations

from typing import Any

import msgspec

from orchestrators.choices import store_choice
from rowpost.log_lines import in_thread
from rowpost.operations.columns import ColumnsRefused, check_choice, choose, chosen_columns, column_names, effective_columns
from triggers.api.api import Api, Call, Level, Nothing, Problem


class Columns(msgspec.Struct):
    """``ceiling``: what may leave; ``columns``: the choice, null if there is none; ``effective``: what is sent."""

    relay: str
    ceiling: list[str]
    columns: list[str] | None
    effective: list[str]


class Choice(msgspec.Struct, forbid_unknown_fields=True):
    """The names of the columns that are wanted. The key is always sent."""

    columns: list[str]


class Chosen(msgspec.Struct):
    """The choice that is in force. ``later``: what follows when the storage is back, in words."""

    relay: str
    columns: list[str] | None
    effective: list[str]
    later: list[str]


def add(api: Api) -> None:
    """Add the operations to the API."""

    @api.operation("get_columns", "GET", "relays/{relay}/columns", Level.READ, summary="The columns that are sent.", answer=Columns)
    async def get_columns(call: Call[Nothing, Nothing]) -> Columns:
        known = await in_thread(call.app.table, call.relay.name)
        chosen = await in_thread(chosen_columns, call.app, known)
        return Columns(call.relay.name, [column.name for column in known.columns], chosen, effective_columns(known, chosen))

    @api.operation(
        "put_columns",
        "PUT",
        "relays/{relay}/columns",
        Level.OPERATE,
        summary="Choose the columns that are sent, among those that may leave.",
        body=Choice,
        answer=Chosen,
        statuses=(202,),
    )
    async def put_columns(call: Call[Choice, Nothing]) -> Chosen:
        known = await in_thread(call.app.table, call.relay.name)
        try:
            choice = check_choice(known, await in_thread(column_names, call.app, known), call.body.columns)
        except ColumnsRefused as error:
            raise Problem(422, str(error), "columns") from None
        return await _choose(call, choice)

    @api.operation(
        "delete_columns",
        "DELETE",
        "relays/{relay}/columns",
        Level.OPERATE,
        summary="Withdraw the choice: all columns that may leave are sent.",
        answer=Chosen,
        statuses=(202,),
    )
    async def delete_columns(call: Call[Nothing, Nothing]) -> Chosen:
        return await _choose(call, None)


async def _choose(call: Call[Any, Nothing], columns: list[str] | None) -> Chosen:
    app, relay = call.app, call.relay
    choice = await in_thread(choose, app, relay.name, columns, call.caller)  # in force before it is confirmed
    stored = await store_choice(call.client, app, relay, choice)
    later = [] if stored else ["the entity table_columns does not show the choice yet: the watchdog tells it"]
    return Chosen(relay.name, columns, effective_columns(await in_thread(app.table, relay.name), columns), later)
