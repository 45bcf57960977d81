"""SELECT in the SQL Server emulator: joins, grouping, windows, set operations, common tables, APPLY."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from emulators.tests.tsql.database import Client

TABLES = """
CREATE TABLE dbo.Customer (Id int PRIMARY KEY, Name nvarchar(20) NOT NULL, City nvarchar(20) NULL);
CREATE TABLE dbo.Orders (OrderId int PRIMARY KEY, CustomerId int NULL, Total decimal(10,2) NOT NULL, Placed date NOT NULL);
INSERT dbo.Customer VALUES (1, N'Ada', N'London'), (2, N'bob', N'Paris'), (3, N'Cyd', NULL);
INSERT dbo.Orders VALUES (10, 1, 5.50, '2024-01-01'), (11, 1, 4.50, '2024-02-01'),
    (12, 2, 20, '2024-02-01'), (13, NULL, 1, '2024-03-01');
"""


@pytest.fixture
def shop(client: Client) -> Client:
    client.rows(TABLES)
    return client


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT Name FROM Customer WHERE Name = 'ADA '", [("Ada",)]),
        ("SELECT Name FROM dbo.Customer c WHERE c.Name LIKE N'[a-b]%' ORDER BY Name DESC", [("bob",), ("Ada",)]),
        ("SELECT TOP 1 Name FROM Customer ORDER BY Id DESC", [("Cyd",)]),
        ("SELECT TOP (2) Id FROM [rowpost].[dbo].[Customer] ORDER BY 1", [(1,), (2,)]),
        ("SELECT Id FROM Customer ORDER BY Id OFFSET 1 ROW FETCH NEXT 1 ROWS ONLY", [(2,)]),
        ("SELECT DISTINCT CustomerId FROM Orders ORDER BY CustomerId", [(None,), (1,), (2,)]),
        (
            "SELECT c.Name, o.OrderId FROM Customer c JOIN Orders o ON o.CustomerId = c.Id ORDER BY o.OrderId",
            [("Ada", 10), ("Ada", 11), ("bob", 12)],
        ),
        (
            "SELECT c.Id, o.OrderId FROM Customer c LEFT JOIN Orders o ON o.CustomerId = c.Id AND o.Total > 5 ORDER BY c.Id",
            [(1, 10), (2, 12), (3, None)],
        ),
        (
            "SELECT c.Id, o.OrderId FROM Customer c RIGHT OUTER JOIN Orders o ON o.CustomerId = c.Id WHERE c.Id IS NULL",
            [(None, 13)],
        ),
        ("SELECT COUNT(*) FROM Customer c FULL JOIN Orders o ON o.CustomerId = c.Id", [(5,)]),
        (
            "DECLARE @few TABLE (Id int PRIMARY KEY); INSERT @few VALUES (2), (3); SELECT f.Id, c.Name, o.OrderId "
            "FROM @few f JOIN Customer c ON c.Id = f.Id LEFT JOIN Orders o ON o.CustomerId = c.Id ORDER BY f.Id",
            [(2, "bob", 12), (3, "Cyd", None)],
        ),
        ("SELECT COUNT(*) FROM Customer, Orders", [(12,)]),
        ("SELECT COUNT(*) FROM Customer c CROSS JOIN Orders o WHERE c.Id = o.CustomerId", [(3,)]),
        (
            "SELECT CustomerId, COUNT(*) n, SUM(Total) s FROM Orders GROUP BY CustomerId HAVING COUNT(*) > 1",
            [(1, 2, Decimal("10.00"))],
        ),
        (
            "SELECT YEAR(Placed) * 100 + MONTH(Placed) m, COUNT(*) FROM Orders GROUP BY YEAR(Placed) * 100 + "
            "MONTH(Placed) ORDER BY m",
            [(202401, 1), (202402, 2), (202403, 1)],
        ),
        ("SELECT AVG(Total), MIN(Placed), MAX(Total) FROM Orders", [(Decimal("7.750000"), "2024-01-01", Decimal("20.00"))]),
        ("SELECT COUNT(DISTINCT CustomerId), COUNT(CustomerId), COUNT_BIG(*) FROM Orders", [(2, 3, 4)]),
        (
            "SELECT Name FROM Customer c WHERE EXISTS (SELECT 1 FROM Orders o WHERE o.CustomerId = c.Id AND o.Total > 10)",
            [("bob",)],
        ),
        ("SELECT Id FROM Customer WHERE Id IN (SELECT CustomerId FROM Orders) ORDER BY Id", [(1,), (2,)]),
        ("SELECT Id FROM Customer WHERE Id NOT IN (SELECT CustomerId FROM Orders)", []),  # a NULL in the list
        ("SELECT Id FROM Customer WHERE Id NOT IN (1, 3)", [(2,)]),
        (
            "SELECT (SELECT MAX(Total) FROM Orders o WHERE o.CustomerId = c.Id) FROM Customer c ORDER BY Id",
            [(Decimal("5.50"),), (Decimal("20.00"),), (None,)],
        ),
        (
            "SELECT Id FROM Customer WHERE Id >= ALL (SELECT CustomerId FROM Orders WHERE CustomerId IS NOT NULL) ORDER BY Id",
            [(2,), (3,)],
        ),
        ("SELECT Id FROM Customer WHERE Id = ANY (SELECT CustomerId FROM Orders)", [(1,), (2,)]),
        (
            "SELECT OrderId, ROW_NUMBER() OVER (PARTITION BY CustomerId ORDER BY Total DESC) FROM Orders WHERE "
            "CustomerId = 1 ORDER BY OrderId",
            [(10, 1), (11, 2)],
        ),
        (
            "SELECT OrderId, SUM(Total) OVER (ORDER BY OrderId ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) "
            "FROM Orders ORDER BY OrderId",
            [(10, Decimal("5.50")), (11, Decimal("10.00")), (12, Decimal("30.00")), (13, Decimal("31.00"))],
        ),
        (
            "SELECT OrderId, LAG(Total, 1, 0) OVER (ORDER BY OrderId) FROM Orders WHERE OrderId < 12 ORDER BY OrderId",
            [(10, Decimal("0.00")), (11, Decimal("5.50"))],
        ),
        ("SELECT OrderId, COUNT(*) OVER () FROM Orders WHERE OrderId = 10", [(10, 1)]),
        ("SELECT 1 AS a UNION SELECT 1 UNION ALL SELECT 3 ORDER BY a DESC", [(3,), (1,)]),
        ("SELECT COUNT(*) FROM (SELECT Name FROM Customer UNION SELECT N'ADA ') x", [(3,)]),
        (
            "SELECT c.Id FROM Customer c WHERE c.Id < 3 UNION SELECT o.OrderId FROM Orders o ORDER BY c.Id DESC",
            [(13,), (12,), (11,), (10,), (2,), (1,)],
        ),
        ("SELECT Id FROM Customer EXCEPT SELECT CustomerId FROM Orders", [(3,)]),
        ("SELECT Id FROM Customer INTERSECT SELECT CustomerId FROM Orders", [(1,), (2,)]),
        ("SELECT CAST(1 AS tinyint) a UNION ALL SELECT 2.5", [(Decimal("1.0"),), (Decimal("2.5"),)]),
        ("WITH c(n) AS (SELECT COUNT(*) FROM Orders), d AS (SELECT n + 1 AS m FROM c) SELECT m FROM d", [(5,)]),
        ("WITH r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT n FROM r", [(1,), (2,), (3,), (4,)]),
        ("SELECT x.a, x.b FROM (VALUES (1, N'q'), (2, NULL)) AS x(a, b) ORDER BY a", [(1, "q"), (2, None)]),
        (
            "SELECT c.Id, q.OrderId FROM Customer c CROSS APPLY (SELECT TOP 1 OrderId FROM Orders o WHERE "
            "o.CustomerId = c.Id ORDER BY Total) q ORDER BY 1",
            [(1, 11), (2, 12)],
        ),
        (
            "SELECT c.Id, q.t FROM Customer c OUTER APPLY (SELECT SUM(Total) t FROM Orders o WHERE o.CustomerId "
            "= c.Id) q ORDER BY 1",
            [(1, Decimal("10.00")), (2, Decimal("20.00")), (3, None)],
        ),
        (
            "SELECT c.Id, v.x FROM Customer c CROSS APPLY (VALUES (c.Id * 10), (c.Id * 100)) v(x) WHERE c.Id = 2 ORDER BY v.x",
            [(2, 20), (2, 200)],
        ),
        ("SELECT value FROM STRING_SPLIT(N'a,b,,c', N',') WHERE value <> ''", [("a",), ("b",), ("c",)]),
        ("SELECT STRING_AGG(Name, N', ') WITHIN GROUP (ORDER BY Name DESC) FROM Customer", [("Cyd, bob, Ada",)]),
        ("SELECT CASE City WHEN 'london' THEN 1 WHEN 'Paris' THEN 2 ELSE 0 END FROM Customer ORDER BY Id", [(1,), (2,), (0,)]),
        (
            "SELECT CASE WHEN City IS NULL THEN N'none' ELSE City END FROM Customer ORDER BY Id",
            [("London",), ("Paris",), ("none",)],
        ),
        (
            "SELECT IIF(Id > 2, 'x', NULL), ISNULL(City, '?'), COALESCE(City, Name), NULLIF(Id, 1) FROM Customer "
            "WHERE Id IN (1, 3) ORDER BY Id",
            [(None, "London", "London", None), ("x", "?", "Cyd", 3)],
        ),
        ("SELECT Id FROM Customer WHERE City = NULL", []),
        ("SELECT Id FROM Customer WHERE Id BETWEEN 2 AND 9 AND NOT (Id = 3 OR City IS NULL)", [(2,)]),
        ("SELECT Alias = Name + N'!' FROM Customer WHERE Id = 1", [("Ada!",)]),
        ("SELECT a.Id FROM Customer a WHERE a.Name COLLATE Latin1_General_BIN2 = N'ADA'", []),
        ("SELECT dbo.Customer.Id FROM dbo.Customer WHERE [dbo].[Customer].[Id] = 1", [(1,)]),
        (
            "SELECT o.* FROM Customer c JOIN Orders o ON o.CustomerId = c.Id WHERE c.Name = 'bob'",
            [(12, 2, Decimal("20.00"), "2024-02-01")],
        ),
        ("SELECT Id FROM Customer WITH (NOLOCK, INDEX(1)) WHERE Id = 1 OPTION (RECOMPILE)", [(1,)]),
        ("SELECT Id FROM Customer WHERE City IS NOT DISTINCT FROM NULL", [(3,)]),
    ],
)
def test_query(shop: Client, sql: str, expected: list[tuple[Any, ...]]) -> None:
    rows = shop.rows(sql)
    assert rows == expected if "ORDER BY" in sql.upper() else sorted(rows, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        (
            "SELECT 1, 3000000000, 1.50, 1e0, 'a', N'bc', 0xFF, NULL",
            ["int", "numeric", "decimal", "float", "varchar", "nvarchar", "varbinary", "int"],
        ),
        ("SELECT COUNT(*), COUNT_BIG(*), SUM(Id), MAX(Name) FROM Customer", ["int", "bigint", "int", "nvarchar"]),
        ("SELECT ROW_NUMBER() OVER (ORDER BY Id), Id + CAST(1 AS bigint), Id * 1.5 FROM Customer", ["bigint", "bigint", "decimal"]),
        (
            "SELECT SYSDATETIME(), GETDATE(), CAST(GETDATE() AS date), SYSDATETIMEOFFSET()",
            ["datetime2", "datetime", "date", "datetimeoffset"],
        ),
        (
            "SELECT DATEADD(day, 1, Placed), DATEDIFF(day, Placed, Placed), DATEDIFF_BIG(ms, Placed, Placed) FROM Orders",
            ["date", "int", "bigint"],
        ),
        (
            "SELECT CASE WHEN 1 = 1 THEN 1 ELSE 2.5 END, COALESCE(NULL, Name), ISNULL(City, Name) FROM Customer",
            ["decimal", "nvarchar", "nvarchar"],
        ),
    ],
)
def test_types_of_results(shop: Client, sql: str, types: list[str]) -> None:
    assert [column.type.name for column in shop.columns(sql)] == types
    assert [column.type.name for column in shop.session.describe(sql, {})] == types


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT * FROM dbo.Missing", 208),
        ("SELECT * FROM nowhere.Customer", 208),
        ("SELECT Nope FROM Customer", 207),
        ("SELECT c.Nope FROM Customer c", 207),
        ("SELECT x.Id FROM Customer c", 4104),
        ("SELECT Id FROM Customer a JOIN Customer b ON a.Id = b.Id", 209),
        ("SELECT Name FROM Customer GROUP BY City", 8120),
        ("SELECT Name, COUNT(*) FROM Customer", 8120),
        ("SELECT (SELECT Id FROM Customer)", 512),
        ("SELECT 1 WHERE 1", 4145),
        ("SELECT 1 UNION SELECT 1, 2", 205),
        ("SELECT NoSuchFunction(1)", 195),
        ("SELECT @missing", 137),
        ("SELECT * FROM (SELECT 1) x", 8155),
        ("SELECT * FROM (SELECT 1 AS a ORDER BY 1) x", 1033),
        ("SELECT DISTINCT Id FROM Customer ORDER BY Name", 145),
        ("SELECT TOP (-1) 1", 127),
        ("WITH r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", 530),
        ("SELECT Id FROM Customer x JOIN Orders x ON 1 = 1", 1013),
        ("SELECT FROM Customer", 156),
        ("SELECT 'open", 105),
        ("SELECT 1 /* open", 113),
        ("SELECT 1 1", 102),
    ],
)
def test_refused(shop: Client, sql: str, number: int) -> None:
    assert shop.error(sql).number == number


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT TOP 10 PERCENT * FROM Customer",
        "SELECT TOP 1 WITH TIES * FROM Customer ORDER BY Id",
        "SELECT * FROM Customer FOR XML PATH",
        "SELECT * FROM Customer TABLESAMPLE (10 PERCENT)",
        "SELECT City, COUNT(*) FROM Customer GROUP BY ROLLUP (City)",
        "SELECT * FROM Orders PIVOT (SUM(Total) FOR CustomerId IN ([1])) p",
        "SELECT FORMAT(1, 'N')",
        "SELECT * FROM OPENROWSET('x', 'y', 'z')",
        "CREATE PROCEDURE p AS SELECT 1",
        "CREATE TRIGGER t ON Customer AFTER INSERT AS SELECT 1",
        "DECLARE c CURSOR FOR SELECT 1",
        "WAITFOR TIME '10:00'",
        "SET ROWCOUNT 5",
        "SET ANSI_NULLS OFF",
        "BACKUP DATABASE rowpost TO DISK = 'x'",
        "SELECT * FROM Customer OPTION (USE PLAN N'x')",
    ],
)
def test_what_is_not_supported_says_so(shop: Client, sql: str) -> None:
    assert shop.error(sql).number == 40517


def test_hints_that_are_no_hints_are_refused(shop: Client) -> None:
    assert shop.error("SELECT * FROM Customer WITH (NOSUCHHINT)").number == 102


def test_line_numbers(shop: Client) -> None:
    assert shop.error("SELECT 1;\n\nSELECT Nope FROM Customer").line == 3
    assert shop.error("SELECT 1\n\nSELEC 2").line == 3
