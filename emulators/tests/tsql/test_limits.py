"""Limits of the SQL Server emulator, and syntax that it refuses by name: the numbers are those of the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("limits")))
    yield server.client()
    server.database.close()


LONG = "x" * 129


def columns(count: int) -> str:
    return ", ".join(f"C{i} int" for i in range(count))


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("CREATE TABLE dbo.K1 (A nvarchar(max) PRIMARY KEY)", 1919),
        ("CREATE TABLE dbo.K1 (A xml, INDEX IX (A))", 1919),
        ("CREATE TABLE dbo.K1 (A text UNIQUE)", 1919),
        ("DECLARE @t TABLE (A varbinary(max) PRIMARY KEY)", 1919),
        ("CREATE TABLE dbo.K1 (A char(901) PRIMARY KEY CLUSTERED)", 1944),
        ("CREATE TABLE dbo.K1 (A char(1701) UNIQUE)", 1944),
        (f"CREATE TABLE dbo.K1 ({columns(33)}, INDEX IX ({columns(33).replace(' int', '')}))", 1904),
        ("CREATE TABLE dbo.K1 (A char(8000), B char(100))", 1701),
        ("CREATE TABLE dbo.K1 (A char(8000), B char(54))", 1701),
        (f"CREATE TABLE dbo.K1 ({columns(1025)})", 1702),
        (f"CREATE TABLE dbo.{LONG} (A int)", 103),
        (f"SELECT 1 AS [{LONG}]", 103),
        (f"DECLARE @{LONG} int", 103),
        (f"CREATE TABLE dbo.K1 (A int); INSERT dbo.K1 VALUES {', '.join(['(1)'] * 1001)}", 10738),
        ("SELECT 1 << 3", 40517),
        ("SELECT 8 >> 1", 40517),
        ("CREATE TABLE dbo.K1 (A int) ON ps(A)", 40517),
        ("CREATE TABLE dbo.K1 (A int PRIMARY KEY ON ps(A))", 40517),
        ("SELECT COUNT(*) FROM sys.tables GROUP BY ()", 40517),
        ("SELECT ISJSON('{}', OBJECT)", 40517),
        ("SELECT RAND(1)", 40517),
        ("SELECT name FROM tempdb.sys.tables", 40517),
        ("SELECT name FROM master.sys.objects", 40517),
        ("CREATE TABLE dbo.K1 (A AS B * 2, B AS 1)", 1759),
        ("SELECT CAST('<a>' AS xml)", 9400),
    ],
)
def test_what_is_too_much_is_refused(client: Client, sql: str, number: int) -> None:
    assert client.error(sql).number == number
    client.rows("DROP TABLE IF EXISTS dbo.K1")


def test_what_just_fits(client: Client) -> None:
    client.rows(f"CREATE TABLE dbo.Wide ({columns(1024)}); CREATE TABLE dbo.Full (A char(8000), B char(53)); DROP TABLE dbo.Wide")
    assert client.error("ALTER TABLE dbo.Full ADD C bit").number == 1701
    client.rows("ALTER TABLE dbo.Full ADD C varchar(8000), D nvarchar(max)")  # they may leave the row
    client.rows("CREATE TABLE dbo.Grows (A nvarchar(20), INDEX IX (A))")
    assert client.error("ALTER TABLE dbo.Grows ALTER COLUMN A nvarchar(max)").number == 1919
    client.rows("CREATE TABLE dbo.On1 (A int PRIMARY KEY ON [PRIMARY], B int) ON fast")
    assert client.value(f"CREATE TABLE #v (A int); INSERT #v VALUES {', '.join(['(1)'] * 1000)}; SELECT COUNT(*) FROM #v") == 1000
    name = "x" * 128
    assert client.columns(f"SELECT 1 AS {name}")[0].name == name
    assert client.value("SELECT COUNT(*) FROM master.sys.databases") == 3


def test_an_index_entry_has_900_or_1700_bytes(client: Client) -> None:
    client.rows("CREATE TABLE dbo.Keys (Id int, A nvarchar(1000), CONSTRAINT UQ_A UNIQUE CLUSTERED (A))")
    client.rows("CREATE INDEX IX ON dbo.Keys (A, Id)")
    client.rows("INSERT dbo.Keys VALUES (1, REPLICATE(N'x', 450))")
    error = client.error("INSERT dbo.Keys VALUES (2, REPLICATE(N'x', 451))")
    assert (error.number, "902 bytes" in error.text, "900 bytes for clustered" in error.text) == (1946, True, True)
    assert client.error("UPDATE dbo.Keys SET A = REPLICATE(N'y', 600)").number == 1946
    client.rows("ALTER TABLE dbo.Keys DROP CONSTRAINT UQ_A; UPDATE dbo.Keys SET A = REPLICATE(N'y', 848)")
    assert client.error("UPDATE dbo.Keys SET A = REPLICATE(N'y', 849)").number == 1946
    assert client.error("CREATE CLUSTERED INDEX CX ON dbo.Keys (A)").number == 1946  # the row is there already


def test_a_foreign_key_finds_its_table_in_the_schema_of_the_user(client: Client) -> None:
    client.rows("EXEC ('CREATE SCHEMA other')")
    client.rows("CREATE TABLE dbo.Parent (Id int PRIMARY KEY); CREATE TABLE other.Parent (Id int PRIMARY KEY)")
    client.rows("CREATE TABLE other.Child (Id int CONSTRAINT FK_Child FOREIGN KEY REFERENCES Parent (Id))")
    client.rows("CREATE TABLE other.Child2 (Id int REFERENCES other.Parent)")
    sql = "SELECT OBJECT_SCHEMA_NAME(referenced_object_id) FROM sys.foreign_keys ORDER BY OBJECT_NAME(parent_object_id)"
    assert client.rows(sql) == [("dbo",), ("other",)]


def test_a_computed_column_may_stand_before_the_columns_that_it_names(client: Client) -> None:
    client.rows(
        "CREATE TABLE dbo.Computed (Total AS Price * Number, Price decimal(9, 2), Number int); INSERT dbo.Computed VALUES (1.5, 2)"
    )
    assert [column.name for column in client.columns("SELECT * FROM dbo.Computed")] == ["Total", "Price", "Number"]
    assert str(client.value("SELECT Total FROM dbo.Computed")) == "3.00"
    client.rows("ALTER TABLE dbo.Computed ADD Twice AS Later * 2, Later int NOT NULL DEFAULT 4")
    assert client.value("SELECT Twice FROM dbo.Computed") == 8


def test_types_of_constants_and_lengths(client: Client) -> None:
    columns = client.columns(
        "SELECT 2147483647, 2147483648, 99999999999999999999, LEN('a'), LEN(CAST('a' AS nvarchar(max))), "
        "CHARINDEX('a', CAST('ba' AS varchar(max))), CHARINDEX('a', 'ba'), PATINDEX('%a%', CAST('ba' AS varchar(max)))"
    )
    assert [column.type.name for column in columns] == ["int", "numeric", "numeric", "int", "bigint", "bigint", "int", "bigint"]
    assert (columns[1].type.precision, columns[1].type.scale) == (10, 0)


def test_the_text_of_a_module_is_the_batch_that_made_it(client: Client) -> None:
    text = "-- a comment\ncreate  VIEW dbo.Kept (N) as select 1 /* one */ AS n"
    client.rows(text)
    definition = "SELECT definition FROM sys.sql_modules WHERE object_id = OBJECT_ID('dbo.Kept')"
    assert client.value(definition) == text
    assert client.value("SELECT VIEW_DEFINITION FROM INFORMATION_SCHEMA.VIEWS WHERE TABLE_NAME = 'Kept'") == text
    client.rows("ALTER  VIEW dbo.Kept AS SELECT 2 AS N")
    assert client.value(definition) == "CREATE  VIEW dbo.Kept AS SELECT 2 AS N"


def test_full_width_letters_are_plain_letters(client: Client) -> None:
    tests = ("N'ＡＢ１' = N'ab1'", "N'Ａ' = N'a' COLLATE Latin1_General_CS_AS", "N'é' = N'e'")
    assert client.rows(f"SELECT {', '.join(f'IIF({test}, 1, 0)' for test in tests)}") == [(1, 0, 0)]
    assert client.error("SELECT IIF(N'é' = N'e' COLLATE Latin1_General_CI_AI, 1, 0)").number == 40517


def test_sp_rename_without_a_type_finds_what_the_name_means(client: Client) -> None:
    client.rows("CREATE TABLE dbo.Ren (A int, B int, INDEX IX_Ren (A))")
    client.rows("EXEC sp_rename 'dbo.Ren.A', 'C'; EXEC sp_rename 'dbo.Ren.IX_Ren', 'IX2'")
    client.rows("EXEC sp_rename 'dbo.Ren', 'Ren2'")
    assert client.rows("SELECT C, B FROM dbo.Ren2") == []
    assert client.value("SELECT name FROM sys.indexes WHERE object_id = OBJECT_ID('dbo.Ren2') AND index_id > 0") == "IX2"
    assert client.error("EXEC sp_rename 'dbo.Ren2.Nothing', 'X'").number == 15225
    client.rows("CREATE INDEX B ON dbo.Ren2 (B)")
    assert client.error("EXEC sp_rename 'dbo.Ren2.B', 'X'").number == 15248


def test_single_user(tmp_path: Path) -> None:
    server = Server(tmp_path)
    one, two = server.client(), server.client()
    two.session.on_end = two.session.close  # the part of the connection
    two.rows("BEGIN TRANSACTION; CREATE TABLE dbo.Half (A int)")
    one.rows("ALTER DATABASE CURRENT SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
    assert one.value("SELECT OBJECT_ID('dbo.Half')") is None
    assert one.value("SELECT user_access FROM sys.databases WHERE database_id = DB_ID()") == 1
    with pytest.raises(Exception, match="one user at a time"):
        server.client()
    one.rows("ALTER DATABASE CURRENT SET MULTI_USER")
    assert server.client().value("SELECT 1") == 1
    server.database.close()


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("<a></a>", "<a/>"),
        ("<?xml version='1.0' encoding='utf-8'?>\n<a>\n  <b x='1\"2'>t &amp; u</b>\n</a>", '<a><b x="1&quot;2">t &amp; u</b></a>'),
        ("<a/><b> </b> text", "<a/><b/> text"),
        ("<a xml:space='preserve'> <b/> </a>", '<a xml:space="preserve"> <b/> </a>'),
        ("<a><![CDATA[1 < 2]]></a><!-- c --><?p d?>", "<a>1 &lt; 2</a><!-- c --><?p d?>"),
        ("", ""),
    ],
)
def test_xml_is_kept_in_its_own_form(client: Client, text: str, stored: str) -> None:
    assert client.value("DECLARE @x xml = @t; SELECT CAST(@x AS nvarchar(max))", t=text) == stored


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("<a>", 9400),
        ("<a></b>", 9436),
        ("<a", 9400),
        ("<!DOCTYPE a []><a/>", 6359),
        ("<a b></a>", 40517),
        ("<?xml version='1.0' encoding='utf-8'?><a>é</a>", 9402),
    ],
)
def test_text_that_is_no_xml(client: Client, text: str, number: int) -> None:
    assert client.error("DECLARE @t TABLE (A xml); INSERT @t VALUES (@text)", text=text).number == number


def test_what_cannot_be_there_can_be_dropped_if_it_exists(client: Client) -> None:
    client.rows("DROP PROCEDURE IF EXISTS dbo.P; DROP PROC IF EXISTS P, Q; DROP TRIGGER IF EXISTS dbo.T; DROP SYNONYM IF EXISTS S")
    client.rows("IF OBJECT_ID('dbo.P', 'P') IS NOT NULL DROP PROCEDURE dbo.P")
    assert client.error("DROP PROCEDURE dbo.P").number == 3701
