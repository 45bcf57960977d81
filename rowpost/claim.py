"""The claim: one round trip that turns a trigger payload into rows worth posting.

The payload of the SQL trigger is a signal that carries keys. Its values are not used: decimals went through double, offsets and
date-like strings were rewritten, and it has no change version. What is posted is read here, after the lease's change version: so
the version that an event carries is never newer than its data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from rowpost.database import Database
from rowpost.gate import Gate
from rowpost.ledger import LedgerRecord, fetch_records, key_hash, key_text
from rowpost.tables import JsonValue, Table, literal, quote

_ENCODER = msgspec.json.Encoder(decimal_format="number")


@dataclass(slots=True)
class ClaimedRow:
    """One row of a batch, as the database knows it now.

    Attributes:
        version: the change version that the event will carry, and that the ledger knows.
        lease_version: the change version in the row's lease now.
        tracked_version: the one that the lease is to have when it is released.
        attempt_count: the lease's count at hand-out, or 0 when the row has no lease (any more).
        leased: whether a lease protects the row while we post it; if not, the trigger has swept it away.
        values: the columns that may leave, or None when the row is deleted.
        watched: whether the change touches a watched column.
        record: what the ledger knows of the row, if it failed before.
        index: the number of the row's key among those that were claimed.
    """

    key: dict[str, JsonValue]
    version: int
    attempt_count: int
    leased: bool
    values: dict[str, JsonValue] | None
    watched: bool = True
    record: LedgerRecord | None = None
    index: int = 0
    lease_version: int = field(init=False)
    tracked_version: int = field(init=False)
    key_text: str = field(init=False)
    key_hash: str = field(init=False)

    def __post_init__(self) -> None:
        self.lease_version = self.tracked_version = self.version
        self.key_text = key_text(self.key)
        self.key_hash = key_hash(self.key_text)


@dataclass(slots=True)
class Claim:
    """A claimed batch.

    Attributes:
        rows: the rows that are to be settled.
        unknown: how many keys of the payload are not: they match neither a lease, nor a tracked change, nor a row; or they are in
            somebody else's hands.
        now: the server's clock, UTC.
        client_columns: the columns that the downstream system narrowed the table to, or None for all.
        gate: the table's gate.
    """

    rows: list[ClaimedRow]
    unknown: int
    now: datetime
    client_columns: list[str] | None
    gate: Gate


def payload_keys(table: Table, changes: str) -> list[dict[str, Any]]:
    """The keys of a trigger payload, numbered; decimals keep the digits that are left in the text."""
    return numbered_keys(table, [change["Item"] for change in json.loads(changes, parse_float=Decimal)])


def numbered_keys(table: Table, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The keys of rows, numbered, as the claim sends them; numbers with a fraction are given as ``Decimal``."""
    return [{"rp_i": i} | {c.name: c.json_value(item.get(c.name)) for c in table.key} for i, item in enumerate(items)]


def claim_sql(table: Table) -> str:
    """The claim's batch; its one parameter is the JSON array of numbered keys."""
    numbered = table.key_with("rp_i int '$.rp_i'")
    keys = f"OPENJSON(@keys) {numbered} k"
    lease = table.lease_sql
    base, changes, watched = watched_sql(table, "k")
    columns = ", ".join(column.select("t") for column in table.columns)
    first_key = quote(table.key[0].name)
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @keys nvarchar(max) = ?, @lock int, @last bigint = {table.cursor_sql};
DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION(); {base}
SELECT k.rp_i, l._az_func_ChangeVersion, l._az_func_AttemptCount,
       CASE WHEN l._az_func_LeaseExpirationTime IS NOT NULL THEN 1 ELSE 0 END, v.SYS_CHANGE_VERSION,
       {OTHERS} AS Others
  FROM {keys}
  LEFT JOIN {lease} l ON {table.on("l", "k")}
  OUTER APPLY {table.version_apply} v;
{guard_sql(table, keys)}
SELECT k.rp_i, CASE WHEN t.{first_key} IS NULL THEN 0 ELSE 1 END, {watched}, {table.key_select("k")}, {columns}
  FROM {keys}
  LEFT JOIN {table.sql} t ON {table.on("t", "k")}
  {changes};
SELECT SYSUTCDATETIME(), @current,
       CASE WHEN EXISTS (SELECT 1 FROM rowpost.Ledger WHERE TableName = {literal(table.name)}) THEN 1 ELSE 0 END,
       s.ClientColumns, s.Failures, s.GateRound, DATEDIFF(second, SYSUTCDATETIME(), s.GateUntil)
  FROM (SELECT 1 AS One) o LEFT JOIN rowpost.TableState s ON s.TableName = {literal(table.name)};
