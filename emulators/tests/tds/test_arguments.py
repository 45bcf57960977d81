"""Parameters of statements, as the driver sends them and as a bare client can."""

from __future__ import annotations

import datetime
import json
import uuid
from decimal import Decimal
from typing import Any

import pyodbc
import pytest

from emulators.tests.tds.client import TdsClient
from emulators.tests.tds.server import (
    DONEPROC,
    ERROR,
    INT,
    NVARCHAR,
)

PARAMETERS = [
    (7, "int"),
    (2**40, "bigint"),
    (True, "bit"),
    (1.5, "float"),
    ("é", "nvarchar"),
    ("", "nvarchar"),
    ("x" * 10_000, "ntext"),
    (b"ab", "varbinary"),
    (b"z" * 9_000, "image"),
    (Decimal("-12345678901234567890.123456789012345678"), "numeric"),
    (Decimal("99999999999999999999999999999999999999"), "numeric"),
    (datetime.datetime(2024, 1, 2, 3, 4, 5, 678901), "datetime2"),
    (Decimal("-0.00000000000000000000000000000000000001"), "numeric"),
    (datetime.date(9999, 12, 31), "date"),
    (uuid.UUID("ab6f7c7a-0000-4000-8000-00000000000a"), "uniqueidentifier"),
]


@pytest.mark.parametrize(("value", "type_name"), PARAMETERS)
def test_parameter_arrives_and_returns_exactly(connection: pyodbc.Connection, value: Any, type_name: str) -> None:
    returned = connection.execute("ECHO ?", value).fetchval()
    assert returned == (str(value).upper() if isinstance(value, uuid.UUID) else value)
    declared = connection.execute("TYPES ?", value).fetchval()
    assert f"name='{type_name}'" in declared


def test_null_parameters(connection: pyodbc.Connection) -> None:
    assert tuple(connection.execute("ECHO ?, ?, ?", None, "a", None).fetchone()) == (None, "a", None)


def test_megabytes_of_json(connection: pyodbc.Connection) -> None:
    document = json.dumps([{"key": number, "text": "日本語 😀"} for number in range(60_000)])
    assert len(document) > 2_000_000
    assert connection.execute("ECHO ?", document).fetchval() == document
    assert "length=-1" in connection.execute("TYPES ?", document).fetchval()


def test_fast_executemany(connection: pyodbc.Connection) -> None:
    cursor = connection.cursor()
    cursor.fast_executemany = True
    cursor.executemany("UPDATE ?, ?", [(1, "a"), (2, None), (3, "c")])
    assert connection.execute("ROWS 1").fetchval() == 0


def test_arguments_are_converted_to_the_declared_type(client: TdsClient) -> None:
    sent = [
        ("@stmt", 0, NVARCHAR, "ECHO"),
        ("@params", 0, NVARCHAR, "@n decimal(10,2), @s nvarchar(3), @d datetime2(3), @b bigint = 5"),
        ("@n", 0, INT, 7),
        ("@s", 0, NVARCHAR, "abcdef"),
        ("@d", 0, NVARCHAR, "2024-01-02T03:04:05.6789"),
    ]
    answer = client.call(("sp_executesql", sent))
    days = datetime.date(2024, 1, 2).toordinal() - 1
    assert answer.rows == [(Decimal("7.00"), "abc", (days, 110_456_790_000), 5)]


@pytest.mark.parametrize(
    ("declared", "arguments", "number"),
    [
        ("@a int", [], 8178),
        ("@a int", [("", 0, INT, 1), ("", 0, INT, 2)], 8144),
        ("@a int", [("@other", 0, INT, 1)], 8145),
        ("@a int", [("", 0, NVARCHAR, "abc")], 8114),
        ("@a tinyint", [("", 0, INT, 256)], 8114),
        ("@a nosuchtype", [("", 0, INT, 1)], 2715),
        ("a int", [("", 0, INT, 1)], 102),
    ],
)
def test_arguments_that_do_not_fit(client: TdsClient, declared: str, arguments: list[Any], number: int) -> None:
    answer = client.call((10, [("", 0, NVARCHAR, "ECHO"), ("", 0, NVARCHAR, declared), *arguments]))
    assert [error[0] for error in answer.errors] == [number]
    assert answer.done[-1] == (DONEPROC, ERROR, 0)
    assert client.batch("ROWS 1").rows == [(0,)]
