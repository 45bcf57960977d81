"""A snapshot takes the target's pace, lets everything else go first that is in a hurry, and says how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devtools.stack import Stack
from emulators.downstream.attempt import Attempt
from tests.harness.consumer import orders_at_the_consumer, orders_in_the_table
from tests.harness.running_relay import Relay
from tests.harness.snapshots import SNAPSHOT, completed, marks, orders_before

COUNT = 3500
IN_A_HURRY = SNAPSHOT.replace("[retry]", '[retry]\nfirst_delay = "1s"\nfactor = 1\ndetach_after_rounds = 1')


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A snapshot in real time."""
    config, script = tmp_path / "relay.toml", tmp_path / "tables.sql"
    config.write_text(IN_A_HURRY)
    script.write_text(orders_before(COUNT))
    stack = Stack(tmp_path, "real", config=config, tables_sql=script)
    stack.start_services()
    stack.prepare()
    try:
        yield stack
    finally:
        stack.stop()


def wait(until: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def posts(stack: Stack, order: int) -> list[Attempt]:
    return [attempt for attempt in stack.downstream.attempts() if attempt.key == {"OrderId": order}]


def waiting(stack: Stack) -> int:
    return int(stack.execute("SELECT COUNT(*) FROM rowpost.Ledger")[0][0])


def test_what_is_in_a_hurry_does_not_wait_behind_thousands_of_rows(stack: Stack) -> None:
    """A change is delivered at once, by the trigger; and a row that fails has its next round."""
    stack.downstream.add_rule(match={"key": {"OrderId": 2}}, status=500)  # one of the first page
    stack.downstream.set_mode("slow", path="/rows", seconds=0.05)
    stack.start_host()
    assert wait(lambda: waiting(stack) > 900)
    for order in (COUNT, 900, 5000):
        if order == 5000:
            stack.execute("INSERT INTO dbo.Orders (OrderId, Customer, Total) VALUES (5000, N'new', 1)")
        else:
            stack.execute(f"UPDATE dbo.Orders SET Total = 77 WHERE OrderId = {order}")
        ((version,),) = stack.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
        assert wait(lambda v=version, o=order: any(post.version == v for post in posts(stack, o)), 10), order  # type: ignore[misc]
        assert waiting(stack) > 500, "what was there before still waits"
        assert "snapshot" not in next(post for post in posts(stack, order) if post.version == version).body["data"]
    assert wait(lambda: len(posts(stack, 2)) >= 2)
    assert waiting(stack) > 500, "its second try does not come at the end"


def test_the_ledger_is_never_flooded_and_the_status_says_how_far_it_is(stack: Stack) -> None:
    stack.start_host()
    host = stack.host
    assert host is not None
    shares: list[float] = []
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, waiting(stack))
        shown = host.request("GET", "/api/relays").json()["relays"][0]["resync"]
        if shown is not None and shown["state"] == "paging":
            assert shown["cause"] == "initial" and shown["rows_of_table"] == COUNT
            assert shown["pages"] == math.ceil(shown["rows_queued"] / 500)
            assert shown["share"] == round((shown["rows_queued"] - shown["rows_left"]) / COUNT, 4)
            assert not any("OrderId" in str(value) for value in shown.values()), "keys are values of rows: none is shown"
            shares.append(shown["share"])
        return shown is not None and shown["state"] == "completed" and shown["share"] == 1

    assert wait(done, 150)
    assert 1000 < most <= 1500
    assert shares == sorted(shares) and len(set(shares)) > 5


def test_an_outage_in_the_middle_of_it_stops_the_pages_and_it_goes_on_from_there(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT, orders_before(2000))
    assert relay.advance(60, until=lambda: len(relay.posts()) > 300)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.advance(60)
    pages = relay.status()["resync"]["pages"]
    relay.advance(hours=3)
    assert relay.status()["resync"]["pages"] == pages <= 4
    relay.accept_all()
    assert relay.advance(hours=1, until=lambda: completed(relay))
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
    marks(relay)
