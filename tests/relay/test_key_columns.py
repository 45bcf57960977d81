"""Whatever the key columns are called, rows arrive, and failures are settled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import Relay

# Names that the app's own statements use, that JSON paths, T-SQL or ODBC read as more than a name, and of former versions.
NAMES = ["i", "rp_h", "number", "key.1", "UpTo", "a?b", "it's", 'a"b', "a\\b", "{x}", "$.x", "--x", "@key1", "select"]


@pytest.mark.parametrize("column", NAMES)
def test_a_key_column_may_have_any_name(make_relay: Callable[..., Relay], column: str) -> None:
    relay = make_relay(tables=f"CREATE TABLE dbo.Orders ([{column}] int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)")
    relay.stack.downstream.add_rule(match={"key": {column: 1}}, status=422, times=6)
    relay.execute(f"INSERT INTO dbo.Orders ([{column}], Total) VALUES (1, 10), (2, 20)")
    relay.advance(20 * 60)
    accepted = [attempt.key[column] for attempt in relay.posts() if attempt.status and attempt.status < 300]  # type: ignore[index]
    assert sorted(accepted) == [1, 2]
    assert relay.ledger() == []


# Types that the trigger's extension widens in its lease table, where their values look different.
WIDENED = {
    "nchar(3)": "N'JFK'",
    "nvarchar(5)": "N'abc'",
    "char(4)": "'ab'",
    "datetime2(0)": "'2026-01-05T08:00:00'",
    "datetime2(3)": "'2026-01-05T08:00:00.120'",
    "time(0)": "'08:00:00'",
    "datetimeoffset(2)": "'2026-01-05T08:00:00.10+02:00'",
    "decimal(9, 2)": "1.50",
    "binary(3)": "0x0102",
}


@pytest.mark.parametrize("kind", WIDENED)
def test_a_key_of_any_length_or_scale_is_one_key(make_relay: Callable[..., Relay], kind: str) -> None:
    """One event for each change, and no deletion of a key that looks different in the lease table; so it is after failures."""
    relay = make_relay(tables=f"CREATE TABLE dbo.Orders (Code {kind} NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)")
    relay.execute(f"INSERT INTO dbo.Orders VALUES ({WIDENED[kind]}, 1)")
    relay.advance(5)
    assert [(attempt.operation, attempt.status) for attempt in relay.posts()] == [("upsert", 202)]
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.execute("UPDATE dbo.Orders SET Total = 2")
    relay.advance(20 * 60)
    relay.accept_all()
    relay.advance(20 * 60)
    assert {attempt.operation for attempt in relay.posts()} == {"upsert"} and relay.ledger() == []
    assert [row.row["Total"] for row in relay.stack.downstream.state("dbo.Orders") if row.row] == [2]
