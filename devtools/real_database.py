"""A real SQL Server for the app on this machine: a database, the demo's tables, and a login with the rights of the app's role.

``python -m devtools.real_database`` prepares the server that the app settings name (environment over local.settings.json), as
whoever their connection string names; compose.yaml runs it so. The configuration is the demo's, with its tables, unless the setting
``ROWPOST_CONFIG`` names another file.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import pyodbc

from devtools.data import DEMO_CONFIG, TABLES_SQL
from devtools.scripts import run_script
from emulators.odbc import odbc_driver
from infra.prepare_database import known_settings, prepare
from rowpost.config.connection_string import OdbcConnection, translate
from rowpost.config.errors import ConfigError
from rowpost.config.loading import load_config
from rowpost.config.sections import Config

LOGIN = "rowpost_local"
PASSWORD = "Rowpost!2026"  # of a throw-away server on this machine; the same as in compose.yaml and local.settings.json
_PAUSE_SECONDS = 2


class RealDatabase:
    """One database on a server that runs already.

    Args:
        administrator: SqlClient's connection string of somebody who may create databases and logins.
        name: of the database.
    """

    def __init__(self, administrator: str, name: str) -> None:
        self.administrator, self.name = administrator, name

    @property
    def ado_net_connection_string(self) -> str:
        """The app's: of the login with the least privileges. Of a keyword that is given twice, the last one counts."""
        return f"{self.administrator.rstrip('; ')};Database={self.name};User ID={LOGIN};Password={PASSWORD}"

    def odbc(self, database: str) -> OdbcConnection:
        """How the administrator connects to a database of the server.

        Raises:
            ConfigError: the connection string cannot be used.
        """
        return translate(f"{self.administrator.rstrip('; ')};Database={database}", "SqlConnectionString", odbc_driver().strip("{}"))

    def connect(self, autocommit: bool = True, application: str = "devtools", timeout_seconds: int = 15) -> pyodbc.Connection:
        """The administrator's connection to the database.

        Raises:
            pyodbc.Error: it failed.
        """
        return pyodbc.connect(f"{self.odbc(self.name).text};APP={application}", autocommit=autocommit, timeout=timeout_seconds)

    def _server(self) -> pyodbc.Connection:
        target = self.odbc("master")
        return pyodbc.connect(target.text, autocommit=True, timeout=target.login_timeout_seconds)

    def create(self, patience_seconds: float = 0.0) -> None:
        """Make the database and the login, unless they exist; wait ``patience_seconds`` for a server that is starting.

        Raises:
            pyodbc.Error: the server cannot be reached, or refused.
        """
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                server = self._server()
                break
            except pyodbc.Error:  # also of a login, which a starting server refuses
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
        try:
            server.execute(f"IF DB_ID(N'{self.name}') IS NULL CREATE DATABASE [{self.name}]")
            server.execute(
                f"IF SUSER_ID(N'{LOGIN}') IS NULL CREATE LOGIN [{LOGIN}] WITH PASSWORD = N'{PASSWORD}', CHECK_POLICY = OFF"
            )
        finally:
            server.close()

    def prepare(self, config: Config, *, demo_tables: bool = True) -> list[str]:
        """The demo's tables, then what infra/sql/ makes, then the login as the only member of the app's role.

        Raises:
            pyodbc.Error: a statement failed.
        """
        connection = self.connect()
        try:
            if demo_tables:
                run_script(connection, TABLES_SQL)
            connection.execute(f"IF USER_ID(N'{LOGIN}') IS NULL CREATE USER [{LOGIN}] FOR LOGIN [{LOGIN}]")
            return prepare(connection, config, app_user=LOGIN)
        finally:
            connection.close()

    def drop(self) -> None:
        """Drop the database, whoever is still connected; the login stays.

        Raises:
            pyodbc.Error: the server cannot be reached, or refused.
        """
        server = self._server()
        try:
            server.execute(
                f"IF DB_ID(N'{self.name}') IS NOT NULL BEGIN ALTER DATABASE [{self.name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE; "
                f"DROP DATABASE [{self.name}]; END"
            )
        finally:
            server.close()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m devtools.real_database", description=__doc__)
    parser.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="for a server that is still starting")
    options = parser.parse_args()
    try:
        settings = known_settings()
        path = Path(settings.get("ROWPOST_CONFIG") or DEMO_CONFIG)
        config = load_config(path, settings)
        administrator = settings.get(config.database.connection, "")
        target = translate(administrator, config.database.connection, odbc_driver().strip("{}"))
        database = RealDatabase(administrator, target.database)
        database.create(options.wait)
        for line in database.prepare(config, demo_tables=path.resolve() == DEMO_CONFIG.resolve()):
            print(f"  {line}")
    except (ConfigError, pyodbc.Error) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{target.database} on {target.server} is ready; the app may connect as {LOGIN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
