"""A running server with the scripted engine, and the constants of its answers."""

from __future__ import annotations

import json
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyodbc

from emulators.odbc import odbc_driver
from emulators.sql_server.values.results import SqlType

NVARCHAR, INT = SqlType("nvarchar", 4000), SqlType("int")
DONE, DONEPROC, DONEINPROC = 0xFD, 0xFE, 0xFF
MORE, ERROR, COUNT, ATTENTION = 1, 2, 0x10, 0x20
BEGUN, COMMITTED, ROLLED_BACK, RESET_DONE = 8, 9, 10, 18


@dataclass
class RunningServer:
    """The process of the server."""

    port: int
    control_port: int
    certificate: Path

    def connect(
        self,
        options: str = "Encrypt=no",
        *,
        password: str = "Rowpost!2026",
        database: str = "rowpost",
        host: str = "127.0.0.1",
        autocommit: bool = True,
    ) -> pyodbc.Connection:
        """Connect with pyodbc."""
        text = f"Driver={odbc_driver()};Server={host},{self.port};UID=sa;PWD={password};Database={database};{options}"
        return pyodbc.connect(text, autocommit=autocommit, timeout=20)

    def control(self, method: str, path: str, document: Any = None) -> Any:
        """Call the control port."""
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.control_port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def application(self, name: str) -> dict[str, Any]:
        """The statistics of an application."""
        found: dict[str, Any] = self.control("GET", "/stats")["applications"][name]
        return found


def rows_of(cursor: pyodbc.Cursor) -> list[tuple[Any, ...]]:
    """All rows as tuples."""
    return [tuple(row) for row in cursor.fetchall()]


def unused_application() -> str:
    """The name of an application that nobody else uses."""
    return f"test-{uuid.uuid4().hex[:8]}"
