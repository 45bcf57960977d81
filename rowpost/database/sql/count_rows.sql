/*
How many rows the table has that the app's user does not see, by the number of rows that the catalogue has of the index of the primary
key (sys.partitions.rows): nothing hides rows from that. It is approximate: it has the rows of open transactions in it. So it is read
before and after the rows are counted, and the lower one counts.

A user who may look up all policies needs no count.

Result set: the number of such rows; 0 or less if there is none, NULL if nothing was counted.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @before bigint, @seen bigint, @after bigint;
IF COALESCE(HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION'), 0) = 0
BEGIN
    SELECT @before = SUM(p.rows) FROM sys.partitions p JOIN sys.indexes i ON i.object_id = p.object_id AND i.index_id = p.index_id
     WHERE i.object_id = OBJECT_ID({table_literal}) AND i.is_primary_key = 1;
    SELECT @seen = COUNT_BIG(*) FROM {table};
    SELECT @after = SUM(p.rows) FROM sys.partitions p JOIN sys.indexes i ON i.object_id = p.object_id AND i.index_id = p.index_id
     WHERE i.object_id = OBJECT_ID({table_literal}) AND i.is_primary_key = 1;
END;
SELECT CASE WHEN @before < @after THEN @before ELSE @after END - @seen;
