"""Records of a table that was made again with another key do not keep the new table's rows from being redelivered."""

from __future__ import annotations

from tests.harness.running_relay import Relay

MADE_ANEW = "CREATE TABLE dbo.Orders (Code int NOT NULL CONSTRAINT PK_Orders2 PRIMARY KEY, Total decimal(20, 4) NULL)"


def test_a_resync_reaches_a_table_that_was_made_again_with_another_key(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=2, until=lambda: relay.status()["detached"] == 1)
    host = relay.stack.host
    assert host is not None
    host.kill()
    relay.execute("DROP TABLE dbo.Orders")
    relay.execute("DROP TABLE az_func.Leases_rowpost_dbo_Orders")
    relay.execute(MADE_ANEW)
    relay.execute("INSERT INTO dbo.Orders (Code, Total) VALUES (7, 1)")  # before tracking: only a resync sends it
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    relay.accept_all()
    host.start()
    relay.advance(hours=1)  # the old record is due
    assert host.request("POST", "/api/tables/dbo.Orders/resync").status_code == 202
    assert relay.advance(hours=2, until=lambda: relay.stack.downstream.find("dbo.Orders", {"Code": 7}) is not None)
