"""What the app's role reaches in a database: all that docs/security.md lists, and nothing else.

On the emulator of SQL Server, and on a real one if ``ROWPOST_REAL_SQL`` holds the connection string of somebody who may
make databases and logins there. Two things of a real server the emulator does not have: triggers, and EXECUTE AS.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyodbc
import pytest

from devtools.real_database import RealDatabase
from emulators.launch import SqlServer
from infra.prepare_database import migrations, prepare, run_script
from rowpost.config.loading import load_config
from rowpost.config.sections import Config
from tests.deploy.bicep import ROOT
from tests.harness.running_relay import CONFIG

ADMINISTRATOR = os.environ.get("ROWPOST_REAL_SQL", "")
SERVERS = ["emulator", "real"] if ADMINISTRATOR else ["emulator"]
PASSWORD = "App!2026secret"
TABLES = """
CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY, Customer nvarchar(40) NULL);
CREATE TABLE dbo.Salaries (Id int NOT NULL PRIMARY KEY, Amount int NULL);
INSERT INTO dbo.Orders VALUES (1, N'somebody');
INSERT INTO dbo.Salaries VALUES (1, 4242);
"""
LEASES = "CREATE TABLE az_func.Leases_of_a_test (OrderId int NOT NULL PRIMARY KEY, _az_func_ChangeVersion bigint NOT NULL)"
REFUSED_BY_NAME = 40517  # the emulator has no such statement


def run(connection: pyodbc.Connection, sql: str) -> None:
    """A batch, to its end: a later statement may not run before what the former ones say is read."""
    cursor = connection.execute(sql)
    while cursor.nextset():
        pass


@dataclass
class Database:
    """A database that infra/prepare_database.py has prepared, and how to enter it."""

    kind: str
    admin: pyodbc.Connection
    app: Callable[[], pyodbc.Connection]
    config: Config

    def error(self, sql: str) -> int:
        """The number of the error that the app gets; 0: none."""
        connection = self.app()
        try:
            run(connection, sql)
        except pyodbc.Error as error:
            return int(re.findall(r"\((\d+)\) \(SQL", str(error))[0])
        finally:
            connection.close()
        return 0

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in self.admin.execute(sql).fetchall()]


@pytest.fixture(scope="module", params=SERVERS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    directory = tmp_path_factory.mktemp("role")
    (directory / "relay.toml").write_text(CONFIG)
    settings = {"SqlConnectionString": "-", "DOWNSTREAM_URL": "http://localhost/", "ALERT_WEBHOOK_URL": "http://localhost/"}
    config = load_config(directory / "relay.toml", {**settings, "DOWNSTREAM_API_KEY": "-"})
    if request.param == "real":
        yield from real(config)
        return
    with SqlServer(directory, "real") as server:
        admin = server.connect()
        as_app = server.odbc_connection_string.replace("UID=sa", "UID=rowpost_test").replace(server.password, PASSWORD)
        yield prepared(Database("emulator", admin, lambda: pyodbc.connect(as_app, autocommit=True), config))
        admin.close()


def real(config: Config) -> Iterator[Database]:
    server = RealDatabase(ADMINISTRATOR, "rowpost_test_of_the_role")
    server.drop()
    server.create(patience_seconds=60)
    admin = server.connect()
    as_app = re.sub(r"UID=[^;]*;PWD=[^;]*", f"UID=rowpost_test;PWD={{{PASSWORD}}}", server.odbc(server.name).text)
    try:
        yield prepared(Database("real", admin, lambda: pyodbc.connect(as_app, autocommit=True), config))
    finally:
        admin.close()
        server.drop()


def prepared(database: Database) -> Database:
    run(database.admin, TABLES)
    run(
        database.admin,
        f"IF SUSER_ID(N'rowpost_test') IS NULL CREATE LOGIN rowpost_test WITH PASSWORD = N'{PASSWORD}', CHECK_POLICY = OFF",
    )
    run(database.admin, "CREATE USER rowpost_test FOR LOGIN rowpost_test")
    prepare(database.admin, database.config, "rowpost_test")
    assert database.error(LEASES) == 0
    return database


GRANTS = """
SELECT p.permission_name, CASE p.class WHEN 0 THEN N'the database' WHEN 3 THEN N'schema ' + SCHEMA_NAME(p.major_id)
                           ELSE OBJECT_SCHEMA_NAME(p.major_id) + N'.' + OBJECT_NAME(p.major_id) END COLLATE DATABASE_DEFAULT
  FROM sys.database_permissions p
 WHERE USER_NAME(p.grantee_principal_id) = N'{0}' AND p.permission_name <> N'CONNECT'
