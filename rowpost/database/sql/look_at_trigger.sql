/*
Whether the trigger makes progress. It stands still if changes wait, none is in hand, and cursor and leases are as they were at the
look before. It has ended if that was so at three looks.

Result set: a row if it has ended: the oldest waiting change, the newest version, the cursor, since when (UTC), now (UTC).
Locks: the table's row of rowpost.Relays, for one update. If the connection dies: the next look begins where the last one was.
*/
SET NOCOUNT ON;
DECLARE @ended int = 0, @current bigint = CHANGE_TRACKING_CURRENT_VERSION(), @utc datetime2(7) = SYSUTCDATETIME();
DECLARE @oldest bigint, @last bigint, @leased bigint, @since datetime2(7), @seen datetime2(7);
IF OBJECT_ID({leases_literal}, N'U') IS NOT NULL
BEGIN
    DECLARE @now datetime2(7) = SYSDATETIME();
    SET @last = {cursor};
    SET @leased = {newest_lease};
    SET @oldest = (SELECT MIN(c.SYS_CHANGE_VERSION)
                     FROM CHANGETABLE(CHANGES {table}, @last) c
                     LEFT JOIN {leases} l ON {same_key_l_c}
                    WHERE {waits_for_the_trigger});
    IF EXISTS (SELECT 1
                 FROM {leases}
                WHERE _az_func_AttemptCount > 0
                  AND _az_func_LeaseExpirationTime >= @now
                  AND _az_func_ChangeVersion < {redelivered_version})
        SET @oldest = NULL;
END;
SELECT @since = StillSince, @seen = StillSeen
  FROM rowpost.Relays
 WHERE Relay = {relay} AND @oldest IS NOT NULL AND StillCursor = @last AND StillLeased = @leased;
IF @seen > @since AND DATEDIFF(second, @seen, @utc) >= {between_looks_seconds} SET @ended = 1;
UPDATE rowpost.Relays
   SET StillCursor = @last,
       StillLeased = @leased,
       StillSince = CASE WHEN @oldest IS NOT NULL THEN COALESCE(@since, @utc) END,
       StillSeen = CASE WHEN @oldest IS NULL THEN NULL
                        WHEN DATEDIFF(second, @seen, @utc) < {between_looks_seconds} THEN @seen
                        ELSE @utc END
 WHERE Relay = {relay} AND (@oldest IS NOT NULL OR StillSince IS NOT NULL);
SELECT @oldest, @current, @last, CONVERT(nvarchar(40), @since, 126), CONVERT(nvarchar(40), @utc, 126) WHERE @ended = 1;
