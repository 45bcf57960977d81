"""A condition stays one condition wherever it is put, whatever it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.condition import LONGEST, read_condition
from rowpost.rules.context import read_context


@pytest.mark.parametrize(
    ("written", "sql", "names"),
    [
        ("Status = N'open' AND Total > 0", "Status = N'open' AND Total > 0", {"status", "and", "total"}),
        ("[a]]b] = 1", "[a]]b] = 1", {"a]b"}),
        ('"a""b" = 1', '"a""b" = 1', {'a"b'}),
        ("A = 'it''s -- no comment /* ?;@ ( '", "A = 'it''s -- no comment /* ?;@ ( '", {"a"}),
        ("A = 1 -- one\nOR B = 2", "A = 1  \nOR B = 2", {"a", "or", "b"}),
        ("A /* one /* in the other */ ( */ = 1", "A   = 1", {"a"}),
        ("(A = 1) AND (B IN (1, 2))", "(A = 1) AND (B IN (1, 2))", {"a", "and", "b", "in"}),
        ("[select] = 1", "[select] = 1", {"select"}),
        ("Größe > 1e-3", "Größe > 1e-3", {"größe"}),
    ],
)
def test_a_condition_is_read(written: str, sql: str, names: set[str]) -> None:
    found = read_condition(written)
    assert (found.sql, found.names) == (sql, names)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "is empty"),
        ("-- nothing", "is empty"),
        ("A = 1) OR (1 = 1", "parentheses"),
        ("(A = 1", "parentheses"),
        ("A = 1; DROP TABLE dbo.Orders", "semicolon"),
        ("A = @budget", "no variables"),
        ("A = ?", "question mark"),
        ("A = 'open", "does not end"),
        ("[A = 1", "does not end"),
        ('"A = 1', "does not end"),
        ("A = 1 /* /* */", "comment that does not end"),
        ("A IN (SELECT Id FROM dbo.Others)", "another table"),
        ("A = 1" + " " * LONGEST, "at most"),
    ],
)
def test_what_would_not_stay_one_condition_is_refused(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_condition(written)


@given(st.lists(st.sampled_from(["(", ")", "'", '"', "[", "]", "--", "/*", "*/", "\n", "A", " = 1 ", ";", "N'", "''", "]]"])))
def test_whatever_is_taken_ends_where_it_ends(parts: list[str]) -> None:
    """Read again it is the same, and what stands behind it is not a part of it."""
    try:
        found = read_condition("".join(parts))
    except ValueError:
        return
    assert read_condition(found.sql) == found
    behind = read_condition(f"({found.sql}\n) AND Behind = 1")
    assert behind.names == found.names | {"and", "behind"} and behind.sql.endswith("\n) AND Behind = 1")


@pytest.mark.parametrize(
    ("written", "found"), [("erp", b"erp"), ("0x00fF", b"\x00\xff"), ("a" * 128, b"a" * 128), ("0x" + "00" * 128, bytes(128))]
)
def test_a_context_is_read(written: str, found: bytes) -> None:
    assert read_context(written) == found


@pytest.mark.parametrize("written", ["", "0x", "0x0", "0xzz", "ä", "a" * 129, "0x" + "00" * 129])
def test_a_context_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"is empty|hexadecimal|ASCII|at most 128"):
        read_context(written)
