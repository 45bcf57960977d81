"""A database of the SQL Server emulator in this process, for tests of its T-SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from emulators.clock import Clock
from emulators.sql_server.engine.database import Database, Session
from emulators.sql_server.values.results import Column, Message, Parameter, ResultSet, RowsAffected, SqlError, SqlType

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


class HandClock(Clock):
    """Moves only when told."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        return self.instant

    def move(self, **duration: float) -> None:
        self.instant += timedelta(**duration)


@dataclass
class Outcome:
    """All that a batch gave."""

    results: list[ResultSet] = field(default_factory=list)
    counts: list[tuple[str, int | None]] = field(default_factory=list)
    errors: list[SqlError] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    raised: SqlError | None = None

    @property
    def numbers(self) -> list[int]:
        """Numbers of all errors, also the one that ended the batch."""
        return [error.number for error in self.errors] + ([self.raised.number] if self.raised else [])


def parameters(values: Mapping[str, Any]) -> dict[str, Parameter]:
    """Parameters as pyodbc would declare them."""
    given = {}
    for name, value in values.items():
        if isinstance(value, Parameter):
            given[name] = value
        elif isinstance(value, bool):
            given[name] = Parameter(int(value), SqlType("bit"))
        elif isinstance(value, int):
            given[name] = Parameter(value, SqlType("int" if -(2**31) <= value < 2**31 else "bigint"))
        elif isinstance(value, bytes):
            given[name] = Parameter(value, SqlType("varbinary", max(1, len(value))))
        else:
            given[name] = Parameter(value, SqlType("nvarchar", -1 if value is None or len(value) > 4000 else max(1, len(value))))
    return given


class Client:
    """One session, with short ways to run batches."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def run(self, sql: str, **values: Any) -> Outcome:
        """Run a batch to its end; errors are collected."""
        outcome = Outcome()
        try:
            for event in self.session.execute(sql, parameters(values)):
                if isinstance(event, ResultSet):
                    outcome.results.append(ResultSet(event.columns, list(event.rows)))
                elif isinstance(event, RowsAffected):
                    outcome.counts.append((event.command, event.count))
                elif isinstance(event, SqlError):
                    outcome.errors.append(event)
                else:
                    outcome.messages.append(event)
        except SqlError as error:
            outcome.raised = error
        return outcome

    def rows(self, sql: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of the last result; any error is raised."""
        outcome = self.run(sql, **values)
        for error in [*outcome.errors, outcome.raised]:
            if error is not None:
                raise error
        return list(outcome.results[-1].rows) if outcome.results else []

    def value(self, sql: str, **values: Any) -> Any:
        """The first value of the last result."""
        return self.rows(sql, **values)[0][0]

    def columns(self, sql: str, **values: Any) -> list[Column]:
        """The columns of the last result."""
        return self.run(sql, **values).results[-1].columns

    def error(self, sql: str, **values: Any) -> SqlError:
        """The only error of a batch."""
        outcome = self.run(sql, **values)
        found = outcome.errors + ([outcome.raised] if outcome.raised else [])
        assert len(found) == 1, f"{len(found)} errors: {found}"
        return found[0]


class Server:
    """A database file with any number of clients."""

    def __init__(self, directory: Path, utc_offset_minutes: int = 0) -> None:
        self.clock = HandClock()
        self.directory, self.offset = directory, utc_offset_minutes
        self.database = self._open()

    def _open(self) -> Database:
        return Database(self.directory / "database.sqlite", self.clock, "rowpost", self.offset, {"sa": "secret"})

    def client(self, user: str = "sa", database: str | None = None) -> Client:
        return Client(self.database.open_session(user, "tests", "localhost", database))

    def reopen(self) -> None:
        """Close the file and open it again."""
        self.database.close()
        self.database = self._open()
