"""Batches in the whole app, over the wire and in virtual time: what becomes of each row, at the trigger and in recovery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.harness.running_relay import CONFIG, Relay, changed_config


def config(*lines: str, **changes: str) -> str:
    return changed_config(**changes).replace('timeout = "5s"', "\n".join(['timeout = "5s"', *lines]))


@pytest.fixture
def relay(make_relay: Callable[..., Relay]) -> Relay:
    return make_relay(config("batch = 50"))


def requests_since(relay: Relay, number: int = 0) -> list[int]:
    """How many events each request had, in order."""
    return list(Counter(attempt.request for attempt in relay.posts() if attempt.number > number).values())


def arrive(relay: Relay, *orders: int, seconds: float = 20) -> None:
    assert relay.advance(seconds, until=lambda: all(relay.accepted(order) for order in orders)), relay.ledger()


def test_the_rows_of_a_transaction_go_in_one_request(relay: Relay) -> None:
    relay.insert(*range(1, 41))
    arrive(relay, *range(1, 41))
    assert sum(requests_since(relay)) == 40 and len(requests_since(relay)) <= 2
    assert relay.ledger() == []


def test_a_bad_row_is_found_once_and_its_neighbours_arrive_at_once(relay: Relay) -> None:
    relay.reject(7)
    relay.insert(*range(1, 41))
    arrive(relay, *(order for order in range(1, 41) if order != 7))
    relay.advance(5)
    assert [(row[0], row[1], row[2]) for row in relay.ledger()] == [('{"OrderId":7}', "retrying", 1)]
    seen = relay.posts()[-1].number
    relay.insert(*range(100, 120))
    relay.advance(70, until=lambda: any(attempt.number > seen for attempt in relay.posts(7)))
    relay.advance(5)
    own = [attempt for attempt in relay.posts(7) if attempt.number > seen]
    assert own and not any(attempt.whole for attempt in own), "from now on it is sent alone"
    arrive(relay, *range(100, 120))


def test_a_row_is_given_up_only_if_it_was_refused_alone(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(config("batch = 50", window='"12h"\nattempts = 1\nrejected = "dead_letter"'))
    relay.reject(8)
    relay.insert(*range(1, 9))
    arrive(relay, *range(1, 8))
    assert relay.advance(30, until=lambda: [row[1] for row in relay.ledger()] == ["dead"]), relay.ledger()
    assert any(not attempt.whole and attempt.status == 422 for attempt in relay.posts(8))
    assert len(relay.ledger()) == 1


def test_statuses_for_each_row_are_those_of_its_ledger(relay: Relay) -> None:
    api = relay.stack.downstream
    api.set_settings(batch="per_event")
    relay.reject(2)
    relay.reject(3, status=503, retry_after=200)
    relay.reject(4, status=202, accept=True, omit=True, times=1)
    relay.insert(*range(1, 6))
    arrive(relay, 1, 5)
    relay.advance(3)
    errors = dict(relay.execute("SELECT RowKey, LastError FROM rowpost.Ledger"))
    assert errors == {
        '{"OrderId":2}': "HTTP 422",
        '{"OrderId":3}': "HTTP 503",
        '{"OrderId":4}': "the answer has no status for this event",
    }
    assert relay.advance(90, until=lambda: len(relay.posts(4)) == 2), "what is not named is sent again"


def test_recovery_sends_in_batches_by_the_same_rules(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(
        config("batch = 200", max_delay='"2m"', window='"12h"\nattempts = 1\nfirst_delay = "30s"\ndetach_after_rounds = 1')
    )
    api, rows = relay.stack.downstream, range(1, 151)
    api.set_mode("down", path="/rows")
    relay.insert(*rows)
    assert relay.advance(1200, until=lambda: {row[1] for row in relay.ledger()} == {"detached"} and len(relay.ledger()) == 150)
    relay.reject(77)
    api.set_mode("up")
    seen = relay.posts()[-1].number
    arrive(relay, *(order for order in rows if order != 77), seconds=900)
    assert max(requests_since(relay, seen)) > 60, "more than a hundred rows are leased at once, and requests grow"
    assert len(requests_since(relay, seen)) < 60
    relay.advance(5)
    assert [row[0] for row in relay.ledger()] == ['{"OrderId":77}']


def test_an_outage_opens_the_breaker_and_a_probe_is_small(relay: Relay) -> None:
    api = relay.stack.downstream
    api.set_mode("down", path="/rows")
    relay.insert(*range(1, 41))
    assert relay.advance(900, until=lambda: relay.status()["circuit_breaker"]["openings"] >= 5), relay.status()
    seen = relay.posts()[-1].number
    for order in range(100, 105):
        relay.insert(order)
        relay.advance(120)
    probes = requests_since(relay, seen)
    assert probes and max(probes) == 1
    api.set_mode("up")
    arrive(relay, *range(1, 41), *range(100, 105), seconds=1200)
    assert relay.status()["circuit_breaker"]["state"] == "closed"


def test_a_row_at_which_the_target_fails_does_not_keep_its_neighbours_from_being_delivered(relay: Relay) -> None:
    relay.reject(9, status=500)
    relay.insert(*range(1, 31))
    arrive(relay, *(order for order in range(1, 31) if order != 9), seconds=320)
    assert relay.status()["circuit_breaker"]["openings"] == 0


def test_status_shows_the_pace_of_each_target(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(config('rate = "50/s"'))
    assert relay.get("/api/relays")["targets"] == [
        {"target": "api", "rate": "50/s", "events_per_second": 50.0, "paused_seconds": 0.0}
    ]
    relay.stack.downstream.set_mode("down", status=429, retry_after=60, path="/rows")
    relay.insert(1)
    assert relay.advance(20, until=lambda: bool(relay.posts()))
    (target,) = relay.get("/api/relays")["targets"]
    assert target["events_per_second"] < 50 and 0 < target["paused_seconds"] <= 60


def test_a_relay_that_cannot_share_requests_is_refused_by_name(make_relay: Callable[..., Relay]) -> None:
    from rowpost.config.errors import ConfigError

    text = CONFIG.replace('timeout = "5s"', "batch = 10") + 'upsert = "PUT /orders/{OrderId}"\n'
    with pytest.raises(ConfigError, match=r"relays\[0\]\.upsert: has \{OrderId\}"):
        make_relay(text)
