"""The trigger's sweep of leases takes no change with it that nobody has delivered."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.harness.running_relay import LEASES, Relay, changed_config


def test_an_unwatched_change_does_not_hide_the_watched_one_before_it(make_relay: Callable[..., Relay]) -> None:
    """Rows 1 and 2 change in one transaction. The worker with row 1 dies; row 1 changes again, in a column that is not watched.
    Then the success of row 2 lets the cursor pass the first change of row 1, and sweeps its lease away."""
    relay = make_relay(changed_config(table='"dbo.Orders"\nwatch = ["Total"]'))
    relay.insert(0)
    relay.advance(5)
    relay.stack.host.kill()  # type: ignore[union-attr]
    relay.insert(1, 2)
    # what the hand-out of row 1 to another worker writes; that worker ends without a word
    relay.execute(f"INSERT INTO {LEASES} VALUES (1, CHANGE_TRACKING_CURRENT_VERSION(), 1, DATEADD(second, 60, SYSDATETIME()))")
    relay.execute("UPDATE dbo.Orders SET Customer = N'other' WHERE OrderId = 1")
    relay.stack.host.start()  # type: ignore[union-attr]
    relay.advance(hours=1)
    assert relay.accepted(2)
    assert relay.accepted(1)


def test_the_fifth_hand_out_to_a_dying_worker_is_not_swept_by_a_success_that_is_under_way(relay: Relay) -> None:
    relay.insert(0)
    relay.advance(5)
    relay.stack.host.kill()  # type: ignore[union-attr]
    relay.insert(1)
    version = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")[0][0]
    # four hand-outs to a worker that ends each time before it claims
    relay.execute(f"INSERT INTO {LEASES} VALUES (1, {version}, 4, DATEADD(second, 60, SYSDATETIME()))")
    relay.insert(2)
    relay.stack.downstream.set_mode("slow", seconds=2, path="/rows")
    seen = relay.stack.downstream.counters()["requests"]
    host = relay.stack.host
    assert host is not None

    def fifth() -> None:
        relay.stack.downstream.wait_for(lambda: relay.stack.downstream.counters()["requests"] > seen, 60)
        connection = relay.stack.sql.connect(application="another worker")
        connection.execute(
            f"UPDATE {LEASES} SET _az_func_AttemptCount = 5, _az_func_LeaseExpirationTime = DATEADD(second, 60, SYSDATETIME()) "
            "WHERE OrderId = 1 AND _az_func_AttemptCount = 4"
        )
        connection.close()

    thread = threading.Thread(target=fifth)
    thread.start()
    host.start()
    relay.advance(20)
    thread.join()
    relay.stack.downstream.set_mode("up")
    relay.insert(3)
    relay.advance(hours=3)
    assert relay.accepted(2)
    assert relay.accepted(1)


def test_a_row_that_the_time_budget_did_not_reach_keeps_its_watched_change(make_relay: Callable[..., Relay]) -> None:
    """One worker, no crash: the time budget ends before row 2 is posted; row 3 of the same transaction is in the next batch."""
    config = changed_config(timeout='"5s"\nconcurrency = 1', batch_budget='"1s"', table='"dbo.Orders"\nwatch = ["Total"]')
    relay = make_relay(config, settings={"Sql_Trigger_MaxBatchSize": "2"})
    relay.insert(0)
    relay.advance(5)
    relay.stack.downstream.set_mode("slow", seconds=1.5, path="/rows")
    seen = relay.stack.downstream.counters()["requests"]

    def change() -> None:
        relay.stack.downstream.wait_for(lambda: relay.stack.downstream.counters()["requests"] > seen, 60)
        relay.stack.downstream.set_mode("up")
        connection = relay.stack.sql.connect(application="another person")
        connection.execute("UPDATE dbo.Orders SET Customer = N'other' WHERE OrderId = 2")
        connection.close()

    thread = threading.Thread(target=change)
    thread.start()
    relay.insert(1, 2, 3)
    relay.advance(hours=1)
    thread.join()
    assert [order for order in (1, 2, 3) if relay.accepted(order)] == [1, 2, 3]
