"""The T-SQL of a running listener.

Every transaction first takes one application lock, which is the same for all functions, tables and workers of a
database. Batches with a parameter are balanced (they end with as many transactions open as they began with), because
the server reports an error otherwise.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from emulators.functions_host.sql_trigger.identity import SCHEMA
from emulators.functions_host.sql_trigger.names import literal, quote
from emulators.functions_host.sql_trigger.table import ATTEMPT_COUNT, CHANGE_VERSION, LEASE_EXPIRATION, KeyColumn, WatchedTable

MAX_ATTEMPTS = 5
LEASE_SECONDS = 60
LOCK_RESOURCE = "_az_func_Trigger"
GLOBAL_STATE = f"{SCHEMA}.[GlobalState]"

_CV = f"l.{quote(CHANGE_VERSION)}"
_AC = f"l.{quote(ATTEMPT_COUNT)}"
_LE = f"l.{quote(LEASE_EXPIRATION)}"
_LEASE_END = f"DATEADD(second, {LEASE_SECONDS}, SYSDATETIME())"


def app_lock(timeout_ms: int) -> str:
    """Take the application lock until the transaction ends; ``@lock`` must be declared."""
    return f"""
EXEC @lock = sp_getapplock @Resource = N'{LOCK_RESOURCE}', @LockMode = 'Exclusive', @LockOwner = 'Transaction',
    @LockTimeout = {timeout_ms}, @DbPrincipal = N'public';
IF @lock < 0 THROW 50000, N'Could not take the application lock of the SQL triggers within {timeout_ms} ms.', 1;"""


def cursor_condition(function_id: str, table_id: int) -> str:
    """Condition that finds a function's row in the table of cursors."""
    return f"UserFunctionID = {literal(function_id)} AND UserTableID = {table_id}"


def _key_value(value: Any, type_name: str) -> Any:
    """A key as OPENJSON reads it back exactly: decimals as texts, times no finer than their type takes."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    text = str(value)
    if type_name == "datetime":
        return text[:23]
    if type_name == "smalldatetime":
        return text[:19]
    return text


def key_rows(rows: Iterable[tuple[Sequence[Any], int]], keys: Sequence[KeyColumn]) -> str:
    """The parameter of the lease statements: key values and change version of each row. Half a surrogate pair is an escape."""
    return json.dumps(
        [{f"k{i}": _key_value(value, keys[i].type) for i, value in enumerate(values)} | {"v": version} for values, version in rows]
    )


class Statements:
    """The statements of one function on one table.

    Args:
        table: the watched table.
        function_id: key of the cursor.
        lease_table: quoted name.
        lock_timeout_ms: longest wait for the application lock.
    """

    def __init__(self, table: WatchedTable, function_id: str, lease_table: str, lock_timeout_ms: int) -> None:
        self.table = table
        self.lease_table = lease_table
        self._lock = app_lock(lock_timeout_ms)
        self._cursor = cursor_condition(function_id, table.object_id)
        self._changes = f"CHANGETABLE(CHANGES {table.name.quoted}, @last) AS c"
        self._lease_join = f"LEFT JOIN {lease_table} AS l ON {self._match('l', 'c')}"
        read = ", ".join(f"k{i} {key.declaration} '$.k{i}'" for i, key in enumerate(table.keys))
        self._rows = f"OPENJSON(@rows) WITH ({read}, v bigint '$.v')"
        self._row_match = " AND ".join(f"l.{quote(key.name)} = s.k{i}" for i, key in enumerate(table.keys))
        self._begin = f"BEGIN TRANSACTION;{self._lock}"
        self._read_cursor = f"SELECT @last = LastSyncVersion FROM {GLOBAL_STATE} WHERE {self._cursor};"

    def _match(self, left: str, right: str) -> str:
        return " AND ".join(f"{left}.{quote(key.name)} = {right}.{quote(key.name)}" for key in self.table.keys)

    def _eligible(self, now: str) -> str:
        return f"""(({_LE} IS NULL AND ({_CV} IS NULL OR {_CV} < c.SYS_CHANGE_VERSION)) OR {_LE} < {now})
  AND ({_AC} IS NULL OR {_AC} < {MAX_ATTEMPTS})"""

    def pre_invocation(self) -> str:
        """Move the cursor to the oldest version that is retained, if it is behind.

        Result set, only if it was behind: the cursor before and after.
        """
        return f"""
DECLARE @lock int, @last bigint, @oldest bigint;{self._lock}
{self._read_cursor}
SET @oldest = CHANGE_TRACKING_MIN_VALID_VERSION({self.table.object_id});
IF @last < @oldest
BEGIN
    UPDATE {GLOBAL_STATE} SET LastSyncVersion = @oldest WHERE {self._cursor};
    SELECT @last, @oldest;
END;"""

    def changes(self, batch_size: int) -> str:
        """Look for rows to hand out: the columns of the table, then change version and operation."""
        keys = {key.name for key in self.table.keys}
        columns = ", ".join(f"{'c' if each.name in keys else 't'}.{quote(each.name)}" for each in self.table.columns)
        return f"""
DECLARE @lock int, @last bigint;{self._lock}
{self._read_cursor}
SELECT TOP ({batch_size}) {columns}, c.SYS_CHANGE_VERSION, c.SYS_CHANGE_OPERATION
FROM {self._changes}
{self._lease_join}
LEFT JOIN {self.table.name.quoted} AS t ON {self._match("t", "c")}
WHERE {self._eligible("SYSDATETIME()")}
ORDER BY c.SYS_CHANGE_VERSION ASC;"""

    def counts(self) -> str:
        """Count leased rows and exhausted ones; and, for virtual time, the microseconds to the end of the next lease."""
        return f"""
