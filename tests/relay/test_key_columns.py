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
