"""Answers: results, counts and errors, as pyodbc with Microsoft's driver and a bare client see them."""

from __future__ import annotations

import pyodbc
import pytest

from emulators.tests.tds.client import TdsClient
from emulators.tests.tds.server import (
    COUNT,
    DONE,
    ERROR,
    MORE,
    rows_of,
)


def test_several_results_and_counts(connection: pyodbc.Connection) -> None:
    cursor = connection.execute("MANY")
    assert rows_of(cursor) == [(1,), (2,)]  # the first result: a SET before it leaves no trace
    assert cursor.nextset() and cursor.description is None and cursor.rowcount == 5
    assert cursor.nextset() and "printed" in cursor.messages[0][1] and rows_of(cursor) == [("z",)]
    assert not cursor.nextset()


@pytest.mark.parametrize("arguments", [(), (1,)])
def test_row_count(connection: pyodbc.Connection, arguments: tuple[int, ...]) -> None:
    assert connection.execute("UPDATE ?" if arguments else "UPDATE", *arguments).rowcount == 3


def test_large_result(connection: pyodbc.Connection) -> None:
    rows = connection.execute("ROWS 50000").fetchall()
    assert len(rows) == 50_000 and rows[-1][0] == 49_999


@pytest.mark.parametrize(
    ("number", "severity", "state", "kind"),
    [
        (2627, 14, "23000", pyodbc.IntegrityError),
        (547, 16, "23000", pyodbc.IntegrityError),
        (515, 16, "23000", pyodbc.IntegrityError),
        (1205, 13, "40001", pyodbc.Error),
        (208, 16, "42S02", pyodbc.ProgrammingError),
        (207, 16, "42S22", pyodbc.ProgrammingError),
        (8134, 16, "22012", pyodbc.DataError),
        (245, 16, "22018", pyodbc.DataError),
        (40613, 17, "42000", pyodbc.ProgrammingError),
        (50001, 16, "42000", pyodbc.ProgrammingError),
    ],
)
def test_errors_become_sqlstates(
    connection: pyodbc.Connection, number: int, severity: int, state: str, kind: type[pyodbc.Error]
) -> None:
    with pytest.raises(kind) as raised:
        connection.execute(f"ERROR {number} {severity}")
    assert raised.value.args[0] == state
    assert f"({number})" in raised.value.args[1]


def test_error_token_has_severity_and_state(client: TdsClient) -> None:
    answer = client.batch("ERROR 50001 16")
    assert answer.errors == [(50001, 16, 7)] and answer.done == [(DONE, ERROR, 0)]


def test_error_after_rows(connection: pyodbc.Connection) -> None:
    with pytest.raises(pyodbc.DataError, match="8134"):
        connection.execute("LATE").fetchall()


def test_batch_that_goes_on_after_an_error(client: TdsClient) -> None:
    answer = client.batch("CONTINUE")
    assert answer.errors == [(2627, 14, 1)] and answer.rows == [(0 + 1,)]
    assert answer.done == [(DONE, ERROR | MORE, 0), (DONE, COUNT, 1)]


@pytest.mark.parametrize("sql", ["BUG", "BADROW"])
def test_defect_of_the_engine_is_an_error_and_no_hang(connection: pyodbc.Connection, sql: str) -> None:
    with pytest.raises(pyodbc.Error, match="internal error of the emulator"):
        connection.execute(sql).fetchall()
    assert connection.execute("ROWS 1").fetchval() == 0


def test_fatal_error_ends_the_connection(connection: pyodbc.Connection) -> None:
    with pytest.raises(pyodbc.Error, match="40613"):
        connection.execute("ERROR 40613 20")
    with pytest.raises(pyodbc.OperationalError) as raised:
        connection.execute("ROWS 1")
    assert raised.value.args[0] == "08S01"
