-- The app's managed identity as a member of the role, by its client id: that asks nothing of the directory, so a pipeline may do it too.
-- A user of that name with another id belonged to an identity that is gone.
-- Variables: $(AppUser), with each apostrophe doubled, $(AppSid)
DECLARE @user sysname = N'$(AppUser)';
DECLARE @drop nvarchar(400) = N'DROP USER ' + QUOTENAME(@user);
DECLARE @create nvarchar(400) = N'CREATE USER ' + QUOTENAME(@user) + N' WITH SID = $(AppSid), TYPE = E';
DECLARE @add nvarchar(400) = N'ALTER ROLE rowpost_app ADD MEMBER ' + QUOTENAME(@user);
IF EXISTS (SELECT 1 FROM sys.database_principals WHERE name = @user AND sid <> $(AppSid)) EXEC (@drop);
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = @user) EXEC (@create);
EXEC (@add);
GO
