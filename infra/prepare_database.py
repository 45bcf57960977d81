"""Apply infra/sql/ to a database: change tracking, the app's own tables, its role, and each table of relay.toml.

``python infra/prepare_database.py [--config relay.toml] [--app-user NAME]`` reads the connection string from the app setting that
relay.toml names (environment, or ``local.settings.json``). The user of that connection string must own the database or be its
administrator. Every script is idempotent.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pyodbc

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rowpost.config import Config, ConfigError, load_config  # noqa: E402
from rowpost.connection_string import translate  # noqa: E402
from rowpost.database import odbc_driver  # noqa: E402

SCRIPTS = Path(__file__).resolve().parent / "sql"
RETENTION_MARGIN_DAYS = 7  # change retention beyond the retry window: time to notice and mend a long outage
_SEPARATOR = re.compile(r"^\s*GO\s*$", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$\((\w+)\)")


def run_script(connection: pyodbc.Connection, name: str, variables: Mapping[str, str]) -> None:
    """Run a script of infra/sql/ as sqlcmd would: batches between GO lines, ``$(Name)`` replaced.

    Raises:
        KeyError: the script names a variable that is not given.
        pyodbc.Error: a batch failed; a note names the script.
    """
    text = _VARIABLE.sub(lambda match: variables[match[1]], (SCRIPTS / name).read_text(encoding="utf-8"))
    for batch in filter(str.strip, _SEPARATOR.split(text)):
        if not re.sub(r"--.*", "", batch).strip():
            continue
        try:
            cursor = connection.execute(batch)
            while cursor.nextset():  # an error of a later statement shows only when its result is reached
                pass
        except pyodbc.Error as error:
            error.add_note(f"in infra/sql/{name}")
            raise


def prepare(connection: pyodbc.Connection, config: Config, app_user: str | None = None) -> list[str]:
    """Prepare the database for the app.

    Args:
        connection: an administrator's connection, autocommit on.
        config: the app's configuration.
        app_user: the user or managed identity to make a member of the role; None leaves users alone.

    Returns:
        What was run, one line each.
    """
    days = math.ceil(config.retry.window.seconds / 86400) + RETENTION_MARGIN_DAYS
    steps: list[tuple[str, dict[str, str]]] = [("10-change-tracking.sql", {"RetentionDays": str(days)}), ("20-rowpost.sql", {})]
    for table in config.tables:
        schema, name = table.name.split(".")
        steps += [(script, {"Schema": schema, "Table": name}) for script in ("30-track-table.sql", "40-grant-table.sql")]
    if app_user is not None:
        steps.append(("50-app-user.sql", {"AppUser": app_user.replace("]", "]]")}))
    done = []
    for script, variables in steps:
        run_script(connection, script, variables)
        done.append(f"{script} {' '.join(variables.values())}".strip())
    return done


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Prepare a database for Rowpost.")
    parser.add_argument("--config", type=Path, default=ROOT / "relay.toml")
    parser.add_argument("--app-user", help="the user or managed identity that the app connects as")
    options = parser.parse_args()
    local = ROOT / "local.settings.json"
    values = json.loads(local.read_text(encoding="utf-8"))["Values"] if local.exists() else {}
    settings = {**values, **os.environ}
    try:
        config = load_config(options.config, settings)
        name = config.database.connection
        target = translate(settings.get(name, ""), name, odbc_driver())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    with pyodbc.connect(target.text, autocommit=True, timeout=target.login_timeout_seconds) as connection:
        for line in prepare(connection, config, options.app_user):
            print(f"  {line}")
    print(f"{target.database} on {target.server} is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
