"""Tables whose names are as long as SQL Server allows are relayed like any other, and two that differ at the end are two."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import CONFIG, INSTANCES, ORDERS, Relay

ONE, OTHER = f"dbo.{'A' * 128}", f"dbo.{'A' * 127}B"
BOTH = CONFIG.replace("dbo.Orders", ONE) + f'[[relays]]\ntable = "{OTHER}"\n'
TABLES = f"{ORDERS.replace('dbo.Orders', ONE)}\nGO\nCREATE TABLE {OTHER} (Id int NOT NULL CONSTRAINT PK_Other PRIMARY KEY)\n"


def test_rows_of_tables_with_long_names_arrive_also_after_an_outage(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(BOTH, TABLES)
    target = relay.stack.downstream
    relay.execute(f"INSERT INTO {ONE} (OrderId, Customer) VALUES (1, N'x')")
    relay.advance(10)
    assert target.find(ONE, {"OrderId": 1}) is not None
    target.set_mode("down", path="/rows")
    relay.execute(f"INSERT INTO {ONE} (OrderId, Customer) VALUES (2, N'x')")
    relay.execute(f"INSERT INTO {OTHER} (Id) VALUES (3)")
    relay.advance(hours=5)
    assert {notice["relay"] for notice in relay.alerts("alarm")} == {ONE, OTHER}
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.ledger() == [])
    assert target.find(ONE, {"OrderId": 2}) is not None and target.find(OTHER, {"Id": 3}) is not None
    recoveries = {each["instanceId"].rpartition("-")[0] for each in relay.get(INSTANCES) if each["name"] == "recovery"}
    assert len(recoveries) == 2
