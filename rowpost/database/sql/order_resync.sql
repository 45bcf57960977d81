/*
Order that the whole table is sent again. An order while one waits to begin adds nothing. While one is under way another follows it,
unless that one repairs the same gap.

A relay that is to have an initial snapshot has one in its life: rowpost.Relays remembers which. Whatever is ordered first, or is under
way when that is wanted, is it: so the table is not sent twice.

Parameters: 1. @resync, its id. 2. @reason. 3. @gap, the last version of the gap that it is to repair; -1 if it is for another reason.
4. @alone: 1 if it is not to follow one that is under way. 5. @initial: 0 if the relay is to have no initial snapshot, 1 if it is, 2 if
only that is ordered. Then a new epoch comes first, since all rows are sent again for it. 6. @by, who orders it. 7. @request, JSON.
Result set: 1 if it was ordered.
Locks: the relay's row of rowpost.Relays and its orders, until COMMIT. If the connection dies: all is written, or nothing; it may be
repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @resync char(36) = ?, @reason nvarchar(400) = ?, @gap bigint = NULLIF(?, -1), @alone int = ?, @initial int = ?;
DECLARE @by nvarchar(200) = ?, @request nvarchar(max) = ?;
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @version bigint = CHANGE_TRACKING_CURRENT_VERSION(), @ordered int = 0;
DECLARE @epoch bigint, @handled bigint, @cause varchar(10), @open char(36);
BEGIN TRANSACTION;
SELECT @epoch = Epoch, @handled = EpochHandled,
       @cause = CASE WHEN @initial > 0 AND InitialSnapshot IS NULL THEN 'initial' ELSE 'resync' END
  FROM rowpost.Relays WITH (UPDLOCK)
 WHERE Relay = {relay};
IF @initial < 2 OR (@cause = 'initial' AND @epoch = @handled)
BEGIN
    IF @cause = 'initial'
        SET @open = (SELECT TOP (1) Resync
                       FROM rowpost.Resyncs
                      WHERE Relay = {relay} AND Epoch = @epoch AND State IN ({open_resyncs})
                      ORDER BY OrderedAt DESC, Resync DESC);
    IF @open IS NULL OR @initial < 2
    BEGIN
        INSERT INTO rowpost.Resyncs (Resync, Relay, Reason, Cause, Epoch, State, OrderedAt, OrderedVersion, Pages, Queued, Tries,
                                     Starts, NextStep)
        SELECT @resync, {relay}, @reason, CASE WHEN @open IS NULL THEN @cause ELSE 'resync' END, @epoch, 'ordered', @utc, @version,
               0, 0, 0, 0, @utc
         WHERE NOT EXISTS (SELECT 1
                             FROM rowpost.Resyncs WITH (UPDLOCK, SERIALIZABLE)
                            WHERE Relay = {relay}
                              AND (State = 'ordered'
                                   OR Resync = @resync
                                   OR (@alone = 1 AND State IN ({open_resyncs}))
                                   OR (Epoch = @epoch AND Since > @gap)
                                   OR (Epoch = @epoch AND State = 'cancelled' AND OrderedVersion >= @gap)));
        SET @ordered = @@ROWCOUNT;
    END;
    IF @cause = 'initial' AND (@open IS NOT NULL OR @ordered = 1)
    BEGIN
        UPDATE rowpost.Relays SET InitialSnapshot = COALESCE(@open, @resync) WHERE Relay = {relay};
        UPDATE rowpost.Resyncs SET Cause = 'initial' WHERE Resync = @open AND State = 'ordered';
    END;
END;
IF @ordered = 1
BEGIN
    DECLARE @token char(36) = @resync, @action varchar(30) = 'resync', @relay nvarchar(261) = {relay};
    DECLARE @count bigint, @result nvarchar(400) = N'done';
    {record_order}
END;
COMMIT;
SELECT @ordered;
