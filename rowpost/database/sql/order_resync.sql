/*
Order that the whole table is sent again. An order while one waits to begin adds nothing. While one is under way another follows it,
unless that one repairs the same gap.

Parameters: 1. @resync, its id. 2. @reason. 3. @gap, the last version of the gap that it is to repair; -1 if it is for another reason.
4. @alone: 1 if it is not to follow one that is under way.
Result set: 1 if it was ordered.
Locks: the relay's orders, for one insert. If the connection dies: the order stands or not; it may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @resync char(36) = ?, @reason nvarchar(400) = ?, @gap bigint = NULLIF(?, -1), @alone int = ?;
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @version bigint = CHANGE_TRACKING_CURRENT_VERSION();
DECLARE @epoch bigint = (SELECT Epoch FROM rowpost.Relays WHERE Relay = {relay});
INSERT INTO rowpost.Resyncs (Resync, Relay, Reason, Epoch, State, OrderedAt, OrderedVersion, Pages, Queued, Tries, Starts, NextStep)
SELECT @resync, {relay}, @reason, @epoch, 'ordered', @utc, @version, 0, 0, 0, 0, @utc
 WHERE NOT EXISTS (SELECT 1
                     FROM rowpost.Resyncs WITH (UPDLOCK, SERIALIZABLE)
                    WHERE Relay = {relay}
                      AND (State = 'ordered'
                           OR Resync = @resync
                           OR (@alone = 1 AND State IN ({open_resyncs}))
                           OR (Epoch = @epoch AND Since > @gap)
                           OR (Epoch = @epoch AND State = 'cancelled' AND OrderedVersion >= @gap)));
SELECT @@ROWCOUNT;
