"""No older snapshot row overtakes a newer change, whenever that comes; and a mark belongs to an event, not to an attempt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from rowpost.app import App, load_app
from rowpost.database.connection import DatabaseError
from rowpost.operations.resync import next_resync, order_initial_snapshot, resync_step, take_on
from rowpost.recovery.redeliver import redeliver
from rowpost.relay.batch import relay_batch
from tests.harness.consumer import orders_at_the_consumer, orders_in_the_table
from tests.harness.running_relay import LEASES, PAUSED, Relay
from tests.harness.snapshots import SNAPSHOT, completed, marks, orders_before

CHANGES = {
    "an update": "UPDATE dbo.Orders SET Total = 99 WHERE OrderId = 2",
    "a deletion": "DELETE FROM dbo.Orders WHERE OrderId = 2",
    "a deletion and an insertion": "DELETE FROM dbo.Orders WHERE OrderId = 2;"
    "INSERT INTO dbo.Orders (OrderId, Customer, Total) VALUES (2, N'again', 5)",
    "an insertion behind the page": "INSERT INTO dbo.Orders (OrderId, Customer, Total) VALUES (50, N'new', 5)",
    "a key that moves before the page": "UPDATE dbo.Orders SET OrderId = 0 WHERE OrderId = 2",
}


class Steps:
    """A snapshot whose steps this process makes, beside a database that is ready; its host is gone."""

    def __init__(self, relay: Relay, app: App, pool: ThreadPoolExecutor) -> None:
        self.relay, self.app, self._pool = relay, app, pool
        assert order_initial_snapshot(app, "dbo.Orders")
        order = next_resync(app, "dbo.Orders")
        assert order is not None and take_on(app, "dbo.Orders", order)
        self.resync = order.resync

    def step(self) -> Any:
        return resync_step(self.app, "dbo.Orders", self.resync, 1)

    def until(self, state: str) -> None:
        for _ in range(20):
            if self.relay.execute("SELECT State FROM rowpost.Resyncs")[0][0] == state:
                return
            self.step()
        raise AssertionError(f"it is not {state}")

    def held_at(self, statement: str, work: Callable[[], object]) -> Future[object]:
        """Begin something, which waits at a statement when this returns: what is done then comes between it and what was before."""
        sql = self.relay.stack.sql
        sql.inject(action="delay", seconds=1.5, pattern=f"rowpost: {statement}.sql", application="rowpost", times=1)
        future: Future[object] = self._pool.submit(work)
        while sql.faults() and not future.done():
            pass
        return future

    def finish(self) -> None:
        """Whatever is left is done by the app itself."""
        self.relay.accept_all()
        self.relay.stack.change_settings({PAUSED: "false"})
        self.relay.stack.start_host()
        assert self.relay.advance(hours=2, until=lambda: completed(self.relay)), self.relay.status()
        self.relay.advance(60)
        assert orders_at_the_consumer(self.relay) == orders_in_the_table(self.relay)
        for order in (0, 1, 2, 3, 50):
            versions = [post.version or 0 for post in self.relay.posts(order)]
            assert versions == sorted(versions), f"an older version of {order} came after a newer one"
        marks(self.relay)
        assert self.relay.stack.downstream.counters()["stale"] == 0


@pytest.fixture
def steps(make_relay: Callable[..., Relay], monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    relay = make_relay(SNAPSHOT.replace('initial = "snapshot"', 'initial = "changes"'), orders_before(4))
    relay.execute("UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 3")
    relay.advance(30)
    host = relay.stack.host
    assert host is not None
    host.kill()
    relay.config_file.write_text(SNAPSHOT)
    monkeypatch.setenv("ODBC_DRIVER", relay.stack.settings["ODBC_DRIVER"])
    with ThreadPoolExecutor(1) as pool:
        yield Steps(relay, load_app(relay.directory, relay.stack.settings), pool)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("place", ["queue_page", "lease_for_redelivery", "claim", "fetch_records", "settle"])
def test_a_change_at_any_moment_is_what_stays(steps: Steps, place: str, change: str) -> None:
    if place == "queue_page":
        steps.until("paging")
        held = steps.held_at(place, steps.step)  # the page was read
    else:
        steps.until("settling")
        held = steps.held_at(place, lambda: redeliver(steps.app, "dbo.Orders"))
    steps.relay.execute(change)
    held.result()
    steps.finish()


@pytest.mark.parametrize("place", ["queue_page", "settle"])
def test_nothing_is_overtaken_if_the_process_dies_there(steps: Steps, place: str) -> None:
    steps.until("paging" if place == "queue_page" else "settling")
    action = "drop_before" if place == "queue_page" else "drop_after"
    steps.relay.stack.sql.inject(action=action, pattern=f"rowpost: {place}.sql", application="rowpost", times=None)
    with pytest.raises(DatabaseError):
        steps.step() if place == "queue_page" else redeliver(steps.app, "dbo.Orders")
    steps.relay.stack.sql.clear_faults()
    steps.relay.execute("UPDATE dbo.Orders SET Total = 77 WHERE OrderId IN (1, 2)")
    steps.finish()


def test_a_row_whose_own_change_has_the_version_of_the_page_is_not_marked(steps: Steps) -> None:
    steps.until("paging")
    steps.relay.execute("UPDATE dbo.Orders SET Total = 4 WHERE OrderId = 2")  # nothing is newer when the page is read
    ((version,),) = steps.relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    steps.until("settling")
    assert redeliver(steps.app, "dbo.Orders").delivered == 4
    own = [post for post in steps.relay.posts(2) if post.version == version]
    assert len(own) == 1 and "snapshot" not in own[0].body["data"], "the trigger may post the same event, and has no mark for it"
    assert [post.body["data"].get("snapshot") for post in steps.relay.posts(1)] == [steps.resync]
    steps.finish()


def test_each_attempt_of_a_marked_row_has_the_mark_and_a_later_change_has_none(steps: Steps) -> None:
    relay = steps.relay
    relay.reject(1, status=503)
    relay.reject(2, status=503)
    steps.until("settling")
    for _ in range(3):
        redeliver(steps.app, "dbo.Orders")
        relay.execute("UPDATE rowpost.Ledger SET State = 'detached', NextAttempt = SYSUTCDATETIME()")
    relay.execute("UPDATE dbo.Orders SET Total = 8 WHERE OrderId = 2")
    redeliver(steps.app, "dbo.Orders")
    assert [post.body["data"].get("snapshot") for post in relay.posts(1)[:4]] == [steps.resync] * 4
    assert len({post.event_id for post in relay.posts(1)[:4]}) == 1
    assert [post.body["data"].get("snapshot") for post in relay.posts(2)[-4:]] == [*[steps.resync] * 3, None]
    steps.finish()


def test_a_row_that_the_trigger_hands_out_while_a_snapshot_has_raised_it_is_marked(steps: Steps) -> None:
    relay = steps.relay
    relay.execute("UPDATE dbo.Orders SET Total = 6 WHERE OrderId = 2")
    ((tracked,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    relay.execute(
        f"INSERT INTO {LEASES} (OrderId, _az_func_ChangeVersion, _az_func_AttemptCount, _az_func_LeaseExpirationTime) "
        f"VALUES (2, {tracked}, 1, DATEADD(second, 60, SYSDATETIME()))"
    )
    relay.reject(2, status=503)
    payload = '[{"Operation": 1, "Item": {"OrderId": 2}}]'
    relay_batch(steps.app, "dbo.Orders", payload)  # it fails under the version of its change
    steps.until("settling")
    relay_batch(steps.app, "dbo.Orders", payload)
    first, second = relay.posts(2)
    assert (first.version, first.body["data"].get("snapshot")) == (tracked, None)
    assert (second.version or 0) > tracked and second.body["data"]["snapshot"] == steps.resync
    steps.finish()
