"""Rows that keep failing take nothing from rows and recipients that do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import CONFIG, Relay


@pytest.mark.parametrize("status", [500, 503])
def test_many_rows_that_the_target_fails_on_do_not_keep_their_neighbours_from_being_tried(relay: Relay, status: int) -> None:
    for order in range(1, 21):
        relay.reject(order, status=status)
    relay.insert(*range(1, 41))
    relay.advance(hours=6)
    assert [order for order in range(21, 41) if relay.accepted(order)] == list(range(21, 41))


def test_a_recipient_who_asked_to_wait_is_told_although_another_one_keeps_failing(make_relay: Callable[..., Relay]) -> None:
    hook = '[[notifications.webhooks]]\nurl = "%ALERT_WEBHOOK_URL%"\n'
    config = CONFIG.replace(hook, hook.replace('%"', '%/broken"') + hook.replace('%"', '%/busy"'))
    relay = make_relay(config)
    relay.stack.downstream.add_rule(match={"path": "/alerts/broken"}, status=503)
    relay.stack.downstream.add_rule(match={"path": "/alerts/busy"}, status=429, retry_after=7 * 3600, times=1)
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=11)
    told = [a for a in relay.stack.downstream.attempts() if a.path == "/alerts/busy" and a.status and a.status < 300]
    assert [a.body["kind"] for a in told] == ["alarm"]
