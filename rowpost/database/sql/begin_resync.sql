/*
Begin a resync under a version that is later than all that were sent before it was ordered: then each of its events has an id of its
own. Without a new version it begins all the same if no other one of this epoch has begun under the present one.

An initial snapshot does not begin before the trigger has a cursor of its own: from there on it hands out what changes meanwhile. Without
the name of a site the trigger names itself by its host, which is not known here: then its leases say that it has started. So they do if
it has lost its cursor: the database was restored to a time before the first start, and the host still runs. That is waited for ten
minutes.

Parameters: 1. @resync, its id.
Result set: 1 if it has begun, 0 if the database's version has not moved since it was ordered; 1 if the trigger has started.
Locks: its record and the relay's row of rowpost.Ticks, one after the other. If the connection dies: it has begun or not; it may be
repeated.
*/
SET NOCOUNT ON;
DECLARE @resync char(36) = ?, @started int = 1;
IF EXISTS (SELECT 1 FROM rowpost.Resyncs WHERE Resync = @resync AND State = 'ordered' AND Cause = 'initial')
BEGIN
    SET @started = 0;
    IF OBJECT_ID({leases_literal}, N'U') IS NOT NULL
        SET @started = CASE WHEN EXISTS (SELECT 1
                                           FROM az_func.GlobalState
                                          WHERE UserTableID = OBJECT_ID({table_literal})
                                            AND ({app} = N'' OR UserFunctionID = {trigger_id}))
                              OR EXISTS (SELECT 1
                                           FROM rowpost.Resyncs
                                          WHERE Resync = @resync AND DATEDIFF(second, OrderedAt, SYSUTCDATETIME()) > 600)
                            THEN 1 ELSE 0 END;
END;
IF @started = 1
BEGIN
    {tick}
END;
-- Read when the change above is committed.
DECLARE @version bigint = CHANGE_TRACKING_CURRENT_VERSION(), @utc datetime2(7) = SYSUTCDATETIME();
UPDATE rowpost.Resyncs
   SET State = 'begun', Since = @version, BegunAt = @utc, NextStep = @utc, Problem = NULL
 WHERE Resync = @resync
   AND State = 'ordered'
   AND @started = 1
   AND (OrderedVersion < @version
        OR NOT EXISTS (SELECT 1
                         FROM rowpost.Resyncs o
                         JOIN rowpost.Resyncs r ON r.Resync = @resync
                        WHERE o.Relay = {relay} AND o.Resync <> @resync AND o.Epoch = r.Epoch AND o.Since = @version));
SELECT COUNT(*), @started FROM rowpost.Resyncs WHERE Resync = @resync AND State <> 'ordered';
