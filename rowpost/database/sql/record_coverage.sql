/*
Remember how far the trigger has come, and whether people were told of a gap.

Parameters: 1. @covered, every change up to it is delivered or in the ledger. 2. @current, the newest version. 3. @begin, with which
version the tracking began. 4. @first and 5. @gap_end, the gap; 0 if there is none. 6. @told, 1 if people were told of it.
Locks: the table's row of rowpost.Relays, then that of rowpost.Ticks. If the connection dies: the next look sees, and tells, the same.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @covered bigint = ?, @current bigint = ?, @begin bigint = ?;
DECLARE @first bigint = NULLIF(?, 0), @gap_end bigint = NULLIF(?, 0), @told int = ?;
DECLARE @known bigint = (SELECT BeginVersion FROM rowpost.Relays WHERE Relay = {relay});
UPDATE rowpost.Relays
   SET Covered = @covered,
       BeginVersion = @begin,
       GapFrom = COALESCE(@first, GapFrom),
       GapTo = COALESCE(@gap_end, GapTo),
       GapTold = CASE WHEN @told = 1 THEN @gap_end ELSE GapTold END,
       -- The mark is moved on when everything up to it is covered: it tells since when something newer has been waiting.
       MarkAt = CASE WHEN Mark IS NULL OR Mark <= @covered OR Mark > @current THEN SYSUTCDATETIME() ELSE MarkAt END,
       Mark = CASE WHEN Mark IS NULL OR Mark <= @covered OR Mark > @current THEN @current ELSE Mark END
 WHERE Relay = {relay};
-- Nothing has changed since tracking began. If it is switched off and on again it is to begin with another version: that is seen.
IF @begin = @known AND @begin >= CHANGE_TRACKING_CURRENT_VERSION()
BEGIN
    {tick}
END;
