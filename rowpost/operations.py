"""What an operator can order: try again now, and replay dead letters. The order is written down; recovery carries it out."""

from __future__ import annotations

from rowpost.app import App
from rowpost.ledger import CHUNK_ROWS, change_in_chunks
from rowpost.tables import literal


def retry_now(app: App, table_name: str) -> int:
    """Open the table's gate, and make every row that waits due at once.

    Returns:
        How many rows become due.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; nothing was changed.
    """
    table = app.table(table_name)
    name = literal(table.name)
    ((row,),) = app.database.run(f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
UPDATE rowpost.TableState SET RetryOrdered = @utc, Failures = 0, GateRound = 0, GateUntil = NULL WHERE TableName = {name};
SELECT COUNT(*) FROM rowpost.Ledger
 WHERE TableName = {name} AND State <> 'dead' AND LastFailure < @utc AND NextAttempt > @utc;""")
    return int(row[0])


def replay_dead_letters(app: App, table_name: str) -> int:
    """Give every dead letter of the table a new window, starting now; recovery redelivers the rows' current state.

    Returns:
        How many rows were taken back.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; some may be taken back already, and the next order takes the others.
    """
    table = app.table(table_name)
    (((started,),),) = app.database.run("SELECT CONVERT(nvarchar(40), SYSUTCDATETIME(), 126);")  # a row that dies again stays dead
    sql = f"""
SET NOCOUNT ON;
DECLARE @started datetime2(7) = ?, @utc datetime2(7) = SYSUTCDATETIME();
UPDATE TOP ({CHUNK_ROWS}) rowpost.Ledger
   SET State = 'held', Rounds = 0, Noticed = 0, FirstFailure = @utc, NextAttempt = @utc, NotBefore = NULL, Detached = 1
 WHERE TableName = {literal(table.name)} AND State = 'dead' AND NextAttempt <= @started;
SELECT @@ROWCOUNT;"""
    return change_in_chunks(app.database, sql, started)
