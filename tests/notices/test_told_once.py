"""Each event is told once, whatever fails in between."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import Relay, changed_config


def test_a_dead_letter_is_told_once_although_the_database_failed_in_between(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(notify_after_rounds='3\nrejected = "dead_letter"'))
    relay.stack.sql.inject(pattern="SET Noticed = 1", application="rowpost", action="drop_before", times=3)
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    assert [notice["kind"] for notice in relay.alerts()] == ["dead_letter"]


def test_a_new_threshold_does_not_break_a_recovery_that_sleeps(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(notify_after_rounds="50"))
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=3)
    instance = "/runtime/webhooks/durabletask/instances/recovery-dbo_Orders"
    incident = relay.get(instance)["customStatus"]["incident"]
    relay.stack.host.stop()  # type: ignore[union-attr]
    relay.config_file.write_text(changed_config(notify_after_rounds="3"))
    relay.stack.host.start()  # type: ignore[union-attr]
    relay.advance(hours=3)
    status = relay.get(instance)
    assert (status["runtimeStatus"], status["customStatus"]["incident"]) == ("Running", incident)
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm"]
