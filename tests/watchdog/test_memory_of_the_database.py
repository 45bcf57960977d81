"""The memory outside the database: it only grows, and a storage that is away neither stops delivery nor hides a restore."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entities.database_memory import entity_id
from orchestrators.lives import doubt, look_at_database, verify_first
from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.database.connection import Database
from rowpost.relay.batch import relay_batch
from rowpost.rules.epoch import Verdict
from tests.harness.epochs import check, documents, epoch
from tests.harness.running_relay import LEASES, Relay

MEMORY = "/runtime/webhooks/durabletask/entities/database_memory"


class Hanging:
    """A durable client whose storage never answers."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def never(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

        return never


def app_of(relay: Relay) -> App:
    """An app in this process, on the relay's database, while the relay's own is stopped."""
    assert relay.stack.host is not None
    relay.stack.host.kill()
    settings = relay.stack.settings
    odbc = translate(settings["SqlConnectionString"], "SqlConnectionString", settings["ODBC_DRIVER"])
    return App(relay.stack.config, Database(odbc), settings["WEBSITE_SITE_NAME"])


def payload(order: int) -> str:
    return json.dumps([{"Operation": 1, "Item": {"OrderId": order}}])


def hand_out(relay: Relay, order: int) -> None:
    """Lease a row as the trigger does when it hands it out."""
    relay.execute(f"DELETE FROM {LEASES} WHERE OrderId = ?", order)
    relay.execute(
        f"INSERT INTO {LEASES} VALUES (?, CHANGE_TRACKING_CURRENT_VERSION(), 1, DATEADD(second, 60, SYSDATETIME()))", order
    )


def test_a_signal_that_arrives_late_changes_nothing(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(301)
    assert relay.stack.host is not None
    address = f"{MEMORY}/{entity_id('rowpost-local').key}"
    known = relay.get(address)
    for late in ({"number": known["number"] - 1}, {"number": known["number"]}, {"epoch": known["epoch"] - 1, "number": 99}):
        answer = relay.stack.host.request("POST", f"{address}?op=remember", json=json.dumps({**known, "token": "late", **late}))
        assert answer.status_code == 202
        relay.advance(2)
        assert relay.get(address) == known
    later = {**known, "number": known["number"] + 1, "token": "later"}
    relay.stack.host.request("POST", f"{address}?op=remember", json=json.dumps(later))
    relay.advance(2)
    assert relay.get(address) == later


def test_a_storage_that_is_away_does_not_stop_the_look_and_is_said_once(relay: Relay, caplog: pytest.LogCaptureFixture) -> None:
    relay.insert(1)
    relay.advance(5)
    app = app_of(relay)
    before = relay.execute("SELECT Token FROM rowpost.Lives")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert asyncio.run(look_at_database(Hanging(), app, 0.05)) in (Verdict.SAME, Verdict.AHEAD)
    assert caplog.text.count("durable storage does not answer") == 1
    assert app.life.known is not None  # the database alone
    assert relay.execute("SELECT Token FROM rowpost.Lives") == before  # a step ahead of a memory that may be behind already


def test_the_first_batch_of_a_process_waits_a_moment_for_the_memory_and_is_delivered(relay: Relay) -> None:
    relay.insert(0)
    relay.advance(5)
    app = app_of(relay)
    asyncio.run(verify_first(Hanging(), app, 0.05))
    relay.insert(1)
    hand_out(relay, 1)
    outcome = relay_batch(app, "dbo.Orders", payload(1))
    assert outcome.complete and relay.accepted(1) is not None


def test_a_restore_shows_though_the_storage_is_away(relay: Relay, tmp_path: Path) -> None:
    relay.insert(1)
    relay.advance(5)
    relay.stack.sql.backup(tmp_path / "backup")
    app, before = app_of(relay), epoch(relay)
    asyncio.run(verify_first(Hanging(), app, 0.05))
    relay.stack.restore(tmp_path / "backup")
    relay.execute("UPDATE dbo.Orders SET Total = 20 WHERE OrderId = 1")
    hand_out(relay, 1)
    posts = len(relay.posts())
    outcome = relay_batch(app, "dbo.Orders", payload(1))
    assert outcome.doubted and not outcome.complete and len(relay.posts()) == posts
    assert [row[2] for row in relay.leases()] == [0]  # to be handed back is no attempt
    asyncio.run(doubt(Hanging(), app, 0.05))
    assert epoch(relay) > before
    hand_out(relay, 1)
    assert relay_batch(app, "dbo.Orders", payload(1)).complete
    assert documents(relay)[-1]["data"]["epoch"] == epoch(relay)
    assert relay.stack.host is not None
    relay.stack.host.start()
    relay.advance(700)
    check(relay)
    assert [notice["epoch"] for notice in relay.alerts("epoch")] == [epoch(relay)]  # of one epoch, as soon as storage is back


def test_a_first_batch_finds_a_restore_that_happened_while_nothing_ran_and_the_storage_is_away(
    relay: Relay, tmp_path: Path
) -> None:
    relay.insert(1)
    relay.advance(5)
    relay.stack.sql.backup(tmp_path / "backup")
    app, before = app_of(relay), epoch(relay)
    relay.stack.restore(tmp_path / "backup")
    asyncio.run(verify_first(Hanging(), app, 0.05))
    assert epoch(relay) > before
