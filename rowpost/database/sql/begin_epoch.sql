/*
The tracking of one table has begun anew: its relay gets a new epoch. If it was not known before since when changes are kept, that is
written down, and nothing else.

Parameters: 1. @known, since when they were kept at the last look; '' if that was not known. 2. @found, what was found now. 3. @anew: 1
for a new epoch. 4. @epoch, the highest one that is remembered outside the database.
Locks: the relay's row of rowpost.Relays, its records and its resyncs, until COMMIT.
If the connection dies: all is written, or nothing. Of two workers that find the same one writes it.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @known nvarchar(100) = ?, @found nvarchar(100) = ?, @anew int = ?, @epoch bigint = ?;
DECLARE @now bigint = DATEDIFF_BIG(second, '1970-01-01', SYSUTCDATETIME());
{tracked_since}
BEGIN TRANSACTION;
UPDATE rowpost.Relays
   SET TableId = @table_id, TrackedSince = @since,
       Epoch = CASE WHEN @anew = 0 THEN Epoch
                    WHEN @now > Epoch AND @now > @epoch THEN @now
                    WHEN @epoch > Epoch THEN @epoch + 1
                    ELSE Epoch + 1 END,
       RewindDue = CASE @anew WHEN 0 THEN RewindDue END,
       WatchBase = CASE @anew WHEN 0 THEN WatchBase END
 WHERE Relay = {relay} AND @since = @found AND COALESCE(TrackedSince, N'') = @known;
IF @@ROWCOUNT = 1 AND @anew = 1
BEGIN
    UPDATE rowpost.Ledger SET ChangeVersion = 0, ResyncVersion = NULL WHERE Relay = {relay};
    -- An initial snapshot that has not ended is not done: another one is ordered.
    UPDATE rowpost.Relays
       SET InitialSnapshot = NULL
     WHERE Relay = {relay} AND InitialSnapshot IN (SELECT Resync FROM rowpost.Resyncs WHERE State IN ({open_resyncs}));
    -- What a resync has sent is of the former epoch. Another one is ordered.
    UPDATE rowpost.Resyncs
       SET State = 'superseded', EndedAt = SYSUTCDATETIME()
     WHERE Relay = {relay} AND State IN ({open_resyncs});
END;
COMMIT;
