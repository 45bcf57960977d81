"""A recovery that lives and does not move: progress is judged in the database, and the watchdog does its work."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import Relay, changed_config


def detached_rows(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 6))
    assert relay.advance(hours=8, until=lambda: relay.status()["detached"] == 5)


def test_a_suspended_recovery_does_not_keep_rows_from_being_delivered(relay: Relay) -> None:
    detached_rows(relay)
    host = relay.stack.host
    assert host is not None
    assert host.request("POST", f"{relay.recovery()}/suspend?reason=tried").status_code in (200, 202)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: relay.ledger() == []), relay.ledger()
    assert all(relay.accepted(order) for order in range(1, 6))
    assert "recovery does not move" in relay.host_log()


def test_a_new_recovery_runs_after_one_that_hung(relay: Relay) -> None:
    detached_rows(relay)
    host = relay.stack.host
    assert host is not None
    host.request("POST", f"{relay.recovery()}/suspend?reason=tried")
    assert relay.advance(hours=2, until=lambda: "recovery does not move" in relay.host_log())
    assert relay.advance(900, until=lambda: host.request("GET", relay.recovery()).json().get("runtimeStatus") == "Running")
    relay.stack.downstream.set_mode("up")
    assert relay.advance(900, until=lambda: relay.ledger() == [])


def suspended_with_an_alarm(relay: Relay) -> None:
    """People were told of an outage; then somebody suspends the recovery, while the trigger holds the rows."""
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1, 2)
    assert relay.advance(hours=1, until=lambda: [notice["kind"] for notice in relay.alerts()] == ["alarm"])
    host = relay.stack.host
    assert host is not None
    assert host.request("POST", f"{relay.recovery()}/suspend?reason=tried").status_code in (200, 202)
    relay.advance(1)


def test_people_hear_of_the_end_of_an_incident_though_recovery_hangs(relay: Relay) -> None:
    suspended_with_an_alarm(relay)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: relay.ledger() == [])
    assert relay.advance(hours=1, until=lambda: [notice["kind"] for notice in relay.alerts()] == ["alarm", "recovered"])


def test_people_hear_of_dead_letters_though_recovery_hangs(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"1h"\nrejected = "dead_letter"'))
    suspended_with_an_alarm(relay)
    relay.stack.downstream.set_rules([{"match": {"path": "/rows"}, "status": 422}])
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=3, until=lambda: {state for _, state, *_ in relay.ledger()} == {"dead"}), relay.ledger()
    assert relay.advance(hours=1, until=lambda: "dead_letter" in [notice["kind"] for notice in relay.alerts()])


def test_an_outage_alone_is_no_reason_to_replace_it(relay: Relay) -> None:
    detached_rows(relay)
    relay.advance(hours=3)
    assert "recovery does not move" not in relay.host_log()
