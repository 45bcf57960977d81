"""``dev.py init`` and ``dev.py check-config`` against the emulator of SQL Server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from devtools.init_config import settings_text
from emulators.launch import SqlServer
from infra.prepare_database import prepare
from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.config.errors import ConfigError
from rowpost.config.loading import load_config
from rowpost.config.sections import Config
from rowpost.database.connection import Database
from rowpost.database.describe import SCHEMA_VERSION
from tests.devtools.commands import SITE, URL, check, dev, written

TABLES = """
CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY, Customer nvarchar(40) NOT NULL, Total decimal(9, 2) NULL,
                         Doubled AS (Total * 2));
CREATE TABLE dbo.[Order Lines] (OrderId int NOT NULL, Line int NOT NULL, Text nvarchar(40) NULL, PRIMARY KEY (OrderId, Line));
CREATE TABLE dbo.Untracked (Id int NOT NULL PRIMARY KEY, Text nvarchar(40) NULL);
CREATE TABLE dbo.NoKey (Id int NOT NULL);
CREATE TABLE dbo.[Odd.Name] (Id int NOT NULL PRIMARY KEY);
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    with SqlServer(tmp_path_factory.mktemp("sql"), "real") as running:
        yield running


@pytest.fixture
def database(server: SqlServer) -> Iterator[tuple[SqlServer, pyodbc.Connection]]:
    """A database with five tables and no change tracking; everything is gone afterwards."""
    connection = server.connect()
    for statement in TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)
    yield server, connection
    for table in ("Orders", "[Order Lines]", "Untracked", "NoKey", "[Odd.Name]"):
        connection.execute(f"DROP TABLE IF EXISTS dbo.{table}")
    connection.execute("IF OBJECT_ID(N'rowpost.Relays', N'U') IS NOT NULL DELETE rowpost.Relays")
    connection.execute(
        "IF EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID(N'rowpost.Ticks')) "
        "ALTER TABLE rowpost.Ticks DISABLE CHANGE_TRACKING"
    )
    connection.execute(
        "IF EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE database_id = DB_ID()) "
        "ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF"
    )
    connection.close()


both_commands = pytest.mark.parametrize(
    "command", [("init", "--output", "new.toml"), ("check-config", "relay.toml")], ids=["init", "check-config"]
)


def track(connection: pyodbc.Connection, days: int = 14) -> None:
    connection.execute(f"ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = {days} DAYS)")
    connection.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    connection.execute("ALTER TABLE dbo.[Order Lines] ENABLE CHANGE_TRACKING")


def everything(connection: pyodbc.Connection) -> list[Any]:
    """What a command that only looks must leave as it is."""
    names = connection.execute("SELECT SCHEMA_NAME(schema_id), name FROM sys.tables").fetchall()
    found: list[Any] = [sorted(tuple(row) for row in names)]
    for schema, name in found[0]:
        found.append(sorted(map(repr, connection.execute(f"SELECT * FROM [{schema}].[{name}]").fetchall())))
    tracked = connection.execute("SELECT object_id FROM sys.change_tracking_tables").fetchall()
    kept = connection.execute("SELECT retention_period, retention_period_units FROM sys.change_tracking_databases").fetchall()
    return [*found, sorted(row[0] for row in tracked), [tuple(row) for row in kept]]


def test_init_writes_the_tracked_tables_and_comments_the_others_out(
    database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path
) -> None:
    server, connection = database
    track(connection)
    before = everything(connection)
    done = dev("init", "--connection", server.ado_net_connection_string, "--output", "relay.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert everything(connection) == before
    text = (tmp_path / "relay.toml").read_text(encoding="utf-8")
    config = load_config(tmp_path / "relay.toml", URL)
    assert [relay.table for relay in config.relays] == ["dbo.Order Lines", "dbo.Orders"]
    assert '# send = ["OrderId", "Customer", "Total", "Doubled"]\n# watch = ["Customer", "Total"]\n' in text
    assert "# key: OrderId, Line" in text and "no `watch`: the table does not track which columns" in text
    assert "# dbo.NoKey: no primary key, which change tracking needs; add one\n# [[relays]]\n" in text
    assert "# dbo.Odd.Name: a name with a dot, a bracket or a quote cannot be relayed\n" in text
    assert "# dbo.Untracked: change tracking is off for the table; remove # from the section" in text
    assert "- changes are kept for 336 h, longer than retry.window (168 h)" in text
    assert "- the app's own tables are missing" in text and "- this user owns the database" in text
    assert "commented out: dbo.NoKey: no primary key" in done.stdout and server.password not in text + done.stdout


def test_init_from_the_setting_without_any_tracked_table_still_loads(
    database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path
) -> None:
    server, _ = database
    done = dev("init", "--output", "relay.toml", cwd=tmp_path, SqlConnectionString=server.ado_net_connection_string)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "relay.toml").read_text(encoding="utf-8")
    assert [relay.table for relay in load_config(tmp_path / "relay.toml", URL).relays] == ["dbo.YourTable"]
    assert "change tracking is off for the database; remove # from the section" in text
    section = text[text.index('# [[relays]]\n# table = "dbo.Untracked"') :].partition("\n\n")[0]
    (tmp_path / "relay.toml").write_text(settings_text() + "\n".join(line.removeprefix("# ") for line in section.splitlines()))
    assert [relay.table for relay in load_config(tmp_path / "relay.toml", URL).relays] == ["dbo.Untracked"]


