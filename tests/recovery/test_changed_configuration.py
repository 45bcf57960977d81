"""A table that is taken out of the configuration while its rows fail has not recovered, and nobody is told so."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import CONFIG, ORDERS, Relay

OTHER = "\nGO\nCREATE TABLE dbo.Other (Id int NOT NULL CONSTRAINT PK_Other PRIMARY KEY)\n"


def test_a_table_that_is_no_longer_configured_is_not_called_recovered(make_relay: Callable[..., Relay]) -> None:
    other = '[[tables]]\nname = "dbo.Other"\n'
    relay = make_relay(CONFIG + other, ORDERS + OTHER)
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=2, until=lambda: len(relay.alerts("alarm")) == 1)
    host = relay.stack.host
    assert host is not None
    host.kill()
    relay.config_file.write_text(CONFIG.replace("dbo.Orders", "dbo.Other"))
    host.start()
    relay.advance(hours=2)
    assert relay.accepted(1) is None
    assert relay.alerts("recovered") == []
