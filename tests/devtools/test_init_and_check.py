"""``dev.py init`` and ``dev.py check-config`` as a person runs them, without a database and against the emulator of SQL Server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from devtools.check_config import HIDDEN, examine
from devtools.data import DEMO_CONFIG
from devtools.init_config import settings_text, template
from emulators.launch import SqlServer
from infra.prepare_database import prepare
from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.config.errors import ConfigError
from rowpost.config.loading import load_config
from rowpost.config.sections import Config
from rowpost.database.connection import Database
from rowpost.database.describe import SCHEMA_VERSION
from tests.config.relay_toml import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
URL = {"DOWNSTREAM_URL": "https://api.example/rows"}
SITE = "test-site"

TABLES = """
CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY, Customer nvarchar(40) NOT NULL, Total decimal(9, 2) NULL,
                         Doubled AS (Total * 2));
CREATE TABLE dbo.[Order Lines] (OrderId int NOT NULL, Line int NOT NULL, Text nvarchar(40) NULL, PRIMARY KEY (OrderId, Line));
CREATE TABLE dbo.Untracked (Id int NOT NULL PRIMARY KEY, Text nvarchar(40) NULL);
CREATE TABLE dbo.NoKey (Id int NOT NULL);
CREATE TABLE dbo.[Odd.Name] (Id int NOT NULL PRIMARY KEY);
"""


def dev(command: str, *arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The subcommand with the app settings of this test: those of the machine are hidden by them."""
    program = {"init": "devtools.init_config", "check-config": "devtools.check_config"}[command]
    known = {"DOWNSTREAM_URL": "", "SqlConnectionString": "", "WEBSITE_SITE_NAME": SITE, "PYTHONPATH": str(ROOT), **settings}
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS and name != "ROWPOST_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-m", program, "--from", str(cwd), *arguments],
        cwd=ROOT,
        env=environment | known,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def written(path: Path, relays: str = '[[relays]]\ntable = "dbo.Orders"\n', more: str = "") -> Path:
    path.write_text(f'[[targets]]\nname = "api"\nurl = "%DOWNSTREAM_URL%"\n{more}\n{relays}', encoding="utf-8")
    return path


# --- init without a database ---


def test_a_template_loads_and_has_every_setting_with_its_default(tmp_path: Path) -> None:
    done = dev("init", "--no-database", "--output", "mine.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "mine.toml").read_text(encoding="utf-8")
    assert text == template()
    config = load_config(tmp_path / "mine.toml", URL)
    assert [relay.table for relay in config.relays] == ["dbo.YourTable"] and [target.name for target in config.targets] == ["api"]
    demo = tomllib.loads(uncommented(DEMO_CONFIG.read_text(encoding="utf-8")))
    document = tomllib.loads(uncommented(text))
    for section in ("database", "targets", "retry", "notifications", "watchdog"):
        assert document[section] == demo[section], f"{section}, with every # removed, is what the demo has"


def uncommented(text: str) -> str:
    """With the settings that are comments."""
    return "\n".join(line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines(text))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(("# %", "# One section", "# table. "))]


def test_without_a_connection_string_it_writes_the_template(tmp_path: Path) -> None:
    done = dev("init", "--output", "mine.toml", cwd=tmp_path)
    assert done.returncode == 0 and "a template" in done.stdout
    assert (tmp_path / "mine.toml").read_text(encoding="utf-8") == template()


