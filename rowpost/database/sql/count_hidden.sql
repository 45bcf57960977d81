/*
How many rows change tracking knows as not deleted, and the app's user does not see: a security policy hides rows of the table, and no
row of change tracking. A row that is deleted while this runs may be counted at the first look, and is not at the second.

Result set: the number of such rows.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION(), @hidden int = 1, @looks int = 0;
DECLARE @oldest bigint = CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({table_literal}));
WHILE @hidden > 0 AND @looks < 2
BEGIN
    SELECT @hidden = COUNT(*)
      FROM CHANGETABLE(CHANGES {table}, @oldest) c
     WHERE c.SYS_CHANGE_OPERATION <> 'D'
       AND c.SYS_CHANGE_VERSION <= @current
       AND NOT EXISTS (SELECT 1 FROM {table} t WHERE {same_key_t_c});
    SET @looks = @looks + 1;
END;
SELECT @hidden;
