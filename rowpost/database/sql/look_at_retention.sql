/*
Compare the trigger's progress with the change retention. No row before the trigger's first start.

Result set: what was known: covered, begin version, the gap from, to, and up to where it was told; then the present begin version, the
oldest change that is neither delivered nor in the ledger, the newest version, the oldest valid version, since when (UTC) a change
waits for more than half of the retention, and now (UTC).
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
IF OBJECT_ID({leases_literal}, N'U') IS NULL
BEGIN
    SELECT 0 AS c WHERE 1 = 0;
END
ELSE
BEGIN
    -- First the versions that only grow: what happens meanwhile is seen by the next look.
    DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION(), @utc datetime2(7) = SYSUTCDATETIME();
    DECLARE @last bigint = {cursor};
    -- A row that is held has a record in the ledger. One in hand, handed back or parked has none: its lease is short, or not at 0.
    DECLARE @oldest bigint = (
        SELECT MIN(c.SYS_CHANGE_VERSION)
          FROM CHANGETABLE(CHANGES {table}, @last) c
          LEFT JOIN {leases} l ON {same_key_l_c}
         WHERE l.{first_key} IS NULL
            OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION
            OR (l._az_func_LeaseExpirationTime IS NOT NULL
                AND (l._az_func_AttemptCount <> 0
                     OR l._az_func_LeaseExpirationTime <= DATEADD(second, {lease_seconds}, SYSDATETIME()))));
    SELECT s.Covered, s.BeginVersion, s.GapFrom, s.GapTo, s.GapTold, t.begin_version, @oldest, @current,
           CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({table_literal})),
           CASE WHEN s.Mark > CASE WHEN @oldest IS NULL THEN @current ELSE @oldest - 1 END
                     AND DATEDIFF(minute, s.MarkAt, @utc) * {late_share}
                         > d.retention_period * CASE d.retention_period_units WHEN 1 THEN 1 WHEN 2 THEN 60 ELSE 1440 END
                THEN CONVERT(nvarchar(40), s.MarkAt, 126) END,
           CONVERT(nvarchar(40), @utc, 126)
      FROM rowpost.Relays s
     CROSS JOIN sys.change_tracking_databases d
     CROSS JOIN sys.change_tracking_tables t
     WHERE s.Relay = {relay} AND d.database_id = DB_ID() AND t.object_id = OBJECT_ID({table_literal});
END;
