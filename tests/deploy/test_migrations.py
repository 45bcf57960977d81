"""The app's own tables change by numbered migrations: an older database is brought up to date, and nothing in it is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.prepare_database import SCRIPTS, migrations, run_script
from rowpost.database.describe import SCHEMA_VERSION
from rowpost.database.table import trigger_id
from rowpost.rules.row import key_hash, key_text
from tests.harness.running_relay import ORDERS, Relay

RECORDS = {  # order: state, whether the first form marked it as detached
    1: ("retrying", 0),
    2: ("exhausted", 0),
    3: ("held", 0),
    4: ("held", 1),
    5: ("exhausted", 1),
    6: ("dead", 1),
}


def first_form(relay: Relay, *, versions: list[int]) -> None:
    """A database as an app of that form left it: rows that failed, and whose changes the trigger does not know any more."""
    stack = relay.stack
    stack.start_services()
    relay.execute(ORDERS)
    run_script(stack.connection, SCRIPTS / "10-change-tracking.sql", {"RetentionDays": "14"})
    run_script(stack.connection, SCRIPTS / "20-rowpost.sql", {})
    relay.execute("DROP TABLE rowpost.SchemaVersion")
    for version in versions:
        run_script(stack.connection, migrations()[version], {})
    run_script(stack.connection, SCRIPTS / "30-track-table.sql", {"Schema": "dbo", "Table": "Orders"})
    relay.insert(*RECORDS)
    detached = ", Detached" if versions == [1] else ""
    for order, (state, flag) in RECORDS.items():
        text = key_text({"OrderId": order})
        present = "detached" if not detached and flag and state == "held" else state
        relay.execute(
            f"INSERT INTO rowpost.Ledger (TableName, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds, "
            f"FirstFailure, LastFailure, NextAttempt, LastStatus, LastError, Noticed{detached}) "
            f"VALUES (N'dbo.Orders', ?, ?, 1, 'U', ?, 5, 2, "
            f"SYSUTCDATETIME(), SYSUTCDATETIME(), SYSUTCDATETIME(), 503, N'HTTP 503', 1{f', {flag}' if detached else ''})",
            *(key_hash(text), text, present),
        )
    relay.execute("INSERT INTO rowpost.TableState (TableName, ClientColumns) VALUES (N'dbo.Orders', N'[\"Total\"]')")
    relay.execute(
        "CREATE TABLE az_func.GlobalState (UserFunctionID char(16) NOT NULL, UserTableID int NOT NULL, "
        "LastSyncVersion bigint NOT NULL, LastAccessTime datetime NOT NULL DEFAULT GETUTCDATE(), "
        "PRIMARY KEY (UserFunctionID, UserTableID))"
    )
    relay.execute(
        "INSERT INTO az_func.GlobalState (UserFunctionID, UserTableID, LastSyncVersion) VALUES (?, OBJECT_ID(N'dbo.Orders'), "
        "CHANGE_TRACKING_CURRENT_VERSION())",
        trigger_id("rowpost-local", relay.stack.config.relays[0].function),
    )


@pytest.mark.parametrize("versions", [[1], [1, 2]], ids=["the first form", "the second form"])
def test_an_older_database_is_upgraded_and_every_row_in_it_arrives(make_relay: Callable[..., Relay], versions: list[int]) -> None:
    relay = make_relay(start=False)
    first_form(relay, versions=versions)
    relay.stack.start_host()
    assert relay.advance(400, until=lambda: "run python infra/prepare_database.py" in relay.host_log()), "it is told, not guessed"
    assert relay.posts() == []
    assert relay.stack.host is not None
    relay.stack.host.stop()
    relay.stack.tables_sql = None
    relay.stack.prepare()
    states = dict(relay.execute("SELECT RowKey, State FROM rowpost.Ledger"))
    assert states['{"OrderId":4}'] == "detached" and states['{"OrderId":6}'] == "dead"
    assert relay.execute("SELECT ClientColumns, App FROM rowpost.Relays")[0][0] == '["Total"]'
    relay.stack.start_host()
    assert relay.advance(hours=2, until=lambda: len(relay.ledger()) == 1), relay.ledger()
    assert [row[:2] for row in relay.ledger()] == [('{"OrderId":6}', "dead")]
    assert all(relay.accepted(order) == {"OrderId": order, "Total": "10.5000"} for order in range(1, 6))
    assert relay.get("/api/relays/dbo.Orders/rows?state=dead")["rows"][0]["key"] == {"OrderId": 6}


def test_a_newer_database_is_refused(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.execute("INSERT INTO rowpost.SchemaVersion (Version) VALUES (999)")
    relay.stack.start_host()
    assert relay.advance(60, until=lambda: "the app's own tables have version 999" in relay.host_log())


def test_the_app_needs_the_last_migration() -> None:
    assert list(migrations()) == list(range(1, SCHEMA_VERSION + 1))


def test_a_migration_that_is_repeated_changes_nothing(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    before = relay.execute(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'rowpost'"
    )
    relay.execute("DELETE FROM rowpost.SchemaVersion WHERE Version > 1")
    relay.stack.tables_sql = None
    relay.stack.prepare()
    after = relay.execute(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = 'rowpost'"
    )
    assert sorted(map(tuple, before)) == sorted(map(tuple, after))
