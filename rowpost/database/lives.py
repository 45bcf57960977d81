"""What the database says of its own life: whether its change versions go on, or have begun again."""

from __future__ import annotations

from collections.abc import Sequence

from rowpost.config.sections import RelayConfig
from rowpost.database.connection import Database
from rowpost.database.statements import render
from rowpost.rules.epoch import Found, Memory, Recorded
from rowpost.rules.json_text import to_json


def look_at_life(database: Database, app: str) -> Found:
    """The database as it is now, and what it says of the last look.

    Raises:
        DatabaseError: the database failed, or the app's own tables are missing.
    """
    ((row,),) = database.run(render("look_at_life", {}), app)
    mark, version, epoch, *recorded = row
    if recorded[0] is None:
        return Found(mark, version, epoch, None)
    known_mark, token, *numbers = recorded
    return Found(mark, version, epoch, Recorded(known_mark, token.lower(), *numbers))


def advance_life(database: Database, app: str, found: Found, token: str) -> None:
    """Write down that the database was seen to be the remembered one, under a new token.

    Raises:
        DatabaseError: it may be written or not; the next look finds out.
    """
    seen = found.recorded.token if found.recorded is not None else ""
    database.run(render("advance_life", {}), app, seen, token, found.mark, found.version)


def begin_life(
    database: Database, app: str, found: Found, memory: Memory | None, token: str, relays: Sequence[RelayConfig]
) -> None:
    """Begin a new life, under a new token: every relay of the app gets a new epoch. Of several workers one does it.

    ``relays`` are those that are configured.

    Raises:
        DatabaseError: it may be written or not; the next look finds out.
    """
    seen = found.recorded.token if found.recorded is not None else ""
    epoch, number = (0, 0) if memory is None else (memory.epoch, memory.number)
    former = [] if memory is None else [{"name": r.name, "relayed": r.table, "target": r.target} for r in relays]
    database.run(render("begin_life", {}), app, seen, token, found.mark, epoch, number, to_json(former))
