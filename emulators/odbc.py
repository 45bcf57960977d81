"""Microsoft's ODBC driver for SQL Server on this machine."""

from __future__ import annotations

import importlib.util
import platform
import sys
from functools import cache
from pathlib import Path

import pyodbc

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
