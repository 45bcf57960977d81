"""Logins, users, roles and permissions in the SQL Server emulator."""

from __future__ import annotations

import pytest

from emulators.sql_server.values.results import SqlError
from emulators.tests.tsql.database import Client, Server

SETUP = """
ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON;
CREATE TABLE dbo.T (Id int PRIMARY KEY, N int); INSERT dbo.T VALUES (1, 1);
ALTER TABLE dbo.T ENABLE CHANGE_TRACKING;
EXEC (N'CREATE SCHEMA app'); CREATE TABLE app.L (Id int PRIMARY KEY, N int);
CREATE LOGIN worker WITH PASSWORD = N'p@ss1'; CREATE USER worker FOR LOGIN worker; CREATE ROLE app_role;
"""


@pytest.fixture
def worker(client: Client, server: Server) -> Client:
    client.rows(SETUP)
    return server.client("worker")


def test_authentication(worker: Client, client: Client, server: Server) -> None:
    database = server.database
    assert database.authenticate("sa", "secret")
    assert not database.authenticate("sa", "wrong")
    assert database.authenticate("WORKER", "p@ss1")
    assert not database.authenticate("worker", "P@ss1")
    assert not database.authenticate("nobody", "")
    client.rows("ALTER LOGIN worker WITH PASSWORD = 'new'")
    assert database.authenticate("worker", "new")
    client.rows("ALTER LOGIN worker DISABLE")
    assert not database.authenticate("worker", "new")


def test_a_login_without_a_user_may_not_open_the_database(client: Client, server: Server) -> None:
    client.rows("CREATE LOGIN stranger WITH PASSWORD = 'x'")
    with pytest.raises(SqlError) as caught:
        server.client("stranger")
    assert caught.value.number == 4060


def test_nothing_is_allowed_until_granted(worker: Client) -> None:
    error = worker.error("SELECT * FROM dbo.T")
    assert (error.number, error.text) == (
        229,
        "The SELECT permission was denied on the object 'T', database 'rowpost', schema 'dbo'.",
    )
    for sql in (
        "INSERT dbo.T VALUES (2, 2)",
        "UPDATE dbo.T SET N = 1",
        "DELETE dbo.T",
        "UPDATE t SET N = 1 FROM dbo.T t WHERE t.Id = 1",
    ):
        assert worker.error(sql).number == 229
    assert worker.error("CREATE TABLE dbo.X (a int)").number == 262
    assert worker.error("EXEC (N'CREATE SCHEMA y')").number == 262
    assert worker.error("ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF").number == 5011
    assert worker.error("DROP TABLE dbo.T").number == 3701
    assert worker.error("TRUNCATE TABLE dbo.T").number == 1088
    assert worker.error("GRANT SELECT ON dbo.T TO app_role").number == 15151
    assert worker.error("GRANT CREATE TABLE TO app_role").number == 4613
    assert worker.rows("SELECT USER_NAME(), SUSER_SNAME(), IS_MEMBER('db_owner')") == [("worker", "worker", 0)]
    assert worker.value("DECLARE @t TABLE (a int); INSERT @t VALUES (1); SELECT a FROM @t") == 1


def test_grants_through_a_role_and_a_schema(worker: Client, client: Client) -> None:
    client.rows(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::app TO app_role; GRANT SELECT ON OBJECT::dbo.T TO "
        "app_role; ALTER ROLE app_role ADD MEMBER worker"
    )
    worker.rows("INSERT app.L SELECT Id, N FROM dbo.T; UPDATE app.L SET N = 5; DELETE app.L")
    worker.rows("MERGE app.L USING dbo.T t ON L.Id = t.Id WHEN NOT MATCHED THEN INSERT VALUES (t.Id, t.N);")
    assert worker.error("UPDATE dbo.T SET N = 5").number == 229
    client.rows("DENY DELETE ON app.L TO worker")
    assert worker.error("DELETE app.L").number == 229
    client.rows("REVOKE DELETE ON app.L FROM worker")
    worker.rows("DELETE app.L")
    client.rows("ALTER ROLE app_role DROP MEMBER worker")
    assert worker.error("SELECT * FROM app.L").number == 229


def test_change_tracking_needs_its_own_permission(worker: Client, client: Client) -> None:
    client.rows("GRANT SELECT ON dbo.T TO worker")
    error = worker.error("SELECT * FROM CHANGETABLE(CHANGES dbo.T, 0) c")
    assert error.text == "The VIEW CHANGE TRACKING permission was denied on the object 'T', database 'rowpost', schema 'dbo'."
    assert worker.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('dbo.T'))") is None
    client.rows("GRANT VIEW CHANGE TRACKING ON OBJECT::[dbo].[T] TO worker")
    assert worker.rows("SELECT Id FROM CHANGETABLE(CHANGES dbo.T, 0) c") == []
    assert worker.value("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('dbo.T'))") == 0


def test_has_perms_by_name(worker: Client, client: Client) -> None:
    ask = (
        "SELECT HAS_PERMS_BY_NAME(N'[dbo].[T]', 'OBJECT', 'SELECT'), HAS_PERMS_BY_NAME(N'[dbo].[T]', "
        "'OBJECT', 'VIEW CHANGE TRACKING'), "
        "HAS_PERMS_BY_NAME(N'app', 'SCHEMA', 'UPDATE'), HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'CREATE TABLE'), "
        "HAS_PERMS_BY_NAME('nope', 'OBJECT', 'SELECT')"
    )
    assert worker.rows(ask) == [(0, 0, 0, 0, None)]
    assert client.rows(ask) == [(1, 1, 1, 1, None)]
    client.rows(
        "GRANT VIEW CHANGE TRACKING, SELECT ON dbo.T TO worker; GRANT UPDATE ON SCHEMA::app TO public; GRANT CREATE TABLE TO worker"
    )
    assert worker.rows(ask) == [(1, 1, 1, 1, None)]


