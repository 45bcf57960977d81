"""What the change retention takes away before it was handed out: seen, told with the exact versions, and repaired on order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.harness.running_relay import PAUSED, Relay


def clean_up(relay: Relay) -> None:
    """Let change tracking forget everything that is older than a minute, then keep changes for long again."""
    relay.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 1 MINUTES)")
    relay.advance(180)
    relay.execute("SELECT COUNT(*) FROM dbo.Orders")  # clean-up runs after statements
    relay.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 14 DAYS)")


def lose(relay: Relay) -> tuple[int, int]:
    """Changes that are cleaned up while the app is down; returns the versions before and after them."""
    host = relay.stack.host
    assert host is not None
    relay.insert(1, 2)
    relay.advance(400)  # delivered, and seen by the watchdog
    ((before,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    host.kill()
    relay.insert(3)
    relay.insert(4)
    relay.execute("UPDATE dbo.Orders SET Total = 77 WHERE OrderId = 1")
    ((after,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    clean_up(relay)
    host.start()
    relay.advance(400)
    return int(before), int(after)


def resync(relay: Relay, method: str = "POST") -> Any:
    assert relay.stack.host is not None
    return relay.stack.host.request(method, "/api/tables/dbo.Orders/resync")


def test_lost_changes_are_told_with_their_exact_versions_and_a_resync_repairs_them(relay: Relay) -> None:
    before, after = lose(relay)
    assert relay.accepted(3) is None
    (notice,) = relay.alerts("gap")
    assert (notice["table"], notice["versions"]) == ("dbo.Orders", [before + 1, after])
    assert f"{before + 1} to {after}" in notice["text"]
    assert relay.status()["gap"] == {"first": before + 1, "last": after}
    assert resync(relay).status_code == 202
    assert relay.advance(60, until=lambda: relay.accepted(3) is not None and (relay.accepted(1) or {}).get("Total") == 77)
    relay.advance(900)
    assert relay.status()["gap"] is None
    assert relay.ledger() == []
    assert len(relay.alerts("gap")) == 1
    assert relay.status()["resync"]["status"] == "Completed"


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
    relay.stack.sql.inject(action="drop_before", pattern="rp_l varchar", application="rowpost", times=1000)
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


def test_a_resync_goes_on_after_a_kill_and_never_floods_the_ledger(relay: Relay) -> None:
    rows = ", ".join(f"({n}, N'c', 1, N's')" for n in range(1, 1000))
    relay.execute(f"INSERT INTO dbo.Orders VALUES {rows}")
    assert relay.advance(3600, until=lambda: len(relay.posts()) >= 999)
    relay.advance(60)
    relay.execute("UPDATE dbo.Orders SET Total = 2 WHERE OrderId = 999")
    relay.advance(60)
    host = relay.stack.host
    assert host is not None
    before = len(relay.posts())
    assert resync(relay).status_code == 202
    assert resync(relay).status_code == 409
    most = 0
    relay.stack.sql.inject(action="delay", seconds=0.4, pattern="a resync was ordered", application="rowpost", times=1, skip=1)
    relay.advance(1)
    host.kill()
    relay.advance(5)
    host.start()

    def done() -> bool:
        nonlocal most
        most = max(most, len(relay.ledger()))
        return relay.status()["resync"]["status"] == "Completed" and not relay.ledger()

    assert relay.advance(3600, until=done)
    assert len({attempt.key["OrderId"] for attempt in relay.posts()[before:]}) == 999  # type: ignore[index]
    assert most <= 1500
    assert relay.stack.downstream.counters()["stale"] == 0


def test_a_resync_can_be_stopped(relay: Relay) -> None:
    assert resync(relay, "DELETE").status_code == 404
    relay.stack.downstream.set_mode("down", path="/rows")
    for first in (1, 1000):
        rows = ", ".join(f"({n}, N'c', 1, N's')" for n in range(first, first + 999))
        relay.execute(f"INSERT INTO dbo.Orders VALUES {rows}")
    assert relay.advance(900, until=lambda: len(relay.ledger()) > 1100)
    assert resync(relay).status_code == 202
    relay.advance(120)
    assert relay.status()["resync"]["status"] == "Running"
    assert resync(relay, "DELETE").status_code == 202
    relay.advance(10)
    assert relay.status()["resync"]["status"] == "Terminated"
