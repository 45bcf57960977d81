"""Apply infra/sql/ to a database: change tracking, the app's own tables, its role, and each table that relay.toml relays.

``python infra/prepare_database.py [--config relay.toml] [--app-user NAME]`` reads the connection string from the app setting that
relay.toml names (environment, or ``local.settings.json``). The user of that connection string must own the database or be its
administrator. Every script is idempotent.

``--azure`` prepares the database that azd deployed instead, as the person or pipeline that is logged in to azd or the Azure CLI:
the postprovision hook runs it so.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

import pyodbc
import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from infra.azure_sql import SQL_SCOPE, AzureDatabase, FirewallRule, connected, deployer_token, token_attribute  # noqa: E402
from infra.hook_settings import config_of_hooks, plain_settings  # noqa: E402
from infra.sql_script import read_script  # noqa: E402
from rowpost.config.connection_string import translate  # noqa: E402
from rowpost.config.errors import ConfigError  # noqa: E402
from rowpost.config.loading import load_config  # noqa: E402
from rowpost.config.sections import Config  # noqa: E402
from rowpost.database.connection import odbc_driver  # noqa: E402

SCRIPTS = Path(__file__).resolve().parent / "sql"
LONGEST_NAME = 128  # of anything in SQL Server, in UTF-16 units; the scripts' variables would cut a longer one off
RETENTION_MARGIN_DAYS = 7  # change retention beyond the retry window: time to notice and mend a long outage


def run_script(connection: pyodbc.Connection, path: Path, variables: Mapping[str, str]) -> None:
    """Run a script as sqlcmd would: batches between GO lines, ``$(Name)`` replaced.

    Raises:
        ScriptError: the script names a variable that is not given, or a command that is not supported.
        pyodbc.Error: a batch failed; a note names the script.
    """
    for batch in read_script(path.read_text(encoding="utf-8"), variables):
        for _ in range(batch.count):
            try:
                cursor = connection.execute(batch.text)
                while cursor.nextset():  # an error of a later statement shows only when its result is reached
                    pass
            except pyodbc.Error as error:
                error.add_note(f"in {path.name}, the batch of line {batch.line}")
                raise


def prepare(
    connection: pyodbc.Connection, config: Config, app_user: str | None = None, app_client_id: str | None = None
) -> list[str]:
    """Prepare the database for the app.

    Args:
        connection: an administrator's connection, autocommit on.
        config: the app's configuration.
        app_user: the user or managed identity to make a member of the role; None leaves users alone.
        app_client_id: the client id of that managed identity; without it, the database looks the name up in the directory.

    Returns:
        What was run, one line each. A table that does not exist yet is left out, and its line says so.

    Raises:
        ConfigError: the user's name cannot be one.
        pyodbc.Error: the database refused.
    """
    if app_user is not None and not 0 < len(app_user.encode("utf-16-le")) // 2 <= LONGEST_NAME:
        raise ConfigError(f"the name of the app's user must have 1 to {LONGEST_NAME} characters")
    missing: list[str] = []
    days = math.ceil(config.retry.window.seconds / 86400) + RETENTION_MARGIN_DAYS
    steps: list[tuple[str, dict[str, str]]] = [("30-track-table.sql", {"Schema": "rowpost", "Table": "Ticks"})]
    for table in dict.fromkeys(relay.table for relay in config.relays):
        schema, name = table.split(".")
        if connection.execute("SELECT OBJECT_ID(?, N'U')", f"[{schema}].[{name}]").fetchval() is None:
            missing.append(f"{table} does not exist: create it, then run this again; its changes count from then on")
            continue
        steps += [(script, {"Schema": schema, "Table": name}) for script in ("30-track-table.sql", "40-grant-table.sql")]
    if app_user is not None and app_client_id is not None:
        steps.append(("51-app-user-by-id.sql", {"AppUser": _text(app_user), "AppSid": identity_sid(app_client_id)}))
    elif app_user is not None:
        steps.append(("50-app-user.sql", {"AppUser": _text(app_user)}))
    run_script(connection, SCRIPTS / "10-change-tracking.sql", {"RetentionDays": str(days)})
    run_script(connection, SCRIPTS / "20-rowpost.sql", {})
    done = [f"10-change-tracking.sql {days}", "20-rowpost.sql", *migrate(connection)]
    for script, variables in steps:
        run_script(connection, SCRIPTS / script, variables)
        done.append(f"{script} {' '.join(variables.values())}".strip())
    return done + missing


def _text(value: str) -> str:
    """A value for a script, where it stands between apostrophes."""
    return value.replace("'", "''")


def migrations() -> dict[int, Path]:
    """The numbered migrations of the app's own tables, in order."""
    return {int(path.name[:3]): path for path in sorted((SCRIPTS / "migrations").glob("[0-9][0-9][0-9]-*.sql"))}


