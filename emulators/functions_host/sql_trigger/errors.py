"""Errors of the SQL trigger listener."""

from __future__ import annotations


class ListenerError(Exception):
    """The listener cannot start: wrong configuration, a table it cannot watch, or no connection."""


class DatabaseError(Exception):
    """A statement failed.

    Attributes:
        state: SQLSTATE as the ODBC driver gives it, or empty.
        number: the server's error number, or None when the driver itself failed.
        broken: whether the connection is lost and has to be opened again.
    """

    def __init__(self, message: str, state: str = "", number: int | None = None, broken: bool = False) -> None:
        super().__init__(message)
        self.state = state
        self.number = number
        self.broken = broken