"""


def test_the_role_has_what_the_page_lists(database: Database) -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (each relayed table|the database|schema `\w+`) \| ([A-Z ,]+) \|", page, re.MULTILINE)
    wanted = {
        (permission, where.replace("`", "").replace("each relayed table", "dbo.Orders"))
        for where, permissions in listed
        for permission in permissions.split(", ")
    }
    assert len(listed) == 4 and set(database.rows(GRANTS.format("rowpost_app"))) == wanted
    for nobody in ("rowpost_owner", "rowpost_test"):
        assert database.rows(GRANTS.format(nobody)) == []


def test_both_schemas_belong_to_a_user_that_nobody_can_be(database: Database) -> None:
    assert database.rows(
        "SELECT s.name, o.name, o.type, o.authentication_type FROM sys.schemas s "
        "JOIN sys.database_principals o ON o.principal_id = s.principal_id WHERE s.name IN (N'az_func', N'rowpost') ORDER BY s.name"
    ) == [("az_func", "rowpost_owner", "S", 0), ("rowpost", "rowpost_owner", "S", 0)]
    assert (
        database.rows(
            "SELECT role_principal_id FROM sys.database_role_members WHERE USER_NAME(member_principal_id) = N'rowpost_owner'"
        )
        == []
    )
    owned = "SELECT COUNT(*) FROM sys.objects WHERE principal_id IS NOT NULL AND SCHEMA_NAME(schema_id) IN (N'az_func', N'rowpost')"
    assert database.rows(owned) == [(0,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM dbo.Orders",
        "DECLARE @v bigint = 0; SELECT * FROM CHANGETABLE(CHANGES dbo.Orders, @v) c JOIN dbo.Orders o ON o.OrderId = c.OrderId",
        "SELECT * FROM rowpost.Ledger; UPDATE rowpost.Ledger SET Rounds = Rounds; DELETE FROM rowpost.Ledger WHERE 1 = 0",
        "INSERT INTO rowpost.Ticks (Relay, TickedAt) VALUES (N'x', SYSUTCDATETIME()); DELETE FROM rowpost.Ticks WHERE Relay = N'x'",
        "INSERT INTO az_func.Leases_of_a_test VALUES (9, 1); UPDATE az_func.Leases_of_a_test SET _az_func_ChangeVersion = 2; "
        "DELETE FROM az_func.Leases_of_a_test",
        "CREATE TABLE az_func.Second (Id int NOT NULL PRIMARY KEY); "
        "ALTER TABLE az_func.Second ADD LastAccessTime datetime NOT NULL DEFAULT GETUTCDATE(); DROP TABLE az_func.Second",
        "CREATE TABLE #own (Id int); INSERT INTO #own SELECT OrderId FROM dbo.Orders; DROP TABLE #own",
        "BEGIN TRANSACTION; EXEC sp_getapplock N'_az_func_Trigger', N'Exclusive', N'Transaction', 1000; COMMIT",
    ],
)
def test_what_the_app_and_the_trigger_do_is_allowed(database: Database, sql: str) -> None:
    assert database.error(sql) == 0


MISSING = {15151, 15247, 4613}  # there is no such thing, or no permission
DENIED = {
    # other tables, and those that are relayed
    "SELECT * FROM dbo.Salaries": {229},
    "SELECT Amount INTO #copy FROM dbo.Salaries": {229},
    "UPDATE o SET Customer = N'' FROM dbo.Orders o": {229},
    "INSERT INTO dbo.Orders VALUES (2, N'')": {229},
    "DELETE FROM dbo.Orders": {229},
    "MERGE dbo.Orders o USING (SELECT 1 AS Id) s ON o.OrderId = s.Id WHEN MATCHED THEN UPDATE SET Customer = N'';": {229},
    "DECLARE @v bigint = 0; SELECT * FROM CHANGETABLE(CHANGES dbo.Salaries, @v) c": {229, 22105},
    "TRUNCATE TABLE dbo.Orders": {1088},
    "ALTER TABLE dbo.Orders ADD Another int NULL": {1088},
    "ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING": {1088},
    "DROP TABLE dbo.Orders": {3701},
    "CREATE INDEX ix ON dbo.Orders (Customer)": {1088},
    "EXEC sp_rename N'dbo.Orders', N'Gone'": {15225, 15247, 15248, 1088},
    # objects outside of az_func, and others than tables in it
    "CREATE TABLE dbo.Own (Id int)": {2760},
    "CREATE TABLE rowpost.Own (Id int)": {2760},
    "ALTER TABLE rowpost.Ledger ADD Another int NULL": {1088},
    "TRUNCATE TABLE rowpost.Ledger": {1088},
    "DROP TABLE rowpost.Ledger": {3701},
    "EXEC (N'CREATE VIEW az_func.Peek AS SELECT * FROM dbo.Salaries')": {262},
    "EXEC (N'CREATE FUNCTION az_func.Peek() RETURNS TABLE AS RETURN SELECT * FROM dbo.Salaries')": {262},
    "EXEC (N'CREATE PROCEDURE az_func.Peek AS SELECT * FROM dbo.Salaries')": {262},
    "EXEC (N'CREATE TRIGGER dbo.Peek ON dbo.Orders AFTER INSERT AS SELECT 1')": {8197, 2108, 2104, 1088},
    "EXEC (N'CREATE TRIGGER Peek ON DATABASE FOR CREATE_TABLE AS SELECT 1')": {1088, 1096, 262, 15247},
    "CREATE TABLE az_func.Own (Id int REFERENCES dbo.Salaries (Id))": {229, 1088, 1750},
    "ALTER SCHEMA az_func TRANSFER dbo.Salaries": {15151},
    "ALTER SCHEMA dbo TRANSFER az_func.Leases_of_a_test": {15151},
    "EXEC (N'CREATE SCHEMA own')": {262, 2759},
    "DROP SCHEMA az_func": {15151, 3729},
    # rights of others and of its own
    "GRANT SELECT ON dbo.Salaries TO rowpost_app": MISSING,
    "GRANT SELECT ON dbo.Orders TO public": MISSING,
    "GRANT SELECT ON SCHEMA::az_func TO public": MISSING,
    "GRANT CONTROL TO rowpost_app": MISSING,
    "ALTER ROLE db_owner ADD MEMBER rowpost_test": MISSING,
    "EXEC sp_addrolemember N'db_datareader', N'rowpost_test'": MISSING,
    "ALTER AUTHORIZATION ON SCHEMA::az_func TO rowpost_test": MISSING,
    "ALTER AUTHORIZATION ON SCHEMA::rowpost TO rowpost_app": MISSING,
    "ALTER AUTHORIZATION ON OBJECT::dbo.Salaries TO rowpost_test": MISSING,
    "CREATE USER own WITHOUT LOGIN": MISSING,
    "DROP USER rowpost_owner": MISSING,
    "CREATE ROLE own": MISSING,
    "EXECUTE AS USER = N'rowpost_owner'": {15517},
    "EXECUTE AS USER = N'dbo'": {15517},
    "ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF": {5011, 5069},
}
NOT_A_REFUSAL = {0, 102, 156, 170, 207, 208, 2812}  # done, or not understood; the numbers above are the emulator's
ONLY_REAL = ("EXECUTE AS", "ALTER SCHEMA", "CREATE PROCEDURE", "CREATE TRIGGER", "ON OBJECT::dbo.Salaries TO rowpost_test")


@pytest.fixture
def unchanged(database: Database) -> Iterator[None]:
    """Nobody's rights, objects and rows are others afterwards."""
    looks = [
        "SELECT name, type FROM sys.database_principals ORDER BY name",
        "SELECT name, principal_id FROM sys.schemas ORDER BY name",
        "SELECT USER_NAME(role_principal_id), USER_NAME(member_principal_id) FROM sys.database_role_members ORDER BY 1, 2",
        "SELECT class, major_id, grantee_principal_id, permission_name, state FROM sys.database_permissions ORDER BY 1, 2, 3, 4",
        "SELECT SCHEMA_NAME(schema_id), name, type FROM sys.objects WHERE is_ms_shipped = 0 ORDER BY 1, 2",
        "SELECT COUNT(*) FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id",
        "SELECT COUNT(*) FROM sys.change_tracking_tables",
        "SELECT * FROM dbo.Orders",
        "SELECT * FROM dbo.Salaries",
    ]
    before = [database.rows(look) for look in looks]
    yield
    assert [database.rows(look) for look in looks] == before


