/*
How many rows the table has that the app's user does not see: a security policy hides them. Two things know of them.

Change tracking does: a policy hides rows of the table, and no row of change tracking. A row that is deleted while this runs may be
counted at the first look, and is not at the second.

The catalogue knows the number of rows in the index of the primary key (sys.partitions.rows), whatever the user may see. It is asked
only if the user may not see all policies, because that number is approximate: it has rows of open transactions in it. So it is read
before and after the rows are counted, and one of three looks is enough. On a busy table all three may fail; the next step looks again.

Result set: the number of such rows that change tracking knows; the number by the catalogue.
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
DECLARE @missing bigint = 0, @before bigint, @seen bigint, @after bigint;
IF @hidden = 0 AND COALESCE(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION'), 0) = 0
BEGIN
    SELECT @missing = 1, @looks = 0;
    WHILE @missing > 0 AND @looks < 3
    BEGIN
        SELECT @before = SUM(p.rows) FROM sys.partitions p JOIN sys.indexes i ON i.object_id = p.object_id AND i.index_id = p.index_id
         WHERE i.object_id = OBJECT_ID({table_literal}) AND i.is_primary_key = 1;
        SELECT @seen = COUNT_BIG(*) FROM {table};
        SELECT @after = SUM(p.rows) FROM sys.partitions p JOIN sys.indexes i ON i.object_id = p.object_id AND i.index_id = p.index_id
         WHERE i.object_id = OBJECT_ID({table_literal}) AND i.is_primary_key = 1;
        SET @missing = CASE WHEN @before < @after THEN @before ELSE @after END - @seen;
        SET @looks = @looks + 1;
    END;
END;
SELECT @hidden, CASE WHEN @missing > 0 THEN @missing ELSE 0 END;
