"""The change retention: what it takes away before it was handed out is lost to the trigger. Here that is seen, and told.

The watchdog remembers up to which version every change is delivered or in the ledger. If SQL Server's oldest valid version goes
beyond it, changes in between may be lost: which ones, nobody can know any more, but the range of versions is exact. The same if the
tracking of the table has begun anew: it was switched off and on, or the table was truncated or made again.
"""

from __future__ import annotations

from dataclasses import dataclass

from rowpost.app import App
from rowpost.config import TableConfig
from rowpost.notices import Notice
from rowpost.tables import Table, literal, quote

_LATE_SHARE = 2  # a change that waits for more than 1/2 of the retention is told


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the trigger has come, and what retention did.

    Attributes:
        covered: every change up to this version is delivered or in the ledger.
        current: the newest version of the database.
        gap: the first and last version of changes that may be lost, if people are to be told: more are lost than they know.
        since: an instant (ISO 8601, UTC) since when a change has been waiting for more than half of the retention, if one has.
        begin: with which version the tracking of the table began.
        now: the database's clock, ISO 8601, UTC.
    """

    covered: int
    current: int
    gap: tuple[int, int] | None
    since: str | None
    begin: int
    now: str


def look_at_retention(app: App, table_name: str) -> Coverage | None:
    """Compare the trigger's progress with the change retention; None before the trigger's first start. Changes nothing.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(table_name)
    (rows,) = app.database.run(_look_sql(table))
    if not rows:
        return None
    before, known_begin, first, last, told, begin, oldest, current, minimum, since, now = rows[0]
    covered = current if oldest is None else oldest - 1
    anew = known_begin is not None and (begin != known_begin or current < before)
    gap = None
    if before is not None and (minimum > before or anew):
        found = max(1, min(before + 1, minimum))
        gap = (min(found, first or found), max(minimum, last or 1))
    elif first is not None and (told is None or told < last):
        gap = (first, last)
    covered = max(covered, minimum) if anew or before is None else max(covered, minimum, before)
    return Coverage(covered, current, gap, since, begin, now)


def retention_notices(table: TableConfig, coverage: Coverage) -> list[Notice]:
    """What people are to be told of a look: once of each gap, and once a day of changes that wait for too long."""
    common: Notice = {
        "id": "",
        "kind": "gap",
        "table": table.name,
        "rows": 0,
        "round": 0,
        "since": coverage.since,
        "at": coverage.now,
        "last_error": None,
    }
    notices: list[Notice] = []
    if coverage.gap is not None:
        first, last = coverage.gap  # a gap that grows is told once a day
        notices.append({**common, "id": f"notice-gap-{table.slug}-{first}-{coverage.now[:10]}", "versions": [first, last]})
    if coverage.since is not None:
        daily = f"notice-retention-{table.slug}-{coverage.now[:10]}"
        notices.append({**common, "id": daily, "kind": "retention", "versions": [coverage.covered + 1, coverage.current]})
    return notices


def record_coverage(app: App, table_name: str, coverage: Coverage, *, told: bool) -> None:
    """Remember what was seen, and whether people were told of the gap. It stays on record until a resync has gone over the table.

    Raises:
        DatabaseError: the database failed; the next look sees, and tells, the same.
    """
    table = app.table(table_name)
    first, last = coverage.gap or (0, 0)
    app.database.run(
        f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @covered bigint = ?, @current bigint = ?, @begin bigint = ?, @first bigint = NULLIF(?, 0), @last bigint = NULLIF(?, 0),
        @told int = ?;
UPDATE rowpost.TableState
   SET Covered = @covered, BeginVersion = @begin,
       GapFrom = COALESCE(@first, GapFrom), GapTo = COALESCE(@last, GapTo),
       GapTold = CASE WHEN @told = 1 THEN @last ELSE GapTold END,
       -- The mark is moved on when everything up to it is covered: it tells since when something newer has been waiting.
       MarkAt = CASE WHEN Mark IS NULL OR Mark <= @covered OR Mark > @current THEN SYSUTCDATETIME() ELSE MarkAt END,
       Mark = CASE WHEN Mark IS NULL OR Mark <= @covered OR Mark > @current THEN @current ELSE Mark END
 WHERE TableName = {literal(table.name)};""",
        coverage.covered,
        coverage.current,
        coverage.begin,
        first,
        last,
        int(told),
    )


def _look_sql(table: Table) -> str:
    name, key = literal(table.name), quote(table.key[0].name)
    return f"""
SET NOCOUNT ON;
IF OBJECT_ID({literal(table.lease_sql)}, N'U') IS NULL
  SELECT 0 AS c WHERE 1 = 0;
ELSE BEGIN
  -- First the versions that only grow: what happens meanwhile is seen by the next look.
  DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION(), @utc datetime2(7) = SYSUTCDATETIME();
  DECLARE @last bigint = {table.cursor_sql};
  -- A row that is held has a record in the ledger. One in hand, handed back or parked has none: its lease is short, or not at 0.
  DECLARE @oldest bigint = (
    SELECT MIN(c.SYS_CHANGE_VERSION)
      FROM CHANGETABLE(CHANGES {table.sql}, @last) c LEFT JOIN {table.lease_sql} l ON {table.on("l", "c")}
     WHERE l.{key} IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION
        OR (l._az_func_LeaseExpirationTime IS NOT NULL
            AND (l._az_func_AttemptCount <> 0 OR l._az_func_LeaseExpirationTime <= DATEADD(second, 60, SYSDATETIME()))));
  SELECT s.Covered, s.BeginVersion, s.GapFrom, s.GapTo, s.GapTold, t.begin_version, @oldest, @current,
         CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({literal(table.sql)})),
         CASE WHEN s.Mark > CASE WHEN @oldest IS NULL THEN @current ELSE @oldest - 1 END
               AND DATEDIFF(minute, s.MarkAt, @utc) * {_LATE_SHARE} > d.retention_period
                   * CASE d.retention_period_units WHEN 1 THEN 1 WHEN 2 THEN 60 ELSE 1440 END
              THEN CONVERT(nvarchar(40), s.MarkAt, 126) END,
         CONVERT(nvarchar(40), @utc, 126)
    FROM rowpost.TableState s CROSS JOIN sys.change_tracking_databases d CROSS JOIN sys.change_tracking_tables t
   WHERE s.TableName = {name} AND d.database_id = DB_ID() AND t.object_id = OBJECT_ID({literal(table.sql)});
END;
"""
