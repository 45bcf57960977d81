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

NOT_TRIED = "not tried"  # how the reason of an attempt begins that the circuit breaker left out
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
        tried: whether it was ever posted; the circuit breaker may have left out every attempt so far.
    """

    version: int
    state: str
    attempts: int
    rounds: int
    wait_seconds: int
    tried: bool

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
       CASE WHEN g.LastError LIKE {literal(NOT_TRIED + "%")} THEN 0 ELSE 1 END
  FROM OPENJSON(@hashes) WITH (h char(64) '$') s
  JOIN rowpost.Ledger g ON g.TableName = {literal(table.name)} AND g.KeyHash = s.h;"""
    (rows,) = database.run(sql, to_json(list(hashes)))
    return {
        key: LedgerRecord(version, state, attempts, rounds, wait, bool(tried))
        for key, version, state, attempts, rounds, wait, tried in rows
    }


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
