"""Long chains of operators, as programs write them, and what is nested too deeply."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from emulators.tests.tsql.database import Client

LENGTHS = [2, 17, 33, 2000]


@pytest.fixture
def table(client: Client) -> Client:
    client.rows("CREATE TABLE dbo.T (a int, b int, s nvarchar(10), d decimal(9, 2))")
    client.rows("INSERT dbo.T VALUES (1, 10, N'x', 0.25), (2, NULL, N'', 1)")
    return client


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("word", ["OR", "AND"])
def test_conditions(table: Client, length: int, word: str) -> None:
    pairs = [f"(a = {number} AND b = {10 * number})" for number in range(length)]
    if word == "AND":
        pairs = [f"NOT {pair}" for pair in pairs]
    found = table.rows(f"SELECT a FROM dbo.T WHERE {f' {word} '.join(pairs)} ORDER BY a")
    kept = [(2,)] if length == 2 else []  # b = 20 is unknown where b is NULL
    assert found == ([(1,)] if word == "OR" else kept)


@pytest.mark.parametrize("length", LENGTHS)
def test_numbers_are_worked_out_from_left_to_right(table: Client, length: int) -> None:
    chance = random.Random(length)
    operators = [chance.choice("+-") for _ in range(length)]
    expected = 1
    for operator in operators:
        expected += 1 if operator == "+" else -1
    text = "a" + "".join(f" {operator} a" for operator in operators)
    assert table.rows(f"SELECT {text}, 2 * ({text}) FROM dbo.T WHERE a = 1 AND {text} = {expected} ORDER BY {text}") == [
        (expected, 2 * expected)
    ]
    assert table.value(f"SELECT {' + '.join(['d'] * min(length, 90))} FROM dbo.T WHERE a = 1") == Decimal("0.25") * min(length, 90)
    assert table.value(f"SELECT a{' + b' * length} FROM dbo.T WHERE a = 2") is None
    assert table.error(f"SELECT 2147483647{' + 1 - 1' * length} FROM dbo.T").number == 8115
    table.rows(f"UPDATE dbo.T SET b = {text} WHERE a = 1")
    assert table.value("SELECT b FROM dbo.T WHERE a = 1") == expected


@pytest.mark.parametrize("length", LENGTHS)
def test_strings(table: Client, length: int) -> None:
    text = " + ".join(f"s + N'{number % 10}'" for number in range(min(length, 1500)))
    assert table.value(f"SELECT {text} FROM dbo.T WHERE a = 2") == "".join(str(number % 10) for number in range(min(length, 1500)))
    assert table.value(f"SELECT LEN({text}) FROM dbo.T WHERE a = 1") == 2 * min(length, 1500)
    literals = text.replace("s", "N''")
    assert table.value(f"DECLARE @t nvarchar(max) = N''; SET @t = @t + {literals}; SELECT LEN(@t)") == min(length, 1500)


def test_groups_and_aggregates(table: Client) -> None:
    same = " + ".join(["a"] * 40)
    assert table.rows(f"SELECT {same}, {same} + COUNT(*) FROM dbo.T GROUP BY {same} ORDER BY 1") == [(40, 41), (80, 81)]
    assert table.value(f"SELECT {' + '.join(['SUM(a)'] * 20)} FROM dbo.T") == 60
    assert table.value(f"SELECT SUM({same}) FROM dbo.T") == 120
    few = " + ".join(["a"] * 17)
    assert table.rows(f"SELECT {few} + ROW_NUMBER() OVER (ORDER BY {same}) FROM dbo.T") == [(18,), (36,)]
    assert table.error(f"SELECT {same} + ROW_NUMBER() OVER (ORDER BY a) FROM dbo.T").number == 191


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT {'(' * 3000}1{')' * 3000}",
        f"SELECT 1 WHERE {'NOT ' * 3000}1 = 1",
        f"SELECT 1 WHERE {'NOT ' * 95}1 = 1",
        f"SELECT {'ABS(' * 3000}1{')' * 3000}",
        f"SELECT {'- ' * 3000}1",
        " UNION ALL ".join(["SELECT 1"] * 3000),
        " ELSE ".join(["IF 1 = 2 PRINT 'x'"] * 3000),
    ],
)
def test_what_is_nested_too_deeply_is_named(client: Client, sql: str) -> None:
    assert client.error(sql).number == 191
    assert client.value("SELECT 1") == 1
