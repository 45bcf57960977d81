"""Clients for SQL Server that are not the app's: how each connects, and what differs between them under DB-API 2.0."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mssql_python
import pymssql
import pyodbc
import pytds

from emulators.launch import SqlServer
from emulators.odbc import odbc_driver

_SQL_COPT_SS_RESET_CONNECTION = 1246


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
    """Where to connect to, and as whom. ``certificate`` is what a client is given to check the server's against."""

    server: SqlServer
    certificate: Path
    port: int = 0
    password: str = SqlServer.password
    database: str = "rowpost"

    def at(self) -> int:
        """The port."""
        return self.port or self.server.port


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class Client:
    """One client.

    ``encryption`` is ``plain``, ``tls`` (TDS 7, any certificate), ``mandatory`` (TDS 7, this certificate) or ``strict`` (TDS 8,
    this certificate).
    """

    name = ""
    mark = "?"  # of a parameter
    binary: Callable[[bytes], Any] = bytes  # what a binary parameter is given as
    sqlalchemy = ""  # the dialect with this client
    unencrypted: tuple[str, ...] = ("plain",)  # ways to ask for no encryption

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        """A connection; ``seconds`` is the time-out of its statements, 0 for none."""
        raise AssertionError("given by each client")

    def error_number(self, error: Exception) -> int:
        """The number that the server gave the error."""
        raise NotInClientError

    def severity_and_state(self, error: Exception) -> tuple[int, int]:
        """Both, as the server gave them."""
        raise NotInClientError

    def sqlstate(self, error: Exception) -> str:
        """The SQLSTATE, which the client makes of the number."""
        raise NotInClientError

    def hand_on(self, target: Target, connection: Any) -> Any:
        """What a pool gives the next user of a connection: the same one, which was asked to be reset."""
        raise NotInClientError

    def pooled(self, target: Target) -> Any:
        """A connection that a pool may keep when it is closed."""
        return self.connect(target)

    def cancel(self, cursor: Any) -> None:
        """End the statement that another thread runs on ``cursor``."""
        raise NotInClientError

    def bulk_load(self, connection: Any, table: str) -> None:
        """Load one row into a table of one int column by the bulk protocol."""
        raise NotInClientError

    def table_valued(self, connection: Any) -> None:
        """Call something with a table-valued parameter."""
        raise NotInClientError


def _trusted(target: Target) -> contextlib.AbstractContextManager[None]:
    """The driver takes ServerCertificate for Encrypt=strict only; else it checks against the certificates that OpenSSL trusts."""
    return _environment("SSL_CERT_FILE", str(target.certificate))


def _odbc_options(target: Target, encryption: str) -> str:
    certificate = {
        "plain": "Encrypt=no",
        "optional": "Encrypt=optional",
        "tls": "Encrypt=yes;TrustServerCertificate=yes",
        "mandatory": "Encrypt=mandatory;HostnameInCertificate=localhost",
        "strict": f"Encrypt=strict;ServerCertificate={target.certificate}",
    }[encryption]
    address = f"Server=127.0.0.1,{target.at()};Database={target.database}"
    return f"{address};UID={target.server.user};PWD={target.password};{certificate}"


class Pyodbc(Client):
    name = "pyodbc"
    unencrypted = ("plain", "optional")
    sqlalchemy = "mssql+pyodbc"

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        options = f"Driver={odbc_driver()};{_odbc_options(target, encryption)}"
        with _trusted(target) if encryption == "mandatory" else contextlib.nullcontext():
            connection = pyodbc.connect(options, autocommit=autocommit, timeout=20)
        connection.timeout = seconds
        return connection

    def error_number(self, error: Exception) -> int:
        numbers = re.findall(r"\((\d+)\) \(SQL", str(error.args[1]))
        return int(numbers[0])

    def sqlstate(self, error: Exception) -> str:
        return str(error.args[0])

    def hand_on(self, target: Target, connection: Any) -> Any:
        connection.set_attr(_SQL_COPT_SS_RESET_CONNECTION, 1)  # as driver managers do that reset; unixODBC's pool does not
        return connection

    def cancel(self, cursor: Any) -> None:
        cursor.cancel()

    def table_valued(self, connection: Any) -> None:
        connection.execute("EXEC sp_tables ?", [("a",)])


