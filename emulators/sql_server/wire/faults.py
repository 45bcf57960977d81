"""Faults on the wire: what a network, a failover or a busy server does to a client."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from emulators.sql_server.values.results import SqlError

ACTIONS = ("drop_before", "drop_after", "drop_in_commit", "delay", "error", "refuse_login")
OUTCOMES = ("committed", "rolled_back")
FATAL_SEVERITY = 20  # from here on an error ends the session


class KnownError(NamedTuple):
    """An error as the real server gives it.

    ``moved`` says that the session is lost whatever the severity, because the database has gone to another node.
    """

    severity: int
    state: int
    text: str
    moved: bool = False
    rolls_back: bool = False


_ADVICE = "Please retry the connection later.  If the problem persists, contact customer support, and provide them the session "
_HELP = "See 'http://go.microsoft.com/fwlink/?LinkId=267637' for assistance."
_BUSY = "The service is currently busy. Please retry the request later."
KNOWN: dict[int, KnownError] = {
    229: KnownError(14, 5, "The SELECT permission was denied on the object 'T', database '{database}', schema 'dbo'."),
    916: KnownError(
        14, 1, 'The server principal "{user}" is not able to access the database "{database}" under the current security context.'
    ),
    1205: KnownError(
        13,
        51,
        "Transaction (Process ID {spid}) was deadlocked on lock resources with another process and has been chosen as "
        "the deadlock victim. Rerun the transaction.",
        rolls_back=True,
    ),
    1222: KnownError(16, 45, "Lock request time out period exceeded."),
    3906: KnownError(16, 1, 'Failed to update database "{database}" because the database is read-only.'),
    4060: KnownError(11, 1, 'Cannot open database "{database}" requested by the login. The login failed.'),
    4221: KnownError(
        16, 1, "Login to read-secondary failed due to long wait on 'HADR_DATABASE_WAIT_FOR_TRANSITION_TO_VERSIONING'."
    ),
    9002: KnownError(17, 2, "The transaction log for database '{database}' is full due to 'LOG_BACKUP'."),
    10928: KnownError(20, 1, f"Resource ID : 1. The request limit for the database is 30 and has been reached. {_HELP}"),
    10929: KnownError(
        20,
        1,
        "Resource ID: 1. The request minimum guarantee is 0, maximum limit is 30 and the current usage for the database is 30. "
        "However, the server is currently too busy to support requests greater than 30 for this database. "
        "See http://go.microsoft.com/fwlink/?LinkId=267637 for assistance. Otherwise, please try again later.",
    ),
    18456: KnownError(14, 1, "Login failed for user '{user}'."),
    18487: KnownError(14, 1, "Login failed for user '{user}'.  Reason: The password of the account has expired."),
    18488: KnownError(14, 1, "Login failed for user '{user}'.  Reason: The password of the account must be changed."),
    40197: KnownError(
        17, 1, "The service has encountered an error processing your request. Please try again. Error code 4221.", moved=True
    ),
    40501: KnownError(
        20, 1, "The service is currently busy. Retry the request after 10 seconds. Incident ID: {incident}. Code: 0."
    ),
    40544: KnownError(
        17,
        2,
        "The database '{database}' has reached its size quota. Partition or delete data, drop indexes, or consult the "
        "documentation for possible resolutions.",
    ),
    # Its catalogue entry says severity 17; sessions that met it saw 14 and, where the gateway answered, 20.
    40613: KnownError(
        20,
        1,
        "Database '{database}' on server '{server}' is not currently available.  " + _ADVICE + "tracing ID of '{{{incident}}}'.",
        moved=True,
    ),
    49918: KnownError(16, 1, f"Cannot process request. Not enough resources to process request. {_BUSY}"),
    49919: KnownError(
        16, 1, 'Cannot process create or update request. Too many create or update operations in progress for subscription "0".'
    ),
    49920: KnownError(16, 1, 'Cannot process request. Too many operations in progress for subscription "0".'),
}
_UNKNOWN = KnownError(16, 1, "Injected error.")
_INCIDENT = "00000000-0000-0000-0000-000000000000"


@dataclass(slots=True)
class Fault:
    """One fault.

    Attributes:
        pattern: regular expression, searched in the statement's text; None matches every statement.
        application: regular expression, searched in the application name of the login; None matches every connection.
        action: ``drop_before`` closes the connection before the statement runs; ``drop_after`` runs it and closes the
            connection instead of answering; ``drop_in_commit`` closes it while the first commit of the statement is under
            way, be it a COMMIT or that of a statement outside a transaction; ``delay`` waits (real seconds) and runs it;
            ``error`` answers with an error instead of running it; ``refuse_login`` answers a login with an error.
        outcome: of a commit that ``drop_in_commit`` strikes: ``committed`` or ``rolled_back``.
        number, severity, state, message: of the error; the last three default to the real server's.
        seconds: of the delay.
        times: how often it strikes; None is without end.
        skip: how many matching statements (``drop_in_commit``: commits) pass unharmed first.
    """

    action: str
    pattern: str | None = None
    application: str | None = None
    outcome: str = "committed"
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
            "outcome": str,
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
        if document.get("outcome", OUTCOMES[0]) not in OUTCOMES:
            raise ValueError(f"field 'outcome' must be one of {', '.join(OUTCOMES)}")
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

    @property
    def _known(self) -> KnownError:
        return KNOWN.get(self.number, _UNKNOWN)

    def error(self, spid: int, user: str, database: str, server: str) -> SqlError:
        """The error that it raises."""
        known = self._known
        text = known.text.format(spid=spid, user=user, database=database, server=server, incident=_INCIDENT)
        severity = known.severity if self.severity is None else self.severity
        state = known.state if self.state is None else self.state
        return SqlError(self.number, text if self.message is None else self.message, severity, state)

    @property
    def closes(self) -> bool:
        """Whether the connection ends with the error: by its severity, or because the database is no longer there."""
        return self._known.moved or (self._known.severity if self.severity is None else self.severity) >= FATAL_SEVERITY

    @property
    def rolls_back(self) -> bool:
        """Whether the error undoes the open transaction."""
        return self.closes or self._known.rolls_back

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

    def strike(self, text: str | None, application: str, *, commit: bool = False) -> Fault | None:
        """The fault that strikes this statement (``text`` None: this login; ``commit``: its commit), if any; counts it."""
        if not self._planned:
            return None
        with self._lock:
            for fault in self._planned:
                if (fault.action == "drop_in_commit") != commit or not fault.matches(text, application):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.struck += 1
                if fault.times is not None and fault.struck >= fault.times:
                    self._planned.remove(fault)
                return fault
        return None