def test_a_file_is_never_overwritten_unless_that_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# mine\n")
    done = dev("init", "--no-database", "--output", "mine.toml", cwd=tmp_path)
    assert done.returncode == 1 and file.read_text() == "# mine\n"
    (sentence,) = done.stderr.splitlines()
    assert "the file exists and is left as it is; --force overwrites it, --output FILE writes another" in sentence
    assert dev("init", "--no-database", "--force", "--output", "mine.toml", cwd=tmp_path).returncode == 0
    assert file.read_text(encoding="utf-8") == template() and [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["--connection", "Server=x;Database=y", "--no-database"], 2, "exclude each other"),
        (["--connection", "Server=x"], 1, "--connection: the keyword Database (Initial Catalog) is missing"),
        (["--connection", "Server"], 1, "--connection: malformed connection string at part 1"),
        (["--no-database", "--output", "nowhere/mine.toml"], 1, "cannot be written (No such file or directory)"),
        (
            ["--connection", "Server=tcp:127.0.0.1,1;Database=rowpost;User ID=sa;Password=hidden;Connect Timeout=2"],
            1,
            "no connection to rowpost on tcp:127.0.0.1,1",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(arguments: list[str], code: int, told: str, tmp_path: Path) -> None:
    done = dev("init", "--output", "mine.toml", *arguments, cwd=tmp_path)
    assert done.returncode == code and told in done.stderr and "hidden" not in done.stderr
    assert len(done.stderr.splitlines()) == 1 or code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_sections_that_are_shown_end_where_the_demos_relays_begin() -> None:
    assert "dbo." not in settings_text() and "[[relays]]" not in settings_text()


# --- check-config without a database ---


def check(file: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return dev("check-config", file.name, *arguments, cwd=file.parent, **settings)


def test_the_demos_file_is_explained_without_a_value_of_a_setting(tmp_path: Path) -> None:
    done = check(DEMO_CONFIG, **SETTINGS)
    assert done.returncode == 0, done.stdout
    assert "hidden" not in done.stdout.replace(HIDDEN, "")
    for expected in (
        "relay_dbo_Flights",
        f"az_func.Leases_rowpost_dbo_Flights_{lease_owner()}",
        "%DOWNSTREAM_API_KEY%",
        "attempt 5 of the trigger",
        "Mon 05 Jan 22:35:00  round 10, 6h later, by recovery itself",
        "Mon 12 Jan 08:00:00  dead letter, and people are told",
        "Mon 05 Jan 08:15:00  people are told",
        "not checked: what only the database knows, such as whether retry.window (7d) is shorter",
        "no mistakes, no warnings",
    ):
        assert expected in done.stdout, expected


def lease_owner() -> str:
    config = load_config(DEMO_CONFIG, SETTINGS)
    return config.relays[0].lease_table(SITE).rpartition("_")[2]


def test_settings_that_are_not_known_here_hinder_nothing(tmp_path: Path) -> None:
    settings = dict.fromkeys(SETTINGS, "")
    done = check(DEMO_CONFIG, **settings)
    assert done.returncode == 0, done.stdout
    assert "not checked: the value of the app setting EMAIL_CONNECTION_STRING is not known here" in done.stdout
    file = written(tmp_path / "relay.toml", more='timeout = "%TIMEOUT%"')
    done = check(file, **URL)
    assert done.returncode == 1
    assert "relay.toml: targets[0].timeout: the app setting TIMEOUT is not set here, and the file cannot be checked" in done.stdout


def test_every_mistake_is_told(tmp_path: Path) -> None:
    file = written(
        tmp_path / "relay.toml",
        '[[relays]]\ntable = "Orders"\nsend = []\n[[relays]]\ntable = "dbo.A"\ntarget = "lake"\n[watchdog]\nschedule = "often"\n'
        '[retry]\nmax_delay = "1s"\n',
        'probe = "0.5s"',
    )
    done = check(file, **URL)
    assert done.returncode == 1
    told = [line.removeprefix("mistake: relay.toml: ") for line in done.stdout.splitlines() if line.startswith("mistake")]
    begins = ["retry.max_delay: is shorter", "watchdog.schedule: is not an NCRONTAB", "targets[0].probe: is too short"]
    begins += ["relays[0].table: expected schema.table", "relays[0].send: is empty", "relays[1].target: there is no target 'lake'"]
    assert [(text, begin) for text, begin in zip(told, begins, strict=True) if not text.startswith(begin)] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[retry\n", "relay.toml: not valid TOML"),
        ("[retry]\nattemps = 1\n", "relay.toml: retry.attemps: unknown key"),
        ("[[tables]]\n", "[[tables]] is now [[relays]]"),
        ("", "relay.toml: targets: missing; add it"),
        ('targets = "x"\nrelays = "y"\n', "relay.toml: targets: "),
        ('retry = 3\n[[targets]]\nname = "a"\nurl = "x"\n', "relay.toml: retry: "),
    ],
)
def test_a_file_that_is_none_is_told(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(text)
    done = check(tmp_path / "relay.toml")
    (mistake,) = [line for line in done.stdout.splitlines() if line.startswith("mistake: ")]
    assert done.returncode == 1 and told in mistake


def test_a_missing_file_and_a_wrong_flag_are_told(tmp_path: Path) -> None:
    done = check(tmp_path / "none.toml")
    assert done.returncode == 1 and "make it with `python3 dev.py init`" in done.stdout
    assert check(tmp_path / "none.toml", "--nonsense").returncode == 2


@pytest.mark.parametrize(
    ("more", "relays", "settings", "warning"),
    [
        ("", "", {"DOWNSTREAM_URL": "http://api.example/rows"}, "targets[0].url: http is not encrypted"),
        ("", "", {"SqlConnectionString": "Server=x;Database=y;Encrypt=False"}, "SqlConnectionString: Encrypt is off"),
        ("", "", {}, "notifications: nobody is told"),
        ('probe = "12h"', "", {}, "targets[0].probe: longer than retry.max_delay"),
        ('probe = "8d"', "", {}, "targets[0].probe: as long as retry.window"),
        ('[targets.headers]\nX-Api-Key = "literal"', "", {}, "targets[0].headers.X-Api-Key: what may be a secret"),
        ("", '[notifications]\nafter = "8d"\nafter_rounds = 50\n', {}, "notifications.after: the window is not longer"),
        ("", "[retry]\ndetach_after_rounds = 50\n", {}, "retry.detach_after_rounds: only 35 rounds fit"),
        ("", '[retry]\nwindow = "2m"\nmax_delay = "2m"\n', {}, "retry.window: no round fits"),
        ('[[targets]]\nname = "b"\nurl = "https://b.example"', "", {}, "targets[1]: no relay has the target b"),
        ("", f'leases_table = "{"x" * 129}"\n', {}, "relays[0].leases_table: the name is longer than 128"),
    ],
)
def test_what_is_hardly_meant_is_a_warning(more: str, relays: str, settings: dict[str, str], warning: str, tmp_path: Path) -> None:
    relay = '[[relays]]\ntable = "dbo.Orders"\ntarget = "api"\n'
    done = check(written(tmp_path / "relay.toml", f"{relay}{relays}", more), **(URL | settings))
    assert done.returncode == 0, done.stdout
    assert f"warning: {warning}" in done.stdout


def test_secrets_that_stand_in_the_file_are_not_shown(tmp_path: Path) -> None:
    more = '[targets.headers]\nX-Api-Key = "hunter2"\nAuthorization = "Bearer %TOKEN% hunter2"\n'
    more += '[[targets]]\nname = "b"\nurl = "https://me:hunter2@b.example/rows?code=hunter2#hunter2"\n'
    more += '[[notifications.webhooks]]\nurl = "https://hooks.example/services/hunter2"\n'
    more += '[[notifications.webhooks]]\nurl = "%HOOK%?code=hunter2"\n[notifications.email]\nsender = "a@example.com"\n'
    more += 'recipients = ["b@example.com"]\nconnection = "endpoint=https://mail.example/;accesskey=hunter2"'
    file = written(tmp_path / "relay.toml", '[[relays]]\ntable = "dbo.Orders"\ntarget = "b"\n', more)
    for arguments in ([], ["--json"]):
        done = check(file, *arguments, **URL, TOKEN="hunter2", HOOK="https://hunter2.example")
        assert done.returncode == 0, done.stdout
        assert "hunter2" not in done.stdout + done.stderr
        assert f"https://b.example/rows?{HIDDEN}" in done.stdout and f"%TOKEN% {HIDDEN}" in done.stdout


def test_json_is_for_tools(tmp_path: Path) -> None:
    found = json.loads(check(written(tmp_path / "relay.toml"), "--json", **URL).stdout)
    assert found["ok"] is True and found["mistakes"] == [] and found["database"] is None
    assert found["relays"][0]["function"] == "relay_dbo_Orders"
    assert found["settings"] == {"DOWNSTREAM_URL": True, "SqlConnectionString": False}
    assert {"name": "window", "shown": "7d", "default": True} in found["sections"]["retry"]
    assert found["schedule"]["rounds"][0] == {"number": 1, "delay_seconds": 60, "at_seconds": 300, "detached": False}
    found = json.loads(check(tmp_path / "none.toml", "--json").stdout)
    assert found["ok"] is False and len(found["mistakes"]) == 1


def test_a_window_beyond_every_calendar_is_a_mistake(tmp_path: Path) -> None:
    for days in ("99999999d", "9" * 400 + "d"):
        done = check(written(tmp_path / "relay.toml", more=f'[retry]\nwindow = "{days}"'), **URL)
        assert done.returncode == 1 and "retry.window: is too long" in done.stdout


# --- with a database ---


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


def test_both_commands_are_subcommands_of_dev_py() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "dev.py")], capture_output=True, text=True)
    assert "\n  init          write relay.toml" in done.stdout and "\n  check-config  explain relay.toml" in done.stdout


def test_examine_knows_every_section_of_the_demo() -> None:
    report, config = examine(DEMO_CONFIG, SETTINGS, SITE)
    assert config is not None
    names = ["database", "targets: api", "retry", "notifications.email", "notifications.webhooks[0]", "watchdog"]
    assert list(report.sections) == names
