"""What an operator can order: try again now, and replay or drop dead letters. Set by set, under the trigger's lock."""

from __future__ import annotations

from rowpost.app import App
from rowpost.claim import APP_LOCK
from rowpost.tables import literal


def retry_now(app: App, table_name: str) -> int:
    """Make every held row of the table due at once.

    Returns:
        How many rows became due.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; nothing was changed.
    """
    table = app.table(table_name)
    name = literal(table.name)
    ((row,),) = app.database.run(f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @lock int, @count int;
BEGIN TRANSACTION;
{APP_LOCK}
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME();
UPDATE l SET _az_func_LeaseExpirationTime = DATEADD(millisecond, -1, @now)
  FROM rowpost.Ledger g CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k JOIN {table.lease_sql} l ON {table.on("l", "k")}
 WHERE g.TableName = {name} AND g.State IN ('held', 'exhausted')
   AND l._az_func_AttemptCount <= 0 AND l._az_func_LeaseExpirationTime > @now;
UPDATE rowpost.Ledger SET State = 'held', NextAttempt = @utc
 WHERE TableName = {name} AND State IN ('held', 'exhausted') AND NextAttempt > @utc;
SET @count = @@ROWCOUNT;
SELECT @count;
COMMIT;""")
    return int(row[0])


def replay_dead_letters(app: App, table_name: str) -> int:
    """Give every dead letter of the table a new window, starting now; recovery redelivers the rows' current state.

    Returns:
        How many rows were taken back.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; nothing was changed.
    """
    table = app.table(table_name)
    ((row,),) = app.database.run(f"""
SET NOCOUNT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
UPDATE rowpost.Ledger SET State = 'held', Rounds = 0, Noticed = 0, FirstFailure = @utc, NextAttempt = @utc, NotBefore = NULL
 WHERE TableName = {literal(table.name)} AND State = 'dead';
SELECT @@ROWCOUNT;""")
    return int(row[0])