def test_init_says_if_changes_are_not_kept_long_enough(database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path) -> None:
    server, connection = database
    track(connection, days=2)
    dev("init", "--connection", server.ado_net_connection_string, "--output", "relay.toml", cwd=tmp_path)
    assert "- changes are kept for 48 h only, which must be longer than retry.window (168 h)" in (
        (tmp_path / "relay.toml").read_text(encoding="utf-8")
    )


@both_commands
def test_a_refused_login_is_told_in_one_sentence(
    command: tuple[str, ...], database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path
) -> None:
    server, _ = database
    written(tmp_path / "relay.toml")
    wrong = server.ado_net_connection_string.replace(server.password, "hunter2")
    done = dev(*command, "--connection", wrong, cwd=tmp_path, **URL)
    told = [line for line in (done.stderr + done.stdout).splitlines() if "Login failed" in line]
    assert done.returncode == 1 and len(told) == 1 and "hunter2" not in done.stderr + done.stdout
    assert not (tmp_path / "new.toml").exists()


@both_commands
def test_an_error_of_the_database_is_told_in_one_sentence(
    command: tuple[str, ...], database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path
) -> None:
    server, _ = database
    written(tmp_path / "relay.toml")
    server.inject(action="error", pattern="FROM sys.columns", number=1222, message="Lock request time out period exceeded.")
    try:
        done = dev(*command, "--connection", server.ado_net_connection_string, cwd=tmp_path, **URL)
    finally:
        server.clear_faults()
    told = [line for line in (done.stderr + done.stdout).splitlines() if "the database failed" in line]
    assert done.returncode == 1 and len(told) == 1, done.stderr + done.stdout


def test_a_prepared_database_has_no_mistakes_and_stays_as_it_is(
    database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path
) -> None:
    server, connection = database
    file = written(tmp_path / "relay.toml", '[[relays]]\ntable = "dbo.Orders"\nwatch = ["Total"]\n')
    prepare(connection, load_config(file, URL))
    before = everything(connection)
    done = check(file, "--connection", **URL, SqlConnectionString=server.ado_net_connection_string)
    assert done.returncode == 0, done.stdout
    assert "key OrderId; 4 columns; changes tracked, by column; may read; not registered yet" in done.stdout
    assert "change tracking   on, kept for 14d" in done.stdout
    assert f"version {SCHEMA_VERSION} (wanted: {SCHEMA_VERSION}" in done.stdout
    assert everything(connection) == before, "nothing is registered"
    found = json.loads(check(file, "--json", "--connection", server.ado_net_connection_string, **URL).stdout)
    assert found["database"]["relays"][0]["granted_to_role"] == ["SELECT", "VIEW CHANGE TRACKING"]