class MssqlPython(Client):
    name = "mssql-python"
    unencrypted = ("plain", "optional")
    sqlalchemy = "mssql+mssqlpython"

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        with _trusted(target) if encryption == "mandatory" else contextlib.nullcontext():
            connection = mssql_python.connect(_odbc_options(target, encryption), autocommit=autocommit)
        connection.timeout = seconds
        return connection

    def hand_on(self, target: Target, connection: Any) -> Any:
        connection.close()  # its pool is on by default
        return self.connect(target)

    def bulk_load(self, connection: Any, table: str) -> None:
        connection.cursor().bulkcopy(table, [(1,)])


class Pymssql(Client):
    name = "pymssql"
    mark = "%s"
    sqlalchemy = "mssql+pymssql"

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        if encryption == "strict":
            raise NotInClientError
        settings = target.server.directory / f"freetds-{target.certificate.name}.conf"
        settings.write_text(f"[global]\nca file = {target.certificate}\ncheck certificate hostname = yes\n", encoding="utf-8")
        with _environment("FREETDSCONF", str(settings if encryption == "mandatory" else os.devnull)):
            return pymssql.connect(
                server="127.0.0.1",
                port=str(target.at()),
                user=target.server.user,
                password=target.password,
                database=target.database,
                autocommit=autocommit,
                timeout=seconds,
                encryption="off" if encryption == "plain" else "require",
            )

    def error_number(self, error: Exception) -> int:
        return int(error.args[0])

    def severity_and_state(self, error: Exception) -> tuple[int, int]:
        cause: Any = error.__context__  # of its lower layer
        return cause.severity, cause.state

    def bulk_load(self, connection: Any, table: str) -> None:
        connection.bulk_copy(table, [(1,)])


class PythonTds(Client):
    name = "python-tds"
    mark = "%s"
    binary = pytds.Binary

    def connect(self, target: Target, *, encryption: str = "plain", autocommit: bool = True, seconds: int = 0) -> Any:
        if encryption == "strict":
            raise NotInClientError
        return self._open(target, autocommit, seconds, str(target.certificate) if encryption in ("tls", "mandatory") else None)

    def _open(self, target: Target, autocommit: bool, seconds: int, certificate: str | None, pooling: bool = False) -> Any:
        return pytds.connect(
            dsn="127.0.0.1",
            port=target.at(),
            user=target.server.user,
            password=target.password,
            database=target.database,
            autocommit=autocommit,
            timeout=seconds or None,
            cafile=certificate,
            pooling=pooling,
            validate_host=False,  # its check of names does not work with newer releases of pyOpenSSL
        )

    def error_number(self, error: Exception) -> int:
        return int(error.number)  # type: ignore[attr-defined]

    def severity_and_state(self, error: Exception) -> tuple[int, int]:
        return error.severity, error.state  # type: ignore[attr-defined]

    def pooled(self, target: Target) -> Any:
        return self._open(target, True, 0, None, pooling=True)

    def hand_on(self, target: Target, connection: Any) -> Any:
        connection.close()
        return self.pooled(target)

    def bulk_load(self, connection: Any, table: str) -> None:
        columns = [pytds.Column("Id", type=pytds.tds_types.IntType())]
        connection.cursor().copy_to(data=[(1,)], table_or_view=table, columns=columns)

    def table_valued(self, connection: Any) -> None:
        columns = (pytds.Column(type=pytds.tds_types.IntType()),)
        rows = pytds.TableValuedParam(type_name="dbo.Numbers", columns=columns, rows=[(1,)])
        connection.cursor().execute("SELECT * FROM %s", (rows,))


CLIENTS: dict[str, Client] = {client.name: client for client in (Pyodbc(), MssqlPython(), Pymssql(), PythonTds())}
