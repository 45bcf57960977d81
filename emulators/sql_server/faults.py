"""Faults on the wire: what a network, a failover or a busy server does to a client."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

from .results import SqlError

ACTIONS = ("drop_before", "drop_after", "delay", "error", "refuse_login")

_ADVICE = "Please retry the connection later. If the problem persists, contact customer support."
_KNOWN: dict[int, tuple[int, int, bool, str]] = {  # number: severity, state, closes the connection, text
    1205: (
        13,
        51,
        False,
        "Transaction (Process ID {spid}) was deadlocked on lock resources with another process and has been chosen as "
        "the deadlock victim. Rerun the transaction.",
    ),
    1222: (16, 45, False, "Lock request time out period exceeded."),
    4060: (11, 1, True, 'Cannot open database "{database}" requested by the login. The login failed.'),
    4221: (
        16,
        1,
        True,
        "Login to read-secondary failed due to long wait on 'HADR_DATABASE_WAIT_FOR_TRANSITION_TO_VERSIONING'.",
    ),
    10928: (20, 1, True, "Resource ID: 1. The request limit for the database is 30 and has been reached."),
    10929: (
        20,
        1,
        True,
        "Resource ID: 1. The request minimum guarantee is 0, maximum limit is 30 and the server is currently too busy.",
    ),
    18456: (14, 1, True, "Login failed for user '{user}'."),
    40197: (
        17,
        1,
        True,
        "The service has encountered an error processing your request. Please try again. Error code 4221.",
    ),
    40501: (
        20,
        1,
        True,
        "The service is currently busy. Retry the request after 10 seconds. Incident ID: 00000000. Code: 0.",
    ),
    40613: (17, 1, True, "Database '{database}' on server '{server}' is not currently available. " + _ADVICE),
    49918: (16, 1, True, "Cannot process request. Not enough resources to process request. " + _ADVICE),
    49919: (
        16,
        1,
        True,
        "Cannot process create or update request. Too many create or update operations in progress. " + _ADVICE,
    ),
    49920: (16, 1, True, "Cannot process request. Too many operations in progress. " + _ADVICE),
}
_ROLLS_BACK = frozenset({1205, 40197, 40501, 40613, 10928, 10929})


@dataclass(slots=True)
class Fault:
    """One fault.

    Attributes:
        pattern: regular expression, searched in the statement's text; None matches every statement.
        application: regular expression, searched in the application name of the login; None matches every connection.
        action: ``drop_before`` closes the connection before the statement runs; ``drop_after`` runs it and closes the
        connection
            instead of answering; ``delay`` waits (real seconds) and runs it; ``error`` answers with an error instead
            of running it; ``refuse_login`` answers a login with an error.
        number, severity, state, message: of the error; the last three default to the real server's.
        seconds: of the delay.
        times: how often it strikes; None is without end.
        skip: how many matching statements pass unharmed first.
    """

    action: str
    pattern: str | None = None
    application: str | None = None
    number: int = 40613
    severity: int | None = None
    state: int | None = None
    message: str | None = None
    seconds: float = 0.0
    times: int | None = 1
    skip: int = 0
    struck: int = field(default=0)

    @classmethod
    def from_json(cls, document: Any) -> Fault:
        """A fault as it comes to the control port.

        Raises:
            ValueError: a field is unknown or has a bad value; the text names it.
        """
        if not isinstance(document, dict):
            raise ValueError("a fault is a JSON object")
        kinds: dict[str, type | tuple[type, ...]] = {
            "action": str,
            "pattern": (str, type(None)),
            "application": (str, type(None)),
            "number": int,
            "severity": (int, type(None)),
            "state": (int, type(None)),
            "message": (str, type(None)),
            "seconds": (int, float),
            "times": (int, type(None)),
            "skip": int,
        }
        for name, value in document.items():
            if name not in kinds:
                raise ValueError(f"unknown field {name!r}; known: {', '.join(kinds)}")
            if not isinstance(value, kinds[name]) or isinstance(value, bool):
                raise ValueError(f"field {name!r} has a bad value: {value!r}")
        if document.get("action") not in ACTIONS:
            raise ValueError(f"field 'action' must be one of {', '.join(ACTIONS)}")
        for name in ("pattern", "application"):
            if document.get(name) is not None:
                try:
                    re.compile(document[name])
                except re.error as error:
                    raise ValueError(f"field {name!r} is not a regular expression: {error}") from error
        return cls(**document)

    def to_json(self) -> dict[str, Any]:
        """The fault for the control port, with how often it has struck."""
        return {name: getattr(self, name) for name in self.__slots__}

    def error(self, spid: int, user: str, database: str, server: str) -> SqlError:
        """The error that it raises."""
        severity, state, _, text = _KNOWN.get(self.number, (16, 1, False, "Injected error."))
        if self.message is not None:
            text = self.message
        else:
            text = text.format(spid=spid, user=user, database=database, server=server)
        return SqlError(
            self.number,
            text,
            severity if self.severity is None else self.severity,
            state if self.state is None else self.state,
        )

    @property
    def closes(self) -> bool:
        """Whether the connection ends with the error."""
        return (self.severity or 0) >= 20 or (self.number in _KNOWN and _KNOWN[self.number][2])

    @property
    def rolls_back(self) -> bool:
        """Whether the error undoes the open transaction."""
        return self.closes or self.number in _ROLLS_BACK

    def matches(self, text: str | None, application: str) -> bool:
        """Whether it applies to a statement, or to a login if ``text`` is None."""
        if (self.action == "refuse_login") != (text is None):
            return False
        if self.pattern is not None and text is not None and not re.search(self.pattern, text, re.IGNORECASE):
            return False
        return self.application is None or bool(re.search(self.application, application, re.IGNORECASE))


class Faults:
    """The faults that are planned. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Plan a fault; the earliest planned that matches strikes."""
        with self._lock:
            self._planned.append(fault)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._planned.clear()

    def planned(self) -> list[dict[str, Any]]:
        """The faults that may still strike."""
        with self._lock:
            return [fault.to_json() for fault in self._planned]

    def strike(self, text: str | None, application: str) -> Fault | None:
        """The fault that strikes this statement (``text`` None: this login), if any; counts it."""
        if not self._planned:
            return None
        with self._lock:
            for fault in self._planned:
                if not fault.matches(text, application):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.struck += 1
                if fault.times is not None and fault.struck >= fault.times:
                    self._planned.remove(fault)
                return fault
        return None
