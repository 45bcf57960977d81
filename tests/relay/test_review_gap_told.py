"""A gap that grows is told with its new end, also if it grew only once more and on the same day."""

from __future__ import annotations

from tests.harness.running_relay import Relay
from tests.watchdog.test_retention import clean_up, lose


def test_a_gap_that_grows_on_the_day_on_which_it_was_told_is_told_again(relay: Relay) -> None:
    first, _ = lose(relay)
    assert [notice["versions"][0] for notice in relay.alerts("gap")] == [first + 1]
    host = relay.stack.host
    assert host is not None
    host.kill()
    relay.insert(50)
    ((lost,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    clean_up(relay)
    host.start()
    relay.advance(hours=30)
    assert relay.accepted(50) is None
    told = [notice["versions"] for notice in relay.alerts("gap")]
    assert any(begin <= lost <= end for begin, end in told), told
