/*
Whether a security policy lets the app's user see every row, as far as that can be known: its predicate passes a row of which nothing is
known, and change tracking knows no row that is hidden.

Result set: one number, 1 or 0.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @from_the_start bigint;
SELECT CASE WHEN EXISTS (SELECT 1
                           FROM (SELECT 1 AS [one.row]) o
                           LEFT JOIN {table} t ON 1 = 0
                          CROSS APPLY {predicate} p)
                 AND NOT EXISTS (SELECT 1
                                   FROM CHANGETABLE(CHANGES {table}, @from_the_start) c
                                   LEFT JOIN {table} t ON {same_key_t_c}
                                  WHERE c.SYS_CHANGE_OPERATION <> 'D' AND t.{first_key} IS NULL)
            THEN 1 ELSE 0 END;
