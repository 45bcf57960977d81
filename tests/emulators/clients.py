"""Clients for SQL Server that are not the app's: how each connects, and what differs between them under DB-API 2.0."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mssql_python
import pymssql
import pyodbc
import pytds

from emulators.launch import SqlServer
from emulators.odbc import odbc_driver


class NotInClientError(Exception):
    """The client itself does not have what was asked for, whatever the server."""


class Wiretap:
    """A port that passes everything on to another one and keeps what the client sent."""

    def __init__(self, target: int) -> None:
        self.sent = bytearray()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pass_on, args=(client, server, self.sent), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(server, client, bytearray()), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        try:
            while data := source.recv(65536):
                kept += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()

    def saw(self, text: str) -> bool:
        """Whether ``text`` went by in clear."""
        return text.encode("utf-16-le") in self.sent

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@dataclass
class Target:
    """Where to connect to, and as whom."""

    server: SqlServer
    certificate: Path
    port: int = 0
    password: str = SqlServer.password

    def at(self) -> int:
        """The port."""
        return self.port or self.server.port


class Client:
    """One client. ``encryption`` is ``plain``, ``tls`` (7.x, any certificate) or ``strict`` (TDS 8, this certificate)."""

    name = ""
    mark = "?"  # of a parameter
    binary: Callable[[bytes], Any] = bytes  # what a binary parameter is given as
    sqlalchemy = ""  # the dialect with this client

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        """A connection; ``seconds`` is the time-out of its statements, 0 for none."""
        raise AssertionError("given by each client")

    def error_number(self, error: Exception) -> int:
        """The number that the server gave the error."""
        raise NotInClientError

    def cancel(self, cursor: Any) -> None:
        """End the statement that another thread runs on ``cursor``."""
        raise NotInClientError

    def bulk_load(self, connection: Any, table: str) -> None:
        """Load one row into a table of one int column by the bulk protocol."""
        raise NotInClientError

    def table_valued(self, connection: Any) -> None:
        """Call something with a table-valued parameter."""
        raise NotInClientError


def _odbc_options(target: Target, encryption: str) -> str:
    certificate = {
        "plain": "Encrypt=no",
        "tls": "Encrypt=yes;TrustServerCertificate=yes",
        "strict": f"Encrypt=strict;ServerCertificate={target.certificate}",
    }[encryption]
    address = f"Server=127.0.0.1,{target.at()};Database={target.server.database}"
    return f"{address};UID={target.server.user};PWD={target.password};{certificate}"


class Pyodbc(Client):
    name = "pyodbc"
    sqlalchemy = "mssql+pyodbc"

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        options = f"Driver={odbc_driver()};{_odbc_options(target, encryption)}"
        connection = pyodbc.connect(options, autocommit=autocommit, timeout=20)
        connection.timeout = seconds
        return connection

    def error_number(self, error: Exception) -> int:
        numbers = re.findall(r"\((\d+)\) \(SQL", str(error.args[1]))
        return int(numbers[0])

    def cancel(self, cursor: Any) -> None:
        cursor.cancel()

    def table_valued(self, connection: Any) -> None:
        connection.execute("EXEC sp_tables ?", [("a",)])


class MssqlPython(Client):
    name = "mssql-python"
    sqlalchemy = "mssql+mssqlpython"

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        connection = mssql_python.connect(_odbc_options(target, encryption), autocommit=autocommit)
        connection.timeout = seconds
        return connection

    def bulk_load(self, connection: Any, table: str) -> None:
        connection.cursor().bulkcopy(table, [(1,)])


class Pymssql(Client):
    name = "pymssql"
    mark = "%s"
    sqlalchemy = "mssql+pymssql"

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        if encryption == "strict":
            raise NotInClientError
        return pymssql.connect(
            server="127.0.0.1",
            port=str(target.at()),
            user=target.server.user,
            password=target.password,
            database=target.server.database,
            autocommit=autocommit,
            timeout=seconds,
            encryption="require" if encryption == "tls" else "off",
        )

    def error_number(self, error: Exception) -> int:
        return int(error.args[0])

    def bulk_load(self, connection: Any, table: str) -> None:
        connection.bulk_copy(table, [(1,)])


class PythonTds(Client):
    name = "python-tds"
    mark = "%s"
    binary = pytds.Binary

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        if encryption == "strict":
            raise NotInClientError
        return pytds.connect(
            dsn="127.0.0.1",
            port=target.at(),
            user=target.server.user,
            password=target.password,
            database=target.server.database,
            autocommit=autocommit,
            timeout=seconds or None,
            cafile=str(target.certificate) if encryption == "tls" else None,
            validate_host=False,  # its check of names does not work with newer releases of pyOpenSSL
        )

    def error_number(self, error: Exception) -> int:
        return int(error.number)  # type: ignore[attr-defined]

    def bulk_load(self, connection: Any, table: str) -> None:
        columns = [pytds.Column("Id", type=pytds.tds_types.IntType())]
        connection.cursor().copy_to(data=[(1,)], table_or_view=table, columns=columns)

    def table_valued(self, connection: Any) -> None:
        columns = (pytds.Column(type=pytds.tds_types.IntType()),)
        rows = pytds.TableValuedParam(type_name="dbo.Numbers", columns=columns, rows=[(1,)])
        connection.cursor().execute("SELECT * FROM %s", (rows,))


CLIENTS: dict[str, Client] = {client.name: client for client in (Pyodbc(), MssqlPython(), Pymssql(), PythonTds())}
