/*
End a resync. If all of it was delivered the gap is repaired, unless it has grown beyond the version with which the resync began. And
if the target was told of its end no change of an earlier version can be lost any more. If it is superseded, and was the initial snapshot of
the relay, the one that follows it is; if none does, that is ordered again.

Parameters: 1. @resync, its id. 2. @from, the state that the step found. 3. @to: completed, incomplete or superseded. 4. @given_up, how
many of its rows became dead letters. 5. @completed, what the target said to the event of its end; NULL if it was not asked. 6. @told:
1 if the target took that event.
Locks: its record and the table's row of rowpost.Relays, until COMMIT. If the connection dies: the step is made again.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @resync char(36) = ?, @from varchar(12) = ?, @to varchar(12) = ?, @given_up int = ?, @completed nvarchar(200) = ?;
DECLARE @told int = ?, @ended int;
BEGIN TRANSACTION;
UPDATE rowpost.Resyncs
   SET State = @to, GivenUp = @given_up, CompletedSaid = COALESCE(@completed, CompletedSaid), EndedAt = SYSUTCDATETIME(), Problem = NULL
 WHERE Resync = @resync AND State = @from;
SET @ended = @@ROWCOUNT;
IF @ended = 1 AND @to = 'completed'
BEGIN
    UPDATE s
       SET Covered = CASE WHEN s.Covered < r.Since THEN r.Since ELSE s.Covered END
      FROM rowpost.Relays s
      JOIN rowpost.Resyncs r ON r.Resync = @resync
     WHERE s.Relay = {relay} AND @told = 1;
    UPDATE s
       SET GapFrom = NULL, GapTo = NULL, GapTold = NULL
      FROM rowpost.Relays s
      JOIN rowpost.Resyncs r ON r.Resync = @resync
     WHERE s.Relay = {relay} AND s.GapTo < r.Since;
END;
IF @ended = 1 AND @to = 'superseded'
BEGIN
    UPDATE rowpost.Relays
       SET InitialSnapshot = (SELECT TOP (1) o.Resync
                                FROM rowpost.Resyncs o
                               WHERE o.Relay = {relay} AND o.State IN ({open_resyncs})
                               ORDER BY o.OrderedAt DESC, o.Resync DESC)
     WHERE Relay = {relay} AND InitialSnapshot = @resync;
    UPDATE o
       SET Cause = 'initial'
      FROM rowpost.Resyncs o
      JOIN rowpost.Relays s ON s.Relay = {relay} AND s.InitialSnapshot = o.Resync
     WHERE o.State = 'ordered';
END;
COMMIT;
