"""Dynamic data masking in the SQL Server emulator."""

from __future__ import annotations

import pytest

from emulators.tests.tsql.database import Client, Server

TABLE = """
CREATE TABLE dbo.M (Id int PRIMARY KEY,
    First varchar(100) MASKED WITH (FUNCTION = 'partial(1, "xxxxx", 1)') NULL, Last varchar(100) NOT NULL,
    Phone varchar(12) MASKED WITH (FUNCTION = 'default()') NULL, Mail nvarchar(100) MASKED WITH (FUNCTION = 'email()') NOT NULL,
    Code smallint MASKED WITH (FUNCTION = 'default()') NULL, Born date MASKED WITH (FUNCTION = 'default()') NULL,
    Doubled AS Code * 2);
INSERT dbo.M (Id, First, Last, Phone, Mail, Code, Born) VALUES
    (1, 'Roberto', 'T', '555.123.4567', N'RT@contoso.com', 10, '1990-05-06'),
    (2, 'Al', 'G', NULL, N'', 5, NULL);
CREATE TABLE dbo.Copy (Id int, First varchar(100), Code int);
CREATE LOGIN reader WITH PASSWORD = 'x'; CREATE USER reader FOR LOGIN reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::dbo TO reader;
"""


@pytest.fixture
def admin(client: Client) -> Client:
    client.rows(TABLE)
    return client


@pytest.fixture
def reader(admin: Client, server: Server) -> Client:
    return server.client("reader")


def test_masked_values(admin: Client, reader: Client) -> None:
    everything = "SELECT * FROM dbo.M ORDER BY Id"
    assert reader.rows(everything) == [
        (1, "Rxxxxxo", "T", "xxxx", "RXXX@XXXX.com", 0, "1900-01-01", 0),
        (2, "xxxxx", "G", None, "xxxx", 0, None, 0),
    ]
    assert admin.rows(everything)[0] == (1, "Roberto", "T", "555.123.4567", "RT@contoso.com", 10, "1990-05-06", 20)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT m.First AS F FROM dbo.M m WHERE m.First = 'Roberto'", [("Rxxxxxo",)]),
        ("SELECT First + '!' FROM dbo.M WHERE Id = 1", [("xxxx",)]),
        ("SELECT LEN(First), MAX(Code) FROM dbo.M WHERE Id = 1 GROUP BY First", [(0, 0)]),
        ("SELECT Id FROM dbo.M WHERE Code > 5 ORDER BY Code", [(1,)]),
        ("SELECT Code FROM dbo.M ORDER BY Code", [(0,), (0,)]),
        ("SELECT Id FROM dbo.M ORDER BY Code", [(2,), (1,)]),
        ("SELECT TOP (1) Id, Mail FROM dbo.M ORDER BY Mail DESC", [(1, "RXXX@XXXX.com")]),
        ("SELECT x.F FROM (SELECT First AS F FROM dbo.M WHERE Id = 1) x", [("Rxxxxxo",)]),
        ("WITH c AS (SELECT Code + 1 AS N FROM dbo.M WHERE Id = 1) SELECT N FROM c", [(0,)]),
        ("SELECT (SELECT Mail FROM dbo.M WHERE Id = 1)", [("xxxx",)]),
        ("SELECT COUNT(*) FROM dbo.M WHERE EXISTS (SELECT 1 FROM dbo.M x WHERE x.Code = 10)", [(2,)]),
        ("SELECT CONVERT(varchar(3), Phone) FROM dbo.M WHERE Id = 1", [("xxx",)]),
        ("SELECT DISTINCT Phone FROM dbo.M WHERE Id = 1", [("xxxx",)]),
        ("DECLARE @v varchar(100); SELECT @v = First FROM dbo.M WHERE Id = 1; SELECT @v", [("Rxxxxxo",)]),
        ("DECLARE @v varchar(50); SELECT @v = First FROM dbo.M WHERE Id = 1; SELECT @v", [("xxxx",)]),
        ("DECLARE @v varchar(9); SET @v = (SELECT Code FROM dbo.M WHERE Id = 1); SELECT @v", [("xxxx",)]),
        ("IF (SELECT Code FROM dbo.M WHERE Id = 1) = 10 SELECT 1", [(1,)]),
        ("EXEC (N'SELECT Code FROM dbo.M WHERE Id = 1')", [(0,)]),
    ],
)
def test_expressions_conditions_and_orders(reader: Client, sql: str, expected: list[tuple[object, ...]]) -> None:
    assert reader.rows(sql) == expected


def test_copies_hold_masked_values(admin: Client, reader: Client) -> None:
    reader.rows("INSERT dbo.Copy SELECT Id, First, Code FROM dbo.M WHERE Id = 1; SELECT Id, Mail INTO #t FROM dbo.M WHERE Id = 1")
    assert reader.rows("SELECT Mail FROM #t") == [("RXXX@XXXX.com",)]
    assert admin.rows("SELECT * FROM dbo.Copy") == [(1, "Rxxxxxo", 0)]
    reader.rows("UPDATE dbo.M SET Code = 7, Phone = '1' WHERE Id = 1")  # whoever may write may write
    assert admin.rows("SELECT Code, Phone FROM dbo.M WHERE Id = 1") == [(7, "1")]


def test_views_do_not_unmask(admin: Client, server: Server) -> None:
    admin.rows("EXEC (N'CREATE VIEW dbo.V AS SELECT Id, Mail FROM dbo.M')")
    assert server.client("reader").rows("SELECT Mail FROM dbo.V WHERE Id = 1") == [("RXXX@XXXX.com",)]


