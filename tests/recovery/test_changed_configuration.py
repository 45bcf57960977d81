"""The configuration changes while rows fail: a recovery goes on under the new one; a table taken out of it has not recovered."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import CONFIG, ORDERS, Relay, changed_config

OTHER = "\nGO\nCREATE TABLE dbo.Other (Id int NOT NULL CONSTRAINT PK_Other PRIMARY KEY)\n"


def test_a_table_that_is_no_longer_configured_is_not_called_recovered(make_relay: Callable[..., Relay]) -> None:
    other = '[[relays]]\ntable = "dbo.Other"\n'
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


def test_a_new_threshold_does_not_break_a_recovery_that_sleeps(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(after_rounds='50\nafter = "5h"'))
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=3)
    instance = relay.recovery()
    assert relay.alerts() == []
    relay.stack.host.stop()  # type: ignore[union-attr]
    relay.config_file.write_text(changed_config(after_rounds="3"))
    relay.stack.host.start()  # type: ignore[union-attr]
    relay.advance(hours=3)
    status = relay.get(instance)
    assert status["runtimeStatus"] == "Running"
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm"]
