"""The audit: every order, who gave it, when by the database's clock, and how many rows it has changed.

An order is written down before it is carried out, or together with what it changes. An order whose process ends on the way stays
``begun``, and may be repeated.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from rowpost.app import App
from rowpost.database.connection import DatabaseError
from rowpost.database.ledger import CHUNK_ROWS, change_in_chunks
from rowpost.database.names import literal
from rowpost.database.statements import render
from rowpost.rules.json_text import to_json

BEGUN, DONE = "begun", "done"
THE_APP = "the app"  # who orders what nobody else has ordered
_KEYS_AT_MOST = 20  # of an order that stand in the audit; keys of rows may be confidential
_NEWEST = 2**63 - 1


class Order(Struct):
    """An order.

    Attributes:
        action: what is ordered, such as ``pause``.
        relay: its name; None if the order is about the whole app.
        by: who ordered it.
        request: what was ordered, as JSON values.
        rows: how many rows it has changed; None if it is about none, or if its statements write that down themselves.
        result: how it ended.
        token: what makes it this order, however often it is sent.
        at: when it was given, by the database's clock, once it is written down.
    """

    action: str
    relay: str | None = None
    by: str = THE_APP
    request: Mapping[str, Any] = {}
    rows: int | None = None
    result: str = DONE
    token: str = ""
    at: str = ""

    def __post_init__(self) -> None:
        self.token = self.token or str(uuid.uuid4())

    @property
    def parameters(self) -> tuple[str, str, str, str]:
        """What the statements of orders begin with: token, action, by whom, request."""
        return self.token, self.action, self.by[:200], to_json(self.request)


class AuditEntry(Struct, frozen=True):
    """An order in the audit; times are ISO 8601, UTC. ``id`` is its token. ``rows`` is None if the order is about none."""

    id: str
    at: str
    action: str
    relay: str | None
    by: str
    request: dict[str, Any]
    rows: int | None
    result: str


class AuditPage(Struct, frozen=True):
    """A page of the audit, newest first; ``next`` is the cursor of the one behind it, if there is one."""

    entries: list[AuditEntry]
    next: str | None


@contextlib.contextmanager
def record_order(app: App, order: Order) -> Iterator[Order]:
    """Write an order down, let it be carried out, and write down how it ended: ``rows`` and ``result`` of the order by then.

    Raises:
        DatabaseError: the database failed. If the order was not written down it is not carried out.
    """
    statement = render("record_order", {"app": literal(app.site)})
    (((order.at,),),) = app.database.run(statement, *order.parameters, order.relay, order.rows, BEGUN)
    try:
        yield order
    except Exception as error:
        with contextlib.suppress(DatabaseError):
            _end(app, order, f"failed: {error if isinstance(error, DatabaseError) else type(error).__name__}")
        raise
    order.rows = _end(app, order, order.result)


def _end(app: App, order: Order, result: str) -> int | None:
    ((row,),) = app.database.run(render("end_order", {}), order.token, result[:400], order.rows)
    return None if row[0] is None else int(row[0])


def keys_for_audit(keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keys of rows as the audit keeps them: the keys if they are few, and how many they are."""
    few = {"keys": [dict(key) for key in keys]} if len(keys) <= _KEYS_AT_MOST else {}
    return {**few, "number_of_keys": len(keys)}


def list_orders(
    app: App,
    *,
    relay: str = "",
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> AuditPage:
    """A page of the audit, newest first. Orders that are given meanwhile do not move the next page.

    Args:
        app: the app.
        relay: its name; empty for all, and for orders about the whole app.
        action: empty for all.
        since: the first instant; None for the oldest. One without an offset is UTC.
        until: the instant before which the orders were given; None for the newest.
        limit: how many at most.
        cursor: ``next`` of the page before; None for the first one.

    Raises:
        ValueError: the cursor is none of ours.
        DatabaseError: the database failed.
    """
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise ValueError("cursor: take `next` of the page before, or leave it out")
    before = _NEWEST if cursor is None else int(cursor)
    values = (app.site, relay, action, instant(since), instant(until), before, limit + 1)
    (rows,) = app.database.run(render("list_orders", {}), *values)
    entries = [_entry(*row) for _, *row in rows[:limit]]
    return AuditPage(entries, str(rows[limit - 1][0]) if len(rows) > limit else None)


def _entry(token: str, at: str, action: str, relay: str | None, by: str, request: str, rows: int | None, result: str) -> AuditEntry:
    return AuditEntry(token, f"{at}Z", action, relay, by, json.loads(request), rows, result)


def instant(moment: datetime | None) -> str | None:
    """An instant as the database reads it; one without an offset is UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).replace(tzinfo=None).isoformat()


def remove_orders(app: App, before: str) -> int:
    """Remove the orders that were given before that instant; returns how many."""
    return change_in_chunks(app.database, render("remove_orders", {"chunk_rows": CHUNK_ROWS}), app.site, before)
