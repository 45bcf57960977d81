"""Values and expressions that the real server does not take, next to some that it just takes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("range")))
    yield server.client()
    server.database.close()


def cases(levels: int) -> str:
    return "CASE WHEN 1 = 1 THEN " * levels + "1" + " END" * levels


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("9" * 39, 1007),
        ("0." + "1" * 39, 1007),
        ("1e309", 168),
        ("1e-400", 168),
        ("ROUND(748.58, -3)", 8115),
        ("ROUND(9.99, 0)", 8115),
        ("ROUND(2147483647, -1)", 8115),
        ("ROUND(CAST(922337203685477.5807 AS money), 0)", 8115),
        ("CAST(922337203685477.5807 AS money) + $1", 8115),
        ("CAST(922337203685477.5807 AS money) * 2", 8115),
        ("SUM(m) FROM (VALUES (CAST(922337203685477.5807 AS money)), ($1)) AS v (m)", 8115),
        ("CAST('2079-06-07' AS smalldatetime)", 242),
        ("CAST('2079-06-06T23:59:30' AS smalldatetime)", 242),
        ("CAST('1899-12-31' AS smalldatetime)", 242),
        ("CAST('2024-01-02T03:04:05.12345678' AS datetime2)", 241),
        ("CAST('03:04:05.12345678' AS time)", 241),
        ("CAST(N'\u0661' AS int)", 245),
        ("CAST(N'\uff11' AS bigint)", 8114),
        ("CAST(N'\uff11' AS float)", 8114),
        ("CAST(N'\uff11' AS decimal(5, 2))", 8114),
        ("CAST('1_000' AS money)", 235),
        ("CAST('1e3' AS money)", 235),
        ("CAST('-$-5' AS money)", 235),
        ("CONVERT(varchar(30), $1, 3)", 40517),
        ("CONVERT(varchar(30), 1e0, 4)", 40517),
        ("COALESCE(NULL, NULL)", 4127),
        ("NULLIF(NULL, 1)", 4151),
        ("IIF(1 = 1, NULL, NULL)", 8133),
        ("CASE WHEN 1 = 1 THEN NULL END", 8133),
        (cases(11), 125),
        ("NTILE(0) OVER (ORDER BY v) FROM (VALUES (1)) AS t (v)", 4116),
        ("STRING_AGG(v, 5) FROM (VALUES ('a')) AS t (v)", 8116),
        ("STRING_AGG(v, v) FROM (VALUES ('a')) AS t (v)", 8733),
        ("value FROM STRING_SPLIT('a--b', '--')", 214),
        ("value FROM STRING_SPLIT('a', NULL)", 214),
        ("1 AS a UNION SELECT 2 ORDER BY b", 104),
        ("COUNT(*) FROM (VALUES (1)) AS t (v) GROUP BY 1", 164),
        ("COUNT(*) FROM (VALUES (1)) AS t (v) GROUP BY 'x' + 'y'", 164),
        ("1 FROM (VALUES (1, 2), (3)) AS t (v)", 10709),
        ("DATEPART(hour, CAST('20240101' AS date))", 9810),
        ("DATENAME(tz, CAST('20240101' AS date))", 9810),
        ("DATEPART(year, CAST('10:00' AS time))", 9810),
        ("DATEADD(day, 1, CAST('10:00' AS time))", 9810),
        ("DATETRUNC(minute, CAST('20240101' AS date))", 9810),
        ("SUBSTRING(123, 1, 1)", 8116),
    ],
)
def test_refused(client: Client, expression: str, number: int) -> None:
    assert client.error(f"SELECT {expression}").number == number


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("9" * 38, Decimal("9" * 38)),
        ("1e308", 1e308),
        ("0e-999", 0.0),
        ("ROUND(748.58, -2)", Decimal("700.00")),
        ("ROUND(CAST(748.58 AS decimal(6, 2)), -3)", Decimal("1000.00")),
        ("CAST(922337203685477.5806 AS money) + $0.0001", Decimal("922337203685477.5807")),
        ("CAST('2079-06-06T23:59' AS smalldatetime)", "2079-06-06 23:59:00"),
        ("CAST('2024-01-02T03:04:05.1234567' AS datetime2)", "2024-01-02 03:04:05.1234567"),
        ("TRY_CAST('<a' AS xml)", None),
        ("CAST('1,2,3.5' AS money)", Decimal("123.5")),
        (cases(10), 1),
        ("COALESCE(NULL, 1)", 1),
    ],
)
def test_accepted(client: Client, expression: str, value: Any) -> None:
    assert client.value(f"SELECT {expression}") == value