def test_views_carry_the_permission_of_their_owner(worker: Client, client: Client) -> None:
    client.rows("EXEC (N'CREATE VIEW dbo.V AS SELECT N FROM dbo.T'); GRANT SELECT ON dbo.V TO worker")
    assert worker.rows("SELECT N FROM dbo.V") == [(1,)]
    assert worker.error("SELECT N FROM dbo.T").number == 229


def test_fixed_roles(worker: Client, client: Client) -> None:
    client.rows("ALTER ROLE db_datareader ADD MEMBER worker")
    assert worker.rows("SELECT N FROM dbo.T") == [(1,)]
    assert worker.error("DELETE dbo.T").number == 229
    client.rows("EXEC sp_addrolemember 'db_owner', 'worker'")
    worker.rows("DELETE dbo.T; CREATE TABLE dbo.Own (a int)")


def test_principals_in_the_catalogue(worker: Client, client: Client, server: Server) -> None:
    client.rows(
        "GRANT SELECT ON SCHEMA::app TO app_role; DENY INSERT ON dbo.T TO worker; ALTER ROLE app_role ADD "
        "MEMBER worker; CREATE USER [id-x] WITH SID = 0x0102, TYPE = E"
    )
    server.reopen()
    again = server.client()
    assert again.rows(
        "SELECT name, type FROM sys.database_principals WHERE name IN ('worker', 'app_role', 'id-x') ORDER BY name"
    ) == [("app_role", "R"), ("id-x", "E"), ("worker", "S")]
    assert again.value("SELECT COUNT(*) FROM sys.database_principals WHERE name = 'id-x' AND sid = 0x0102") == 1
    assert again.rows(
        "SELECT p.name, d.class_desc, d.type, d.permission_name, d.state, d.state_desc FROM sys.database_permissions d JOIN "
        "sys.database_principals p ON p.principal_id = d.grantee_principal_id "
        "ORDER BY p.name"
    ) == [("app_role", "SCHEMA", "SL  ", "SELECT", "G", "GRANT"), ("worker", "OBJECT_OR_COLUMN", "IN  ", "INSERT", "D", "DENY")]
    assert again.rows(
        "SELECT USER_NAME(role_principal_id), USER_NAME(member_principal_id) FROM sys.database_role_members ORDER BY 1"
    ) == [("app_role", "worker"), ("db_owner", "dbo")]
    again.rows("DROP USER [id-x]; DROP ROLE IF EXISTS nosuch")
    assert again.error("DROP ROLE app_role").number == 15144
    assert again.error("CREATE ROLE app_role").number == 15023
    assert again.error("CREATE LOGIN worker WITH PASSWORD = 'x'").number == 15025
    assert again.error("GRANT SELECT ON dbo.nosuch TO worker").number == 15151
    assert again.error("GRANT SELECT ON dbo.T TO nosuch").number == 15151


def test_logins_by_number_and_name(client: Client, server: Server) -> None:
    client.rows("CREATE LOGIN [a b] WITH PASSWORD = 'x'; CREATE USER [a b] FOR LOGIN [a b]; CREATE LOGIN c WITH PASSWORD = 'x'")
    assert client.rows("SELECT SUSER_ID(), SUSER_ID('SA'), SUSER_ID(N'A B'), SUSER_ID('unknown'), SUSER_ID(NULL)") == [
        (1, 1, 257, None, None)
    ]
    assert client.rows("SELECT SUSER_NAME(), SUSER_NAME(257), SUSER_NAME(999), SUSER_NAME(NULL)") == [("sa", "a b", None, None)]
    assert client.rows("SELECT SUSER_SNAME(), SUSER_SNAME(0x01), SUSER_SNAME(0xFF)") == [("sa", "sa", None)]
    own = "SELECT SUSER_ID(), SUSER_NAME(), SUSER_SNAME()"
    assert server.client("a b").rows(own) == [(257, "a b", "a b")]
    assert client.rows("SELECT SUSER_SNAME(sid), SUSER_ID(name) - principal_id FROM sys.sql_logins ORDER BY principal_id") == [
        ("sa", 0),
        ("a b", 0),
        ("c", 0),
    ]


SETUPS = {
    "one batch": ["CREATE LOGIN {0} WITH PASSWORD = N'Xx!12345'; CREATE USER {0} FOR LOGIN {0}"],
    "two batches": ["CREATE LOGIN {0} WITH PASSWORD = N'Xx!12345'", "CREATE USER {0} FOR LOGIN {0}"],
    "one transaction": ["BEGIN TRAN; CREATE LOGIN {0} WITH PASSWORD = N'Xx!12345'; CREATE USER {0} FOR LOGIN {0}; COMMIT"],
    "dynamic": ["EXEC (N'CREATE LOGIN {0} WITH PASSWORD = ''Xx!12345''; CREATE USER {0} FOR LOGIN {0}')"],
    "only where missing": [
        "IF SUSER_ID(N'{0}') IS NULL CREATE LOGIN {0} WITH PASSWORD = 'Xx!12345'; "
        "IF USER_ID(N'{0}') IS NULL CREATE USER {0} FOR LOGIN {0}"
    ]
    * 2,
}


@pytest.mark.parametrize("name", SETUPS)
def test_a_login_and_its_user(client: Client, server: Server, name: str) -> None:
    for batch in SETUPS[name]:
        client.rows(batch.format("new_one"))
    assert server.database.authenticate("new_one", "Xx!12345")
    assert server.client("new_one").rows("SELECT USER_NAME(), SUSER_NAME()") == [("new_one", "new_one")]
