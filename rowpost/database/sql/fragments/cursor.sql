/*
The trigger's cursor: all changes up to this version are done. Another app's trigger on the table has a cursor of its own, and that
of a former app stays: ours goes first.
*/
(SELECT TOP (1) LastSyncVersion
            FROM az_func.GlobalState
           WHERE UserTableID = OBJECT_ID({table_literal})
           ORDER BY CASE UserFunctionID WHEN {trigger_id} THEN 0 ELSE 1 END, LastSyncVersion)
