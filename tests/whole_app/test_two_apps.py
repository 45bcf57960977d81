"""Two apps on one table of one database: each relay belongs to one of them, and neither touches what is the other's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from devtools.stack import Stack
from rowpost.database.describe import SCHEMA_VERSION
from tests.harness.running_relay import CONFIG, Relay


@contextmanager
def another_app(relay: Relay, config: str, site: str) -> Iterator[Stack]:
    """A second app with an API of its own, on the database of the first."""
    directory = relay.directory / site
    directory.mkdir()
    file = directory / "relay.toml"
    file.write_text(config)
    settings = {"WEBSITE_SITE_NAME": site}
    with Stack(directory, relay.time.spec, config=file, tables_sql=None, settings=settings, sql_server=relay.stack.sql) as stack:
        yield stack


def test_an_outage_of_one_is_not_the_business_of_the_other(relay: Relay) -> None:
    own = CONFIG.replace('table = "dbo.Orders"', 'table = "dbo.Orders"\nname = "dbo.Orders@b"')
    with another_app(relay, own, "app-b") as other:
        relay.advance(2)
        other.downstream.set_mode("down", path="/rows")
        relay.insert(*range(1, 8))
        assert relay.advance(10, until=lambda: all(relay.accepted(order) for order in range(1, 8)))
        relay.advance(hours=3)
        assert {text for (text,) in relay.execute("SELECT Relay FROM rowpost.Ledger")} == {"dbo.Orders@b"}
        assert relay.status()["waiting"] == 0 and relay.status()["circuit_breaker"]["state"] == "closed"
        assert len(relay.posts()) == 7 and relay.alerts() == []
        other.downstream.set_mode("up")
        assert relay.advance(360, until=lambda: relay.execute("SELECT Relay FROM rowpost.Ledger") == [])
        assert len(other.downstream.state("dbo.Orders")) == 7
        assert len(relay.posts()) == 7, "what the second app delivered went to its own API"


def test_a_relay_that_belongs_to_another_app_is_refused_with_both_names(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    with another_app(relay, CONFIG, "app-b") as other:
        assert other.host is not None
        relay.insert(2)
        relay.advance(600)
        log = (other.directory / "functions_host.log").read_text() if (other.directory / "functions_host.log").exists() else ""
        log = log or other.host.log_tail(10000)
        assert "the relay belongs to the app 'rowpost-local', and this app is 'app-b'" in log
        assert "UPDATE rowpost.Relays SET App = NULL WHERE Relay = N'dbo.Orders'" in log
        assert [attempt for attempt in other.downstream.attempts() if attempt.path == "/rows"] == []
        assert relay.accepted(2) is not None and relay.ledger() == []


def test_of_what_stops_both_the_people_of_both_are_told(relay: Relay) -> None:
    with another_app(relay, CONFIG, "app-b") as other:
        relay.advance(60)
        relay.execute("UPDATE rowpost.SchemaVersion SET Version = 999 WHERE Version = ?", SCHEMA_VERSION)
        relay.advance(11 * 60)
        for stack in (relay.stack, other):
            told = [post.body for post in stack.downstream.attempts() if post.path == "/alerts"]
            assert any("a newer app has been here" in notice["last_error"] for notice in told)


def test_a_relay_is_handed_over(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.insert(1)
    relay.advance(5)
    assert relay.stack.host is not None
    relay.stack.host.stop()
    relay.execute("UPDATE rowpost.Relays SET App = NULL WHERE Relay = N'dbo.Orders'")
    with another_app(relay, CONFIG, "app-b") as other:
        relay.advance(5)
        relay.insert(2)
        assert relay.advance(10, until=lambda: other.downstream.find("dbo.Orders", {"OrderId": 2}) is not None)
        assert relay.execute("SELECT App FROM rowpost.Relays")[0][0] == "app-b"
