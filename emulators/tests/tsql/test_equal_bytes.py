"""Bytes that differ by zeros at the end only are equal: in keys, groups, DISTINCT, UNION and windows too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.sql_server.values.results import Parameter, SqlType
from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("bytes")))
    one = server.client()
    one.rows("CREATE TABLE dbo.K (A varbinary(8) PRIMARY KEY, N int); CREATE TABLE dbo.U (A varbinary(8) NULL UNIQUE)")
    yield one
    server.database.close()


PAIR = "(VALUES (0x01, 1), (0x0100, 2)) AS v (a, n)"


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        (f"SELECT COUNT(*) FROM {PAIR} GROUP BY a", [(2,)]),
        (f"SELECT COUNT(DISTINCT a) FROM {PAIR}", [(1,)]),
        (f"SELECT COUNT(*) FROM (SELECT DISTINCT a FROM {PAIR}) AS q", [(1,)]),
        (f"SELECT DISTINCT TOP 1 'x' AS t, a FROM {PAIR} ORDER BY a", [("x", b"\1")]),
        ("SELECT COUNT(*) FROM (SELECT 0x01 AS a UNION SELECT 0x0100) AS q", [(1,)]),
        ("SELECT COUNT(*) FROM (SELECT 0x01 AS a, N'A' AS t UNION SELECT 0x0100, N'a') AS q", [(1,)]),
        ("SELECT COUNT(*) FROM (SELECT 0x01 AS a UNION ALL SELECT 0x0100) AS q", [(2,)]),
        (f"SELECT RANK() OVER (ORDER BY a) FROM {PAIR}", [(1,), (1,)]),
        (f"SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY n) FROM {PAIR}", [(1,), (2,)]),
        (f"SELECT n FROM {PAIR} ORDER BY a, n DESC", [(2,), (1,)]),
        (f"SELECT DATALENGTH(MAX(a)) FROM {PAIR} WHERE n = 2", [(2,)]),
        (f"SELECT DISTINCT CAST(a AS binary(2)) FROM {PAIR}", [(b"\1\0",)]),
        ("SELECT CAST(0x01 AS binary(2)) INTERSECT SELECT CAST(0x0100 AS binary(2))", [(b"\1\0",)]),
    ],
)
def test_queries(client: Client, sql: str, rows: list[Any]) -> None:
    assert client.rows(sql) == rows


@pytest.mark.parametrize("operation", ["INTERSECT", "EXCEPT"])
def test_what_cannot_be_told_is_refused(client: Client, operation: str) -> None:
    error = client.error(f"SELECT 0x01 {operation} SELECT 0x0100")
    assert (error.number, operation in error.text) == (40517, True)


def test_an_index_over_rows_that_are_there(client: Client) -> None:
    client.rows("CREATE TABLE dbo.Old (A varbinary(max), B varbinary(4)); INSERT dbo.Old VALUES (0x, 0x01), (0x, 0x0100)")
    assert client.error("CREATE UNIQUE INDEX IX ON dbo.Old (B)").number == 1505
    client.rows("DELETE dbo.Old WHERE DATALENGTH(B) = 2; CREATE UNIQUE INDEX IX ON dbo.Old (B)")
    assert client.error("INSERT dbo.Old VALUES (0x, 0x010000)").number == 2601


some_bytes = st.lists(st.sampled_from([0, 1, 16, 255]), max_size=4).map(bytes)


@settings(max_examples=80, deadline=None)
@given(st.lists(some_bytes, max_size=6))
def test_a_key_takes_each_value_once(client: Client, values: list[bytes]) -> None:
    client.rows("DELETE dbo.K; DELETE dbo.U; INSERT dbo.U VALUES (NULL)")
    kept: dict[bytes, bytes] = {}
    for value in values:
        same = value.rstrip(b"\0") in kept
        kept.setdefault(value.rstrip(b"\0"), value)
        for table, columns in (("K", "(A, N) VALUES (@v, 1)"), ("U", "(A) VALUES (@v)")):
            outcome = client.run(f"INSERT dbo.{table} {columns}", v=Parameter(value, SqlType("varbinary", 8)))
            assert outcome.numbers == ([2627] if same else [])
    assert {row for (row,) in client.rows("SELECT A FROM dbo.K")} == set(kept.values())
    assert client.error("INSERT dbo.U VALUES (NULL)").number == 2627
