"""What the change retention takes away before it was handed out: seen, told with the exact versions, and repaired on order."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.change_retention import clean_up, lose
from tests.harness.running_relay import PAUSED, Relay


def test_lost_changes_are_told_with_their_exact_versions_and_a_resync_repairs_them(relay: Relay) -> None:
    relay.stack.downstream.add_rule(match={"operation": "resync-begun"}, status=503)
    before, after = lose(relay)
    assert relay.accepted(3) is None
    (notice,) = relay.alerts("gap")
    assert (notice["relay"], notice["versions"]) == ("dbo.Orders", [before + 1, after])
    assert f"{before + 1} to {after}" in notice["text"] and "A resync was ordered" in notice["text"]
    assert relay.status()["gap"] == {"first": before + 1, "last": after}
    assert relay.status()["resync"]["reason"] == f"changes {before + 1} to {after} may be lost"
    relay.accept_all()
    assert relay.advance(600, until=lambda: relay.accepted(3) is not None and (relay.accepted(1) or {}).get("Total") == "77.0000")
    relay.advance(900)
    assert relay.status()["gap"] is None
    assert relay.ledger() == []
    assert len(relay.alerts("gap")) == 1
    assert relay.status()["resync"]["state"] == "completed"


def test_without_a_loss_there_is_no_alarm(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(400)
    host = relay.stack.host
    assert host is not None
    clean_up(relay)
    clean_up(relay)
    relay.insert(2)
    relay.advance(900)
    assert relay.alerts() == []
    assert relay.status()["gap"] is None


def test_a_failing_row_that_retention_takes_from_the_trigger_is_delivered_from_the_ledger(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.insert(2)
    assert relay.advance(900, until=lambda: any(record[1] == "held" for record in relay.ledger()))
    clean_up(relay)
    relay.insert(3)
    relay.accept_all()
    assert relay.advance(hours=1, until=lambda: relay.accepted(1) is not None)
    assert relay.advance(600, until=lambda: relay.ledger() == [])
    assert relay.alerts("gap") == []


def test_a_row_in_hand_when_its_process_ended_is_delivered_though_change_tracking_forgot_it(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    relay.insert(1)
    relay.advance(400)
    relay.stack.sql.inject(action="drop_before", pattern="rowpost: settle.sql", application="rowpost", times=1000)
    relay.reject(2, status=500)
    relay.insert(2)
    relay.advance(5)
    host.kill()
    clean_up(relay)
    relay.stack.sql.clear_faults()
    relay.accept_all()
    host.start()
    assert relay.advance(hours=1, until=lambda: relay.accepted(2) is not None)


def test_changes_that_wait_for_half_of_the_retention_are_told_before_they_are_lost(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 1 DAYS)")
    relay.insert(1)
    relay.advance(400)
    relay.restart(**{PAUSED: "true"})
    relay.insert(2)
    began = relay.time.now()
    assert relay.advance(hours=14, until=lambda: bool(relay.alerts("retention")))
    assert 11.9 < (relay.time.now() - began).total_seconds() / 3600 < 12.3
    (notice,) = relay.alerts("retention")
    assert notice["versions"][0] == 2
    relay.restart(**{PAUSED: "false"})
    assert relay.advance(600, until=lambda: relay.accepted(2) is not None)
    relay.advance(hours=13)
    assert len(relay.alerts("retention")) == 1
