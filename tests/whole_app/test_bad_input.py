"""What is wrong with a table or a permission is told in one sentence, at start, and the host stays up."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from emulators.process import EmulatorError
from infra.prepare_database import prepare
from tests.harness.running_relay import CONFIG, ORDERS, Relay, changed_config


def start_with(make_relay: Callable[..., Relay], statements: list[str], config: str = CONFIG) -> str:
    """Prepare a good database, spoil it, start the host; its log."""
    relay = make_relay(config, start=False)
    relay.stack.start_services()
    relay.execute(ORDERS)
    prepare(relay.stack.connection, relay.stack.config)
    for statement in statements:
        relay.execute(statement)
    relay.stack.start_host()
    relay.advance(5)
    return relay.host_log()


UNTRACK = "ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING"


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ([UNTRACK, "DROP TABLE dbo.Orders"], "relays.table dbo.Orders: no such table"),
        (
            [UNTRACK, "DROP TABLE dbo.Orders", "CREATE TABLE dbo.Orders (OrderId int NOT NULL)"],
            "relays.table dbo.Orders: the table has no primary key",
        ),
        ([UNTRACK], "change tracking is off for the table; run infra/sql/30-track-table.sql"),
        (
            [UNTRACK, "ALTER TABLE rowpost.Ticks DISABLE CHANGE_TRACKING", "ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF"],
            "change tracking is off for the database; run infra/sql/10",
        ),
        (["DROP TABLE rowpost.Ledger"], "rowpost.Ledger: the app's own tables are missing"),
    ],
    ids=["missing", "no primary key", "table not tracked", "database not tracked", "no ledger"],
)
def test_a_table_that_cannot_be_relayed(make_relay: Callable[..., Relay], statements: list[str], message: str) -> None:
    log = start_with(make_relay, statements)
    assert message in log
    assert "Rowpost!2026" not in log


def test_a_short_retention_warns_and_does_not_keep_rows_back(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.execute(ORDERS)
    prepare(relay.stack.connection, relay.stack.config)
    relay.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 6 HOURS)")
    relay.stack.start_host()
    relay.insert(1)
    relay.advance(15 * 60)
    said = "retry.window: 12 h is not shorter than the database's change retention of 6 h"
    assert relay.accepted(1) and relay.host_log().count(f"dbo.Orders: {said}") == 1
    (warning,) = relay.status()["warnings"]
    assert warning.startswith(said)


def test_send_without_column_tracking_is_told_once(make_relay: Callable[..., Relay]) -> None:
    config = changed_config(table='"dbo.Orders"\nsend = ["OrderId", "Total"]')
    relay = make_relay(config, start=False)
    relay.stack.start_services()
    relay.execute(ORDERS)
    prepare(relay.stack.connection, relay.stack.config)
    relay.execute(UNTRACK)
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING")
    relay.stack.start_host()
    relay.insert(1)
    relay.advance(10 * 60)
    relay.execute("UPDATE dbo.Orders SET Secret = N'x'")
    relay.advance(10 * 60)
    assert len(relay.posts(1)) == 2
    told = [line for line in relay.host_log().splitlines() if "the table does not track which columns change" in line]
    assert len([line for line in told if "relay_state" not in line]) == 1


def test_watch_needs_column_tracking(make_relay: Callable[..., Relay]) -> None:
    config = changed_config(table='"dbo.Orders"\nwatch = ["Total"]')
    log = start_with(make_relay, [UNTRACK, "ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING"], config)
    assert "relays.watch of dbo.Orders: the table does not track which columns change" in log


@pytest.mark.parametrize("what", ["send", "watch"])
def test_a_column_that_does_not_exist(make_relay: Callable[..., Relay], what: str) -> None:
    log = start_with(make_relay, [], changed_config(table=f'"dbo.Orders"\n{what} = ["Totall"]'))
    assert f"relays.{what} of dbo.Orders: there is no column 'Totall'; the table has OrderId, Customer, Total, Secret" in log


def test_a_missing_permission_is_named(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.execute(ORDERS)
    prepare(relay.stack.connection, relay.stack.config)
    relay.execute("CREATE LOGIN app WITH PASSWORD = N'App!2026secret'")
    relay.execute("CREATE USER app FOR LOGIN app")
    relay.execute("ALTER ROLE rowpost_app ADD MEMBER app")
    relay.execute("REVOKE VIEW CHANGE TRACKING ON OBJECT::dbo.Orders FROM rowpost_app")
    sql = relay.stack.sql
    text = f"Server=127.0.0.1,{sql.port};Database=rowpost;User ID=app;Password=App!2026secret;Encrypt=false"
    relay.stack._extra["SqlConnectionString"] = text
    relay.stack.start_host()
    relay.advance(5)
    assert "relays.table dbo.Orders: the app's user lacks the permission VIEW CHANGE TRACKING" in relay.host_log()


def test_the_least_privilege_role_is_enough(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.execute(ORDERS)
    prepare(relay.stack.connection, relay.stack.config)
    relay.execute("CREATE LOGIN app WITH PASSWORD = N'App!2026secret'")
    relay.execute("CREATE USER app FOR LOGIN app")
    relay.execute("ALTER ROLE rowpost_app ADD MEMBER app")
    text = f"Server=127.0.0.1,{relay.stack.sql.port};Database=rowpost;User ID=app;Password=App!2026secret;Encrypt=false"
    relay.stack._extra["SqlConnectionString"] = text
    relay.stack.start_host()
    relay.reject(2, times=6)
    relay.insert(1, 2)
    relay.advance(hours=2)
    assert relay.accepted(1)
    assert relay.accepted(2)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("SqlConnectionString", "", "SqlConnectionString: the app setting is missing or empty"),
        ("SqlConnectionString", "Server=x;Database=y;Sever=z", "the keyword 'Sever' is not a keyword"),
        ("SqlConnectionString", "Server", "SqlConnectionString: malformed connection string at part 1"),
        ("DOWNSTREAM_URL", "ftp://example.com", "targets[0].url: must be an http or https address"),
        ("DOWNSTREAM_URL", "", "targets[0].url: the app setting DOWNSTREAM_URL is missing or empty"),
        ("ROWPOST_CONFIG", "/nonexistent/relay.toml", "cannot be read"),
    ],
)
def test_a_bad_setting_ends_the_start_with_one_sentence(
    make_relay: Callable[..., Relay], setting: str, value: str, message: str
) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.execute(ORDERS)
    prepare(relay.stack.connection, relay.stack.config)
    relay.stack._extra[setting] = value
    with pytest.raises(EmulatorError, match=re.escape(message)):
        relay.stack.start_host()
