/*
Begin a resync under a version that is later than all that were sent before it was ordered: then each of its events has an id of its
own. Without a new version it begins all the same if no other one of this epoch has begun under the present one.

Parameters: 1. @resync, its id.
Result set: 1 if it has begun; 0 if the database's version has not moved since it was ordered.
Locks: its record and the relay's row of rowpost.Ticks, one after the other. If the connection dies: it has begun or not; it may be
repeated.
*/
SET NOCOUNT ON;
DECLARE @resync char(36) = ?;
{tick}
-- Read when the change above is committed.
DECLARE @version bigint = CHANGE_TRACKING_CURRENT_VERSION(), @utc datetime2(7) = SYSUTCDATETIME();
UPDATE rowpost.Resyncs
   SET State = 'begun', Since = @version, BegunAt = @utc, NextStep = @utc, Problem = NULL
 WHERE Resync = @resync
   AND State = 'ordered'
   AND (OrderedVersion < @version
        OR NOT EXISTS (SELECT 1
                         FROM rowpost.Resyncs o
                         JOIN rowpost.Resyncs r ON r.Resync = @resync
                        WHERE o.Relay = {relay} AND o.Resync <> @resync AND o.Epoch = r.Epoch AND o.Since = @version));
SELECT COUNT(*) FROM rowpost.Resyncs WHERE Resync = @resync AND State <> 'ordered';
