"""Change tracking that forgets: what a test needs to let it happen."""

from __future__ import annotations

from tests.harness.running_relay import Relay


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