def test_permission(admin: Client, reader: Client) -> None:
    ask = "SELECT HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'UNMASK'), HAS_PERMS_BY_NAME('dbo.M', 'OBJECT', 'UNMASK'), "
    ask += "HAS_PERMS_BY_NAME('dbo.M', 'OBJECT', 'UNMASK', 'Mail', 'COLUMN'), (SELECT Code FROM dbo.M WHERE Id = 1)"
    assert reader.rows(ask) == [(0, 0, 0, 0)]
    for target in ("", " ON SCHEMA::dbo", " ON dbo.M"):
        admin.rows(f"GRANT UNMASK{target} TO reader")
        assert reader.rows(ask) == [(int(not target), 1, 1, 10)]
        admin.rows("DENY UNMASK ON dbo.M TO reader")
        assert reader.rows(ask)[0][1:] == (0, 0, 0)
        admin.rows(f"REVOKE UNMASK ON dbo.M FROM reader; REVOKE UNMASK{target} FROM reader")
    admin.rows("ALTER ROLE db_owner ADD MEMBER reader")
    assert reader.rows(ask) == [(1, 1, 1, 10)]


def test_errors_name_no_values(reader: Client, admin: Client) -> None:
    sql = "SELECT CAST(First AS int) FROM dbo.M WHERE Id = 1"
    assert reader.error(sql).text == "Conversion failed when converting the ****** value '******' to data type ******."
    assert "'Roberto'" in admin.error(sql).text


def test_the_catalogue(admin: Client, server: Server) -> None:
    server.reopen()
    again = server.client()
    assert again.rows("SELECT name, is_masked, masking_function FROM sys.masked_columns ORDER BY column_id") == [
        ("First", 1, 'partial(1, "xxxxx", 1)'),
        ("Phone", 1, "default()"),
        ("Mail", 1, "email()"),
        ("Code", 1, "default()"),
        ("Born", 1, "default()"),
    ]
    ask = "SELECT is_masked FROM sys.columns WHERE object_id = OBJECT_ID('dbo.M') AND name = '{}'"
    assert [again.value(ask.format(name)) for name in ("Id", "Mail")] == [0, 1]


def test_alter_column(admin: Client, reader: Client) -> None:
    admin.rows("ALTER TABLE dbo.M ALTER COLUMN Last ADD MASKED WITH (FUNCTION = 'partial(0,\"-\",2)')")
    assert reader.rows("SELECT Last FROM dbo.M WHERE Id = 1") == [("-",)]
    admin.rows("ALTER TABLE dbo.M ALTER COLUMN Last DROP MASKED; ALTER TABLE dbo.M ALTER COLUMN Mail DROP MASKED")
    assert reader.rows("SELECT Last, Mail FROM dbo.M WHERE Id = 1") == [("T", "RT@contoso.com")]
    admin.rows("ALTER TABLE dbo.M ALTER COLUMN Last varchar(50) MASKED WITH (FUNCTION = 'default()') NOT NULL")
    assert reader.rows("SELECT Last FROM dbo.M WHERE Id = 1") == [("xxxx",)]
    assert reader.error("ALTER TABLE dbo.M ALTER COLUMN Last DROP MASKED").number == 1088


@pytest.mark.parametrize(
    ("function", "number"),
    [
        ("", 16002),
        ("nope()", 16002),
        (" default()", 16002),
        ("default", 16006),
        ("default(", 16006),
        ("default() ", 16004),
        ("default(1)", 16004),
        ("partial(1)", 16004),
        ('partial(-1, "x", 1)', 16005),
        ("partial(1, x, 1)", 16005),
        ("random(1, 2)", 40517),
        ('datetime("Y")', 40517),
    ],
)
def test_bad_functions(admin: Client, function: str, number: int) -> None:
    assert admin.error(f"ALTER TABLE dbo.M ALTER COLUMN Last ADD MASKED WITH (FUNCTION = '{function}')").number == number


def test_refusals(admin: Client, reader: Client) -> None:
    assert admin.error("ALTER TABLE dbo.M ALTER COLUMN Id ADD MASKED WITH (FUNCTION = 'email()')").number == 16003
    assert admin.error("ALTER TABLE dbo.M ALTER COLUMN Id ADD MASKED WITH (FUNCTION = 'default()')").number == 5074
    assert admin.error("ALTER TABLE dbo.M ALTER COLUMN Last DROP MASKED").number == 16007
    assert admin.error("ALTER TABLE dbo.M ALTER COLUMN Nope DROP MASKED").number == 4924
    for sql, what in (
        ("SELECT CASE WHEN Code > 5 THEN 1 ELSE 2 END FROM dbo.M", "a masked column that decides on a value"),
        ("SELECT COUNT(Code) FROM dbo.M", "a masked column that decides on a value"),
        ("SELECT ROW_NUMBER() OVER (ORDER BY Code) FROM dbo.M", "a masked column that decides on a value"),
        ("SELECT Code FROM dbo.M UNION ALL SELECT 1", "a set operation over a masked column"),
        ("SELECT Code FROM dbo.M FOR JSON PATH", "FOR JSON over a masked column"),
        ("UPDATE dbo.M SET Last = First", "this use of a masked column"),
        ("UPDATE dbo.M SET Last = '' OUTPUT deleted.Code", "OUTPUT of a masked column"),
        ("MERGE dbo.Copy c USING dbo.M m ON m.Id = c.Id WHEN NOT MATCHED THEN INSERT VALUES (1, m.First, 1);", "this use"),
        ("DECLARE @v smallint = (SELECT TOP (1) Code FROM dbo.M)", "a variable set from a masked column"),
    ):
        error = reader.error(sql)
        assert (error.number, what in error.text) == (40517, True), (sql, error.text)
        admin.rows(sql)
