"""INSERT, UPDATE, DELETE, MERGE in the SQL Server emulator."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from emulators.tests.tsql.database import Client


@pytest.fixture
def table(client: Client) -> Client:
    client.rows(
        "CREATE TABLE dbo.T (Id int IDENTITY(10, 5) PRIMARY KEY, Name nvarchar(20) NOT NULL UNIQUE, N int "
        "NOT NULL DEFAULT 7, X decimal(9,3))"
    )
    client.rows("INSERT dbo.T (Name, N, X) VALUES (N'a', 1, 1.5), (N'b', 2, NULL), (N'c', DEFAULT, -2)")
    return client


ALL = "SELECT Id, Name, N, X FROM dbo.T ORDER BY Id"
FIRST = [(10, "a", 1, Decimal("1.500")), (15, "b", 2, None), (20, "c", 7, Decimal("-2.000"))]


def test_insert_values_defaults_identity(table: Client) -> None:
    assert table.rows(ALL) == FIRST
    assert table.run("INSERT INTO T (Name) VALUES (@n), (N'e')", n="d").counts == [("INSERT", 2)]
    assert table.rows("SELECT SCOPE_IDENTITY(), @@IDENTITY, IDENT_CURRENT('dbo.T'), @@ROWCOUNT") == [(30, 30, 30, 2)]


def test_insert_output_and_select(table: Client) -> None:
    rows = table.rows(
        "INSERT T (Name, N) OUTPUT inserted.Id, inserted.Name, inserted.N * 2 AS twice, inserted.X SELECT "
        "Name + N'2', N FROM T WHERE N < 5"
    )
    assert rows == [(25, "a2", 2, None), (30, "b2", 4, None)]
    outcome = table.run("INSERT T (Name) OUTPUT inserted.* VALUES (N'z')")
    assert [column.name for column in outcome.results[0].columns] == ["Id", "Name", "N", "X"]
    assert outcome.counts == [("INSERT", 1)]


def test_insert_output_into_a_table_variable(table: Client) -> None:
    assert table.rows(
        "DECLARE @new TABLE (Id int PRIMARY KEY, Tag varchar(5) DEFAULT 'x'); INSERT T (Name) OUTPUT "
        "inserted.Id INTO @new (Id) VALUES (N'p'), (N'q');"
        "SELECT Id, Tag FROM @new ORDER BY Id"
    ) == [(25, "x"), (30, "x")]


def test_insert_default_values_and_execute(client: Client) -> None:
    client.rows("CREATE TABLE dbo.D (Id int IDENTITY, A int DEFAULT 3, B nvarchar(10))")
    client.rows("INSERT dbo.D DEFAULT VALUES")
    client.rows("INSERT dbo.D (A, B) EXEC (N'SELECT 1, ''x'' UNION ALL SELECT 2, NULL')")
    assert client.rows("SELECT Id, A, B FROM dbo.D ORDER BY Id") == [(1, 3, None), (2, 1, "x"), (3, 2, None)]


def test_update_forms(table: Client) -> None:
    table.rows("UPDATE T SET N += 1, X = X * 2 WHERE Name = 'a'")
    table.rows(
        "UPDATE t SET t.N = s.v, Name = t.Name + s.tag FROM dbo.T AS t JOIN (VALUES (N'b', 50, N'!')) AS "
        "s(k, v, tag) ON s.k = t.Name"
    )
    table.rows("UPDATE dbo.T SET X = DEFAULT FROM dbo.T WHERE dbo.T.Name = 'c'")
    assert table.rows(ALL) == [(10, "a", 2, Decimal("3.000")), (15, "b!", 50, None), (20, "c", 7, None)]


def test_update_uses_the_values_before_the_statement(client: Client) -> None:
    client.rows("CREATE TABLE dbo.P (A int PRIMARY KEY, B int); INSERT dbo.P VALUES (1, 10), (2, 20), (3, 30)")
    client.rows("UPDATE dbo.P SET A = B, B = A WHERE A = 1; UPDATE dbo.P SET A = A + 1 WHERE A < 10")
    assert client.rows("SELECT A, B FROM dbo.P ORDER BY A") == [(3, 20), (4, 30), (10, 1)]


def test_update_output_shows_old_and_new_and_sources(table: Client) -> None:
    rows = table.rows(
        "UPDATE t SET N = N + 1 OUTPUT deleted.N, inserted.N, inserted.N - deleted.N AS d, s.tag, UPPER(deleted.Name) FROM T t "
        "JOIN (VALUES (N'a', N'one')) s(k, tag) ON s.k = t.Name"
    )
    assert rows == [(1, 2, 1, "one", "A")]


def test_update_of_several_matches_takes_one(table: Client) -> None:
    assert table.run("UPDATE t SET N = s.v FROM T t JOIN (VALUES (1, 5), (1, 6)) s(k, v) ON s.k = t.N").counts == [("UPDATE", 1)]
    assert table.value("SELECT N FROM T WHERE Name = 'a'") in (5, 6)


def test_update_through_a_common_table(table: Client) -> None:
    table.rows("WITH c AS (SELECT TOP (1) Name AS Label, N FROM dbo.T ORDER BY Id DESC) UPDATE c SET N = 99, Label = N'last'")
    assert table.rows("SELECT Name FROM T WHERE N = 99") == [("last",)]
    table.rows("WITH c AS (SELECT *, ROW_NUMBER() OVER (ORDER BY Id) AS r FROM dbo.T) DELETE FROM c WHERE r > 1")
    assert table.rows("SELECT Name FROM T") == [("a",)]


def test_update_top_and_variable(table: Client) -> None:
    assert table.rows(
        "DECLARE @seen int; UPDATE TOP (1) T SET @seen = N = N + 100 WHERE Name = 'a'; SELECT @seen, N FROM T WHERE Name = 'a'"
    ) == [(101, 101)]


def test_delete_forms(table: Client) -> None:
    assert table.rows("DELETE FROM T OUTPUT deleted.Id, deleted.Name WHERE N = 1") == [(10, "a")]
    assert table.run("DELETE t FROM dbo.T t JOIN (VALUES (N'b')) s(k) ON s.k = t.Name").counts == [("DELETE", 1)]
    assert table.run("DELETE TOP (5) dbo.T").counts == [("DELETE", 1)]
    assert table.rows(ALL) == []


def test_delete_of_a_table_named_in_from(table: Client) -> None:
    table.rows("DELETE FROM dbo.T FROM dbo.T x WHERE x.Name = 'a'")
    assert [row[1] for row in table.rows(ALL)] == ["b", "c"]


def test_merge(table: Client) -> None:
    outcome = table.run(
        """MERGE INTO dbo.T WITH (HOLDLOCK) AS t
           USING (VALUES (N'a', 100), (N'b', -1), (N'new', 5)) AS s (Name, N) ON t.Name = s.Name
           WHEN MATCHED AND s.N < 0 THEN DELETE
           WHEN MATCHED THEN UPDATE SET N = s.N
           WHEN NOT MATCHED BY TARGET THEN INSERT (Name, N) VALUES (s.Name, s.N)
           WHEN NOT MATCHED BY SOURCE THEN UPDATE SET X = 0
           OUTPUT $action, inserted.Name, deleted.Name, s.N;"""
    )
    assert sorted(outcome.results[0].rows, key=str) == sorted(
        [("DELETE", None, "b", -1), ("UPDATE", "a", "a", 100), ("UPDATE", "c", "c", None), ("INSERT", "new", None, 5)], key=str
    )
    assert outcome.counts == [("MERGE", 4)]
    assert table.rows("SELECT Name, N, X FROM T ORDER BY Name") == [
        ("a", 100, Decimal("1.500")),
        ("c", 7, Decimal("0.000")),
        ("new", 5, None),
    ]


def test_merge_from_json_with_a_common_table(client: Client) -> None:
    client.rows("CREATE SCHEMA az_func")
    client.rows(
        "CREATE TABLE az_func.L (Id int NOT NULL, V bigint NOT NULL, A int NOT NULL, E datetime2, PRIMARY "
        "KEY (Id)); INSERT az_func.L VALUES (1, 5, 2, NULL)"
    )
    merge = """WITH cte AS (SELECT * FROM OPENJSON(@rows) WITH ([Id] int '$.Id', [v] bigint '$.Version'))
        MERGE INTO [az_func].[L] WITH (ROWLOCK) AS x USING cte AS n ON x.[Id] = n.[Id]
        WHEN MATCHED THEN UPDATE SET x.[V] = n.v, x.[A] = x.[A] + 1, x.[E] = DATEADD(second, 60, SYSDATETIME())
        WHEN NOT MATCHED THEN INSERT VALUES (n.[Id], n.v, 1, DATEADD(second, 60, SYSDATETIME()));"""
    client.rows(merge, rows=json.dumps([{"Id": 1, "Version": "9"}, {"Id": 2, "Version": 10}]))
    assert client.rows("SELECT * FROM az_func.L") == [
        (1, 9, 3, "2026-03-01 12:01:00.1234560"),
        (2, 10, 1, "2026-03-01 12:01:00.1234560"),
    ]


def test_merge_refuses_to_touch_a_row_twice(table: Client) -> None:
    merge = "MERGE T USING (VALUES (N'a'), (N'a')) s(k) ON T.Name = s.k WHEN MATCHED THEN UPDATE SET N = 0;"
    assert table.error(merge).number == 8672
    assert table.rows(ALL) == FIRST
    assert table.error(merge.rstrip(";")).number == 10713


def test_identity_insert(table: Client) -> None:
    assert table.error("INSERT T (Id, Name) VALUES (1, N'x')").number == 544
    assert table.error("UPDATE T SET Id = 1").number == 8102
    table.rows("SET IDENTITY_INSERT dbo.T ON; INSERT T (Id, Name) VALUES (1000, N'x'); SET IDENTITY_INSERT dbo.T OFF")
    assert table.rows("INSERT T (Name) OUTPUT inserted.Id VALUES (N'y')") == [(1005,)]


@pytest.mark.parametrize(
    ("sql", "number", "text"),
    [
        (
            "INSERT T (Name) VALUES (NULL)",
            515,
            "Cannot insert the value NULL into column 'Name', table 'rowpost.dbo.T'; column does not allow nulls. INSERT fails.",
        ),
        ("UPDATE T SET Name = NULL", 515, None),
        ("INSERT T (N) VALUES (1)", 515, None),
        (
            "INSERT T (Name) VALUES (REPLICATE(N'x', 21))",
            2628,
            "String or binary data would be truncated in table 'rowpost.dbo.T', column 'Name'. "
            "Truncated value: 'xxxxxxxxxxxxxxxxxxxx'.",
        ),
        ("INSERT T (Name) VALUES (N'A')", 2627, None),
        ("INSERT T (Name, X) VALUES (N'q', 1000000)", 8115, "Arithmetic overflow error converting int to data type numeric."),
        ("INSERT T (Name, N) VALUES (N'q', 3000000000)", 8115, "Arithmetic overflow error converting expression to data type int."),
        (
            "INSERT T (Name, N) VALUES (N'q', 'x1')",
            245,
            "Conversion failed when converting the varchar value 'x1' to data type int.",
        ),
        ("INSERT T (Name, X) VALUES (N'q', N'x1')", 8114, "Error converting data type nvarchar to numeric."),
        ("INSERT T (Name, N) VALUES (N'q', 1 / 0)", 8134, "Divide by zero error encountered."),
        ("INSERT T (Name) VALUES (N'q', 1)", 110, None),
        ("INSERT T (Name, N) VALUES (N'q')", 109, None),
        ("INSERT T (Name, N) SELECT N'q'", 120, None),
        ("INSERT T VALUES (N'q')", 213, None),
        ("INSERT T (Name, Name) VALUES (N'q', N'r')", 264, None),
        ("INSERT T (Nope) VALUES (1)", 207, None),
        ("INSERT Nope VALUES (1)", 208, None),
        ("UPDATE Nope SET a = 1", 208, None),
        ("DELETE x FROM T y", 208, None),
        ("UPDATE T SET Nope = 1", 207, None),
    ],
)
def test_errors_of_dml(table: Client, sql: str, number: int, text: str | None) -> None:
    error = table.error(sql)
    assert error.number == number
    assert text is None or error.text == text
    assert table.rows(ALL) == FIRST


def test_a_statement_is_all_or_nothing_inside_a_transaction(table: Client) -> None:
    outcome = table.run("BEGIN TRAN; UPDATE T SET N = 5 WHERE Name = 'a'; INSERT T (Name) VALUES (N'n1'), (N'a'); COMMIT")
    assert outcome.numbers == [2627]
    assert table.rows("SELECT Name, N FROM T ORDER BY Id") == [("a", 5), ("b", 2), ("c", 7)]


def test_duplicate_key_texts(client: Client) -> None:
    client.rows(
        "CREATE TABLE dbo.K (A int NOT NULL, B nvarchar(10) NOT NULL, U datetime2(0) NULL, CONSTRAINT PK_K "
        "PRIMARY KEY (A, B), CONSTRAINT UQ_K UNIQUE (U));"
        "CREATE UNIQUE INDEX IX_K ON dbo.K (B); INSERT dbo.K VALUES (1, N'x', '2024-01-01')"
    )
    assert client.error("INSERT dbo.K VALUES (1, N'X', NULL)").text == (
        "Violation of PRIMARY KEY constraint 'PK_K'. Cannot insert duplicate key in object 'dbo.K'. The "
        "duplicate key value is (1, X)."
    )
    error = client.error("INSERT dbo.K VALUES (2, N'x ', NULL)")
    assert error.number == 2601
    assert (
        error.text == "Cannot insert duplicate key row in object 'dbo.K' with unique index 'IX_K'. The duplicate key value is (x)."
    )
    assert client.error("INSERT dbo.K VALUES (2, N'y', '2024-01-01')").text.startswith("Violation of UNIQUE KEY constraint 'UQ_K'.")
    client.rows("INSERT dbo.K VALUES (3, N'y', NULL)")
    assert client.error("INSERT dbo.K VALUES (4, N'z', NULL)").number == 2627  # one NULL only, unlike in other databases


def test_check_constraints(client: Client) -> None:
    client.rows("CREATE TABLE dbo.C (A int CONSTRAINT CK_A CHECK (A > 0), B int, CONSTRAINT CK_AB CHECK (A < B OR B IS NULL))")
    client.rows("INSERT dbo.C VALUES (1, 2), (NULL, 5), (7, NULL)")
    error = client.error("INSERT dbo.C VALUES (-1, NULL)")
    assert (error.number, error.text) == (
        547,
        'The INSERT statement conflicted with the CHECK constraint "CK_A". '
        'The conflict occurred in database "rowpost", table "dbo.C", column \'A\'.',
    )
    assert client.error("UPDATE dbo.C SET B = 1").text.startswith(
        'The UPDATE statement conflicted with the CHECK constraint "CK_AB".'
    )
    assert client.value("SELECT COUNT(*) FROM dbo.C WHERE B = 1") == 0


def test_foreign_keys(client: Client) -> None:
    client.rows(
        "CREATE TABLE dbo.Parent (Id int PRIMARY KEY); CREATE TABLE dbo.Child (Id int PRIMARY KEY, ParentId "
        "int CONSTRAINT FK_C REFERENCES dbo.Parent (Id));"
        "INSERT dbo.Parent VALUES (1), (2); INSERT dbo.Child VALUES (1, 1), (2, NULL)"
    )
    assert client.error("INSERT dbo.Child VALUES (3, 9)").text == (
        'The INSERT statement conflicted with the FOREIGN KEY constraint "FK_C". The conflict occurred in '
        'database "rowpost", table "dbo.Parent", '
        "column 'Id'."
    )
    assert client.error("DELETE dbo.Parent").text.startswith(
        'The DELETE statement conflicted with the REFERENCE constraint "FK_C".'
    )
    assert client.error("UPDATE dbo.Parent SET Id = 5 WHERE Id = 1").number == 547
    client.rows("DELETE dbo.Parent WHERE Id = 2; UPDATE dbo.Child SET ParentId = NULL; DELETE dbo.Parent")
    assert client.error("TRUNCATE TABLE dbo.Parent").number == 4712
    assert client.error("DROP TABLE dbo.Parent").number == 3726


def test_cascades(client: Client) -> None:
    client.rows(
        "CREATE TABLE dbo.A (Id int PRIMARY KEY); CREATE TABLE dbo.B (Id int PRIMARY KEY, A int REFERENCES "
        "dbo.A ON DELETE CASCADE ON UPDATE CASCADE);"
        "CREATE TABLE dbo.C (Id int PRIMARY KEY, B int REFERENCES dbo.B ON DELETE SET NULL);"
        "INSERT dbo.A VALUES (1), (2); INSERT dbo.B VALUES (10, 1), (20, 2); INSERT dbo.C VALUES (100, 10), (200, 20)"
    )
    assert client.run("DELETE dbo.A WHERE Id = 1; UPDATE dbo.A SET Id = 3 WHERE Id = 2").counts == [("DELETE", 1), ("UPDATE", 1)]
    assert client.rows("SELECT Id, A FROM dbo.B") == [(20, 3)]
    assert client.rows("SELECT Id, B FROM dbo.C ORDER BY Id") == [(100, None), (200, 20)]


def test_computed_columns(client: Client) -> None:
    client.rows(
        "CREATE TABLE dbo.M (A int, B AS A * 2, C AS CONCAT(N'<', A, N'>') PERSISTED); INSERT dbo.M (A) "
        "VALUES (4); UPDATE dbo.M SET A = 5"
    )
    assert client.rows("SELECT * FROM dbo.M WHERE B = 10") == [(5, 10, "<5>")]
    assert client.rows("INSERT dbo.M OUTPUT inserted.* VALUES (1)") == [(1, 2, "<1>")]
    assert client.error("UPDATE dbo.M SET B = 1").number == 271


def test_rowversion(client: Client) -> None:
    client.rows("CREATE TABLE dbo.R (Id int PRIMARY KEY, V rowversion); INSERT dbo.R (Id) VALUES (1), (2)")
    first, second = (row[0] for row in client.rows("SELECT V FROM dbo.R ORDER BY Id"))
    assert first < second
    client.rows("UPDATE dbo.R SET Id = 5 WHERE Id = 1")
    assert client.value("SELECT V FROM dbo.R WHERE Id = 5") > second


def test_temporary_tables(client: Client, server) -> None:
    client.rows("CREATE TABLE #t (Id int PRIMARY KEY, N nvarchar(5)); INSERT #t VALUES (1, N'a')")
    assert client.rows("SELECT N FROM #t; ")[0] == ("a",)
    assert client.value("SELECT CASE WHEN OBJECT_ID('tempdb..#t') IS NULL THEN 0 ELSE 1 END") == 1
    assert server.client().error("SELECT * FROM #t").number == 208
    assert client.error("CREATE TABLE #t (a int)").number == 2714
    client.rows("SELECT Id + 1 AS Id, N INTO #u FROM #t; INSERT #u VALUES (9, N'z')")
    assert client.rows("SELECT * FROM #u ORDER BY Id") == [(2, "a"), (9, "z")]
    client.rows("DROP TABLE #t; DROP TABLE IF EXISTS #t, #u")
    assert client.error("SELECT * FROM #u").number == 208


def test_select_into(table: Client) -> None:
    assert table.run("SELECT Id, Name, X * 2 AS Y INTO dbo.Copy FROM T WHERE N < 5").counts == [("SELECT INTO", 2)]
    assert table.rows("SELECT * FROM dbo.Copy") == [(10, "a", Decimal("3.000")), (15, "b", None)]
    assert table.error("SELECT 1 AS a INTO dbo.Copy").number == 2714


def test_truncate_starts_identity_again(table: Client) -> None:
    table.rows("TRUNCATE TABLE dbo.T; INSERT T (Name) VALUES (N'z')")
    assert table.rows("SELECT Id FROM T") == [(10,)]


def test_row_count_and_nocount(table: Client) -> None:
    outcome = table.run("SET NOCOUNT ON; UPDATE T SET N = 0; SELECT @@ROWCOUNT")
    assert outcome.counts == [("UPDATE", None), ("SELECT", None)]
    assert outcome.results[0].rows == [(3,)]


def test_identity_of_temporary_tables_starts_anew(client: Client) -> None:
    batch = "DECLARE @t TABLE (Id int IDENTITY, A int); INSERT @t (A) VALUES (5), (6); SELECT MAX(Id) FROM @t"
    assert client.value(batch) == 2
    assert client.value(batch) == 2
    client.rows("CREATE TABLE #i (Id int IDENTITY(5, 5), A int); INSERT #i VALUES (1); TRUNCATE TABLE #i; INSERT #i VALUES (1)")
    assert client.rows("SELECT Id FROM #i") == [(5,)]


def test_identity_values_are_not_given_back(table: Client) -> None:
    table.rows("BEGIN TRAN; INSERT T (Name) VALUES (N'gone'); ROLLBACK")
    assert table.value("INSERT T (Name) OUTPUT inserted.Id VALUES (N'next')") == 30


def test_variables_in_output_and_defaults_of_its_target(table: Client) -> None:
    assert table.rows(
        "DECLARE @a int = 5, @b nvarchar(9) = N'?1', @log TABLE (Id int, Tag nvarchar(9), At datetime2(0) "
        "DEFAULT SYSDATETIME(), K AS Id + 1);"
        "INSERT T (Name) OUTPUT inserted.Id + @a, @b INTO @log (Id, Tag) VALUES (N'v');"
        "UPDATE T SET N = @a + 1 OUTPUT inserted.N * @a, N'?1' + @b, deleted.N FROM T WHERE Name = N'v';"
        "SELECT Id, Tag, At, K FROM @log"
    ) == [(30, "?1", "2026-03-01 12:00:00", 31)]
    assert table.rows("DECLARE @a int = 5; DELETE T OUTPUT deleted.Name + N' ?2 ' + CAST(@a AS nvarchar(5)) WHERE Name = N'v'") == [
        ("v ?2 5",)
    ]


def test_more_sources_than_one_variable(table: Client) -> None:
    rows = table.rows(
        "DECLARE @o int = 100; MERGE T USING (VALUES (N'a', 1), (N'm', 2)) s(k, v) ON T.Name = s.k WHEN "
        "MATCHED THEN UPDATE SET N = s.v + @o "
        "WHEN NOT MATCHED THEN INSERT (Name, N) VALUES (s.k, s.v) OUTPUT $action, @o, s.v + @o AS w, inserted.N;"
    )
    assert sorted(rows) == [("INSERT", 100, 102, 2), ("UPDATE", 100, 101, 101)]
