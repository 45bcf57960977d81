"""A server whose engine answers a few fixed texts, for tests of the wire that need no T-SQL; prints its ports."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulators.clock import Clock
from emulators.sql_server.tds.tls import tls_contexts
from emulators.sql_server.values.results import Column, Event, Message, Parameter, ResultSet, RowsAffected, SqlError, SqlType
from emulators.sql_server.wire.control import ControlPort
from emulators.sql_server.wire.server import Server

INT = SqlType("int")


class Session:
    """Understands the texts of :meth:`execute`; everything else is an error."""

    def __init__(self, spid: int, database: str) -> None:
        self.spid, self.database, self.return_value = spid, database, 0
        self.in_transaction = False
        self.last_transaction_end = "commit"
        self._cancelled = threading.Event()
        self._outputs: dict[str, tuple[Any, SqlType]] = {}

    def execute(self, sql: str, parameters: Mapping[str, Parameter] = {}) -> Iterator[Event | SqlError]:
        self._cancelled.clear()
        words = sql.split()
        if words[0] == "ECHO":  # the parameters, with their types
            columns = [Column(name, parameter.type) for name, parameter in parameters.items()]
            yield ResultSet(columns, [tuple(parameter.value for parameter in parameters.values())])
            yield RowsAffected(1, "SELECT")
        elif words[0] == "TYPES":  # the declared types, as text
            columns = [Column(name, SqlType("nvarchar", 100)) for name in parameters]
            yield ResultSet(columns, [tuple(str(parameter.type) for parameter in parameters.values())])
        elif words[0] == "ROWS":
            yield ResultSet([Column("n", INT)], ((number,) for number in range(int(words[1]))))
            yield RowsAffected(int(words[1]), "SELECT")
        elif words[0] == "ENDLESS":
            yield ResultSet([Column("n", INT)], ((1,) for _ in iter(int, 1)))
        elif words[0] == "MANY":
            yield RowsAffected(None, "SET")
            yield ResultSet([Column("a", INT)], [(1,), (2,)])
            yield RowsAffected(2, "SELECT")
            yield RowsAffected(5, "UPDATE")
            yield Message(0, "printed")
            yield ResultSet([Column("b", SqlType("nvarchar", 20))], [("z",)])
            yield RowsAffected(None, "SELECT")
        elif words[0] == "UPDATE":
            yield RowsAffected(3, "UPDATE")
        elif words[0] == "ERROR":
            raise SqlError(int(words[1]), f"message of {words[1]}", int(words[2]), 7)
        elif words[0] == "LATE":  # rows, then an error
            yield ResultSet([Column("n", INT)], [(1,)])
            raise SqlError(8134, "Divide by zero error encountered.")
        elif words[0] == "CONTINUE":  # an error that does not end the batch
            yield SqlError(2627, "Violation of PRIMARY KEY constraint.", 14)
            yield ResultSet([Column("n", INT)], [(1,)])
        elif words[0] == "BUG":
            raise KeyError("unexpected")
        elif words[0] == "BADROW":
            yield ResultSet([Column("n", INT)], [("text",)])
        elif words[0] == "WAIT":
            if self._cancelled.wait(30):
                raise SqlError(3617, "cancelled", 11)
            yield RowsAffected(1, "UPDATE")
        elif words[0] == "BEGIN":
            self.in_transaction = True
        elif words[0] == "COMMIT":
            self.commit()
        elif words[0] == "USE":
            self.database = words[1]
        else:
            raise SqlError(102, f"Incorrect syntax near '{words[0]}'.", 15)

    def call(self, procedure: str, arguments: Sequence[tuple[str, Parameter]]) -> Iterator[Event | SqlError]:
        if procedure != "double":
            raise SqlError(2812, f"Could not find stored procedure '{procedure}'.", 16, 62)
        self._outputs = {arguments[0][0]: (arguments[0][1].value * 2, INT)}
        self.return_value = 4
        yield from ()

    def describe(self, sql: str, parameters: Mapping[str, SqlType]) -> list[Column]:
        return [Column("n", INT)] if sql.startswith("ROWS") else []

    def output_values(self) -> Mapping[str, tuple[Any, SqlType]]:
        return self._outputs

    def begin(self) -> None:
        self.in_transaction = True

    def commit(self) -> None:
        if not self.in_transaction:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self.in_transaction, self.last_transaction_end = False, "commit"

    def rollback(self, name: str | None = None) -> None:
        self.in_transaction, self.last_transaction_end = False, "rollback"

    def save(self, name: str) -> None:
        pass

    def reset(self, keep_transaction: bool = False) -> None:
        self.in_transaction = self.in_transaction and keep_transaction

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        self.in_transaction = False


class Database:
    """Knows the databases ``rowpost`` and ``master``."""

    def __init__(self) -> None:
        self._spid = 50

    def authenticate(self, user: str, password: str) -> bool:
        return (user.lower(), password) == ("sa", "Rowpost!2026")

    def open_session(self, user: str, application: str, host: str, database: str | None) -> Session:
        if database not in (None, "rowpost", "master"):
            raise SqlError(4060, f'Cannot open database "{database}" requested by the login. The login failed.', 11)
        self._spid += 1
        return Session(self._spid, database or "master")

    def close(self) -> None:
        pass


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    server = Server(Database(), Clock(), tls=tls_contexts(Path(sys.argv[1])))
    control = ControlPort(server.statistics, server.faults)
    server.start()
    control.start()
    print(json.dumps({"port": server.port, "control_port": control.port}), flush=True)
    stop.wait()
    server.stop()


if __name__ == "__main__":
    main()
