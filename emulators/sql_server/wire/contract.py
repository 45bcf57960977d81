"""What the wire asks of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from emulators.sql_server.values.results import Column, Event, Parameter, SqlError, SqlType


class EngineSession(Protocol):
    """The state of one connection. Used by one thread at a time, but for :meth:`cancel`."""

    spid: int
    database: str
    return_value: int
    encrypted: bool
    on_end: Callable[[], None]
    """Ends the connection for somebody else; any thread."""
    around_commit: Callable[[Callable[[], None]], None]
    """Called with the function that commits, for each commit of an outermost transaction or of a statement outside one."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""

    @property
    def last_transaction_end(self) -> str:
        """How the last transaction ended: commit or rollback."""

    def execute(self, sql: str, parameters: Mapping[str, Parameter] = ...) -> Iterator[Event | SqlError]:
        """Run a batch. Parameter names are lower case, without @."""

    def call(self, procedure: str, arguments: Sequence[tuple[str, Parameter]]) -> Iterator[Event | SqlError]:
        """Run a procedure."""

    def describe(self, sql: str, parameters: Mapping[str, SqlType]) -> list[Column]:
        """The result columns of a batch, which does not run."""

    def output_values(self) -> Mapping[str, tuple[Any, SqlType]]:
        """The variables after the last execution."""

    def begin(self) -> None:
        """Begin a transaction."""

    def commit(self) -> None:
        """Commit it."""

    def rollback(self, name: str | None = None) -> None:
        """Roll it back, or back to a savepoint."""

    def save(self, name: str) -> None:
        """Set a savepoint."""

    def reset(self, keep_transaction: bool = False) -> None:
        """Make it as new, for the next user of a pooled connection; ``keep_transaction``: but for its transaction."""

    def cancel(self) -> None:
        """End the running execution soon, with an error. Any thread."""

    def close(self) -> None:
        """Roll back and release."""


class EngineDatabase(Protocol):
    """The database."""

    def authenticate(self, user: str, password: str) -> bool:
        """Whether the password is the user's."""

    def open_session(self, user: str, application: str, host: str, database: str | None) -> EngineSession:
        """A session for a new connection; SqlError 4060 for an unknown database."""

    def backup(self, path: Path) -> None:
        """What is committed, as a file."""

    def restore(self, path: Path) -> None:
        """Make the database what it was at the backup."""

    def close(self) -> None:
        """Release the file."""
