"""Tables of which the trigger's extension hands out nothing, or whose leases it cannot renew: the whole app says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import LISTENER_LINES, Relay


@pytest.mark.parametrize(
    ("columns", "key", "settings", "said"),
    [
        (
            "Code nvarchar(10) COLLATE Latin1_General_CS_AS NOT NULL",
            "Code",
            {},
            "key columns have another collation than the database",
        ),
        (
            "Id int NOT NULL, SYS_CHANGE_VERSION int NULL",
            "Id",
            {},
            "the SQL trigger uses the column names SYS_CHANGE_VERSION itself",
        ),
        (
            "A int NOT NULL, B int NOT NULL, C int NOT NULL",
            "A, B, C",
            {"Sql_Trigger_MaxBatchSize": "700"},
            "at most 699 for dbo.Orders",
        ),
        (
            "[Order\tId] int NOT NULL, [a\tb] int NULL",
            "[Order\tId]",
            {},
            "key columns have control characters in their names: 'Order\\tId'; rename",
        ),
    ],
    ids=["a collation of the key", "a column name", "too large a batch", "a tab in a name of the key"],
)
def test_what_the_trigger_cannot_do_is_told_at_start_and_to_people(
    make_relay: Callable[..., Relay], columns: str, key: str, settings: dict[str, str], said: str
) -> None:
    tables = f"CREATE TABLE dbo.Orders ({columns}, CONSTRAINT PK_Orders PRIMARY KEY ({key}))"
    relay = make_relay(tables=tables, settings=settings)
    assert said in relay.host_log()
    relay.advance(600)
    (notice,) = relay.alerts("unable")
    assert said in notice["text"]


def test_the_emulated_trigger_fails_at_such_a_collation_as_the_real_one_does(make_relay: Callable[..., Relay]) -> None:
    tables = "CREATE TABLE dbo.Orders (Code varchar(9) COLLATE Latin1_General_CS_AS PRIMARY KEY)"
    relay = make_relay(tables=tables, settings=LISTENER_LINES)
    relay.execute("INSERT INTO dbo.Orders VALUES ('a')")
    relay.advance(60)
    assert "Cannot resolve the collation conflict between" in relay.host_log() and relay.posts() == []
