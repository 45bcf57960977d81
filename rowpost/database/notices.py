"""The notices in the database: what people are to be told, and what was told to whom. What is not told yet is found here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from rowpost.database.connection import Database
from rowpost.database.ledger import CHUNK_ROWS, change_in_chunks
from rowpost.database.statements import render
from rowpost.rules.json_text import to_json


class Cause(Struct, frozen=True):
    """What is written down together with a notice.

    Attributes:
        kind: ``begin`` or ``end`` of an incident, ``remind`` of one, ``dead`` for dead letters, or ``other``.
        about: what the incident is about: ``target`` or ``row``.
        time: of the incident's first failure, or up to which dead letters are told; ISO 8601, UTC.
    """

    kind: str
    about: str = ""
    time: str | None = None


OTHER = Cause("other")


class Telling(Struct, frozen=True):
    """One recipient who is still to be told of a notice.

    Attributes:
        notice: its id.
        document: what people get.
        number: the recipient's, from 1.
        recipient: who it is.
        starts: how often an orchestration was started to tell; only the last one may.
        tries: so far.
        due_seconds: until the next try; below zero if it is late.
    """

    notice: str
    document: dict[str, Any]
    number: int
    recipient: dict[str, Any]
    starts: int
    tries: int
    due_seconds: int


def record_notice(
    database: Database, app: str, notice: Mapping[str, Any], people: Sequence[Mapping[str, Any]], cause: Cause = OTHER
) -> bool:
    """Write a notice down, once, together with what it is about.

    Returns:
        Whether it is new.

    Raises:
        DatabaseError: nothing was written.
    """
    recipients = [
        {"number": number, "channel": each["channel"], "address": each["address"], "place": each["index"]}
        for number, each in enumerate(people, 1)
    ]
    known = (notice["id"], app, notice["relay"], notice["kind"], to_json(notice), to_json(recipients))
    (((new,),),) = database.run(render("tell", {}), *known, cause.kind, cause.about, cause.time)
    return bool(new)


def is_recorded(database: Database, notice: str) -> bool:
    """Whether a notice of that id was written down.

    Raises:
        DatabaseError: the database failed.
    """
    (((found,),),) = database.run("SELECT COUNT(*) FROM rowpost.Notices WHERE Notice = ?;", notice)
    return bool(found)


def tellings(database: Database, app: str, relay: str = "") -> list[Telling]:
    """Who is still to be told of what: of one relay, or of all."""
    (rows,) = database.run(render("untold", {}), app, relay)
    return [
        Telling(notice, json.loads(document), number, {"channel": channel, "address": address, "index": place}, *rest)
        for notice, document, number, channel, address, place, *rest in rows
    ]


def start_telling(database: Database, telling: Telling) -> bool:
    """Take on the telling of one recipient; whoever was to tell before may not any more.

    Returns:
        Whether the one that is started now may tell.
    """
    (((may,),),) = database.run(render("start_telling", {}), telling.notice, telling.number, telling.starts)
    return bool(may)


class Turn(Struct, frozen=True):
    """What follows when somebody is to be told.

    Attributes:
        over: nobody is to be told now by who asks: another one tells, or tells this notice with others.
        wait_seconds: until the recipient may get a notice again; 0 if that is now.
        ended: whether the notice is an alarm or a reminder of an incident that is over.
        documents: what is told now: the notice, and those that have waited for their turn with it.
    """

    over: bool
    wait_seconds: int = 0
    ended: bool = False
    documents: list[Any] = []


def take_turn(
    database: Database, notice: str, number: int, generation: int, limit: tuple[int, int] | None, *, ordered: bool = False
) -> Turn:
    """Take the turn to tell a recipient, if the orchestration of that generation is still to do it.

    Args:
        database: the database.
        notice: its id.
        number: the recipient's.
        generation: how often an orchestration was started to tell.
        limit: so many notices a recipient gets in so many seconds; None for no limit.
        ordered: whether the end of an incident waits until nobody tries any more to tell of its beginning.

    Raises:
        DatabaseError: the database failed; a turn that was taken stays taken.
    """
    count, seconds = limit or (0, 0)
    values = (notice, number, generation, count, seconds, int(ordered))
    ((found, wait, ended),), documents = database.run(render("take_turn", {}), *values)
    return Turn(found == "over", wait, bool(ended), [json.loads(document) for (document,) in documents])


def record_told(database: Database, told: Mapping[str, Any]) -> None:
    """Write down how a try to tell one recipient ended: ``notice``, ``number``, ``state``, ``tries``, ``wait``, ``error``."""
    values = [told[name] for name in ("notice", "number", "state", "tries", "wait", "error")]
    database.run(render("record_told", {}), *values)


def remove_notices(database: Database, app: str, before: str) -> int:
    """Remove notices of which everybody was told before that instant; returns how many."""
    return change_in_chunks(database, render("remove_notices", {"chunk_rows": CHUNK_ROWS}), app, before)


def remove_incidents(database: Database, app: str, before: str) -> int:
    """Remove incidents that ended before that instant; returns how many."""
    return change_in_chunks(database, render("remove_incidents", {"chunk_rows": CHUNK_ROWS}), app, before)
