"""Resync: an operator's order to send the present state of a whole table, in pages, through the ledger.

It repairs what nothing else can: changes that the change retention took away before they were handed out. A page of keys goes into
the ledger as detached rows that are due, and recovery delivers them like any other: under a lease, at the target's pace, with
rounds and dead letters.
"""

from __future__ import annotations

from typing import Any

from rowpost.app import App
from rowpost.ledger import NOT_TRIED, key_hash, key_text, to_json
from rowpost.tables import Table, literal, quote

PAGE_ROWS = 500
BACKLOG_ROWS = 1000  # no further page while more rows than these are to be delivered


def resync_page(app: App, table_name: str, after: str | None, since: int | None) -> dict[str, Any]:
    """Put the keys of the next page into the ledger, unless enough rows wait there already. The same page twice does no harm.

    Args:
        app: the app.
        table_name: the table's configured name.
        after: the last key of the page before, as canonical JSON; None for the first page.
        since: the version of the first page; None for the first page.

    Returns:
        ``rows``: how many; ``after`` and ``since``: for the next page; ``wait``: whether the backlog was too large, and no page was
        taken; ``done``.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the page is taken again.
    """
    page: dict[str, Any] = {"rows": 0, "after": after, "since": since, "wait": False, "done": False}
    if app.config.table(table_name) is None:  # no longer configured
        return page | {"done": True}
    table = app.table(table_name)
    (((live, current),), rows) = app.database.run(_page_sql(table, first=after is None), *([] if after is None else [after]))
    if live > BACKLOG_ROWS:
        return page | {"wait": True}
    if not rows:
        sql = f"""
UPDATE rowpost.TableState SET GapFrom = NULL, GapTo = NULL, GapTold = NULL
 WHERE TableName = {literal(table.name)} AND GapTo <= ?;"""
        app.database.run(sql, current if since is None else since)  # a gap of later versions is not repaired by this
        return page | {"done": True}
    texts = [key_text(table.key_of(row)) for row in rows]
    keys = [{"h": key_hash(text), "k": text} for text in texts]
    app.database.run(_insert_sql(table), to_json(keys), current)
    return page | {"rows": len(keys), "after": texts[-1], "since": current if since is None else since}


def _page_sql(table: Table, *, first: bool) -> str:
    """Keyset paging: no page depends on how many rows came before it."""
    declare = condition = ""
    if not first:
        # (a, b) > (x, y), spelled out, since T-SQL compares no tuples; the first term lets the index of the key be used.
        names = [quote(column.name) for column in table.key]
        steps = [
            " AND ".join([*(f"t.{name} = @k{n}" for n, name in enumerate(names[:index])), f"t.{names[index]} > @k{index}"])
            for index in range(len(names))
        ]
        condition = f"WHERE t.{names[0]} >= @k0 AND ({' OR '.join(f'({step})' for step in steps)})"
        types = ", ".join(f"@k{n} {column.declaration}" for n, column in enumerate(table.key))
        values = ", ".join(f"@k{n} = k.{name}" for n, name in enumerate(names))
        declare = f"DECLARE @after nvarchar(max) = ?, {types};\nSELECT {values} FROM OPENJSON(@after) {table.key_with()} k;"
    order = ", ".join(f"t.{quote(column.name)}" for column in table.key)
    return f"""
SET NOCOUNT ON;
{declare}
-- Read before the rows: what is sent later under this version is at least as new as it.
DECLARE @version bigint = CHANGE_TRACKING_CURRENT_VERSION();
SELECT COUNT(*), @version FROM rowpost.Ledger WHERE TableName = {literal(table.name)} AND State <> 'dead';
SELECT TOP ({PAGE_ROWS}) {table.key_select("t")} FROM {table.sql} t {condition} ORDER BY {order};
"""


def _insert_sql(table: Table) -> str:
    name, keys = literal(table.name), "OPENJSON(@rows) WITH (h char(64) '$.h', k nvarchar(max) '$.k') s"
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @rows nvarchar(max) = ?, @version bigint = ?, @utc datetime2(7) = SYSUTCDATETIME();
BEGIN TRANSACTION;
-- A row that is failing already has its schedule; a dead one gets a new window.
UPDATE g SET State = 'held', Rounds = 0, Noticed = 0, FirstFailure = @utc, NextAttempt = @utc, NotBefore = NULL, Detached = 1,
             ChangeVersion = CASE WHEN @version > g.ChangeVersion THEN @version ELSE g.ChangeVersion END
  FROM rowpost.Ledger g JOIN {keys} ON g.KeyHash = s.h WHERE g.TableName = {name} AND g.State = 'dead';
INSERT INTO rowpost.Ledger (TableName, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds,
                            FirstFailure, LastFailure, NextAttempt, LastError, Noticed, Detached)
SELECT {name}, s.h, s.k, @version, 'U', 'held', 0, 0, @utc, @utc, @utc, N'{NOT_TRIED}: a resync was ordered', 0, 1
  FROM {keys}
 WHERE NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WITH (UPDLOCK, SERIALIZABLE) WHERE g.TableName = {name} AND g.KeyHash = s.h);
COMMIT;
"""
