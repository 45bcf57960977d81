"""Rows that are not delivered: lists, groups, the story of one, and what happened when."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

import msgspec

from rowpost.app import App
from rowpost.log_lines import in_thread
from rowpost.operations.keys import read_key, whole_key
from rowpost.operations.rows import Refused as RequestRefused
from rowpost.operations.rows import RowGroups, RowPage, group_rows, list_rows, read_filter, read_time
from rowpost.operations.story import Story, row_story
from rowpost.operations.timeline import Timeline, timeline
from rowpost.watchdog.history import last_groups
from triggers.api.api import Api, Call, Level, Nothing, Problem, Texts
from triggers.api.looking import Looking

T = TypeVar("T")


class RowsWanted(msgspec.Struct, forbid_unknown_fields=True):
    """Which rows: ``state`` and ``class`` take several, separated by commas; ``from`` and ``to`` are of the last failure."""

    state: str | None = None
    error_class: str | None = msgspec.field(default=None, name="class")
    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = msgspec.field(default=None, name="to")
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 100
    cursor: str | None = None


class Span(msgspec.Struct, forbid_unknown_fields=True):
    """A time, ISO 8601 in UTC; without ``to`` until now, without ``from`` a day."""

    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = msgspec.field(default=None, name="to")


def add(api: Api, looking: Looking) -> None:
    """Add the operations to the API."""

    @api.operation(
        "list_rows",
        "GET",
        "relays/{relay}/rows",
        Level.READ,
        summary="Rows that are not delivered, in the order of their next attempt; dead letters are those of the state `dead`.",
        query=RowsWanted,
        answer=RowPage,
    )
    async def rows(call: Call[Nothing, RowsWanted]) -> RowPage:
        query = call.query

        def look() -> RowPage:
            wanted = read_filter(query.state, query.error_class, query.since, query.until)
            return list_rows(call.app, call.relay.name, wanted, query.limit, query.cursor)

        return await granted(look)

    @api.operation(
        "get_groups",
        "GET",
        "relays/{relay}/groups",
        Level.READ,
        summary="Rows that fail or were given up, by why: the largest groups first.",
        answer=RowGroups,
    )
    async def groups(call: Call[Nothing, Nothing]) -> RowGroups:
        name = call.relay.name
        look, kept = partial(group_rows, call.app, name), partial(last_groups, call.app, name)
        found: RowGroups = await looking.lately(name, f"groups of {name}", look, kept)
        return found

    @api.operation(
        "get_row",
        "GET",
        "relays/{relay}/rows/{key}",
        Level.READ,
        summary="Why one row is not delivered: a sentence, every fact, the attempts, and what would be sent, without values.",
        answer=Story,
    )
    async def row(call: Call[Nothing, Nothing]) -> Story:
        return await granted(partial(_story, call.app, call.relay.name, call.path["key"]))

    @api.operation(
        "get_row_by_columns",
        "GET",
        "relays/{relay}/row",
        Level.READ,
        summary="The same for a key of several columns: each is a parameter of the query, such as ?OrderId=7&Line=2.",
        query=Texts,
        answer=Story,
    )
    async def row_by_columns(call: Call[Nothing, Texts]) -> Story:
        return await granted(partial(_story, call.app, call.relay.name, call.query))

    @api.operation(
        "get_row_values",
        "GET",
        "relays/{relay}/rows/{key}/values",
        Level.ADMINISTER,
        summary="The story of one row, with its values in what would be sent.",
        answer=Story,
    )
    async def row_values(call: Call[Nothing, Nothing]) -> Story:
        return await granted(partial(_story, call.app, call.relay.name, call.path["key"], values=True))

    @api.operation(
        "get_row_values_by_columns",
        "GET",
        "relays/{relay}/row-values",
        Level.ADMINISTER,
        summary="The same for a key of several columns.",
        query=Texts,
        answer=Story,
    )
    async def row_values_by_columns(call: Call[Nothing, Texts]) -> Story:
        return await granted(partial(_story, call.app, call.relay.name, call.query, values=True))

    @api.operation(
        "get_timeline",
        "GET",
        "relays/{relay}/timeline",
        Level.READ,
        summary="What happened on one time axis: attempts, rounds, the circuit breaker, notices, orders, incidents and samples.",
        query=Span,
        answer=Timeline,
    )
    async def times(call: Call[Nothing, Span]) -> Timeline:
        def look() -> Timeline:
            return timeline(call.app, call.relay.name, read_time("from", call.query.since), read_time("to", call.query.until))

        return await granted(look)


def _story(app: App, relay: str, key: str | Texts, *, values: bool = False) -> Story:
    table = app.table(relay)
    found: dict[str, Any] = read_key(table, key) if isinstance(key, str) else whole_key(table, key)
    return row_story(app, relay, found, values=values)


async def granted(work: Callable[[], T]) -> T:
    """The result of work in a thread.

    Raises:
        Problem: 422, if the request cannot be granted as it is.
    """
    try:
        return await in_thread(work)
    except RequestRefused as error:
        raise Problem(422, str(error), error.field) from None
