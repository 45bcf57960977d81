"""People hear of the same dead letters once, whatever fails between the notice and its record."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import Relay, changed_config


def test_a_dead_letter_is_told_once_although_the_database_failed_in_between(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"1h"\nrejected = "dead_letter"'))
    relay.stack.sql.inject(pattern="SET Noticed = 1", application="rowpost", action="drop_before", times=3)
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    assert [notice["kind"] for notice in relay.alerts()] == ["dead_letter"]


def test_dead_letters_are_told_once_although_the_database_failed_after_the_notice(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(window='"2h"'))
    relay.reject(1)
    relay.stack.sql.inject(pattern="SET Noticed = 1", application="rowpost", action="error", number=1205, times=1)
    relay.insert(1)
    relay.advance(hours=4)
    assert [row[1] for row in relay.ledger()] == ["dead"]
    assert [notice["rows"] for notice in relay.alerts("dead_letter")] == [1]
