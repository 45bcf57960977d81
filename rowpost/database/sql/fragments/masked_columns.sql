/*
The columns that the app's user reads as masks, by name. Read after the rows: if they are others than at the start, masks may be among
what was read.
*/
SELECT c.name
  FROM sys.columns c
 WHERE c.object_id = OBJECT_ID({table_literal})
   AND c.is_masked = 1
   AND COALESCE(HAS_PERMS_BY_NAME({table_literal}, 'OBJECT', 'UNMASK', c.name, 'COLUMN'),
                HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK'), 0) = 0;
