"""A table that is made anew with a key of another type: its rows are delivered, whatever the ledger has of the former one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import LEASES, Relay

TABLE = "CREATE TABLE dbo.Orders (Id {type} NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)"
# The former type and a key, the new type, two keys, and the last one in JSON.
KINDS = {
    "text, then number": ("nvarchar(20)", "N'abc'", "int", "7", "8", 8),
    "number, then a larger one": ("bigint", "3000000000", "int", "7", "8", 8),
    "text, then date": ("varchar(20)", "'abc'", "date", "'2026-01-02'", "'2026-01-03'", "2026-01-03"),
}


def made_anew(relay: Relay, new: str) -> None:
    """Drop the table while the host is away, and make it again with another key."""
    relay.stack.host.kill()  # type: ignore[union-attr]
    relay.execute("DROP TABLE dbo.Orders")
    relay.execute(TABLE.format(type=new))
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_of_the_former_key_keeps_nothing_back(make_relay: Callable[..., Relay], kind: str) -> None:
    old, former, new, first, second, shown = KINDS[kind]
    relay = make_relay(tables=TABLE.format(type=old))
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.execute(f"INSERT dbo.Orders VALUES ({former}, 1)")
    relay.advance(7 * 60)
    made_anew(relay, new)
    relay.execute(f"DROP TABLE {LEASES}")
    relay.accept_all()
    relay.stack.downstream.add_rule(match={"key": {"Id": shown}}, status=503, times=6)
    relay.stack.host.start()  # type: ignore[union-attr]
    relay.advance(5)
    relay.execute(f"INSERT dbo.Orders VALUES ({first}, 2), ({second}, 3)")

    def delivered() -> bool:
        found = [state.row["Total"] for state in relay.stack.downstream.state("dbo.Orders") if state.row is not None]
        return sorted(found) == [2, 3]

    assert relay.advance(40 * 60, until=delivered), "also by recovery, after the built-in attempts"
    assert relay.status()["waiting"] == len(relay.ledger()) == 1, "it is given up at the end of its window"


def test_a_lease_table_of_the_former_key_is_told_with_the_remedy(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=TABLE.format(type="int"))
    relay.execute("INSERT dbo.Orders VALUES (5, 1)")
    relay.advance(30)
    made_anew(relay, "nvarchar(20)")
    relay.stack.host.start()  # type: ignore[union-attr]
    relay.execute("INSERT dbo.Orders VALUES (N'xyz', 2)")
    relay.advance(60)
    (notice,) = relay.alerts("unable")
    assert "has another key than the table" in notice["last_error"] and "DROP TABLE [az_func].[" in notice["last_error"]
    relay.stack.host.kill()  # type: ignore[union-attr]
    relay.execute(f"DROP TABLE {LEASES}")
    relay.stack.host.start()  # type: ignore[union-attr]
    assert relay.advance(10 * 60, until=lambda: relay.stack.downstream.find("dbo.Orders", {"Id": "xyz"}) is not None)
