/*
Let the masks of changed columns begin at the newest version, if all that is newer than the trigger's cursor is delivered.

Only then is it sure that no undelivered change lies before the base: a change that a later one of its row has covered is not seen. A
base that is too old only posts too much.

Locks: the trigger's lock and the table's row of rowpost.Relays, until COMMIT.
If the connection dies: the base stays; the next run moves it.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
IF OBJECT_ID({leases_literal}, N'U') IS NULL RETURN;
DECLARE @lock int;
BEGIN TRANSACTION;
{take_trigger_lock}
-- Read before the changes: a later change is of a later version.
DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION(), @last bigint = {cursor};
IF @last IS NOT NULL
   AND NOT EXISTS (SELECT 1
                     FROM CHANGETABLE(CHANGES {table}, @last) c
                     LEFT JOIN {leases} l ON {same_key_l_c}
                    WHERE l.{first_key} IS NULL
                       OR l._az_func_ChangeVersion <> c.SYS_CHANGE_VERSION
                       OR l._az_func_LeaseExpirationTime IS NOT NULL)
BEGIN
    UPDATE rowpost.Relays
       SET WatchBase = @current
     WHERE Relay = {relay} AND (WatchBase IS NULL OR WatchBase < @current);
END;
COMMIT;
