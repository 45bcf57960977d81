"""What the watchdog remembers of a relay for people: samples, and its last look. Nothing is decided by it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from rowpost.app import App
from rowpost.database.ledger import CHUNK_ROWS, change_in_chunks
from rowpost.operations.rows import RowGroups, group_rows
from rowpost.operations.standing import Found, is_quick
from rowpost.rules.json_text import to_json

KEPT_DAYS = 7


class Look(Struct):
    """What was found of a relay, for processes that have just begun."""

    status: Found
    groups: Found


_DECODER = msgspec.json.Decoder(Look)
_EXACT_DECODER = msgspec.json.Decoder(Look, float_hook=Decimal)  # keys of rows keep their digits


def keep_sample(app: App, relay: str, status: Mapping[str, Any]) -> None:
    """Remember a status as a sample; whole, and with the groups, if it was long to find. Remove what is too old.

    Samples are kept for a week, attempts of a row until it is delivered.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the next look writes the next sample.
    """
    table = app.table(relay)
    at = str(status["as_of"]).removesuffix("Z")
    whole = None if is_quick(status["milliseconds"]) else to_json(Look(as_found(status), group_rows(app, relay)))
    sample = (at, status["version"], status["waiting"], status["dead"], status["lag"]["seconds"], whole)
    app.database.run(table.statement("record_sample"), *sample)
    change_in_chunks(app.database, table.statement("remove_samples", chunk_rows=CHUNK_ROWS, kept_days=KEPT_DAYS))


def last_status(app: App, relay: str) -> Found | None:
    """The status that was kept last, of whatever instance; None if it is quick to find anew, or something was ordered since.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    look = _last_look(app, relay, _DECODER)
    return None if look is None else look.status


def last_groups(app: App, relay: str) -> Found | None:
    """The :class:`RowGroups` that were kept with it.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    look = _last_look(app, relay, _EXACT_DECODER)
    if look is None:
        return None
    return Found(msgspec.convert(look.groups.answer, RowGroups), look.groups.at, look.groups.milliseconds)


def _last_look(app: App, relay: str, decoder: msgspec.json.Decoder[Look]) -> Look | None:
    (kept,) = app.database.run(app.table(relay).statement("last_look"))
    return decoder.decode(kept[0][0]) if kept else None


def as_found(status: Mapping[str, Any]) -> Found:
    """A status of :func:`rowpost.operations.status.relay_status` with its time."""
    return Found(status, status["as_of"].removesuffix("Z"), status["milliseconds"])