@pytest.mark.parametrize("sql", DENIED)
@pytest.mark.usefixtures("unchanged")
def test_all_else_is_denied(database: Database, sql: str) -> None:
    if database.kind == "emulator" and any(what in sql for what in ONLY_REAL):
        assert database.error(sql) == REFUSED_BY_NAME
    elif database.kind == "emulator":
        assert database.error(sql) in DENIED[sql]
    else:
        assert database.error(sql) not in NOT_A_REFUSAL


@pytest.mark.parametrize("context", ["", "WITH EXECUTE AS OWNER", "WITH EXECUTE AS SELF", "WITH EXECUTE AS N'dbo'"])
@pytest.mark.parametrize(
    "body",
    [
        "INSERT INTO az_func.Taken SELECT Amount FROM dbo.Salaries",
        "UPDATE dbo.Orders SET Customer = N''",
        "EXEC (N'ALTER ROLE db_owner ADD MEMBER rowpost_test')",
        "DROP TABLE dbo.Salaries",
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_a_trigger_on_a_table_of_the_app_reaches_nothing_of_others(database: Database, body: str, context: str) -> None:
    trigger = f"CREATE TRIGGER az_func.Peek ON az_func.Leases_of_a_test {context} AFTER INSERT AS {body}"
    if database.kind == "emulator":
        assert database.error(trigger) == REFUSED_BY_NAME
        return
    assert database.error("CREATE TABLE az_func.Taken (Amount int NULL)") == 0
    try:
        if database.error(trigger) == 0:
            assert database.error("INSERT INTO az_func.Leases_of_a_test VALUES (7, 1)") in {229, 3701, *MISSING}
        assert database.rows("SELECT * FROM az_func.Taken") == []
    finally:
        run(database.admin, "DROP TRIGGER IF EXISTS az_func.Peek; DROP TABLE az_func.Taken")


@pytest.mark.usefixtures("unchanged")
def test_what_an_administrator_puts_into_az_func_opens_no_table_of_dbo(database: Database) -> None:
    run(database.admin, "EXEC (N'CREATE VIEW az_func.Peek AS SELECT Amount FROM dbo.Salaries')")
    assert database.error("SELECT Amount FROM az_func.Peek") == 229
    run(database.admin, "DROP VIEW az_func.Peek")


def test_a_database_of_before_gets_new_owners_and_nobody_else_loses_a_right(database: Database) -> None:
    """As an earlier version left it: the schemas are dbo's, and another app uses az_func as well."""
    admin = database.admin
    run(admin, "CREATE USER other_app WITHOUT LOGIN; CREATE USER other_team WITHOUT LOGIN; CREATE USER third_app WITHOUT LOGIN")
    run(admin, "ALTER AUTHORIZATION ON SCHEMA::rowpost TO dbo; ALTER AUTHORIZATION ON SCHEMA::az_func TO dbo")
    run(admin, "GRANT SELECT, INSERT, UPDATE, DELETE, ALTER, REFERENCES ON SCHEMA::az_func TO rowpost_app")
    run(admin, "GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::rowpost TO rowpost_app")
    run(
        admin,
        "GRANT SELECT, ALTER ON SCHEMA::az_func TO other_app; GRANT INSERT ON SCHEMA::az_func TO other_team WITH GRANT OPTION",
    )
    run(admin, "DENY DELETE ON az_func.Leases_of_a_test TO other_app; GRANT SELECT ON rowpost.Ledger TO other_team")
    run(admin, "EXEC (N'CREATE VIEW az_func.Peek AS SELECT Amount FROM dbo.Salaries')")
    assert database.error("SELECT Amount FROM az_func.Peek") == 0, "what one owner of all would open"
    everybody = (
        "SELECT USER_NAME(grantee_principal_id), permission_name, class, state FROM sys.database_permissions "
        "WHERE class IN (1, 3) AND NOT (permission_name = N'REFERENCES' AND USER_NAME(grantee_principal_id) = N'rowpost_app') "
        "ORDER BY 1, 2, 3"
    )
    before = database.rows(everybody)
    for _ in range(2):  # a migration that was cut short runs again
        run(admin, "DELETE FROM rowpost.SchemaVersion WHERE Version = 8")
        assert f"migrations/{migrations()[8].name}" in prepare(admin, database.config)
        assert database.rows(everybody) == before
        assert database.error("SELECT Amount FROM az_func.Peek") == 229
    test_the_role_has_what_the_page_lists(database)
    test_both_schemas_belong_to_a_user_that_nobody_can_be(database)
    run(admin, "ALTER AUTHORIZATION ON SCHEMA::az_func TO third_app")
    run_script(admin, migrations()[8], {})
    assert ("third_app", "CONTROL", 3, "G") in database.rows(everybody), "the former owner keeps what it could do"
    run(admin, "DROP VIEW az_func.Peek; DROP USER third_app; DROP USER other_app; DROP USER other_team")
    prepare(admin, database.config)


def test_a_principal_of_that_name_that_can_log_in_is_refused(tmp_path: Path) -> None:
    with SqlServer(tmp_path, "real") as server:
        admin = server.connect()
        run(admin, "CREATE LOGIN rowpost_owner WITH PASSWORD = N'x'; CREATE USER rowpost_owner FOR LOGIN rowpost_owner")
        with pytest.raises(pyodbc.Error, match="must be a user without login"):
            run_script(admin, ROOT / "infra" / "sql" / "20-rowpost.sql", {})
        assert admin.execute("SELECT SCHEMA_ID(N'az_func')").fetchval() is None
