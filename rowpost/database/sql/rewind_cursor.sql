/*
Put the trigger's cursor back to the oldest change that change tracking knows: all of them are handed out again.

After a new epoch the cursor and the leases may be of the former life: written into a restored database by a batch that was under way,
or older than change tracking, which was switched off and on. Such a cursor is beyond changes that were never handed out, and such a
lease says of a change to come that it is done. A lease that is in hand or parked stays, unless its version is still to come. Rows that
were held lose their lease: recovery finds that, and redelivers them.

Locks: the trigger's lock, its cursor and the leases, until COMMIT.
If the connection dies: nothing was changed; the next look repeats it.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @lock int;
IF OBJECT_ID({leases_literal}, N'U') IS NULL RETURN;
BEGIN TRANSACTION;
{take_trigger_lock}
DECLARE @now datetime2(7) = SYSDATETIME(), @current bigint = CHANGE_TRACKING_CURRENT_VERSION();
DECLARE @oldest bigint = CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({table_literal}));
DECLARE @function char(16) = (SELECT TOP (1) UserFunctionID
                                FROM az_func.GlobalState
                               WHERE UserTableID = OBJECT_ID({table_literal})
                               ORDER BY CASE UserFunctionID WHEN {trigger_id} THEN 0 ELSE 1 END, LastSyncVersion);
IF @oldest IS NOT NULL
BEGIN
    UPDATE az_func.GlobalState
       SET LastSyncVersion = @oldest
     WHERE UserTableID = OBJECT_ID({table_literal}) AND UserFunctionID = @function AND LastSyncVersion > @oldest;
    DELETE FROM {leases}
     WHERE _az_func_AttemptCount = 0
        OR _az_func_LeaseExpirationTime IS NULL
        OR (_az_func_AttemptCount > 0 AND _az_func_LeaseExpirationTime < @now)
        OR (_az_func_ChangeVersion > @current AND _az_func_ChangeVersion < {redelivered_version});
END;
COMMIT;
