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

CHUNK_ROWS = 2000  # of one statement that changes many; from 5,000 locks on SQL Server locks the whole table, for all others too
NOT_TRIED = "not tried"  # how the reason begins when the target was not called
# Whether a record ``g`` tells what the target said of its own state, or nothing; else it is about the row itself.
ABOUT_THE_TARGET = "(g.LastStatus IS NULL OR g.LastStatus NOT BETWEEN 400 AND 499 OR g.LastStatus IN (401, 403, 408, 425, 429))"
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
    """What is known of a row that failed.

    Attributes:
        wait_seconds: how long until its next attempt, at most 0 when it is due.
        tried_seconds: how long ago it was last posted; None if it was left out of every attempt so far.
    """

    version: int
    state: str
    attempts: int
    rounds: int
    wait_seconds: int
    tried_seconds: int | None

    @property
    def live(self) -> bool:
        """Whether the row is still to be delivered."""
        return self.state != "dead"


def fetch_records(database: Database, table: Table, hashes: Sequence[str]) -> dict[str, LedgerRecord]:
    """The records of the rows with these key hashes, by hash."""
    sql = f"""
SET NOCOUNT ON;
DECLARE @hashes nvarchar(max) = ?;
SELECT g.KeyHash, g.ChangeVersion, g.State, g.Attempts, g.Rounds, DATEDIFF(second, SYSUTCDATETIME(), g.NextAttempt),
       DATEDIFF(second, g.LastTried, SYSUTCDATETIME())
  FROM OPENJSON(@hashes) WITH (h char(64) '$') s
  JOIN rowpost.Ledger g ON g.TableName = {literal(table.name)} AND g.KeyHash = s.h;"""
    (rows,) = database.run(sql, to_json(list(hashes)))
    return {key: LedgerRecord(*values) for key, *values in rows}


def rename_records(database: Database, table: Table, renamed: Sequence[Mapping[str, str]]) -> None:
    """Give records the present spelling of their keys: ``{"o": old hash, "h": new hash, "k": new key text}``.

    A key can change its case or its trailing blanks and remain the same to SQL Server.
    """
    sql = f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @renamed nvarchar(max) = ?;
BEGIN TRANSACTION;
DELETE g FROM rowpost.Ledger g JOIN OPENJSON(@renamed) WITH (o char(64) '$.o', h char(64) '$.h') s ON g.KeyHash = s.o
 WHERE g.TableName = {literal(table.name)}
   AND EXISTS (SELECT 1 FROM rowpost.Ledger n WHERE n.TableName = {literal(table.name)} AND n.KeyHash = s.h);
UPDATE g SET KeyHash = s.h, RowKey = s.k
  FROM rowpost.Ledger g
  JOIN OPENJSON(@renamed) WITH (o char(64) '$.o', h char(64) '$.h', k nvarchar(max) '$.k') s ON g.KeyHash = s.o
 WHERE g.TableName = {literal(table.name)};
COMMIT;"""
    database.run(sql, to_json(list(renamed)))


def change_in_chunks(database: Database, sql: str, *parameters: Any) -> int:
    """Repeat a batch that changes at most :data:`CHUNK_ROWS` records, and selects how many, until there are none left.

    Returns:
        How many were changed.

    Raises:
        DatabaseError: the database failed; each chunk was changed wholly or not at all.
    """
    total = 0
    while changed := int(database.run(sql, *parameters)[0][0][0]):
        total += changed
    return total
