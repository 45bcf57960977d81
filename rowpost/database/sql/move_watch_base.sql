/*
Let the masks of changed columns begin at a later version, if no undelivered change lies before it: a change that a later one of its
row has covered is not seen. A base that is too old only posts too much.

If all that is newer than the trigger's cursor is delivered, that is the newest version. Else it is the cursor, if it makes no
difference to what is known of each row that waits: all that has changed of it was written again behind the cursor. That is not asked
while many changes wait: the trigger waits for the answer.

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
DECLARE @known bigint = (SELECT COALESCE(WatchBase, CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({table_literal})))
                           FROM rowpost.Relays WHERE Relay = {relay});
DECLARE @base bigint;
IF NOT EXISTS (SELECT 1
                 FROM CHANGETABLE(CHANGES {table}, @last) c
                 LEFT JOIN {leases} l ON {same_key_l_c}
                WHERE {is_undelivered})
    SET @base = @current;
ELSE IF @known >= CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({table_literal}))
        AND {compared_rows} >= (SELECT COUNT(*) FROM CHANGETABLE(CHANGES {table}, @last) c)
        AND NOT EXISTS (SELECT 1
                          FROM CHANGETABLE(CHANGES {table}, @last) c
                          JOIN CHANGETABLE(CHANGES {table}, @known) w ON {same_key_w_c}
                          LEFT JOIN {leases} l ON {same_key_l_c}
                         WHERE ({is_undelivered})
                           AND (w.SYS_CHANGE_OPERATION <> c.SYS_CHANGE_OPERATION
                             OR COALESCE(w.SYS_CHANGE_COLUMNS, 0x) <> COALESCE(c.SYS_CHANGE_COLUMNS, 0x)
                             OR COALESCE(w.SYS_CHANGE_CREATION_VERSION, 0) <> COALESCE(c.SYS_CHANGE_CREATION_VERSION, 0)))
    SET @base = @last;
UPDATE rowpost.Relays
   SET WatchBase = @base
 WHERE Relay = {relay} AND @last IS NOT NULL AND (WatchBase IS NULL OR WatchBase < @base);
COMMIT;
