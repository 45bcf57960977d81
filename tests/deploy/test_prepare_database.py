"""infra/sql/ on the emulator of SQL Server, by the very code that runs on Azure: once, again, and for a new identity."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyodbc
import pytest

from devtools.data import DEMO_CONFIG
from devtools.scripts import run_script
from emulators.launch import SqlServer
from infra.prepare_database import SCRIPTS, known_settings, prepare
from rowpost.config.errors import ConfigError
from rowpost.config.loading import load_config
from tests.deploy.bicep import ROOT

LOCAL = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))["Values"]
CONFIG = load_config(DEMO_CONFIG, LOCAL)
TABLES = ROOT / "devtools" / "demo_tables.sql"
OLD, NEW = "11111111-2222-3333-4444-555555555555", "99999999-8888-7777-6666-555555555555"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    with SqlServer(tmp_path_factory.mktemp("sql"), "real") as running:
        yield running


@pytest.fixture(scope="module")
def connection(server: SqlServer) -> pyodbc.Connection:
    return server.connect()


def values(connection: pyodbc.Connection, sql: str) -> list[object]:
    return [row[0] for row in connection.execute(sql).fetchall()]


def test_tables_that_do_not_exist_yet_are_named_and_the_rest_is_done(connection: pyodbc.Connection) -> None:
    lines = prepare(connection, CONFIG, "id-rowpost", OLD)
    assert [line for line in lines if "does not exist" in line] == [
        f"{relay.table} does not exist: create it, then run this again; its changes count from then on" for relay in CONFIG.relays
    ]
    assert values(connection, "SELECT OBJECT_ID(N'rowpost.Ledger', N'U')") != [None]


def test_all_is_there_after_the_tables_were_made_and_a_repeat_changes_nothing(connection: pyodbc.Connection) -> None:
    run_script(connection, TABLES)
    for _ in range(2):
        assert "does not exist" not in "\n".join(prepare(connection, CONFIG, "id-rowpost", OLD))
    tracked = set(
        values(connection, "SELECT OBJECT_SCHEMA_NAME(object_id) + N'.' + OBJECT_NAME(object_id) FROM sys.change_tracking_tables")
    )
    assert tracked == {relay.table for relay in CONFIG.relays} | {"rowpost.Ticks"}
    retention = connection.execute(
        "SELECT retention_period, retention_period_units_desc FROM sys.change_tracking_databases"
    ).fetchone()
    assert tuple(retention) == (14, "DAYS")  # 168 h and a week


def test_a_longer_retention_of_yours_is_kept(connection: pyodbc.Connection) -> None:
    connection.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 30 DAYS)")
    prepare(connection, CONFIG)
    assert values(connection, "SELECT retention_period FROM sys.change_tracking_databases") == [30]


NAMES = [
    "O'Brien",
    "a]b",
    "it's]]",
    "x'; DROP TABLE rowpost.Ledger; --",
    "Jörg 雪 😀",
    " before",
    "a.b\\c",
    'quo"te',
    "$(AppUser)",
    "]" * 128,
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("client_id", [None, OLD])
def test_a_user_may_have_any_name(connection: pyodbc.Connection, name: str, client_id: str | None) -> None:
    prepare(connection, CONFIG, name, client_id)
    members = (
        "SELECT m.name FROM sys.database_role_members r JOIN sys.database_principals m ON m.principal_id = r.member_principal_id "
        "WHERE r.role_principal_id = USER_ID(N'rowpost_app')"
    )
    assert name in values(connection, members)
    connection.execute(f"DROP USER [{name.replace(']', ']]')}]")
    assert values(connection, "SELECT OBJECT_ID(N'rowpost.Ledger', N'U')") != [None]


@pytest.mark.parametrize("name", ["", "x" * 129, "😀" * 65])
def test_a_name_that_no_user_can_have_is_refused(connection: pyodbc.Connection, name: str) -> None:
    with pytest.raises(ConfigError, match="must have 1 to 128 characters"):
        prepare(connection, CONFIG, name)


def test_a_new_identity_of_the_same_name_takes_the_place_of_the_old_one(connection: pyodbc.Connection) -> None:
    prepare(connection, CONFIG, "id-rowpost", OLD)
    sid = "SELECT sid FROM sys.database_principals WHERE name = N'id-rowpost'"
    before = values(connection, sid)
    prepare(connection, CONFIG, "id-rowpost", NEW)
    (after,) = values(connection, sid)
    assert isinstance(after, bytes) and after.hex() == "99999999888877776666555555555555"
    assert before != [after]


def test_a_user_by_name_is_made_too(connection: pyodbc.Connection) -> None:
    prepare(connection, CONFIG, "somebody")
    prepare(connection, CONFIG, "somebody")
    assert values(connection, "SELECT name FROM sys.database_principals WHERE name = N'somebody'") == ["somebody"]


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.sql")), ids=lambda path: path.name)
def test_the_role_gets_no_more_than_it_needs(path: Path) -> None:
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    assert not re.search(
        r"db_owner|db_ddladmin|db_securityadmin|CONTROL|IMPERSONATE|WITH GRANT OPTION|TO public", text, re.IGNORECASE
    )
    grants = re.findall(r"GRANT (.+?)(?: ON (.+?))? TO rowpost_app", text)
    for permissions, target in grants:
        if target.startswith("OBJECT::[$(Schema)]"):
            assert permissions == "SELECT, VIEW CHANGE TRACKING"
        else:
            assert target in ("SCHEMA::rowpost", "SCHEMA::az_func") or permissions == "CREATE TABLE"


def test_the_command_prepares_a_database_by_its_connection_string(server: SqlServer) -> None:
    run_script(server.connect(), TABLES)
    command = [sys.executable, str(ROOT / "infra" / "prepare_database.py"), "--config", str(DEMO_CONFIG)]
    settings = {"SqlConnectionString": server.ado_net_connection_string, "ODBC_DRIVER": _driver()}
    done = subprocess.run(command, env={**os.environ, **settings}, cwd="/", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "40-grant-table.sql dbo Flights" in done.stdout and "is ready" in done.stdout


def _driver() -> str:
    from emulators.odbc import odbc_driver

    return odbc_driver().strip("{}")


def test_a_refused_login_ends_the_command_with_one_line(server: SqlServer) -> None:
    command = [sys.executable, str(ROOT / "infra" / "prepare_database.py"), "--config", str(DEMO_CONFIG)]
    wrong = server.ado_net_connection_string.replace(server.password, "hunter2")
    settings = {"SqlConnectionString": wrong, "ODBC_DRIVER": _driver()}
    done = subprocess.run(command, env={**os.environ, **settings}, cwd="/", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "Login failed" in done.stderr and len(done.stderr.splitlines()) == 1
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("text", ["{", "[]", '{"Values": 3}', "{}"])
def test_settings_of_another_form_are_told(text: str, tmp_path: Path) -> None:
    local = tmp_path / "local.settings.json"
    local.write_text(text)
    with pytest.raises(ConfigError, match=r"^local\.settings\.json: not of the form"):
        known_settings(local)
