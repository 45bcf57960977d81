-- The app's own schema, its version and its role. Idempotent.
-- The owner of both schemas: nobody can log in as this user, and it has no other rights. So no chain of ownership leads from what
-- the app makes in schema az_func, a trigger for instance, to tables of other owners.
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'rowpost_owner') CREATE USER rowpost_owner WITHOUT LOGIN;
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'rowpost_owner' AND type = 'S' AND authentication_type = 0)
    THROW 50000, 'rowpost_owner must be a user without login; rename the principal of that name, then run this again', 1;
GO
IF SCHEMA_ID(N'rowpost') IS NULL EXEC (N'CREATE SCHEMA rowpost AUTHORIZATION rowpost_owner');
GO
-- The trigger extension makes this schema if it may; made here, so that the app needs no CREATE SCHEMA.
IF SCHEMA_ID(N'az_func') IS NULL EXEC (N'CREATE SCHEMA az_func AUTHORIZATION rowpost_owner');
GO
-- Which migrations the tables have. infra/prepare_database.py applies those of infra/sql/migrations/ that are missing, in order.
IF OBJECT_ID(N'rowpost.SchemaVersion', N'U') IS NULL
CREATE TABLE rowpost.SchemaVersion (
    Version   int          NOT NULL CONSTRAINT PK_SchemaVersion PRIMARY KEY,
    AppliedAt datetime2(7) NOT NULL CONSTRAINT DF_SchemaVersion_AppliedAt DEFAULT SYSUTCDATETIME()
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'rowpost_app' AND type = 'R') CREATE ROLE rowpost_app;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::rowpost TO rowpost_app;
GRANT SELECT, INSERT, UPDATE, DELETE, ALTER ON SCHEMA::az_func TO rowpost_app;
GRANT CREATE TABLE TO rowpost_app;
GO
