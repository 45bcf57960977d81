"""A resync must not tell the end of what it does not see: a security policy may hide rows, unknown to the app's user."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.consumer import orders_at_the_consumer, orders_in_the_table, resync_events
from tests.harness.running_relay import Relay

POLICY = "CREATE SECURITY POLICY dbo.hides ADD FILTER PREDICATE dbo.visible(OrderId) ON dbo.Orders WITH (STATE = ON)"
EVEN_FOR_OTHERS = """CREATE FUNCTION dbo.visible(@id int) RETURNS TABLE WITH SCHEMABINDING AS
RETURN SELECT 1 AS one WHERE @id % 2 = 0 OR USER_NAME() <> 'app'"""


def test_hidden_rows_hold_a_resync_up_though_the_user_knows_of_no_policy(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.execute("CREATE LOGIN app WITH PASSWORD = N'App!2026secret'")
    relay.execute("CREATE USER app FOR LOGIN app")
    relay.execute("ALTER ROLE rowpost_app ADD MEMBER app")
    text = f"Server=127.0.0.1,{relay.stack.sql.port};Database=rowpost;User ID=app;Password=App!2026secret;Encrypt=false"
    relay.stack.change_settings({"SqlConnectionString": text})
    host = relay.stack.start_host()
    relay.insert(*range(1, 7))
    relay.advance(60)
    assert set(orders_at_the_consumer(relay)) == set(range(1, 7))
    relay.execute(EVEN_FOR_OTHERS)
    relay.execute(POLICY)
    assert host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    relay.advance(3600)
    assert "a security policy hides rows from the app's user" in relay.execute("SELECT Problem FROM rowpost.Resyncs")[0][0]
    assert resync_events(relay) == [] and set(orders_at_the_consumer(relay)) == set(range(1, 7))
    relay.execute("DROP SECURITY POLICY dbo.hides")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 5")
    assert relay.advance(3600, until=lambda: relay.status()["resync"]["state"] == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
