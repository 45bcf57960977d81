"""A resync must not tell the end of what it does not see: a security policy may hide rows, unknown to the app's user."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.consumer import orders_at_the_consumer, orders_in_the_table, resync_events
from tests.harness.running_relay import Relay

POLICY = "CREATE SECURITY POLICY dbo.hides ADD FILTER PREDICATE dbo.visible(OrderId) ON dbo.Orders WITH (STATE = ON)"
EVEN_FOR_OTHERS = """CREATE FUNCTION dbo.visible(@id int) RETURNS TABLE WITH SCHEMABINDING AS
RETURN SELECT 1 AS one WHERE @id % 2 = 0 OR USER_NAME() <> 'app'"""


FORGET = ("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING", "ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING")


def relay_of_a_plain_user(make_relay: Callable[..., Relay], more: str = "") -> Relay:
    """Six orders, delivered by an app whose user has no more than the role."""
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.execute("CREATE LOGIN app WITH PASSWORD = N'App!2026secret'")
    relay.execute("CREATE USER app FOR LOGIN app")
    relay.execute("ALTER ROLE rowpost_app ADD MEMBER app")
    text = f"Server=127.0.0.1,{relay.stack.sql.port};Database=rowpost;User ID=app;Password=App!2026secret;Encrypt=false;{more}"
    relay.stack.change_settings({"SqlConnectionString": text})
    relay.stack.start_host()
    relay.insert(*range(1, 7))
    relay.advance(60)
    assert set(orders_at_the_consumer(relay)) == set(range(1, 7))
    return relay


def problem_of_the_resync(relay: Relay) -> str:
    """Why a resync waits."""
    return str(relay.execute("SELECT Problem FROM rowpost.Resyncs WHERE Problem IS NOT NULL")[0][0])


@pytest.mark.parametrize(
    ("forget", "problem"),
    [
        ((), "a security policy hides rows from the app's user"),
        (FORGET, "the app's user sees 3 rows less than the table has; a security policy may hide them"),
    ],
    ids=["tracked", "forgotten"],
)
def test_hidden_rows_hold_a_resync_up_though_the_user_knows_of_no_policy(
    make_relay: Callable[..., Relay], forget: tuple[str, ...], problem: str
) -> None:
    relay = relay_of_a_plain_user(make_relay)
    relay.execute(EVEN_FOR_OTHERS)
    relay.execute(POLICY)
    for statement in forget:
        relay.execute(statement)
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    relay.advance(3600)
    assert problem in problem_of_the_resync(relay)
    (notice,) = relay.alerts("resync_waits")
    assert problem in notice["last_error"]
    assert resync_events(relay) == [] and set(orders_at_the_consumer(relay)) == set(range(1, 7))
    relay.execute("DROP SECURITY POLICY dbo.hides")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 5")
    assert relay.advance(3600, until=lambda: relay.status()["resync"]["state"] == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_a_table_that_cannot_be_counted_in_time_holds_its_resync_up(make_relay: Callable[..., Relay]) -> None:
    relay = relay_of_a_plain_user(make_relay, more="Command Timeout=4;")
    relay.stack.sql.inject(action="delay", pattern="COUNT_BIG", seconds=8, times=1)
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    assert relay.advance(3600, until=lambda: (relay.status()["resync"] or {}).get("problem"))
    assert "its rows cannot be counted in time" in problem_of_the_resync(relay)
    assert relay.advance(3600, until=lambda: relay.status()["resync"]["state"] == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_rows_that_are_hidden_while_a_resync_sends_the_table_make_it_begin_anew(make_relay: Callable[..., Relay]) -> None:
    relay = relay_of_a_plain_user(make_relay)
    relay.execute(EVEN_FOR_OTHERS)
    relay.stack.downstream.add_rule(match={"operation": "resync-begun"}, status=503)
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    assert relay.advance(600, until=lambda: len(resync_events(relay, "begun")) > 0)
    relay.execute(POLICY)
    relay.accept_all()
    assert relay.advance(1200, until=lambda: "a security policy hides rows" in str(relay.status()["resync"]["problem"]))
    relay.execute("DROP SECURITY POLICY dbo.hides")
    assert relay.advance(3600, until=lambda: relay.status()["resync"]["state"] == "completed")
    relay.advance(600)
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay) and len(orders_in_the_table(relay)) == 6
