-- The app's identity as a member of the role. On Azure SQL the name is that of the managed identity.
-- Variable: $(AppUser)
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'$(AppUser)') CREATE USER [$(AppUser)] FROM EXTERNAL PROVIDER;
GO
ALTER ROLE rowpost_app ADD MEMBER [$(AppUser)];
GO
