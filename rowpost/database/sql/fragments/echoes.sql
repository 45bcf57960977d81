/*
Updates whose last change was made under the context that is not sent, and that leave out nothing else: that very change wrote all
columns that have changed since the base, or all that matter. Its own columns are those since the version before it; no mask there
means all columns. A row that was made since the base has no mask relative to it.
CHANGETABLE takes a variable only, so there is one look for each version that has such an update.
Needs: @keys; @base, up to which all is delivered. Gives: @echoes, the numbers of their keys.
*/
DECLARE @echoes TABLE (Number int NOT NULL PRIMARY KEY);
DECLARE @marked TABLE (Number int NOT NULL PRIMARY KEY, Version bigint NOT NULL, Marks varchar(max) NOT NULL);
IF @base >= CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({table_literal}))
   AND EXISTS (SELECT 1
                 FROM sys.change_tracking_tables
                WHERE object_id = OBJECT_ID({table_literal}) AND is_track_columns_updated_on = 1)
    INSERT INTO @marked (Number, Version, Marks)
    SELECT k.number, w.SYS_CHANGE_VERSION, CASE w.SYS_CHANGE_OPERATION WHEN 'U' THEN {marks_of_w} ELSE {all_marks} END
      FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
      JOIN CHANGETABLE(CHANGES {table}, @base) w ON {same_key_w_k}
     WHERE w.SYS_CHANGE_OPERATION <> 'D' AND w.SYS_CHANGE_CONTEXT = {context};
DECLARE @before bigint = (SELECT MIN(Version) - 1 FROM @marked);
WHILE @before IS NOT NULL
BEGIN
    INSERT INTO @echoes (Number)
    SELECT m.Number
      FROM @marked m
      JOIN OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k ON k.number = m.Number
      JOIN CHANGETABLE(CHANGES {table}, @before) w ON {same_key_w_k}
     WHERE m.Version = @before + 1
       AND w.SYS_CHANGE_VERSION = m.Version
       AND w.SYS_CHANGE_OPERATION = 'U'
       AND (w.SYS_CHANGE_COLUMNS IS NULL OR {marks_of_w} IN (m.Marks, {all_marks}));
    SET @before = (SELECT MIN(Version) - 1 FROM @marked WHERE Version > @before + 1);
END;
