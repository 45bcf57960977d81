/*
What change tracking says of keys whose rows are not there. A security policy hides rows of the table, and no row of change tracking:
only the latter knows what was deleted. Result set: the number of the key; the operation of its last change; whether that change is
newer than @current; if change tracking does not know the row, whether no security policy can hide it; the key as change tracking
spells it.
Needs: @keys; @current, the newest version before.
*/
DECLARE @missing TABLE (Number int NOT NULL PRIMARY KEY, Version bigint NULL);
INSERT INTO @missing (Number, Version)
SELECT k.number, v.SYS_CHANGE_VERSION
  FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
 OUTER APPLY CHANGETABLE(VERSION {table}, ({key_columns}), ({key_of_k})) v
 WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same_key_t_k});
DECLARE @since bigint = COALESCE((SELECT MIN(Version) - 1 FROM @missing), @current);
SELECT m.Number,
       c.SYS_CHANGE_OPERATION,
       CASE WHEN c.SYS_CHANGE_VERSION > @current THEN 1 ELSE 0 END,
       CASE WHEN c.SYS_CHANGE_OPERATION IS NULL
                 AND HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION') = 1
                 AND NOT EXISTS (SELECT 1
                                   FROM sys.security_predicates p
                                   JOIN sys.security_policies s ON s.object_id = p.object_id
                                  WHERE p.target_object_id = OBJECT_ID({table_literal}) AND p.predicate_type = 0 AND s.is_enabled = 1)
            THEN 1 ELSE 0 END,
       {read_key_of_c}
  FROM @missing m
  JOIN OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k ON k.number = m.Number
  LEFT JOIN CHANGETABLE(CHANGES {table}, @since) c ON {same_key_c_k};
