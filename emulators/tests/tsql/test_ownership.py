"""Owners of schemas in the SQL Server emulator: what they may do, how far their ownership reaches, and how it changes."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.tests.tsql.database import Client, Server

SETUP = """
CREATE TABLE dbo.T (Id int PRIMARY KEY, N int); INSERT dbo.T VALUES (1, 7);
CREATE LOGIN worker WITH PASSWORD = N'p@ss1'; CREATE USER worker FOR LOGIN worker; CREATE ROLE team;
CREATE USER keeper WITHOUT LOGIN; CREATE USER other WITHOUT LOGIN WITH DEFAULT_SCHEMA = s;
EXEC (N'CREATE SCHEMA s AUTHORIZATION keeper'); CREATE TABLE s.T (Id int PRIMARY KEY, N int); INSERT s.T VALUES (1, 8);
"""


@pytest.fixture
def worker(client: Client, server: Server) -> Client:
    client.rows(SETUP)
    return server.client("worker")


def owner(client: Client, schema: str) -> Any:
    return client.value(
        "SELECT p.name FROM sys.schemas s JOIN sys.database_principals p ON p.principal_id = s.principal_id "
        f"WHERE s.name = '{schema}'"
    )


def test_a_schema_and_its_owner_in_the_catalogue(client: Client, worker: Client, server: Server) -> None:
    assert owner(client, "s") == "keeper"
    client.rows("ALTER AUTHORIZATION ON SCHEMA::[S] TO [OTHER]; CREATE ROLE r AUTHORIZATION keeper")
    server.reopen()
    again = server.client()
    assert owner(again, "s") == "other"
    assert again.value("SELECT SCHEMA_OWNER FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = 's'") == "other"
    assert again.rows(
        "SELECT name, authentication_type, authentication_type_desc FROM sys.database_principals "
        "WHERE name IN ('keeper', 'worker', 'team', 'dbo') ORDER BY name"
    ) == [("dbo", 1, "INSTANCE"), ("keeper", 0, "NONE"), ("team", 0, "NONE"), ("worker", 1, "INSTANCE")]
    assert again.value("SELECT USER_NAME(owning_principal_id) FROM sys.database_principals WHERE name = 'r'") == "keeper"
    assert again.value("SELECT principal_id FROM sys.objects WHERE name = 'T' AND schema_id = SCHEMA_ID('s')") is None
    again.rows("BEGIN TRAN; ALTER AUTHORIZATION ON SCHEMA::s TO dbo; ROLLBACK")
    assert owner(again, "s") == "other"


def test_nobody_is_dropped_who_owns_something(client: Client, worker: Client) -> None:
    assert client.error("DROP USER keeper").number == 15138
    client.rows("ALTER AUTHORIZATION ON SCHEMA::s TO other; CREATE ROLE r AUTHORIZATION keeper")
    assert client.error("DROP USER keeper").number == 15421
    client.rows("DROP ROLE r; DROP USER keeper")


@pytest.mark.parametrize(
    ("sql", "number", "text"),
    [
        ("ALTER AUTHORIZATION ON SCHEMA::dbo TO keeper", 15150, "Cannot alter the schema 'dbo'."),
        ("ALTER AUTHORIZATION ON SCHEMA::guest TO keeper", 15150, "Cannot alter the schema 'guest'."),
        ("ALTER AUTHORIZATION ON SCHEMA::nosuch TO keeper", 15151, "Cannot find the schema 'nosuch'"),
        ("ALTER AUTHORIZATION ON SCHEMA::s TO nosuch", 15151, "Cannot find the user 'nosuch'"),
        ("ALTER AUTHORIZATION ON SCHEMA::s TO SCHEMA OWNER", 15151, "Cannot find the user 'SCHEMA OWNER'"),
        ("ALTER AUTHORIZATION ON SCHEMA::s TO sys", 15151, "Cannot find the principal 'sys'"),
        ("EXEC (N'CREATE SCHEMA x AUTHORIZATION nosuch')", 15151, "Cannot find the user 'nosuch'"),
        ("CREATE ROLE r AUTHORIZATION nosuch", 15151, "Cannot find the user 'nosuch'"),
        ("ALTER AUTHORIZATION ON s.T TO keeper", 40517, "ALTER AUTHORIZATION ON OBJECT"),
        ("ALTER AUTHORIZATION ON OBJECT::s.T TO SCHEMA OWNER", 40517, "ALTER AUTHORIZATION ON OBJECT"),
        ("ALTER AUTHORIZATION ON ROLE::team TO keeper", 40517, "ALTER AUTHORIZATION ON ROLE"),
        ("ALTER AUTHORIZATION ON DATABASE::rowpost TO sa", 40517, "ALTER AUTHORIZATION ON DATABASE"),
        ("CREATE SCHEMA AUTHORIZATION keeper", 40517, "CREATE SCHEMA without a name"),
        ("CREATE USER x WITHOUT LOGIN WITH PASSWORD = 'p'", 40517, "CREATE USER … WITHOUT LOGIN"),
        ("REVOKE GRANT OPTION FOR SELECT ON s.T FROM worker", 40517, "REVOKE GRANT OPTION FOR"),
        ("GRANT SELECT ON s.T TO worker AS keeper", 40517, "GRANT … AS"),
        ("GRANT SELECT ON s.T TO keeper", 4624, "entity owner"),
        ("DENY SELECT ON SCHEMA::s TO keeper", 4624, "entity owner"),
        ("GRANT CREATE TABLE TO dbo", 4624, "dbo"),
        ("GRANT SELECT ON s.T TO db_datareader", 4617, "special roles"),
    ],
)
def test_what_is_refused(client: Client, worker: Client, sql: str, number: int, text: str) -> None:
    error = client.error(sql)
    assert (error.number, text in error.text) == (number, True), error.text


def test_a_new_owner_ends_what_was_granted_on_the_schema_and_in_it(client: Client, worker: Client) -> None:
    client.rows(
        "GRANT SELECT ON SCHEMA::s TO worker; GRANT UPDATE ON s.T TO team; DENY DELETE ON s.T TO worker; "
        "GRANT SELECT ON dbo.T TO worker; GRANT CREATE TABLE TO worker"
    )
    left = (
        "SELECT class_desc, permission_name FROM sys.database_permissions "
        "WHERE USER_NAME(grantee_principal_id) IN ('worker', 'team') ORDER BY 1, 2"
    )
    client.rows("ALTER AUTHORIZATION ON SCHEMA::s TO keeper")
    assert len(client.rows(left)) == 5, "it was the owner before"
    client.rows("ALTER AUTHORIZATION ON SCHEMA::s TO other")
    assert client.rows(left) == [("DATABASE", "CREATE TABLE"), ("OBJECT_OR_COLUMN", "SELECT")]
    assert worker.error("SELECT * FROM s.T").number == 229


def test_an_owner_has_control_of_the_schema_and_of_all_in_it(client: Client, worker: Client) -> None:
    client.rows("ALTER AUTHORIZATION ON SCHEMA::s TO worker; GRANT CREATE TABLE TO worker")
    worker.rows("CREATE TABLE s.Own (Id int PRIMARY KEY); INSERT s.Own VALUES (1); UPDATE s.T SET N = 9; ALTER TABLE s.T ADD M int")
    worker.rows("CREATE INDEX ix ON s.T (M); DROP INDEX ix ON s.T; GRANT SELECT ON s.T TO team; GRANT SELECT ON SCHEMA::s TO team")
    assert worker.rows("SELECT HAS_PERMS_BY_NAME('s', 'SCHEMA', 'CONTROL'), HAS_PERMS_BY_NAME('s.T', 'OBJECT', 'ALTER')") == [
        (1, 1)
    ]
    worker.rows("DROP TABLE s.Own; TRUNCATE TABLE s.T; DROP TABLE s.T; DROP SCHEMA s")
    client.rows("EXEC (N'CREATE SCHEMA own AUTHORIZATION team'); CREATE TABLE own.T (Id int); ALTER ROLE team ADD MEMBER worker")
    worker.rows("INSERT own.T VALUES (1)")


def test_owning_one_schema_opens_no_other(client: Client, worker: Client) -> None:
    client.rows("ALTER AUTHORIZATION ON SCHEMA::s TO worker; GRANT CREATE TABLE, CREATE VIEW, CREATE FUNCTION TO worker")
    for sql, number in (
        ("CREATE TABLE dbo.X (a int)", 2760),
        ("SELECT 1 AS a INTO dbo.X", 2760),
        ("EXEC (N'CREATE VIEW dbo.X AS SELECT 1 AS a')", 2760),
        ("EXEC (N'CREATE FUNCTION dbo.X() RETURNS TABLE AS RETURN SELECT 1 AS a')", 2760),
        ("CREATE TABLE s.X (a int REFERENCES dbo.T (Id))", 229),
        ("ALTER AUTHORIZATION ON SCHEMA::s TO other", 15151),
        ("ALTER AUTHORIZATION ON SCHEMA::dbo TO worker", 15151),
        ("GRANT SELECT ON dbo.T TO team", 15151),
        ("GRANT SELECT ON SCHEMA::dbo TO team", 15151),
        ("GRANT CREATE TABLE TO team", 4613),
        ("DROP TABLE dbo.T", 3701),
        ("SELECT * FROM dbo.T", 229),
    ):
        assert worker.error(sql).number == number, sql


def test_whoever_may_not_alter_a_schema_makes_changes_and_drops_nothing_in_it(client: Client, worker: Client) -> None:
    client.rows("EXEC (N'CREATE VIEW s.V AS SELECT 1 AS a'); EXEC (N'CREATE FUNCTION s.F() RETURNS TABLE AS RETURN SELECT 1 AS a')")
    client.rows(
        "CREATE INDEX ix ON s.T (N); EXEC (N'CREATE SCHEMA empty'); GRANT CREATE TABLE, CREATE VIEW, CREATE FUNCTION TO worker"
    )
    refused = {
        "EXEC (N'ALTER VIEW s.V AS SELECT 2 AS a')": 3701,
        "EXEC (N'CREATE OR ALTER FUNCTION s.F() RETURNS TABLE AS RETURN SELECT 2 AS a')": 3701,
        "DROP VIEW s.V": 3701,
        "DROP FUNCTION s.F": 3701,
        "DROP TABLE s.T": 3701,
        "DROP INDEX ix ON s.T": 3701,
        "DROP SCHEMA empty": 15151,
        "DROP SCHEMA IF EXISTS empty": 15151,
        "CREATE TABLE s.X (a int)": 2760,
    }
    assert {sql: worker.error(sql).number for sql in refused} == refused
    client.rows("GRANT ALTER ON s.T TO worker")
    assert worker.error("DROP TABLE s.T").number == 3701, "that takes ALTER on its schema, or CONTROL"
    client.rows("GRANT ALTER ON SCHEMA::s TO worker; GRANT ALTER ANY SCHEMA TO team")
    assert worker.error("DROP SCHEMA empty").number == 15151
    for sql in [sql for sql in refused if "empty" not in sql and "DROP TABLE" not in sql]:
        worker.rows(sql)
    worker.rows("DROP TABLE s.T")
    client.rows("ALTER ROLE team ADD MEMBER worker")
    worker.rows("DROP SCHEMA empty; DROP TABLE dbo.T")


CHAINS = [
    ("s", "dbo", "SELECT N FROM s.V", "T", "dbo"),
    ("dbo", "s", "SELECT N FROM dbo.V", "T", "s"),
    ("s", "dbo", "SELECT COUNT(*) FROM s.F()", "T", "dbo"),
]


@pytest.mark.parametrize(("module", "table", "query", "denied", "schema"), CHAINS)
def test_a_chain_of_ownership_ends_where_the_owner_changes(
    client: Client, worker: Client, module: str, table: str, query: str, denied: str, schema: str
) -> None:
    client.rows(f"EXEC (N'CREATE VIEW {module}.V AS SELECT N FROM {table}.T')")
    client.rows(f"EXEC (N'CREATE FUNCTION {module}.F() RETURNS TABLE AS RETURN SELECT N FROM {table}.T')")
    client.rows(f"GRANT SELECT ON {module}.V TO worker; GRANT SELECT ON {module}.F TO worker")
    error = worker.error(query)
    assert error.text == f"The SELECT permission was denied on the object '{denied}', database 'rowpost', schema '{schema}'."
    client.rows("ALTER AUTHORIZATION ON SCHEMA::s TO dbo")
    client.rows(f"GRANT SELECT ON {module}.V TO worker; GRANT SELECT ON {module}.F TO worker")
    assert len(worker.rows(query)) == 1, "one owner: the permission on the first is enough"
    assert worker.error(f"SELECT N FROM {table}.T").number == 229


def test_a_chain_that_was_left_is_not_joined_again(client: Client, worker: Client) -> None:
    """A view of s on a view of dbo on a table of s: the first and the last have one owner, what is between them has not."""
    client.rows("EXEC (N'CREATE VIEW dbo.Inner1 AS SELECT N FROM s.T'); EXEC (N'CREATE VIEW s.Outer1 AS SELECT N FROM dbo.Inner1')")
    client.rows("GRANT SELECT ON s.Outer1 TO worker")
    assert worker.error("SELECT N FROM s.Outer1").number == 229
    client.rows("GRANT SELECT ON dbo.Inner1 TO worker")
    assert "'T'" in worker.error("SELECT N FROM s.Outer1").text
    client.rows("GRANT SELECT ON s.T TO worker")
    assert worker.rows("SELECT N FROM s.Outer1") == [(8,)]
    client.rows("REVOKE SELECT ON dbo.Inner1 FROM worker")
    assert "'Inner1'" in worker.error("SELECT N FROM s.Outer1").text
