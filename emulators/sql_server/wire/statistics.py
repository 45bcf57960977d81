"""What each application asked of the server."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

KEPT_STATEMENTS = 200
KEPT_CHARACTERS = 20_000


@dataclass(slots=True)
class Statement:
    """A statement that an application ran.

    ``milliseconds`` of real time, None while it runs; ``error`` is the number of the error that ended it. ``executed``
    says that it came to its end, with or without an error: not lost in a fault, not cancelled.
    """

    time: datetime
    kind: str
    text: str
    milliseconds: float | None = None
    error: int | None = None
    executed: bool = False

    def to_json(self) -> dict[str, Any]:
        """The statement for the control port."""
        return {
            "time": self.time.isoformat(),
            "kind": self.kind,
            "text": self.text,
            "milliseconds": self.milliseconds,
            "error": self.error,
            "executed": self.executed,
        }


@dataclass(slots=True)
class _Application:
    connections: int = 0
    open: int = 0
    batches: int = 0
    rpcs: int = 0
    transactions: int = 0
    requests: int = 0
    statements: deque[Statement] = field(default_factory=lambda: deque(maxlen=KEPT_STATEMENTS))


class Statistics:
    """Counters per application name. Any thread.

    ``connections`` counts logins, ``open`` those that are open now, ``batches`` and ``rpcs`` the messages and calls of
    these kinds, ``transactions`` the BEGIN, COMMIT and ROLLBACK requests of drivers without autocommit, and
    ``requests`` the round trips that carry a
    statement: metadata calls that a driver makes on its own do not count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._applications: dict[str, _Application] = {}

    def _of(self, application: str) -> _Application:
        found = self._applications.get(application)
        if found is None:
            found = self._applications[application] = _Application()
        return found

    def connected(self, application: str) -> None:
        """A login succeeded."""
        with self._lock:
            entry = self._of(application)
            entry.connections += 1
            entry.open += 1

    def disconnected(self, application: str) -> None:
        """A connection ended."""
        with self._lock:
            self._of(application).open -= 1

    def batch(self, application: str) -> None:
        """A batch came."""
        with self._lock:
            entry = self._of(application)
            entry.batches += 1
            entry.requests += 1

    def rpc(self, application: str, calls: int, carries_statement: bool) -> None:
        """An RPC request came."""
        with self._lock:
            entry = self._of(application)
            entry.rpcs += calls
            entry.requests += carries_statement

    def transaction(self, application: str) -> None:
        """A transaction-manager request came."""
        with self._lock:
            self._of(application).transactions += 1

    def statement(self, application: str, statement: Statement) -> None:
        """A statement begins."""
        if len(statement.text) > KEPT_CHARACTERS:
            statement.text = statement.text[:KEPT_CHARACTERS]
        with self._lock:
            self._of(application).statements.append(statement)

    def reset(self) -> None:
        """Set the counters to zero; open connections stay counted."""
        with self._lock:
            still_open = {name: entry.open for name, entry in self._applications.items() if entry.open}
            self._applications = {name: _Application(open=count) for name, count in still_open.items()}

    def to_json(self) -> dict[str, Any]:
        """All counters, by application name."""
        with self._lock:
            return {
                name: {
                    "connections": entry.connections,
                    "open": entry.open,
                    "batches": entry.batches,
                    "rpcs": entry.rpcs,
                    "transactions": entry.transactions,
                    "requests": entry.requests,
                    "statements": [statement.to_json() for statement in entry.statements],
                }
                for name, entry in self._applications.items()
            }
