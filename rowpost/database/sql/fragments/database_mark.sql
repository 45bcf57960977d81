/*
What tells this database from others: when it was made; the branch of its log, which each restore begins anew; and its own id. Azure
SQL Database has the first only, and not the view of the others. What is unknown is a minus sign. Gives: @mark.
*/
DECLARE @mark nvarchar(200), @fork nvarchar(40), @guid nvarchar(40);
IF SERVERPROPERTY('EngineEdition') <> 5
    EXEC sp_executesql
        N'SELECT @fork = CONVERT(nvarchar(40), recovery_fork_guid), @guid = CONVERT(nvarchar(40), database_guid)
            FROM sys.database_recovery_status
           WHERE database_id = DB_ID();',
        N'@fork nvarchar(40) OUTPUT, @guid nvarchar(40) OUTPUT', @fork = @fork OUTPUT, @guid = @guid OUTPUT;
SELECT @mark = COALESCE(CONVERT(nvarchar(40), create_date, 126), N'-') + N' ' + COALESCE(@fork, N'-') + N' ' + COALESCE(@guid, N'-')
  FROM sys.databases
 WHERE name = DB_NAME();
