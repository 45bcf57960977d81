"""The threats of docs/security.md that need the whole app: odd names, row values on their way out, endpoints without a key."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from devtools.stack import ROOT
from emulators.launch import FunctionsHost
from tests.relay.harness import Relay, changed_config

NASTY = "'; DROP TABLE dbo.Orders; --\r\nX-Injected: yes"


def test_row_values_reach_neither_headers_nor_logs_nor_the_ledger(relay: Relay) -> None:
    relay.reject(1, status=500, body=f"the row was {NASTY}")
    relay.execute(
        "INSERT INTO dbo.Orders (OrderId, Customer, Secret) VALUES (1, LEFT(?, 40), N'top secret'), (2, LEFT(?, 40), NULL)",
        NASTY,
        NASTY,
    )
    relay.advance(hours=2)
    row = relay.accepted(2)
    assert row is not None and row["Customer"] == NASTY[:40]
    for attempt in relay.posts():
        assert "X-Injected" not in attempt.headers
        assert not any("DROP TABLE" in value for value in attempt.headers.values())
    said = relay.host_log() + str(relay.execute("SELECT * FROM rowpost.Ledger")) + json.dumps(relay.status()) + str(relay.alerts())
    assert "DROP TABLE" not in said
    assert "top secret" not in said
    assert "local-key" not in said


@pytest.mark.parametrize("column", ["Odd ] name", "it's", 'quo"ted', "back\\slash", "SELECT"])
def test_a_column_of_any_name_is_quoted(make_relay: Callable[..., Relay], column: str) -> None:
    quoted = "[" + column.replace("]", "]]") + "]"
    relay = make_relay(tables=f"CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY, {quoted} int NULL)")
    relay.execute(f"INSERT INTO dbo.Orders (OrderId, {quoted}) VALUES (1, 5)")
    relay.advance(5)
    row = relay.accepted(1)
    assert row is not None and row[column] == 5


@pytest.mark.parametrize("name", ["dbo.Orders; DROP TABLE x", "dbo.[Orders]", "dbo.Orders'", "a.b.c"])
def test_a_table_name_that_is_more_than_a_name_is_refused(make_relay: Callable[..., Relay], name: str) -> None:
    config = changed_config(name=json.dumps(name))
    if ";" in name:  # a legal name of a table that does not exist: it is quoted, and told to be missing
        relay = make_relay(config, start=False)
        relay.stack.start_services()
        relay.execute("CREATE TABLE dbo.x (Id int NOT NULL PRIMARY KEY)")
        relay.stack.start_host()
        relay.advance(5)
        assert "no such table" in relay.host_log()
        assert relay.execute("SELECT OBJECT_ID(N'dbo.x', N'U')")[0][0] is not None
    else:
        with pytest.raises(Exception, match=r"tables\[0\]\.name"):
            make_relay(config)


def test_every_endpoint_asks_for_a_key(relay: Relay) -> None:
    """On Azure keys are always asked for; here the host asks for them when it is told to."""
    guarded = FunctionsHost(ROOT, relay.directory, relay.time.spec, relay.stack.settings, name="guarded", enable_auth=True).start()
    try:
        for method, path in (
            ("GET", "/api/status"),
            ("GET", "/api/tables/dbo.Orders/columns"),
            ("PUT", "/api/tables/dbo.Orders/columns"),
            ("DELETE", "/api/tables/dbo.Orders/columns"),
            ("GET", "/api/tables/dbo.Orders/dead-letters"),
            ("POST", "/api/tables/dbo.Orders/dead-letters/replay"),
            ("POST", "/api/tables/dbo.Orders/retry"),
        ):
            assert guarded.request(method, path).status_code == 401, path
    finally:
        guarded.stop()
