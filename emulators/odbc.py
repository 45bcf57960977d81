"""Microsoft's ODBC driver for SQL Server on this machine, and scripts for ``sqlcmd`` run through pyodbc."""

from __future__ import annotations

import importlib.util
import platform
import sys
from functools import cache
from pathlib import Path

import pyodbc

from infra.sql_script import read_script

_REGISTERED = "{ODBC Driver 18 for SQL Server}"


@cache
def odbc_driver() -> str:
    """What goes behind ``Driver=``: the library inside the package mssql-python-odbc, or the name of an installed
    driver.

    Raises:
        FileNotFoundError: neither exists.
    """
    spec = importlib.util.find_spec("mssql_python_odbc")
    if spec is not None and spec.submodule_search_locations and sys.platform != "win32":
        libraries = Path(spec.submodule_search_locations[0]) / "libs"
        folder = f"linux/{_distribution_family()}" if sys.platform == "linux" else "macos"
        machine = {"AMD64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        found = sorted(libraries.glob(f"{folder}/**/libmsodbcsql*"))
        mine = [file for file in found if machine in file.parts] or found
        if mine:
            return str(mine[0])
    if _REGISTERED.strip("{}") in pyodbc.drivers():
        return _REGISTERED
    raise FileNotFoundError(f"neither the package mssql-python-odbc nor an installed {_REGISTERED} was found")


def _distribution_family() -> str:
    release = platform.freedesktop_os_release()
    names = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if names & {"rhel", "fedora", "centos"}:
        return "rhel"
    return "suse" if names & {"suse", "sles", "opensuse"} else "debian_ubuntu"


def run_script(connection: pyodbc.Connection, path: Path) -> None:
    """Run a script for ``sqlcmd``, batch by batch.

    Raises:
        pyodbc.Error: a statement of it failed; a note on the error names the file and the batch.
        ScriptError: it asks for what infra/sql_script.py does not have.
    """
    for batch in read_script(path.read_text(encoding="utf-8-sig")):
        cursor = connection.cursor()
        try:
            for _ in range(batch.count):
                cursor.execute(batch.text)
                while cursor.nextset():  # an error of a later statement shows only when its result is reached
                    pass
        except pyodbc.Error as error:
            error.add_note(f"in the batch of line {batch.line} of {path}")
            raise
        finally:
            cursor.close()
