-- The app's identity as a member of the role. On Azure SQL the name is that of the managed identity.
-- Variable: $(AppUser), with each apostrophe doubled
DECLARE @user sysname = N'$(AppUser)';
DECLARE @create nvarchar(400) = N'CREATE USER ' + QUOTENAME(@user) + N' FROM EXTERNAL PROVIDER';
DECLARE @add nvarchar(400) = N'ALTER ROLE rowpost_app ADD MEMBER ' + QUOTENAME(@user);
IF USER_ID(@user) IS NULL EXEC (@create);
EXEC (@add);
GO