DECLARE @lock int, @last bigint, @now datetime2(7);{self._lock}
{self._read_cursor}
SET @now = SYSDATETIME();
SELECT SUM(CASE WHEN {_AC} < {MAX_ATTEMPTS} AND {_LE} > @now THEN 1 ELSE 0 END),
    SUM(CASE WHEN {_AC} = {MAX_ATTEMPTS} AND ({_LE} IS NULL OR {_LE} <= @now) THEN 1 ELSE 0 END),
    DATEDIFF_BIG(microsecond, @now, MIN(CASE WHEN {_AC} < {MAX_ATTEMPTS} THEN {_LE} END))
FROM {self._changes}
{self._lease_join};"""

    def acquire(self) -> str:
        """Lease the rows of the parameter and count the hand-out."""
        inserted = ", ".join(f"s.k{i}" for i in range(len(self.table.keys)))
        return f"""
DECLARE @rows nvarchar(max) = ?, @lock int;{self._lock}
MERGE INTO {self.lease_table} WITH (HOLDLOCK) AS l
USING (SELECT * FROM {self._rows}) AS s ON {self._row_match}
WHEN MATCHED THEN UPDATE SET {quote(CHANGE_VERSION)} = s.v, {quote(ATTEMPT_COUNT)} = {_AC} + 1,
    {quote(LEASE_EXPIRATION)} = {_LEASE_END}
WHEN NOT MATCHED THEN INSERT VALUES ({inserted}, s.v, 1, {_LEASE_END});"""

    commit = "COMMIT TRANSACTION;"

    def renew(self) -> str:
        """Prolong the leases of the rows of the parameter, whoever holds them by now."""
        return f"""
DECLARE @rows nvarchar(max) = ?, @lock int;{self._lock}
UPDATE l SET {quote(LEASE_EXPIRATION)} = {_LEASE_END}
FROM {self.lease_table} AS l JOIN {self._rows} AS s ON {self._row_match};"""

    def release(self) -> str:
        """Release the rows of the parameter."""
        return f"""
DECLARE @rows nvarchar(max) = ?, @lock int;{self._lock}
UPDATE l SET {quote(CHANGE_VERSION)} = s.v, {quote(ATTEMPT_COUNT)} = 0, {quote(LEASE_EXPIRATION)} = NULL
FROM {self.lease_table} AS l JOIN {self._rows} AS s ON {self._row_match}
WHERE {_CV} <= s.v;"""

    def post_invocation(self, version: int) -> str:
        """Move the cursor to ``version`` if nothing up to there is unprocessed.

        Result set: one row of unprocessed count, cursor before, exhausted rows dropped (NULL: the cursor stays).
        """
        return f"""
DECLARE @lock int, @last bigint, @unprocessed int, @exhausted int;{self._lock}
{self._read_cursor}
SELECT @unprocessed = COUNT(*)
FROM {self._changes}
{self._lease_join}
WHERE c.SYS_CHANGE_VERSION <= {version}
  AND ({_CV} IS NULL OR {_CV} <> c.SYS_CHANGE_VERSION OR {_LE} IS NOT NULL)
  AND ({_AC} IS NULL OR {_AC} < {MAX_ATTEMPTS});
IF @unprocessed = 0 AND @last < {version}
BEGIN
    SELECT @exhausted = COUNT(*) FROM {self.lease_table} AS l WHERE {_CV} <= {version} AND {_AC} = {MAX_ATTEMPTS};
    UPDATE {GLOBAL_STATE} SET LastSyncVersion = {version}, LastAccessTime = GETUTCDATE() WHERE {self._cursor};
    DELETE l FROM {self.lease_table} AS l WHERE {_CV} <= {version};
END;
SELECT @unprocessed, @last, @exhausted;"""

    def count_unprocessed(self) -> str:
        """Count what :meth:`changes` would hand out without a limit."""
        return f"""
DECLARE @lock int, @last bigint;
{self._begin}
{self._read_cursor}
SELECT COUNT(*)
FROM {self._changes}
{self._lease_join}
WHERE {self._eligible("SYSDATETIME()")};
COMMIT TRANSACTION;"""

    def count_tracked(self) -> str:
        """Count all tracked changes: for a function that has never started."""
        return f"DECLARE @last bigint; SELECT COUNT(*) FROM {self._changes};"

    def inspect(self, limit: int) -> str:
        """Look without touching: no application lock, no shared locks, nothing written.

        Result sets: one row of cursor, current version of the database, what :meth:`count_unprocessed` counts, count of
        leases, local time, UTC; then up to ``limit`` leases (key values, change version, count, end), open ones first.
        """
        keys = ", ".join(f"l.{quote(key.name)}" for key in self.table.keys)
        return f"""
SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED;
DECLARE @last bigint, @unprocessed int, @leases int, @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME();
{self._read_cursor}
SELECT @unprocessed = COUNT(*)
FROM {self._changes}
{self._lease_join}
WHERE {self._eligible("@now")};
SELECT @leases = COUNT(*) FROM {self.lease_table};
SELECT @last, CHANGE_TRACKING_CURRENT_VERSION(), @unprocessed, @leases, @now, @utc;
SELECT TOP ({limit}) {keys}, {_CV}, {_AC}, {_LE}
FROM {self.lease_table} AS l
ORDER BY CASE WHEN {_LE} IS NULL THEN 1 ELSE 0 END, {_LE}, {_CV};"""