WRONG: dict[str, tuple[str, str, str]] = {  # what is done to the database, the relay, what is told
    "no table": ("", 'table = "dbo.None"', "there is no table dbo.None"),
    "no key": ("", 'table = "dbo.NoKey"', "the table has no primary key"),
    "table not tracked": ("", 'table = "dbo.Untracked"', "change tracking is off for the table"),
    "columns not tracked": ("", 'table = "dbo.Order Lines"\nwatch = ["Text"]', "watch: the table does not track which columns"),
    "no such column to send": ("", 'table = "dbo.Orders"\nsend = ["Totl"]', "send: there is no column 'Totl'; the table has Ord"),
    "no such column to watch": ("", 'table = "dbo.Orders"\nwatch = ["Totl"]', "watch: there is no column 'Totl'"),
    "no such column in a path": ("", 'table = "dbo.Orders"\nupsert = "PUT /{Totl}"', "upsert: {Totl} is no column of the table"),
    "no column of the key": ("", 'table = "dbo.Orders"\ndelete = "DELETE /"', "delete: a DELETE has no body"),
    "a limit that no event keeps": ("", 'table = "dbo.Orders"\nmax_event_bytes = 9', "max_event_bytes: its event has"),
    "computed column": ("", 'table = "dbo.Orders"\nwatch = ["Doubled"]', "watch: change tracking never lists the computed column"),
    "older schema": ("DELETE rowpost.SchemaVersion WHERE Version > 1", 'table = "dbo.Orders"', "have version 1, and this app"),
    "newer schema": ("INSERT rowpost.SchemaVersion (Version) VALUES (99)", 'table = "dbo.Orders"', "have version 99, and this app"),
    "another app": (
        "INSERT rowpost.Relays (Relay, App, TableName) VALUES (N'dbo.Orders', N'other', N'dbo.Orders')",
        'table = "dbo.Orders"',
        "it belongs to the app 'other', and this app is 'test-site'",
    ),
    "another table": (
        f"INSERT rowpost.Relays (Relay, App, TableName) VALUES (N'dbo.Orders', N'{SITE}', N'dbo.Elsewhere')",
        'table = "dbo.Orders"',
        "in this database a relay of this name is of the table dbo.Elsewhere",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_app_would_refuse_is_a_mistake_here_too(
    case: str, database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path
) -> None:
    server, connection = database
    statement, relay, told = WRONG[case]
    track(connection)
    prepare(connection, load_config(written(tmp_path / "prepared.toml"), URL))
    try:
        if statement:
            connection.execute(statement)
        file = written(tmp_path / "relay.toml", f"[[relays]]\n{relay}\n")
        before = everything(connection)
        done = check(file, "--connection", server.ado_net_connection_string, **URL)
        assert done.returncode == 1 and told in done.stdout, done.stdout
        assert everything(connection) == before
        refused_by_the_app(server, load_config(file, URL))
    finally:
        connection.execute("DELETE rowpost.SchemaVersion")
        for version in range(1, SCHEMA_VERSION + 1):
            connection.execute("INSERT rowpost.SchemaVersion (Version) VALUES (?)", version)


def test_a_retention_that_is_too_short_is_a_warning(database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path) -> None:
    server, connection = database
    track(connection)
    file = written(tmp_path / "relay.toml")
    prepare(connection, load_config(file, URL))
    connection.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 7 DAYS)")
    done = check(file, "--connection", server.ado_net_connection_string, **URL)
    assert done.returncode == 0, done.stdout
    assert "warning: retry.window: 7d is not shorter than the database's change retention of 7d" in done.stdout


def refused_by_the_app(server: SqlServer, config: Config) -> None:
    odbc = translate(server.ado_net_connection_string, "SqlConnectionString", driver())
    with pytest.raises(ConfigError):
        App(config, Database(odbc), SITE).table(config.relays[0].name)


def driver() -> str:
    from emulators.odbc import odbc_driver

    return odbc_driver().strip("{}")


def test_what_the_apps_user_may_not_do_is_told(database: tuple[SqlServer, pyodbc.Connection], tmp_path: Path) -> None:
    server, connection = database
    track(connection)
    connection.execute("CREATE LOGIN weak WITH PASSWORD = N'Weak!2026'")
    connection.execute("CREATE USER weak FOR LOGIN weak")
    try:
        connection.execute("GRANT SELECT ON OBJECT::dbo.Orders TO weak")
        prepare(connection, load_config(written(tmp_path / "relay.toml"), URL))
        weak = f"{server.ado_net_connection_string};User ID=weak;Password=Weak!2026"
        done = check(tmp_path / "relay.toml", "--connection", weak, **URL)
        assert done.returncode == 1, done.stdout
        assert "relay dbo.Orders: weak lacks the permission VIEW CHANGE TRACKING on the table" in done.stdout
        told = dev("init", "--connection", weak, "--output", "new.toml", cwd=tmp_path)
        assert told.returncode == 0, told.stderr
        text = (tmp_path / "new.toml").read_text(encoding="utf-8")
        assert "weak lacks VIEW CHANGE TRACKING: infra/prepare_database.py gives the app's role both" in text
        connection.execute("ALTER ROLE rowpost_app ADD MEMBER weak")
        done = check(tmp_path / "relay.toml", "--connection", weak, **URL)
        assert done.returncode == 0 and "rights of the app's own user" not in done.stdout, done.stdout
    finally:
        connection.execute("DROP USER weak")
        connection.execute("DROP LOGIN weak")
