"""A table that is renamed, and its relay with it: what is known of the relay goes on under the new name."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.epochs import epoch
from tests.harness.running_relay import CONFIG, Relay, body_of


def rename(relay: Relay) -> None:
    relay.execute("EXEC sp_rename 'dbo.Orders', 'Purchases'")


def configure(relay: Relay, config: str) -> None:
    """The app is stopped, relay.toml is changed, and the app is started."""
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.config_file.write_text(config)
    relay.stack.host.start()


def delivered(relay: Relay, order: int) -> bool:
    state = relay.stack.downstream.find("dbo.Purchases", {"OrderId": order})
    return state is not None


def relays(relay: Relay) -> list[tuple[str, str]]:
    return [tuple(row) for row in relay.execute("SELECT Relay, TableName FROM rowpost.Relays ORDER BY Relay")]


def test_records_choice_and_incident_move_and_what_waited_is_delivered(relay: Relay) -> None:
    relay.insert(1, 2, 3)
    relay.advance(301)
    assert relay.stack.host is not None
    relay.stack.host.request("PUT", "/api/relays/dbo.Orders/columns", json={"columns": ["Total"]}).raise_for_status()
    relay.reject(2)
    relay.reject(3)
    relay.execute("UPDATE dbo.Orders SET Total = 20 WHERE OrderId IN (2, 3)")
    relay.advance(hours=2)  # they are held under the lease table of the former name
    assert len(relay.ledger()) == 2 and len(relay.alerts("alarm")) == 1
    before = epoch(relay)
    rename(relay)
    relay.advance(600)
    assert len(relay.alerts("unable")) == 1  # relay.toml names the former table still
    relay.accept_all()
    configure(relay, CONFIG.replace("dbo.Orders", "dbo.Purchases"))
    assert relay.advance(900, until=lambda: delivered(relay, 2) and delivered(relay, 3))
    relay.advance(900)
    assert relays(relay) == [("dbo.Purchases", "dbo.Purchases")]
    assert relay.ledger() == [] and epoch(relay) == before
    assert relay.execute("SELECT Relay FROM rowpost.Incidents") == relay.execute("SELECT Relay FROM rowpost.IncidentRows") == []
    assert [notice["relay"] for notice in relay.alerts("recovered")] == ["dbo.Purchases"]
    assert relay.alerts("unconfigured") == [] and relay.alerts("epoch") == []
    assert set(body_of(relay.posts()[-1])["data"]["row"]) == {"OrderId", "Total"}
    assert relay.get("/api/relays/dbo.Purchases/columns")["columns"] == ["Total"]
    assert relay.host_log().count("its table was renamed; what was known of the relay dbo.Orders is this one's now") == 1
    relay.execute("INSERT INTO dbo.Purchases (OrderId, Customer) VALUES (9, N'new')")
    assert relay.advance(10, until=lambda: delivered(relay, 9))


def test_a_relay_with_a_name_of_its_own_goes_on(make_relay: Callable[..., Relay]) -> None:
    named = CONFIG + 'name = "orders"\n'
    relay = make_relay(named)
    relay.insert(1)
    relay.advance(301)
    rename(relay)
    configure(relay, named.replace("dbo.Orders", "dbo.Purchases"))
    relay.execute("INSERT INTO dbo.Purchases (OrderId, Customer) VALUES (9, N'new')")
    assert relay.advance(30, until=lambda: delivered(relay, 9))
    assert relays(relay) == [("orders", "dbo.Purchases")] and len(relay.posts()) == 2
    relay.advance(400)
    assert relay.alerts() == []


def test_a_relay_that_is_configured_still_gives_nothing_away(make_relay: Callable[..., Relay]) -> None:
    both = CONFIG + '[[relays]]\ntable = "dbo.Orders"\nname = "second"\n'
    relay = make_relay()
    relay.insert(1)
    relay.advance(5)
    configure(relay, both)
    relay.advance(301)
    assert [name for name, _ in relays(relay)] == ["dbo.Orders", "second"]


def test_another_table_under_the_former_name_is_another_relay(relay: Relay) -> None:
    relay.insert(1)
    relay.reject(1)
    relay.execute("UPDATE dbo.Orders SET Total = 20 WHERE OrderId = 1")
    relay.advance(hours=1)
    relay.execute("DROP TABLE dbo.Orders")
    relay.execute("CREATE TABLE dbo.Purchases (OrderId int NOT NULL PRIMARY KEY, Total int)")
    relay.execute("ALTER TABLE dbo.Purchases ENABLE CHANGE_TRACKING")
    configure(relay, CONFIG.replace("dbo.Orders", "dbo.Purchases"))
    relay.advance(700)
    assert [name for name, _ in relays(relay)] == ["dbo.Orders", "dbo.Purchases"]
    assert len(relay.alerts("unconfigured")) == 1
