"""A trigger that stands still, while its host looks healthy: here that is seen, told, and its work is done by recovery.

The SQL trigger's loop is over for good if its first connection fails, or at an error that it did not expect; nothing but a restart
of the host brings it back, and nobody is told. What shows it: changes wait to be handed out, and minutes later changes still wait,
though nothing was handed out or finished in between.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from rowpost.app import App
from rowpost.claim import APP_LOCK, NEVER_HANDED_OUT, REDELIVERED_VERSION, watched_sql
from rowpost.config import TableConfig
from rowpost.notices import Notice
from rowpost.tables import Table, literal, quote

_STALLED_SECONDS = 240  # a little less than the time between two looks
_LAPSED_SECONDS = 60  # a row whose lease ended so long ago is not on its way to be handed out either
_CHUNK_ROWS = 500
_CHUNKS_AT_MOST = 100  # of one look


@dataclass(frozen=True, slots=True)
class Progress:
    """What a look saw of the trigger.

    Attributes:
        oldest: the oldest change that waits to be handed out, None if nothing waits.
        current: the newest version of the database.
        mark: the cursor, and the newest version under a lease: both stay while nothing is handed out or finished.
        since: since when it stands still, by the database's clock, UTC; None if it does not, or nobody can know.
        now: the present, by the same.
    """

    oldest: int | None
    current: int
    mark: tuple[int, int]
    since: datetime | None
    now: datetime

    @property
    def ended(self) -> bool:
        """Whether the trigger stands still for so long that it cannot be alive."""
        return self.since is not None and (self.now - self.since).total_seconds() >= _STALLED_SECONDS

    @property
    def stalled(self) -> bool:
        """Whether changes wait for a trigger that has ended."""
        return self.ended and self.oldest is not None


def paused(table: TableConfig, settings: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody has disabled the table's trigger by an app setting: then it stands still because it is told to.

    The setting is ``AzureWebJobs.NAME.Disabled``; where names of variables have no dots they are underscores.
    """
    name = f"AzureWebJobs_{table.function}_Disabled".lower()
    values = [
        value for key, value in settings.items() if key.replace(".", "_").replace("__", "_").lower() == name.replace("__", "_")
    ]
    return any(value.strip().lower() in ("true", "1") for value in values)


def look_at_trigger(app: App, table_name: str, before: Progress | None) -> Progress | None:
    """Whether the trigger makes progress. Changes nothing.

    Args:
        app: the app.
        table_name: the table's configured name.
        before: what the look before saw, in this very process: after a restart of the host the trigger deserves a new chance.

    Returns:
        What was seen; None if the trigger has never started, or is paused.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(table_name)
    if paused(table.config):
        return None
    ((row,),) = app.database.run(_look_sql(table))
    oldest, current, busy, cursor, leased, text = row
    if cursor is None:
        return None
    now, mark = datetime.fromisoformat(text), (cursor, leased or 0)
    since = None if busy or oldest is None else now
    if (
        before is not None
        and before.since is not None
        and before.mark == mark
        and not busy
        and (oldest is not None or before.ended)
    ):
        since = before.since
    return Progress(oldest, current, mark, since, now)


def take_over(app: App, table_name: str, seen: Progress) -> Progress:
    """Park the changes that wait, for the watchdog to adopt and recovery to deliver; at most so many that a look stays short.

    A trigger that has come back meanwhile does not hand them out any more.

    Returns:
        The same progress, with the marks that the parked rows have set.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; each chunk was parked wholly or not at all.
    """
    sql = _park_sql(app.table(table_name))
    for _ in range(_CHUNKS_AT_MOST):
        (((parked,),),) = app.database.run(sql, seen.current)
        if not parked:
            break
    after = look_at_trigger(app, table_name, None)
    return seen if after is None else replace(after, since=seen.since)


def stall_notice(table: TableConfig, seen: Progress) -> Notice:
    """What people are to be told: once a day, as long as it lasts."""
    since = "" if seen.since is None else seen.since.isoformat()
    return {
        "id": f"notice-stalled-{table.slug}-{seen.mark[0]}-{seen.now.date().isoformat()}",  # the cursor of an ended trigger stays
        "kind": "stalled",
        "table": table.name,
        "rows": 0,
        "round": 0,
        "since": since,
        "at": seen.now.isoformat(),
        "last_error": None,
        "versions": [seen.oldest or 0, seen.current],
    }


def _waits(table: Table) -> str:
    """Whether the trigger would hand out change ``c`` with its lease ``l`` (by left join) now, and should have done so."""
    return f"""(l._az_func_AttemptCount IS NULL OR l._az_func_AttemptCount < 5)
   AND ((l._az_func_LeaseExpirationTime IS NULL
        AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION))
       OR l._az_func_LeaseExpirationTime < DATEADD(second, -{_LAPSED_SECONDS}, @now))"""


def _look_sql(table: Table) -> str:
    text = "CONVERT(nvarchar(40), CAST(SYSUTCDATETIME() AS datetime2(6)), 126)"
    return f"""
SET NOCOUNT ON;
IF OBJECT_ID({literal(table.lease_sql)}, N'U') IS NULL
  SELECT CAST(NULL AS bigint), CAST(NULL AS bigint), 0, CAST(NULL AS bigint), CAST(NULL AS bigint), {text};
ELSE BEGIN
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint = {table.cursor_sql};
SELECT (SELECT MIN(c.SYS_CHANGE_VERSION) FROM CHANGETABLE(CHANGES {table.sql}, @last) c
          LEFT JOIN {table.lease_sql} l ON {table.on("l", "c")} WHERE {_waits(table)}),
       CHANGE_TRACKING_CURRENT_VERSION(),
       CASE WHEN EXISTS (SELECT 1 FROM {table.lease_sql} WHERE _az_func_AttemptCount > 0 AND _az_func_LeaseExpirationTime >= @now
                            AND _az_func_ChangeVersion < {REDELIVERED_VERSION}) THEN 1 ELSE 0 END,
       @last,
       (SELECT MAX(_az_func_ChangeVersion) FROM {table.lease_sql} WHERE _az_func_ChangeVersion < {REDELIVERED_VERSION}), {text};
END;
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
