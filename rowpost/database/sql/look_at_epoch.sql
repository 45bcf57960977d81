/*
Whether a relay has begun a new epoch that nobody has seen to, and whether the tracking of its table has begun anew.

Result set: the epoch; the one that was seen to; whether the trigger's cursor is to be put back once more; since when the changes of
the table were kept at the last look, and since when they are; whether the cursor or a lease is of a version that is still to come;
whether the epoch began with a new life of the database; and now (UTC).
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @ahead int = 0;
{tracked_since}
IF OBJECT_ID({leases_literal}, N'U') IS NOT NULL
BEGIN
    DECLARE @last bigint = {cursor}, @leased bigint = {newest_lease};
    DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION();
    SET @ahead = CASE WHEN @last > @current OR @leased > @current THEN 1 ELSE 0 END;
END;
SELECT r.Epoch, r.EpochHandled, CASE WHEN r.RewindDue <= SYSUTCDATETIME() THEN 1 ELSE 0 END, r.TrackedSince, @since, @ahead,
       CASE WHEN EXISTS (SELECT 1 FROM rowpost.Lives l WHERE l.App = {app} AND l.Epoch = r.Epoch) THEN 1 ELSE 0 END,
       CONVERT(nvarchar(40), SYSUTCDATETIME(), 126)
  FROM rowpost.Relays r
 WHERE r.Relay = {relay};
