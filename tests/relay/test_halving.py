"""A set that cannot be read is halved: who is to blame stands alone, and what is not reached this time is left for the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyodbc
import pytest

from rowpost.database.connection import DatabaseError
from rowpost.relay.reading import Reading, halve

LOST = pyodbc.OperationalError("08S01", "[08S01] [Driver] the connection is broken (0) (SQLExecDirectW)")
DIVISION = pyodbc.DataError("22012", "[22012] [Driver] Divide by zero error encountered. (8134) (SQLFetch)")
AWAY = pyodbc.OperationalError("08001", "[08001] [Driver] no server (0) (SQLDriverConnect)")


def keys(count: int) -> list[dict[str, Any]]:
    return [{"number": number} for number in range(count)]


def reader(bad: set[int], error: pyodbc.Error, read: list[int]) -> Callable[[Sequence[dict[str, Any]]], None]:
    def some_of_them(some: Sequence[dict[str, Any]]) -> None:
        if bad & {key["number"] for key in some}:
            raise DatabaseError(error)
        read.extend(key["number"] for key in some)

    return some_of_them


def test_each_row_that_fails_stands_alone_with_its_reason() -> None:
    read: list[int] = []
    found = Reading()
    halve(reader({3, 17, 99}, DIVISION, read), keys(100), found)
    assert found.unreadable == dict.fromkeys((3, 17, 99), "SQL Server error 8134")
    assert sorted(read) == sorted(set(range(100)) - {3, 17, 99}) and not found.lost and not found.left_out


def test_connections_that_are_lost_again_and_again_cost_some_readings_and_keep_no_row_from_its_turn() -> None:
    bad = set(range(50))
    read: list[int] = []
    lost: set[int] = set()
    left = keys(70)
    for _ in range(8):
        found = Reading()
        halve(reader(bad, LOST, read), left, found)
        assert found.lost or not left
        assert not found.lost & found.left_out and not found.unreadable
        lost |= found.lost
        left = [key for key in left if key["number"] in found.left_out]
    assert left == [] and lost == bad and sorted(read) == list(range(50, 70))


def test_a_database_that_is_away_blames_no_row() -> None:
    def away(some: Sequence[dict[str, Any]]) -> None:
        raise DatabaseError(AWAY)

    found = Reading()
    with pytest.raises(DatabaseError):
        halve(away, keys(8), found)
    assert not found.lost and not found.left_out and not found.unreadable
