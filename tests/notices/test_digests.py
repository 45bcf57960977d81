"""Dead letters that come one after the other are told together, an hour at a time; a new outage is not held back by that."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import CONFIG, Relay, changed_config


def test_dead_letters_of_a_long_outage_come_as_a_digest_an_hour(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(window='"2h"'))
    for order in range(1, 21):
        relay.reject(order)
        relay.insert(order)
        relay.advance(360)  # they fail, and so die, one after the other, in two hours
    relay.advance(hours=4)
    told = relay.alerts("dead_letter")
    assert sum(notice["rows"] for notice in told) == 20
    assert 2 <= len(told) <= 4, [notice["at"] for notice in told]


def test_dead_letters_without_a_window_come_as_a_digest_too(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG.replace("[retry]\n", '[retry]\nattempts = 1\nrejected = "dead_letter"\n'))
    for order in range(1, 21):
        relay.reject(order)
        relay.insert(order)
        relay.advance(60)
    relay.advance(hours=2)
    told = relay.alerts("dead_letter")
    assert sum(notice["rows"] for notice in told) == 20
    assert len(told) <= 3


def test_a_new_outage_in_the_hour_of_a_digest_is_alarmed(make_relay: Callable[..., Relay]) -> None:
    config = CONFIG.replace("[retry]\n", '[retry]\nattempts = 1\nrejected = "dead_letter"\n')
    relay = make_relay(config.replace("after_rounds = 3", "after_rounds = 2"))
    relay.reject(2)
    relay.insert(2)
    relay.advance(30)  # told at once
    relay.reject(1, status=500)
    relay.insert(1)
    assert relay.advance(900, until=lambda: len(relay.alerts("alarm")) == 1)
    relay.reject(3)
    relay.insert(3)
    relay.advance(30)  # waits for the digest
    relay.stack.downstream.set_rules([])
    relay.reject(4, status=500)
    assert relay.advance(900, until=lambda: relay.accepted(1) is not None)
    relay.advance(300)
    assert len(relay.alerts("recovered")) == 1
    relay.insert(4)
    relay.advance(1800)
    assert len(relay.alerts("alarm")) == 2
