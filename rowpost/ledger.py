"""The ledger: one record per row that is not yet delivered. It is written only on failure, and is the truth about what is missing.

States: ``retrying`` (the trigger's built-in attempts), ``exhausted`` (they are used up; recovery has not planned the row yet),
``held`` (recovery has given it a next attempt), ``dead`` (the window has passed, or it was rejected for good).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from rowpost.database import Database
from rowpost.tables import JsonValue, Table, literal

LIVE_STATES = ("retrying", "exhausted", "held")
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def to_json(value: Any) -> str:
    """JSON text: decimals digit-exact as numbers, bytes as base64."""
    return _ENCODER.encode(value).decode()


def key_text(key: Mapping[str, JsonValue]) -> str:
    """A key as canonical JSON: columns in key order, no blanks, values as they travel."""
    return to_json(key)


def key_hash(text: str) -> str:
    """What identifies a row of a table in the ledger: SHA-256 of its canonical key, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """What is known of a row that failed. ``wait_seconds`` is how long until its next attempt, at most 0 when it is due."""

    version: int
    state: str
    attempts: int
    rounds: int
    wait_seconds: int

    @property
    def live(self) -> bool:
        """Whether the row is still to be delivered."""
        return self.state != "dead"


def fetch_records(database: Database, table: Table, hashes: Sequence[str]) -> dict[str, LedgerRecord]:
    """The records of the rows with these key hashes, by hash."""
    sql = f"""
SET NOCOUNT ON;
DECLARE @hashes nvarchar(max) = ?;
SELECT g.KeyHash, g.ChangeVersion, g.State, g.Attempts, g.Rounds, DATEDIFF(second, SYSUTCDATETIME(), g.NextAttempt)
  FROM OPENJSON(@hashes) WITH (h char(64) '$') s
  JOIN rowpost.Ledger g ON g.TableName = {literal(table.name)} AND g.KeyHash = s.h;"""
    (rows,) = database.run(sql, to_json(list(hashes)))
    return {row[0]: LedgerRecord(*row[1:]) for row in rows}
