"""Which leases are those of a payload: only a proof counts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rowpost.database.columns import TableColumn
from rowpost.relay.claim import numbered_keys
from rowpost.relay.matching import doubtful_numbers, hand_out, may_be_rewritten
from tests.harness.rows import column, table

BIG = column("Id", "numeric", 13, 20, 0)
TEXT = column("Id", "nvarchar", 80, 0, 0)
FIRST, SECOND = Decimal(9007199254740992), Decimal(9007199254740993)
NOON, LATER = "2026-01-01T12:00:00.1", "2026-01-01T12:00:01.1"


def keys(key: TableColumn, *values: Any) -> list[dict[str, Any]]:
    return numbered_keys(table((key,)), [{"Id": value} for value in values])


def found(key: TableColumn, payload: list[Any], *leases: tuple[int | None, str, Any]) -> tuple[int, bool] | None:
    """How many rows a payload hands out, and whether under its own keys."""
    result = hand_out(table((key,)), keys(key, *payload), leases)
    return None if result is None else (len(result.keys), result.as_named)


@pytest.mark.parametrize(
    ("key", "value", "doubtful"),
    [
        (column("Id", "int"), 7, False),
        (column("Id", "bigint", 8, 19), 2**62, False),
        (column("Id", "decimal", 9, 15, 0), Decimal(999999999999999), False),
        (BIG, Decimal(999999999999999), False),
        (BIG, FIRST, True),
        (column("Id", "decimal", 17, 38, 18), Decimal(1), True),
        (column("Id", "money", 8, 19, 4), Decimal("12.5"), False),
        (column("Id", "money", 8, 19, 4), Decimal("922337203685477.58"), True),
        (column("Id", "float", 8, 53, 0), Decimal("0.1"), True),
        (TEXT, "2024-01-01", False),
        (TEXT, "2024-01-01T00:00:00", True),
        (TEXT, "/Date(1704067200000)/", True),
        (TEXT, "half \ufffd", True),
        (column("Id", "datetime2", 8, 27, 3), "2024-01-01T00:00:00", False),
        (column("Id", "datetime2", 8, 27, 7), "2024-01-01T00:00:00", True),
        (column("Id", "datetimeoffset", 10, 34, 0), "2024-01-01T00:00:00+01:00", True),
        (column("Id", "uniqueidentifier", 16, 0, 0), "0e984725-c51c-4bf4-9960-e1c80e27aba0", False),
    ],
)
def test_what_the_payload_may_have_rewritten(key: TableColumn, value: Any, doubtful: bool) -> None:
    (only,) = keys(key, value)
    assert may_be_rewritten(key, only["key"]["Id"]) == doubtful


def test_a_key_that_occurs_twice_is_doubtful_whatever_its_type() -> None:
    assert doubtful_numbers(table((TEXT,)), keys(TEXT, "abc", "other", "ABC ")) == {0, 2}


def test_the_leases_that_end_together_are_a_hand_out() -> None:
    assert found(BIG, [FIRST], (0, NOON, FIRST)) == (1, True)
    assert found(BIG, [FIRST], (None, NOON, SECOND)) == (1, False)
    assert found(BIG, [FIRST, FIRST], (0, NOON, FIRST), (1, NOON, FIRST), (None, NOON, SECOND)) == (2, False)
    assert found(BIG, [FIRST], (0, NOON, FIRST), (None, LATER, Decimal(5))) == (1, True), "another worker's row"
    assert found(BIG, [FIRST, Decimal(5)], (0, NOON, FIRST), (1, LATER, Decimal(5))) == (2, True), "nobody else has any"


def test_halves_of_surrogate_pairs_are_told_by_their_leases() -> None:
    payload = ["a\ufffd", "a\ufffd", "b"]
    assert doubtful_numbers(table((TEXT,)), keys(TEXT, *payload)) == {0, 1}
    assert found(TEXT, payload, (None, NOON, "a\ud83d"), (None, NOON, "a\ud83e"), (2, NOON, "b")) == (3, False)
    assert found(TEXT, payload, (0, NOON, "a\ufffd"), (1, NOON, "a\ufffd"), (None, NOON, "a\ud83e"), (2, NOON, "b")) == (3, False)


def test_what_cannot_be_told_apart_is_left_alone() -> None:
    assert found(BIG, [FIRST]) is None
    assert found(BIG, [FIRST], (0, NOON, FIRST), (None, LATER, SECOND)) is None
    assert found(BIG, [FIRST], (0, NOON, FIRST), (None, NOON, SECOND)) is None, "two hand-outs of one instant"
    assert found(BIG, [FIRST, Decimal(5)], (0, NOON, FIRST)) is None


@pytest.mark.parametrize(
    ("payload", "own", "same"),
    [
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00.000", True),
        ("2024-01-01T00:00:00Z", "2024-01-01T02:00:00+02:00", True),
        ("2024-01-01T00:00:00Z", "/Date(1704067200000)/", True),
        ("a\ufffd", "a\ud83d", True),
        ("a\ufffd", "a\ufffd\ufffd", False),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00Z", False),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:01", False),
        ("2024-02-31T00:00:00", "2024-02-31T00:00:00.0", False),
    ],
)
def test_texts_that_become_one_text(payload: str, own: str, same: bool) -> None:
    assert found(TEXT, [payload], (None, NOON, own)) == ((1, False) if same else None)
