"""Row-level security and masks, as an app sees them through pyodbc and Microsoft's driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyodbc
import pytest

from emulators.launch import SqlServer

SETUP = """
ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON
CREATE TABLE dbo.Cases (Id int PRIMARY KEY, Tenant int NOT NULL, Name nvarchar(40) MASKED WITH (FUNCTION = 'default()'),
    Code char(10) MASKED WITH (FUNCTION = 'default()'), Raw binary(4) MASKED WITH (FUNCTION = 'default()'))
ALTER TABLE dbo.Cases ENABLE CHANGE_TRACKING
INSERT dbo.Cases VALUES (1, 1, N'first', 'a', 0x01), (2, 2, N'second', 'b', 0x02)
CREATE LOGIN app WITH PASSWORD = 'P@ssw0rd!'
CREATE USER app FOR LOGIN app
GRANT SELECT, VIEW CHANGE TRACKING ON dbo.Cases TO app
"""
FUNCTION = """CREATE FUNCTION dbo.tenant(@tenant int) RETURNS TABLE WITH SCHEMABINDING AS
    RETURN SELECT 1 AS ok WHERE CAST(SESSION_CONTEXT(N'tenant') AS int) = @tenant"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    pyodbc.pooling = False
    with SqlServer(tmp_path_factory.mktemp("hidden"), "real") as running:
        with contextlib.closing(running.connect()) as admin:
            admin.execute(SETUP)
            admin.execute(FUNCTION)
            admin.execute("CREATE SECURITY POLICY dbo.Tenants ADD FILTER PREDICATE dbo.tenant(Tenant) ON dbo.Cases")
        yield running


@pytest.fixture
def app(server: SqlServer) -> Iterator[pyodbc.Connection]:
    string = server.odbc_connection_string.replace("UID=sa", "UID=app").replace("PWD={Rowpost!2026}", "PWD={P@ssw0rd!}")
    with contextlib.closing(pyodbc.connect(string, autocommit=True)) as opened:
        yield opened


def test_rows_and_values_are_hidden_and_keys_are_not(server: SqlServer, app: pyodbc.Connection) -> None:
    assert app.execute("SELECT COUNT(*) FROM dbo.Cases").fetchval() == 0
    app.execute("EXEC sp_set_session_context N'tenant', 2")
    rows = app.execute("SELECT * FROM dbo.Cases").fetchall()
    assert [tuple(row) for row in rows] == [(2, 2, "xxxx", "xxxx      ", b"0\0\0\0")]  # the driver fills up
    changed = "SELECT c.Id, t.Name FROM CHANGETABLE(CHANGES dbo.Cases, 0) c LEFT JOIN dbo.Cases t ON t.Id = c.Id ORDER BY 1"
    assert [tuple(row) for row in app.execute(changed)] == [(1, None), (2, "xxxx")]
    with contextlib.closing(server.connect()) as admin:
        assert admin.execute("SELECT COUNT(*) FROM dbo.Cases").fetchval() == 0  # dbo, too
        admin.execute("GRANT UNMASK ON dbo.Cases TO app")
        assert tuple(app.execute("SELECT Name, Code FROM dbo.Cases").fetchone()) == ("second", "b         ")
        admin.execute("REVOKE UNMASK ON dbo.Cases FROM app")


def test_errors_name_no_values(app: pyodbc.Connection) -> None:
    app.execute("EXEC sp_set_session_context N'tenant', 2")
    with pytest.raises(pyodbc.DataError) as caught:
        app.execute("SELECT CAST(Name AS int) FROM dbo.Cases").fetchall()
    assert "converting the ****** value '******' to data type ******. (245)" in str(caught.value)


def test_what_the_app_may_know(server: SqlServer, app: pyodbc.Connection) -> None:
    policies = "SELECT COUNT(*) FROM sys.security_predicates WHERE target_object_id = OBJECT_ID('dbo.Cases')"
    with contextlib.closing(server.connect()) as admin:
        assert (admin.execute(policies).fetchval(), app.execute(policies).fetchval()) == (1, 0)
        admin.execute("GRANT VIEW DEFINITION TO app")
        assert app.execute(policies).fetchval() == 1
    names = app.execute("SELECT name FROM sys.masked_columns ORDER BY 1")
    assert [row[0] for row in names] == ["Code", "Name", "Raw"]
    assert app.execute("SELECT HAS_PERMS_BY_NAME('dbo.Cases', 'OBJECT', 'UNMASK')").fetchval() == 0
