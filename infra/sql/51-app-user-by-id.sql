-- The app's managed identity as a member of the role, by its client id: that asks nothing of the directory, so a pipeline may do it too.
-- A user of that name with another id belonged to an identity that is gone.
-- Variables: $(AppUser), $(AppSid)
IF EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'$(AppUser)' AND sid <> $(AppSid)) DROP USER [$(AppUser)];
GO
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'$(AppUser)') CREATE USER [$(AppUser)] WITH SID = $(AppSid), TYPE = E;
GO
ALTER ROLE rowpost_app ADD MEMBER [$(AppUser)];
GO
