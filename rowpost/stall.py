"""A trigger that stands still, while its host looks healthy: here that is seen, told, and its work is done by recovery.

The SQL trigger's loop is over for good if its first connection fails, or at an error that it did not expect; nothing but a restart
of the host brings it back, and nobody is told. What shows it: changes wait to be handed out, and minutes later changes still wait,
though nothing was handed out or finished in between.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from rowpost.app import App
from rowpost.claim import APP_LOCK, NEVER_HANDED_OUT, REDELIVERED_VERSION, watched_sql
from rowpost.config import TableConfig
from rowpost.notices import Notice
from rowpost.tables import Table, literal, quote

_BETWEEN_LOOKS_SECONDS = 240  # a little less than the watchdog takes from look to look; one that comes sooner tells nothing
_LAPSED_SECONDS = 60  # a row whose lease ended so long ago is not on its way to be handed out either
_CHUNK_ROWS = 500
_CHUNKS_AT_MOST = 100  # of one look


@dataclass(frozen=True, slots=True)
class Standstill:
    """A trigger that has ended, while changes wait.

    Attributes:
        oldest: the oldest change that waits to be handed out.
        current: the newest version of the database.
        cursor: the trigger's.
        since: when it was first seen to stand still, ISO 8601, UTC.
        now: the database's clock, ISO 8601, UTC.
    """

    oldest: int
    current: int
    cursor: int
    since: str
    now: str


def paused(table: TableConfig, settings: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody has disabled the table's trigger by an app setting: then it stands still because it is told to.

    The setting is ``AzureWebJobs.NAME.Disabled``; where names of variables have no dots they are underscores.
    """
    name = f"AzureWebJobs_{table.function}_Disabled".lower()
    values = [
        value for key, value in settings.items() if key.replace(".", "_").replace("__", "_").lower() == name.replace("__", "_")
    ]
    return any(value.strip().lower() in ("true", "1") for value in values)


def look_at_trigger(app: App, table_name: str) -> Standstill | None:
    """Look whether the trigger makes progress, and remember what was seen.

    It takes three looks: the second one may be the first after a restart of the host, and then the trigger deserves a chance.

    Returns:
        What was seen if the trigger has ended and changes wait; else None, also if it has never started, or is paused.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(table_name)
    if paused(table.config):
        return None
    (rows,) = app.database.run(_look_sql(table))
    return Standstill(*rows[0]) if rows else None


def take_over(app: App, table_name: str, seen: Standstill) -> None:
    """Park the changes that wait, for the watchdog to adopt and recovery to deliver; at most so many that a look stays short.

    A trigger that has come back meanwhile does not hand them out any more.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; each chunk was parked wholly or not at all.
    """
    table = app.table(table_name)
    park = _park_sql(table)
    for _ in range(_CHUNKS_AT_MOST):
        (((parked,),),) = app.database.run(park, seen.current)
        if not parked:
            break
    # These leases are ours, and no progress of the trigger.
    app.database.run(f"UPDATE rowpost.TableState SET StillLeased = {_newest_lease(table)} WHERE TableName = {literal(table.name)};")


def stall_notice(table: TableConfig, seen: Standstill) -> Notice:
    """What people are to be told: once a day, as long as it lasts."""
    return {
        "id": f"notice-stalled-{table.slug}-{seen.cursor}-{seen.now[:10]}",  # the cursor of a trigger that has ended stays
        "kind": "stalled",
        "table": table.name,
        "rows": 0,
        "round": 0,
        "since": seen.since,
        "at": seen.now,
        "last_error": None,
        "versions": [seen.oldest, seen.current],
    }


def _waits(table: Table) -> str:
    """Whether the trigger would hand out change ``c`` with its lease ``l`` (by left join) now, and should have done so."""
    return f"""(l._az_func_AttemptCount IS NULL OR l._az_func_AttemptCount < 5)
   AND ((l._az_func_LeaseExpirationTime IS NULL
        AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION))
       OR l._az_func_LeaseExpirationTime < DATEADD(second, -{_LAPSED_SECONDS}, @now))"""


def _newest_lease(table: Table) -> str:
    """The newest version under a lease; it moves with each hand-out."""
    leases = f"{table.lease_sql} WHERE _az_func_ChangeVersion < {REDELIVERED_VERSION}"
    return f"COALESCE((SELECT MAX(_az_func_ChangeVersion) FROM {leases}), 0)"


def _look_sql(table: Table) -> str:
    """A row if the trigger has ended. It stands still if changes wait, none is in hand, and cursor and leases are as they were."""
    name = literal(table.name)
    iso = "CONVERT(nvarchar(40), {}, 126)"
    return f"""