def migrate(connection: pyodbc.Connection) -> list[str]:
    """Apply the migrations that the database does not have yet, each recorded when it is done.

    A migration that was cut short runs again: each statement of it leaves alone what it finds done.

    Returns:
        The names of those that were applied.
    """
    applied = {row[0] for row in connection.execute("SELECT Version FROM rowpost.SchemaVersion").fetchall()}
    missing = {version: path for version, path in migrations().items() if version not in applied}
    for version, path in missing.items():
        run_script(connection, path, {})
        connection.execute("INSERT INTO rowpost.SchemaVersion (Version) VALUES (?)", version)
    return [f"migrations/{path.name}" for path in missing.values()]


def identity_sid(client_id: str) -> str:
    """The ``sid`` of a managed identity's user, as a binary literal: the bytes of its client id.

    Raises:
        ValueError: that is no GUID.
    """
    return f"0x{uuid.UUID(client_id).bytes_le.hex().upper()}"


def known_settings(local: Path = ROOT / "local.settings.json") -> dict[str, str]:
    """The app settings that this machine knows: those of a file of settings, if it exists, and the environment over it.

    The references that azd has in the place of secrets are none.

    Raises:
        ConfigError: that file cannot be read, or does not have its form.
    """
    try:
        values = json.loads(local.read_text(encoding="utf-8"))["Values"] if local.exists() else {}
        return {**values, **plain_settings(os.environ)}
    except OSError as error:
        raise ConfigError(f"{local.name}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f'{local.name}: not of the form {{"Values": {{"NAME": "value"}}}}; mend it') from None


def prepare_azure(config: Config, driver: str, first: Path | None) -> str:
    """Prepare the database that azd deployed, after a script of the user's if there is one, and say what it is called.

    Raises:
        ConfigError: an output of the deployment is missing, or the server is out of reach.
        pyodbc.Error: the database refused.
        requests.RequestException: the firewall could not be opened or closed.
    """
    database = AzureDatabase.from_environment(os.environ)
    token = deployer_token(os.environ.get("AZURE_TENANT_ID", ""))

    def connect() -> pyodbc.Connection:
        return pyodbc.connect(database.odbc(driver), autocommit=True, timeout=30, attrs_before=token_attribute(token(SQL_SCOPE)))

    with connected(connect, FirewallRule(database, token)) as connection:
        if first is not None:
            run_script(connection, first, {})
        for line in prepare(connection, config, os.environ.get("APP_IDENTITY_NAME"), os.environ.get("APP_IDENTITY_CLIENT_ID")):
            print(f"  {line}")
    return f"{database.name} on {database.host}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Prepare a database for Rowpost.")
    parser.add_argument("--config", type=Path, default=ROOT / "relay.toml")
    parser.add_argument("--app-user", help="the user or managed identity that the app connects as")
    parser.add_argument("--azure", action="store_true", help="the database that azd deployed, as whoever is logged in")
    script = os.environ.get("ROWPOST_SQL_SCRIPT")
    parser.add_argument("--run", type=Path, default=script, metavar="FILE", help="with --azure: run this script before")
    options = parser.parse_args()
    try:
        if options.azure:
            config = config_of_hooks(options.config, plain_settings(os.environ))
            print(f"{prepare_azure(config, odbc_driver(), options.run)} is ready")
            return 0
        settings = known_settings()
        config = load_config(options.config, settings)
        name = config.database.connection
        target = translate(settings.get(name, ""), name, odbc_driver())
    except (ConfigError, requests.RequestException) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        with pyodbc.connect(target.text, autocommit=True, timeout=target.login_timeout_seconds) as connection:
            for line in prepare(connection, config, options.app_user):
                print(f"  {line}")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except pyodbc.Error as error:
        print("; ".join([f"{target.database} on {target.server}: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        return 1
    print(f"{target.database} on {target.server} is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
