"""The end of an incident: told when nothing of it waits any more, with what became of its rows; a dead letter is no all-clear."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import Relay, changed_config


def test_a_row_that_was_given_up_is_no_all_clear(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=13)
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm", "dead_letter", "recovered"]
    over = relay.alerts("recovered")[0]
    assert (over["delivered"], over["given_up"], over["rows"]) == (0, 1, 0)
    assert over["subject"] == "[Rowpost] dbo.Orders: 1 row GIVEN UP, 0 delivered"
    assert "recovered" not in over["subject"] + over["text"].partition("Runbook:")[0]
    assert "/api/relays/dbo.Orders/rows?state=dead" in over["text"]


def test_an_outage_that_ends_for_some_tells_of_both(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(window='"3h"'))
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 6))
    relay.advance(hours=1)
    relay.insert(*range(6, 13))
    relay.advance(hours=2.2)  # the first ones are given up
    assert sum(row[1] == "dead" for row in relay.ledger()) == 5
    assert relay.alerts("recovered") == []
    relay.stack.downstream.set_mode("up")
    relay.advance(hours=1)
    (over,) = relay.alerts("recovered")
    assert (over["delivered"], over["given_up"], over["rows"]) == (7, 5, 0)
    assert "5 rows GIVEN UP, 7 delivered" in over["subject"]


def test_an_outage_whose_rows_were_all_given_up_is_not_over_while_others_wait(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(window='"1h"'))
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 9))
    relay.advance(hours=0.9)
    relay.insert(20)
    relay.advance(hours=0.5)
    assert sum(row[1] == "dead" for row in relay.ledger()) == 8
    assert relay.alerts("recovered") == []
    relay.stack.downstream.set_mode("up")
    relay.advance(hours=1)
    (over,) = relay.alerts("recovered")
    assert (over["delivered"], over["given_up"]) == (1, 8)


def test_all_delivered_reads_as_an_all_clear(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 21))
    relay.advance(hours=2)
    relay.stack.downstream.set_mode("up")
    relay.advance(hours=1)
    (over,) = relay.alerts("recovered")
    assert (over["delivered"], over["given_up"], over["rows"]) == (20, 0, 0)
    assert over["subject"].endswith("delivery has recovered")
    assert "20 rows delivered" in over["text"]
    assert relay.execute("SELECT * FROM rowpost.Incidents") == []
    assert relay.execute("SELECT * FROM rowpost.IncidentRows") == []