SET NOCOUNT ON;
DECLARE @ended int = 0, @current bigint = CHANGE_TRACKING_CURRENT_VERSION(), @utc datetime2(7) = SYSUTCDATETIME();
DECLARE @oldest bigint, @last bigint, @leased bigint, @since datetime2(7), @seen datetime2(7);
IF OBJECT_ID({literal(table.lease_sql)}, N'U') IS NOT NULL
BEGIN
  DECLARE @now datetime2(7) = SYSDATETIME();
  SET @last = {table.cursor_sql};
  SET @leased = {_newest_lease(table)};
  SET @oldest = (SELECT MIN(c.SYS_CHANGE_VERSION) FROM CHANGETABLE(CHANGES {table.sql}, @last) c
                   LEFT JOIN {table.lease_sql} l ON {table.on("l", "c")} WHERE {_waits(table)});
  IF EXISTS (SELECT 1 FROM {table.lease_sql} WHERE _az_func_AttemptCount > 0 AND _az_func_LeaseExpirationTime >= @now
                AND _az_func_ChangeVersion < {REDELIVERED_VERSION}) SET @oldest = NULL;
END;
SELECT @since = StillSince, @seen = StillSeen FROM rowpost.TableState
 WHERE TableName = {name} AND @oldest IS NOT NULL AND StillCursor = @last AND StillLeased = @leased;
IF @seen > @since AND DATEDIFF(second, @seen, @utc) >= {_BETWEEN_LOOKS_SECONDS} SET @ended = 1;
UPDATE rowpost.TableState
   SET StillCursor = @last, StillLeased = @leased,
       StillSince = CASE WHEN @oldest IS NOT NULL THEN COALESCE(@since, @utc) END,
       StillSeen = CASE WHEN @oldest IS NULL THEN NULL
                        WHEN DATEDIFF(second, @seen, @utc) < {_BETWEEN_LOOKS_SECONDS} THEN @seen ELSE @utc END
 WHERE TableName = {name} AND (@oldest IS NOT NULL OR StillSince IS NOT NULL);
SELECT @oldest, @current, @last, {iso.format("@since")}, {iso.format("@utc")} WHERE @ended = 1;
"""


def _park_sql(table: Table) -> str:
    """At most so many rows, which it counts: first those that have a lease, then those that have none."""
    base, join, watched = watched_sql(table, "c")
    count = f"CASE {watched} WHEN 1 THEN {NEVER_HANDED_OUT} ELSE 0 END"
    end = f"CASE {watched} WHEN 1 THEN DATEADD(hour, 1, @now) END"
    keys = ", ".join(quote(column.name) for column in table.key)
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @to bigint = ?, @lock int, @rows int; {base}
BEGIN TRANSACTION;
{APP_LOCK}
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint = {table.cursor_sql};
UPDATE TOP ({_CHUNK_ROWS}) l
   SET _az_func_ChangeVersion = c.SYS_CHANGE_VERSION, _az_func_AttemptCount = {count}, _az_func_LeaseExpirationTime = {end}
  FROM {table.lease_sql} l JOIN CHANGETABLE(CHANGES {table.sql}, @last) c ON {table.on("l", "c")} {join}
 WHERE c.SYS_CHANGE_VERSION <= @to AND {_waits(table)};
SET @rows = @@ROWCOUNT;
INSERT INTO {table.lease_sql} ({keys}, _az_func_ChangeVersion, _az_func_AttemptCount, _az_func_LeaseExpirationTime)
SELECT TOP ({_CHUNK_ROWS}) {table.key_list("c")}, c.SYS_CHANGE_VERSION, {count}, {end}
  FROM CHANGETABLE(CHANGES {table.sql}, @last) c {join}
 WHERE c.SYS_CHANGE_VERSION <= @to AND NOT EXISTS (SELECT 1 FROM {table.lease_sql} l WHERE {table.on("l", "c")})
 ORDER BY c.SYS_CHANGE_VERSION;
SELECT @rows + @@ROWCOUNT;
COMMIT;
"""
