"""Incidents: when people were told that rows are not delivered, and what became of them; and who knows of it."""

from __future__ import annotations

import re

from msgspec import Struct

from rowpost.app import App
from rowpost.database.connection import Row
from rowpost.database.statements import render
from rowpost.operations.audit import DONE, Order, record_order
from rowpost.operations.rows import read_cursor, write_cursor
from rowpost.operations.status import utc_text

_LAST = ("9999-12-31", "")
_NAME = re.compile(".+", re.DOTALL)


class Acknowledged(Struct):
    """Who knows of an incident, and since when (UTC)."""

    at: str
    by: str


class Incident(Struct):
    """An incident.

    Attributes:
        id: its name, which its notices share.
        relay: whose rows they are.
        about: ``target``: rows wait for it; ``row``: rows fail for their own sake.
        since: the first failure among its rows (UTC).
        told_at: when the alarm was raised.
        ended_at: null while it is open.
        rows: of it that still wait.
        delivered: rows that were delivered since.
        given_up: rows that became dead letters.
        notices: how many were sent to people.
        acknowledged: who knows of it; null: nobody said so, and people are reminded.
        error: the last failure.
    """

    id: str
    relay: str
    about: str
    since: str
    told_at: str
    ended_at: str | None
    rows: int
    delivered: int
    given_up: int
    notices: int
    acknowledged: Acknowledged | None
    error: str | None


class Incidents(Struct):
    """A page of incidents, newest first; ``next`` is the cursor of the one behind it, if there is one."""

    incidents: list[Incident]
    next: str | None


def list_incidents(
    app: App, relay: str = "", *, is_open: bool | None = None, limit: int = 100, cursor: str | None = None
) -> Incidents:
    """A page of incidents of the app, newest first.

    Args:
        app: the app.
        relay: its name; empty for all.
        is_open: only those that are open, or only those that are over.
        limit: how many at most.
        cursor: ``next`` of the page before.

    Raises:
        Refused: the cursor is none.
        DatabaseError: the database failed.
    """
    wanted = -1 if is_open is None else int(is_open)
    place = _LAST if cursor is None else read_cursor(cursor, _NAME)
    (rows,) = app.database.run(render("list_incidents", {}), app.site, relay, wanted, *place, limit + 1)
    page = rows[:limit]
    last = page[-1] if len(rows) > limit else None
    return Incidents([_incident(row) for row in page], None if last is None else write_cursor(last[4], last[0]))


def acknowledge(app: App, incident: str, by: str, note: str | None = None) -> tuple[str, Acknowledged] | None:
    """Write down that a person knows of an incident, so that nobody is reminded of it. Who said so first stays.

    Args:
        app: the app.
        incident: its id.
        by: who it is.
        note: for the audit.

    Returns:
        The relay, and who knows of it; None if there is no such incident.

    Raises:
        DatabaseError: the database failed.
    """
    order = Order("acknowledge", None, by, {"incident": incident, **({"note": note[:400]} if note else {})})
    order.result = "no such incident"
    with record_order(app, order):
        (rows,) = app.database.run(render("acknowledge_incident", {}), app.site, incident, by[:200])
        order.result = DONE if rows else order.result
    if not rows:
        return None
    relay, at, who = rows[0]
    return relay, Acknowledged(utc_text(at) or "", who)


def _incident(row: Row) -> Incident:
    name, relay, about, since, told, ended, delivered, given_up, waiting, notices, known_at, known_by, error = row
    known = None if known_at is None else Acknowledged(utc_text(known_at) or "", known_by)
    times = (utc_text(since) or "", utc_text(told) or "", utc_text(ended))
    return Incident(name, relay, about, *times, waiting, delivered, given_up, notices, known, error)
