/*
Read masks of change tracking: which of the columns that it lists are in each.

Parameters: 1. @masks, a JSON array of objects: number, and mask (base64).
Result set: the number of a mask, and a column that is in it.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @masks nvarchar(max) = ?;
SELECT m.number, c.name
  FROM OPENJSON(@masks) WITH (number int '$.number', mask varbinary(4100) '$.mask') m
 CROSS JOIN (VALUES {listed_columns}) c (name)
 WHERE CHANGE_TRACKING_IS_COLUMN_IN_MASK(COLUMNPROPERTY(OBJECT_ID({table_literal}), c.name, 'ColumnId'), m.mask) = 1;
