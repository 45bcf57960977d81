"""Change versions that begin again with the database: no event id has two contents, and consumers end with the database's state."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.launch import SqlServer
from entities.database_memory import entity_id
from infra.prepare_database import prepare
from rowpost.config.connection_string import OdbcConnection
from rowpost.database.connection import Database
from rowpost.database.lives import begin_life, look_at_life
from tests.harness.consumer import orders_at_the_consumer
from tests.harness.epochs import check, documents, epoch
from tests.harness.running_relay import ORDERS, Relay

MEMORY = "/runtime/webhooks/durabletask/entities/database_memory"


def total(relay: Relay, order: int, value: int) -> None:
    relay.execute("UPDATE dbo.Orders SET Total = ? WHERE OrderId = ?", value, order)


def told(relay: Relay) -> list[int]:
    """The epochs that people were told of."""
    return [notice["epoch"] for notice in relay.alerts("epoch")]


def deliver_and_back_up(relay: Relay, backup: Path) -> None:
    relay.insert(1, 2, 3)
    relay.advance(5)
    relay.stack.sql.backup(backup)
    total(relay, 1, 20)
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 3")
    relay.advance(5)
    assert (relay.accepted(1) or {})["Total"] == "20.0000" and relay.accepted(3) is None


def test_a_restore_while_the_app_runs(relay: Relay, tmp_path: Path) -> None:
    deliver_and_back_up(relay, tmp_path / "backup")
    before = epoch(relay)
    relay.stack.restore(tmp_path / "backup")
    total(relay, 1, 30)  # the version that 20 had
    relay.advance(200)
    check(relay)
    assert (relay.accepted(1) or {})["Total"] == "30.0000" and relay.accepted(3) is not None
    assert epoch(relay) > before and told(relay) == [epoch(relay)]
    relay.advance(hours=1)
    check(relay)
    assert told(relay) == [epoch(relay)]


def test_nothing_is_posted_between_the_restore_and_its_epoch(relay: Relay, tmp_path: Path) -> None:
    deliver_and_back_up(relay, tmp_path / "backup")
    before = epoch(relay)
    posts = len(relay.posts())
    relay.stack.restore(tmp_path / "backup")
    total(relay, 1, 30)
    relay.advance(600)
    assert {event["data"]["epoch"] for event in documents(relay)[posts:]} == {epoch(relay)} != {before}
    ((attempts,),) = relay.execute("SELECT COUNT(*) FROM rowpost.Ledger WHERE Attempts > 0")
    assert attempts == 0  # to be handed back is no attempt


def test_a_restore_while_the_app_is_stopped(relay: Relay, tmp_path: Path) -> None:
    deliver_and_back_up(relay, tmp_path / "backup")
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.stack.restore(tmp_path / "backup")
    for value in range(30, 60):  # far beyond the versions that were seen
        total(relay, 1, value)
    relay.stack.host.start()
    relay.advance(400)
    check(relay)
    assert told(relay) == [epoch(relay)]


def test_a_restore_to_the_moment_just_after_the_last_look(relay: Relay, tmp_path: Path) -> None:
    relay.insert(1, 2)
    relay.advance(301)
    relay.stack.sql.backup(tmp_path / "backup")  # it has the token that is remembered
    total(relay, 1, 20)
    relay.advance(5)
    relay.stack.restore(tmp_path / "backup")
    for value in range(30, 40):
        total(relay, 1, value)
    relay.advance(400)
    check(relay)
    assert told(relay) == [epoch(relay)]


def test_two_restores_of_one_backup(relay: Relay, tmp_path: Path) -> None:
    deliver_and_back_up(relay, tmp_path / "backup")
    epochs = [epoch(relay)]
    for value in (30, 40):
        relay.stack.restore(tmp_path / "backup")
        total(relay, 1, value)
        relay.advance(20)
        epochs.append(epoch(relay))
    relay.advance(600)
    check(relay)
    assert epochs == sorted(set(epochs)) and told(relay) == epochs[1:]


def test_two_restores_between_two_looks(relay: Relay, tmp_path: Path) -> None:
    deliver_and_back_up(relay, tmp_path / "backup")
    assert relay.stack.host is not None
    relay.stack.host.kill()
    for value in (30, 40):
        relay.stack.restore(tmp_path / "backup")
        total(relay, 1, value)
    relay.stack.host.start()
    relay.advance(400)
    check(relay)
    assert len(told(relay)) == 1


def test_a_copy_in_place_of_the_database(relay: Relay, tmp_path: Path) -> None:
    deliver_and_back_up(relay, tmp_path / "backup")
    with SqlServer(tmp_path / "other", relay.time.spec) as other:
        other.restore(tmp_path / "backup")
        connection = other.connect()
        for value in range(30, 50):
            connection.execute("UPDATE dbo.Orders SET Total = ? WHERE OrderId = 1", value)
        connection.close()
        other.backup(tmp_path / "copy")
    relay.stack.restore(tmp_path / "copy")
    total(relay, 2, 7)
    relay.advance(400)
    check(relay)
    assert told(relay) == [epoch(relay)]


def test_an_empty_database_in_place_of_the_one_that_is_remembered(relay: Relay, tmp_path: Path) -> None:
    relay.stack.sql.backup(tmp_path / "backup")
    relay.insert(1, 2)
    relay.advance(400)
    before = epoch(relay)
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.stack.restore(tmp_path / "backup")
    for name in ("Lives", "Relays", "Ledger"):
        relay.execute(f"DELETE FROM rowpost.{name}")
    relay.insert(1, total="77")
    relay.stack.host.start()
    relay.advance(400)
    check(relay, gone=frozenset({2}))
    assert epoch(relay) > before


def test_a_batch_that_is_under_way_leaves_no_cursor_of_the_former_life(relay: Relay, tmp_path: Path) -> None:
    relay.insert(1, 2, 3)
    relay.advance(5)
    relay.stack.sql.backup(tmp_path / "backup")
    for value in range(20, 60):
        total(relay, 2, value)
    relay.stack.downstream.set_mode("slow", seconds=2.0, path="/rows")
    seen = relay.stack.downstream.counters()["requests"]

    def restore() -> None:  # while the post is under way, with a version that is still to come in the restored database
        relay.stack.downstream.wait_for(lambda: relay.stack.downstream.counters()["requests"] > seen, 60)
        relay.stack.sql.restore(tmp_path / "backup")

    thread = threading.Thread(target=restore)
    thread.start()
    relay.advance(10)
    thread.join()
    relay.stack.reconnect()
    relay.stack.downstream.set_mode("up")
    ((cursor, current),) = relay.execute("SELECT LastSyncVersion, CHANGE_TRACKING_CURRENT_VERSION() FROM az_func.GlobalState")
    assert cursor == 41 > current  # the trigger has released its batch into the restored database
    total(relay, 2, 70)
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 3")
    relay.advance(700)
    check(relay)


def test_records_of_the_former_life_are_delivered_under_the_new_epoch(relay: Relay, tmp_path: Path) -> None:
    relay.insert(1, 2)
    relay.advance(5)
    relay.reject(2)
    total(relay, 2, 15)
    relay.advance(hours=2)
    assert len(relay.ledger()) == 1
    relay.stack.sql.backup(tmp_path / "backup")
    total(relay, 1, 20)
    relay.advance(5)
    relay.stack.restore(tmp_path / "backup")
    total(relay, 1, 30)
    relay.advance(400)
    relay.accept_all()
    relay.advance(hours=2)
    check(relay)
    assert documents(relay)[-1]["data"]["epoch"] == epoch(relay)


def test_a_lost_storage_account_is_no_new_epoch_and_forgets_no_restore(relay: Relay, tmp_path: Path) -> None:
    deliver_and_back_up(relay, tmp_path / "backup")
    before = epoch(relay)
    assert relay.stack.host is not None
    relay.stack.host.kill()
    shutil.rmtree(relay.stack.host.data)
    relay.stack.host.start()
    total(relay, 1, 21)
    relay.advance(700)
    assert epoch(relay) == before and told(relay) == []
    relay.stack.host.kill()
    shutil.rmtree(relay.stack.host.data)  # and now together with a restore
    relay.stack.restore(tmp_path / "backup")
    total(relay, 1, 30)
    relay.stack.host.start()
    relay.advance(700)
    check(relay)
    assert epoch(relay) > before and told(relay) == [epoch(relay)]


def test_a_signal_that_was_lost_is_no_new_epoch(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(400)
    before = epoch(relay)
    for _ in range(3):  # the process ended between the database and the memory
        relay.execute("UPDATE rowpost.Lives SET Token = NEWID(), LookNumber = LookNumber + 1")
        total(relay, 1, 20)
        relay.restart()
        relay.advance(400)
    ((token,),) = relay.execute("SELECT LOWER(CONVERT(nvarchar(36), Token)) FROM rowpost.Lives")
    assert relay.get(f"{MEMORY}/{entity_id('rowpost-local').key}")["token"] == token
    assert epoch(relay) == before and told(relay) == []
    check(relay)


def test_two_workers_that_find_a_restore_begin_one_epoch(relay: Relay, tmp_path: Path) -> None:
    deliver_and_back_up(relay, tmp_path / "backup")
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.stack.restore(tmp_path / "backup")
    text = relay.stack.sql.odbc_connection_string
    workers = [Database(OdbcConnection(text, 15, 30, "server", "database")) for _ in range(4)]
    found = [look_at_life(worker, "rowpost-local") for worker in workers]
    threads = [
        threading.Thread(target=begin_life, args=(worker, "rowpost-local", each, None, str(uuid.uuid4()), ()))
        for worker, each in zip(workers, found, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((number, life),) = relay.execute("SELECT LookNumber, Epoch FROM rowpost.Lives")
    assert found[0].recorded is not None and number == found[0].recorded.number + 1
    assert epoch(relay) == life > found[0].epoch


def test_a_database_that_goes_on_has_one_epoch(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    before = epoch(relay)
    for value in range(5):
        total(relay, 1, value)
        relay.advance(1200)
    relay.restart()
    relay.stack.sql.stop()
    relay.stack.sql.start()
    relay.stack.reconnect()
    relay.advance(1200)
    assert epoch(relay) == before and relay.alerts() == []
    assert orders_at_the_consumer(relay) == {1: 4}


@pytest.mark.parametrize("prepared", [True, False], ids=["the app's own tables are in it", "they are not"])
def test_a_backup_that_is_older_than_the_first_start(make_relay: Callable[..., Relay], tmp_path: Path, prepared: bool) -> None:
    """The database knows no relay, so that it seems to be a new one: but the memory outside knows better."""
    relay = make_relay(start=False)
    relay.stack.start_services()
    if prepared:
        relay.stack.prepare()
    else:
        relay.execute(ORDERS)
    relay.insert(1)
    relay.stack.sql.backup(tmp_path / "backup")
    if not prepared:
        prepare(relay.stack.connection, relay.stack.config)
        total(relay, 1, 10)
    host = relay.stack.start_host()
    relay.insert(2)
    total(relay, 1, 20)
    relay.advance(400)
    assert set(orders_at_the_consumer(relay)) == {1, 2}
    relay.stack.restore(tmp_path / "backup")
    total(relay, 1, 30)
    relay.advance(400)
    if not prepared:
        prepare(relay.stack.connection, relay.stack.config)
        total(relay, 1, 40)
    host.restart()  # the trigger's own tables are gone too
    relay.advance(900)
    check(relay)
    assert told(relay) == [epoch(relay)]
    assert orders_at_the_consumer(relay) == {1: 30.0 if prepared else 40.0}
