"""A sample of a row, with which requests and bodies are tried at start: before a row of the table fails for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from rowpost.rules.json_text import JsonValue
from rowpost.rules.row import ClaimedRow
from rowpost.target.event import build_event
from rowpost.target.request import Unfit
from rowpost.target.shape import Shape

_NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
_BY_TYPE: dict[str, JsonValue] = {
    **dict.fromkeys(("bigint", "int", "smallint", "tinyint"), 1),
    **dict.fromkeys(("decimal", "numeric", "money", "smallmoney"), Decimal("1.50")),
    **dict.fromkeys(("float", "real"), 0.5),
    **dict.fromkeys(("binary", "varbinary", "image", "timestamp"), b"\x01"),
    "bit": True,
    "date": "2026-01-05",
    "time": "08:00:00",
    **dict.fromkeys(("datetime", "datetime2", "smalldatetime"), "2026-01-05T08:00:00"),
    "datetimeoffset": "2026-01-05T08:00:00+00:00",
    "uniqueidentifier": "00000000-0000-0000-0000-000000000001",
}


def sample_of(types: Mapping[str, str]) -> dict[str, JsonValue]:
    """A short value for each column, by its SQL type; a text for the types that are not known here."""
    return {name: _BY_TYPE.get(kind, "a") for name, kind in types.items()}


def try_sample(shape: Shape, key: Mapping[str, str], columns: Mapping[str, str]) -> str | None:
    """Make the events of a short row that exists, and of one that was deleted; returns what is wrong with them, or None.

    Args:
        shape: of the relay's events.
        key: the SQL types of the columns of the key.
        columns: the SQL types of all columns that are sent.
    """
    for values in (sample_of({**columns, **key}), None):
        row = ClaimedRow(sample_of(key), 1, 1, leased=True, values=values)
        try:
            body = build_event(shape, row, 0, None, _NOW).body
        except Unfit as unfit:
            return f"max_event_bytes: {unfit} even though the row is short; raise it"
        if body:
            try:
                json.loads(body)
            except ValueError:
                return f"{'delete_body' if values is None else 'body'}: the body of a sample is not JSON; correct the template"
    return None
