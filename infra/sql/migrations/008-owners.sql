-- Both schemas belong to rowpost_owner, which can do nothing else. A schema of dbo would let the app, which may alter az_func, make a
-- trigger there that reads and writes all tables of dbo: one owner, so no permission is checked.
-- A new owner ends what was granted on the schema and in it. All of that is granted again, also to other apps that use az_func.
SET XACT_ABORT ON;
DECLARE @statements TABLE (Number int NOT NULL IDENTITY PRIMARY KEY, Statement nvarchar(max) NOT NULL);
-- The former owner keeps what it could do.
INSERT INTO @statements (Statement)
SELECT N'GRANT CONTROL ON SCHEMA::' + QUOTENAME(s.name) + N' TO ' + QUOTENAME(o.name)
  FROM sys.schemas s
  JOIN sys.database_principals o ON o.principal_id = s.principal_id
 WHERE s.name IN (N'rowpost', N'az_func') AND o.name NOT IN (N'dbo', N'rowpost_owner');
INSERT INTO @statements (Statement)
SELECT CASE p.state WHEN 'D' THEN N'DENY ' ELSE N'GRANT ' END + p.permission_name COLLATE DATABASE_DEFAULT
       + CASE WHEN p.minor_id > 0 THEN N' (' + QUOTENAME(COL_NAME(p.major_id, p.minor_id)) + N')' ELSE N'' END
       + CASE p.class WHEN 3 THEN N' ON SCHEMA::' + QUOTENAME(s.name)
                      ELSE N' ON OBJECT::' + QUOTENAME(s.name) + N'.' + QUOTENAME(OBJECT_NAME(p.major_id)) END
       + N' TO ' + QUOTENAME(g.name) + CASE p.state WHEN 'W' THEN N' WITH GRANT OPTION' ELSE N'' END
  FROM sys.database_permissions p
  JOIN sys.database_principals g ON g.principal_id = p.grantee_principal_id
  LEFT JOIN sys.objects x ON p.class = 1 AND x.object_id = p.major_id
  JOIN sys.schemas s ON s.schema_id = CASE p.class WHEN 3 THEN p.major_id ELSE x.schema_id END
 WHERE p.class IN (1, 3) AND p.state IN ('D', 'G', 'W') AND s.name IN (N'rowpost', N'az_func') AND g.name <> N'rowpost_owner'
   AND NOT (g.name = N'rowpost_app' AND p.permission_name = N'REFERENCES');  -- which it had, and does not need
DECLARE @number int = 1, @statement nvarchar(max);
BEGIN TRANSACTION;
ALTER AUTHORIZATION ON SCHEMA::rowpost TO rowpost_owner;
ALTER AUTHORIZATION ON SCHEMA::az_func TO rowpost_owner;
WHILE @number <= (SELECT COUNT(*) FROM @statements)
BEGIN
    SELECT @statement = Statement FROM @statements WHERE Number = @number;
    EXEC (@statement);
    SET @number += 1;
END;
COMMIT TRANSACTION;
