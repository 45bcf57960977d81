"""A relay that cannot run is told once a day, with the remedy, whatever the reason is; the others are looked after all the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from azure.functions.timer import TimerRequest

from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import Database
from rowpost.database.describe import SCHEMA_VERSION
from rowpost.database.statements import SQL
from rowpost.telemetry.journal import Doer
from rowpost.watchdog.unable import Problem, check_relay, problem, unable_notice
from tests.harness.running_relay import CONFIG, ORDERS, PAUSED, Relay, changed_config
from tests.whole_app.test_truth import as_app
from triggers.watchdog import _look_after, _tell_what_is_left, _tell_whether_it_runs

OTHER = "\nGO\nCREATE TABLE dbo.Other (Id int NOT NULL CONSTRAINT PK_Other PRIMARY KEY)\n"
LONG = CONFIG.replace('window = "12h"', 'window = "168h"')
BOTH = LONG + '[[relays]]\ntable = "dbo.Other"\n'
WRITES = r"(?i)\b(INSERT INTO|UPDATE|MERGE)\b"


def told(relay: Relay) -> list[tuple[str, str]]:
    return [(notice["relay"], notice["last_error"]) for notice in relay.alerts("unable")]


def test_a_column_that_is_gone_is_told_once_a_day(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(BOTH, ORDERS + OTHER)
    relay.insert(1)
    relay.advance(60)
    relay.execute("ALTER TABLE dbo.Orders DROP COLUMN Secret")
    relay.advance(6 * 60)
    ((name, why),) = told(relay)
    assert name == "dbo.Orders" and "Secret" in why and "restart the function app" in why
    relay.execute("INSERT INTO dbo.Other (Id) VALUES (7)")
    relay.advance(60)
    assert relay.stack.downstream.find("dbo.Other", {"Id": 7}) is not None
    relay.advance(hours=26)
    assert len(told(relay)) == 2


def test_a_column_of_the_configuration_that_is_gone_is_told(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\nsend = ["Total", "Secret"]'))
    relay.advance(60)
    relay.execute("ALTER TABLE dbo.Orders DROP COLUMN Secret")
    relay.advance(6 * 60)
    ((_, why),) = told(relay)
    assert "there is no column 'Secret'" in why


def test_change_tracking_that_is_off_is_told(relay: Relay) -> None:
    relay.advance(60)
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.advance(6 * 60)
    assert any("run infra/sql/30-track-table.sql" in why for _, why in told(relay))


def test_a_select_that_was_revoked_is_told(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.insert(1)
    relay.advance(60)
    # The emulated app is the owner: the server's own answer stands for the lost permission.
    message = "The SELECT permission was denied on the object 'Orders', database 'rowpost', schema 'dbo'."
    relay.stack.sql.inject(
        pattern=r"FROM \[dbo\]\.\[Orders\]",
        application="rowpost",
        action="error",
        number=229,
        severity=14,
        message=message,
        times=None,
    )
    relay.advance(6 * 60)
    ((_, why),) = told(relay)
    assert "SELECT permission was denied" in why and "40-grant-table.sql" in why


@pytest.mark.parametrize(
    ("sql", "remedy"),
    [
        (f"UPDATE rowpost.SchemaVersion SET Version = 99 WHERE Version = {SCHEMA_VERSION}", "a newer app has been here"),
        (f"DELETE FROM rowpost.SchemaVersion WHERE Version = {SCHEMA_VERSION}", "run python infra/prepare_database.py"),
        ("UPDATE rowpost.Relays SET App = N'another'", "UPDATE rowpost.Relays SET App = NULL"),
        ("DROP TABLE rowpost.Notices", "run python infra/prepare_database.py"),
    ],
    ids=["newer schema", "older schema", "another app's", "no notices"],
)
def test_what_is_wrong_with_the_apps_own_tables_is_told(relay: Relay, sql: str, remedy: str) -> None:
    relay.advance(60)
    relay.execute(sql)
    relay.advance(11 * 60)
    ((_, why),) = told(relay)
    assert remedy in why
    relay.advance(hours=3)
    assert len(told(relay)) == 1


@pytest.mark.parametrize("denied", ["UPDATE, INSERT ON rowpost.Ledger", "UPDATE ON rowpost.Relays"])
def test_a_part_of_the_work_that_is_refused_is_told(make_relay: Callable[..., Relay], denied: str) -> None:
    """All that the check tries works, and so do healthy rows. A row that fails cannot be written down."""
    relay = as_app(make_relay)
    relay.insert(1)
    relay.advance(60)
    relay.reject(2)
    relay.execute(f"DENY {denied} TO app")
    relay.insert(2, 3)
    relay.advance(30 * 60)
    assert relay.accepted(3)
    ((_, why),) = told(relay)
    assert "permission was denied" in why and "prepare_database.py" in why
    relay.execute(f"REVOKE {denied} FROM app")
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.accepted(2) is not None)


@pytest.mark.parametrize(("number", "remedy"), [(40544, "raise its maximum size"), (3906, "make it writable")])
def test_a_database_that_refuses_to_be_written_is_told_once_a_day(relay: Relay, number: int, remedy: str) -> None:
    relay.insert(1)
    relay.advance(60)
    relay.stack.sql.inject(pattern=WRITES, application="rowpost", action="error", number=number, times=None)
    relay.advance(6 * 60)
    ((_, why),) = told(relay)
    assert str(number) in why and remedy in why
    relay.restart()
    relay.advance(hours=10)
    assert len(told(relay)) == 1
    relay.advance(hours=15)
    assert len(told(relay)) == 2
    relay.stack.sql.clear_faults()
    relay.insert(2)
    relay.advance(hours=1)
    assert relay.accepted(2)
    assert len(told(relay)) == 2


def test_who_was_left_out_without_the_database_is_told_at_the_next_look(make_relay: Callable[..., Relay]) -> None:
    hook = '[[notifications.webhooks]]\nurl = "%ALERT_WEBHOOK_URL%"\n'
    relay = make_relay(CONFIG.replace(hook, hook + hook.replace("_URL%", "_URL%?second")))
    relay.insert(1)
    relay.advance(60)
    assert relay.stack.host is not None
    relay.stack.host.add_durable_fault("drop_before", pattern="notice-unable.*-r2", times=3)
    relay.stack.sql.inject(pattern=WRITES, application="rowpost", action="error", number=3906, times=None)
    relay.advance(hours=1)
    assert len(told(relay)) == 2, "one for each of the two webhooks"


def test_a_login_that_is_refused_is_told(relay: Relay) -> None:
    relay.advance(60)
    relay.stack.sql.inject(action="refuse_login", number=18456, application="rowpost", times=None)
    relay.restart()
    relay.advance(6 * 60)
    ((_, why),) = told(relay)
    assert "the login failed" in why


def test_a_database_that_cannot_be_reached_is_told_when_two_looks_have_found_it(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(60)
    relay.stack.sql.inject(action="error", number=40613, application="rowpost", pattern="rowpost: ", times=None)
    relay.stack.sql.inject(action="refuse_login", number=40613, application="rowpost", times=None)
    relay.advance(6 * 60)
    assert told(relay) == [], "it may be over in a moment"
    relay.advance(10 * 60)
    ((_, why),) = told(relay)
    assert "cannot be reached" in why
    relay.advance(hours=2)
    relay.stack.sql.clear_faults()
    relay.insert(2)
    relay.advance(hours=1)
    assert relay.accepted(2)
    assert len(told(relay)) == 1


def test_of_a_database_that_is_gone_all_relays_are_told_after_one_look(make_relay: Callable[..., Relay]) -> None:
    """What a look costs, time-outs, is paid once in a run, not once for each relay."""
    relay = make_relay(BOTH, ORDERS + OTHER)
    relay.advance(60)
    # No listener that tries to connect each second, and no login that takes long to fail.
    quick = f"{relay.stack.settings['SqlConnectionString']};Connect Timeout=1"
    relay.restart(**{PAUSED: "true", PAUSED.replace("Orders", "Other"): "true", "SqlConnectionString": quick})
    relay.stack.sql.kill()
    relay.advance(11 * 60)
    assert sorted(name for name, _ in told(relay)) == ["dbo.Orders", "dbo.Other"]
    assert all("cannot be reached" in why for _, why in told(relay))


def test_a_failover_is_not_told(relay: Relay) -> None:
    relay.advance(60)
    relay.stack.sql.inject(action="error", number=40613, application="rowpost", pattern="rowpost: ", times=5)
    relay.advance(hours=1)
    assert relay.alerts() == []


def test_a_relay_that_was_taken_out_while_rows_wait_is_told_and_goes_on_when_it_is_back(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(BOTH, ORDERS + OTHER)
    host = relay.stack.host
    assert host is not None
    relay.reject(1, 503)
    relay.insert(1, 2)
    relay.advance(8 * 60)
    host.kill()
    relay.config_file.write_text(CONFIG.replace("dbo.Orders", "dbo.Other"))
    host.start()
    relay.advance(hours=2)
    (notice,) = relay.alerts("unconfigured")
    assert (notice["relay"], notice["rows"]) == ("dbo.Orders", 1)
    assert "Put it back into relay.toml" in notice["text"]
    relay.advance(hours=24)
    assert len(relay.alerts("unconfigured")) == 2
    relay.accept_all()
    host.kill()
    relay.config_file.write_text(BOTH)
    host.start()
    relay.advance(hours=2)
    assert relay.accepted(1)
    assert relay.ledger() == []
    assert len(relay.alerts("unconfigured")) == 2


def test_a_durable_client_that_fails_ends_no_round_and_what_was_to_be_told_stays(relay: Relay) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("the durable backend is away")

    odbc = translate(relay.stack.settings["SqlConnectionString"], "SqlConnectionString", relay.stack.settings["ODBC_DRIVER"])
    app = App(relay.stack.config, Database(odbc), relay.stack.settings["WEBSITE_SITE_NAME"])
    relay.stack.host.kill()  # type: ignore[union-attr]
    relay.execute("UPDATE rowpost.SchemaVersion SET Version = 999 WHERE Version = ?", SCHEMA_VERSION)
    config = app.config.relays[0]
    begin = partial(app.telemetry.journal, config.name, Doer.WATCHDOG, None)
    found = check_relay(app, config)
    assert found is not None
    asyncio.run(_tell_whether_it_runs(app, Broken(), config, found, TimerRequest(), set()))
    asyncio.run(_look_after(app, Broken(), config, set(), set(), begin))
    asyncio.run(_tell_what_is_left(app, Broken()))
    relay.execute("UPDATE rowpost.SchemaVersion SET Version = ? WHERE Version = 999", SCHEMA_VERSION)
    asyncio.run(_look_after(app, Broken(), config, set(), set(), begin))


def test_each_error_with_a_remedy_is_a_problem_that_lasts() -> None:
    found = problem(ConfigError("relays.table dbo.Orders: no such table"))
    assert (found.lasts, found.reachable, found.text) == (True, True, "relays.table dbo.Orders: no such table")
    relay, why = RelayConfig(table="dbo.Orders"), Problem("why", "database", True, True)
    one, same, other = (unable_notice(site, relay, why, "2026-03-02T06:00:00")["id"] for site in ("one", "ONE", "other"))
    assert one == same != other


def test_the_write_that_is_tried_writes_nothing() -> None:
    text = (SQL / "check_relay.sql").read_text(encoding="utf-8")
    assert re.search(r"BEGIN TRANSACTION;.*INSERT INTO.*ROLLBACK;", text, re.DOTALL) and "COMMIT" not in text
