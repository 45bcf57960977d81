/*
Since when the changes of the table are kept: its object id, the version with which its tracking began, and when the place was made in
which they are kept. A minus sign is unknown. Gives: @table_id and @since, NULL if the table is not tracked.
*/
DECLARE @table_id int = OBJECT_ID({table_literal}), @since nvarchar(100);
SELECT @since = CONVERT(nvarchar(11), t.object_id) + N' ' + COALESCE(CONVERT(nvarchar(20), t.begin_version), N'-') + N' '
                + COALESCE((SELECT CONVERT(nvarchar(40), MAX(i.create_date), 126)
                              FROM sys.internal_tables i
                             WHERE i.parent_id = t.object_id AND i.internal_type = 209), N'-')
  FROM sys.change_tracking_tables t
 WHERE t.object_id = @table_id;