"""


def watched_sql(table: Table, keys: str) -> tuple[str, str, str]:
    """Whether a change touches a watched column: a declaration, a join to alias ``keys``, and the expression, 1 or 0.

    Inserts, deletes and an unknown mask always count. The mask is relative to a base of our own: the trigger's cursor can pass a
    change that was not delivered, if its row has changed again since.
    """
    if table.watch is None:
        return "", "", "1"
    masks = " OR ".join(
        f"CHANGE_TRACKING_IS_COLUMN_IN_MASK(COLUMNPROPERTY(OBJECT_ID({literal(table.sql)}), {literal(name)}, 'ColumnId'), "
        f"w.SYS_CHANGE_COLUMNS) = 1"
        for name in table.watch
    )
    return (
        f"DECLARE @base bigint = (SELECT WatchBase FROM rowpost.TableState WHERE TableName = {literal(table.name)});",
        f"LEFT JOIN CHANGETABLE(CHANGES {table.sql}, @base) w ON {table.on('w', keys)}",
        f"CASE WHEN @base >= CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({literal(table.sql)})) "
        f"AND w.SYS_CHANGE_OPERATION = 'U' AND w.SYS_CHANGE_COLUMNS IS NOT NULL AND NOT ({masks}) THEN 0 ELSE 1 END",
    )


def guard_sql(table: Table, keys: str) -> str:
    """Keep every lease of the table well below five hand-outs while anyone has a batch in flight.

    At five, from the moment of the hand-out, the trigger stops counting the row as unprocessed, so that any other row's success
    sweeps it (and its lease) away. A settled failure puts the count back to 0, so a row at four was never settled: its process
    ended each time. It is stopped here, a hand-out early. A row of this batch goes back to three, and is left to recovery (see
    :func:`rowpost.settlement.early_settlement`). Any other is parked, with a count below zero, for the watchdog to adopt. The
    application lock is taken only when there is such a row.
    """
    other = f"k.{quote(table.key[0].name)} IS NULL"
    return f"""
IF EXISTS (SELECT 1 FROM {table.lease_sql} WHERE _az_func_AttemptCount >= {GUARDED_COUNT})
BEGIN
  BEGIN TRANSACTION;
  {APP_LOCK}
  UPDATE l
     SET _az_func_AttemptCount = CASE WHEN {other} THEN {PARKED_COUNT} ELSE {GUARDED_COUNT - 1} END,
         _az_func_LeaseExpirationTime = CASE WHEN {other} THEN DATEADD(hour, 1, SYSDATETIME())
                                             ELSE l._az_func_LeaseExpirationTime END
    FROM {table.lease_sql} l LEFT JOIN {keys} ON {table.on("l", "k")}
   WHERE l._az_func_AttemptCount >= {GUARDED_COUNT};
  COMMIT;
END;"""


# This worker stood still. Its row was handed out to another one, who settled and released it; or the lease was swept away, and the
# trigger hands the row out again, since its change lies beyond the cursor.
OTHERS = """CASE WHEN l._az_func_ChangeVersion IS NOT NULL AND l._az_func_LeaseExpirationTime IS NULL
              OR l._az_func_ChangeVersion IS NULL AND v.SYS_CHANGE_VERSION > @last THEN 1 ELSE 0 END"""
GUARDED_COUNT = 4  # unsettled hand-outs of one row; the trigger forgets it at five
# The change version in the lease of a row that recovery posts: so the trigger's next advance cannot sweep the lease away.
REDELIVERED_VERSION = 2**63 - 1
# Counts of parked rows, which the watchdog adopts. The extension never writes one below zero, and treats it as any below five.
PARKED_COUNT = -1
NEVER_HANDED_OUT = -2

# The extension's own lock: whoever writes leases without it can deadlock the trigger.
APP_LOCK = """EXEC @lock = sp_getapplock @Resource = N'_az_func_Trigger', @LockMode = 'Exclusive', @LockOwner = 'Transaction',
       @LockTimeout = 20000, @DbPrincipal = N'public';
  IF @lock < 0 THROW 50001, N'the lock _az_func_Trigger was not granted within 20 s', 1;"""


def claim(database: Database, table: Table, changes: str) -> Claim:
    """Claim the batch of a trigger payload: one round trip, and a second one only if the table has anything in the ledger.

    Raises:
        DatabaseError: the database cannot be reached, or refuses.
    """
    keys = payload_keys(table, changes)
    return claim_keys(database, table, keys)


def claim_keys(
    database: Database, table: Table, keys: list[dict[str, Any]], redelivered: Sequence[tuple[int, int]] | None = None
) -> Claim:
    """Claim rows by numbered keys (see :func:`numbered_keys`); see :func:`claim`.

    Args:
        database: the database.
        table: the table.
        keys: of the rows.
        redelivered: for rows that recovery has leased, by number: the version of the event, and the one that is tracked. Rows
            whose lease is another's, the trigger's or recovery's, are unknown here.
    """
    leases, data, ((now, newest, has_ledger, choice, *gate),) = database.run(claim_sql(table), _ENCODER.encode(keys).decode())
    lease_of = {row[0]: row[1:] for row in leases}
    rows: list[ClaimedRow] = []
    unknown = 0
    width = len(table.key)
    for index, exists, watched, *values in data:
        lease_version, attempt_count, leased, tracked_version, others = lease_of[index]
        gone = lease_version is None and tracked_version is None and not exists
        if gone or others or (lease_version == REDELIVERED_VERSION) != (redelivered is not None):
            unknown += 1
            continue
        version = lease_version if lease_version is not None else tracked_version or 0
        # The row's own spelling of the key: the lease and the payload may differ from it in case or trailing blanks.
        current = {c.name: c.json_value(v) for c, v in zip(table.columns, values[width:], strict=True)} if exists else None
        key = {c.name: current[c.name] for c in table.key} if current is not None else table.key_of(values[:width])
        row = ClaimedRow(key, version, attempt_count or 0, bool(leased), current, bool(watched), index=index)
        if redelivered is not None:
            row.version, row.tracked_version = redelivered[index]
        rows.append(row)
    if has_ledger:
        records = fetch_records(database, table, [row.key_hash for row in rows])
        for row in rows:
            row.record = record = records.get(row.key_hash)
            # A resync's version is later than the row's own. One that was not there when the values were read is another worker's.
            if record is not None and record.live and record.version <= newest:
                row.version = max(row.version, record.version)
    return Claim(rows, unknown, now, json.loads(choice) if choice else None, Gate(*(value or 0 for value in gate)))
