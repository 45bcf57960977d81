"""Locks: one writer at a time, and application locks; in order, with time-outs, cancellation and deadlock detection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

from emulators.sql_server.values.errors import sql_error

WRITE = ("write",)
"""The resource that a transaction holds from its first write to its end."""

_COMPATIBLE: dict[str, frozenset[str]] = {
    "IntentShared": frozenset({"IntentShared", "Shared", "Update", "IntentExclusive"}),
    "Shared": frozenset({"IntentShared", "Shared", "Update"}),
    "Update": frozenset({"IntentShared", "Shared"}),
    "IntentExclusive": frozenset({"IntentShared", "IntentExclusive"}),
    "Exclusive": frozenset(),
}
_STRENGTH = {"IntentShared": 0, "Shared": 1, "IntentExclusive": 1, "Update": 2, "Exclusive": 3}
MODES = {name.lower(): name for name in _COMPATIBLE}


class Owner(Protocol):
    """A session, as the lock manager sees it."""

    spid: int
    deadlock_priority: int

    @property
    def cancelled(self) -> bool: ...


@dataclass(slots=True)
class _Held:
    mode: str
    transaction: int = 0
    session: int = 0


@dataclass(slots=True)
class _Resource:
    held: dict[int, _Held] = field(default_factory=dict)
    queue: list[tuple[int, str]] = field(default_factory=list)


class Deadlock(Exception):
    """Waiting would close a circle."""


class LockTimeout(Exception):
    """The lock was not granted in time."""


class LockManager:
    """Locks of all sessions of one database.

    Args:
        condition: guards the state, and is what waiters wait on.
        monotonic: the time that waits count, in seconds.
    """

    def __init__(self, condition: threading.Condition | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._condition = condition or threading.Condition()
        self._monotonic = monotonic
        self._resources: dict[Hashable, _Resource] = {}
        self._waiting: dict[int, tuple[Hashable, Owner]] = {}
        self._victims: set[int] = set()  # that have not noticed yet

    def acquire(self, owner: Owner, resource: Hashable, mode: str, timeout_seconds: float | None, by_session: bool = False) -> bool:
        """Take a lock; True when it was granted without waiting. The wait is in real time and ends when ``owner.cancelled`` is set.

        Raises Deadlock, LockTimeout or SqlError 3617.
        """
        spid = owner.spid
        with self._condition:
            entry = self._resources.setdefault(resource, _Resource())
            waited = False
            ticket = (spid, mode)
            try:
                if not self._grantable(entry, spid, mode, None):
                    waited = True
                    self._wait(owner, resource, entry, ticket, timeout_seconds)
                held = entry.held.setdefault(spid, _Held(mode))
                if _STRENGTH[mode] > _STRENGTH[held.mode]:
                    held.mode = mode
                if by_session:
                    held.session += 1
                else:
                    held.transaction += 1
            finally:
                if not entry.held and not entry.queue:
                    self._resources.pop(resource, None)
            return not waited

    def _grantable(self, entry: _Resource, spid: int, mode: str, ticket: tuple[int, str] | None) -> bool:
        for holder, held in entry.held.items():
            if holder != spid and held.mode not in _COMPATIBLE[mode]:
                return False
        if spid in entry.held:
            return True
        for waiting in entry.queue:
            if waiting is ticket:
                return True
            if waiting[1] not in _COMPATIBLE[mode]:
                return False  # first come, first served
        return True

    def _wait(
        self, owner: Owner, resource: Hashable, entry: _Resource, ticket: tuple[int, str], timeout_seconds: float | None
    ) -> None:
        if timeout_seconds is not None and timeout_seconds <= 0:
            raise LockTimeout
        deadline = None if timeout_seconds is None else self._monotonic() + timeout_seconds
        entry.queue.append(ticket)
        self._waiting[owner.spid] = resource, owner
        try:
            self._break_circles(owner)
            while not self._grantable(entry, owner.spid, ticket[1], ticket):
                if owner.spid in self._victims:
                    raise Deadlock
                if owner.cancelled:
                    raise sql_error(3617)
                remaining = None if deadline is None else deadline - self._monotonic()
                if remaining is not None and remaining <= 0:
                    raise LockTimeout
                self._condition.wait(remaining)
            if owner.cancelled:
                raise sql_error(3617)
        finally:
            del self._waiting[owner.spid]
            self._victims.discard(owner.spid)
            entry.queue.remove(ticket)
            self._condition.notify_all()

    def _break_circles(self, owner: Owner) -> None:
        """Choose a victim in each circle that this wait closes: the lowest DEADLOCK_PRIORITY, and this session among equals."""
        while circle := self._circle(owner.spid):
            victim = min(circle, key=lambda spid: (self._waiting[spid][1].deadlock_priority, spid != owner.spid))
            if victim == owner.spid:
                raise Deadlock
            self._victims.add(victim)
            self._condition.notify_all()

    def _circle(self, start: int) -> list[int]:
        """Sessions of which each waits for the next and the last for the first; empty if there is no such circle."""
        pending, seen = [[start]], {start}
        while pending:
            path = pending.pop()
            resource, _ = self._waiting.get(path[-1], (None, None))
            entry = self._resources.get(resource)
            for holder in entry.held if entry else ():
                if holder == start and len(path) > 1:
                    return path
                if holder not in seen and holder in self._waiting and holder not in self._victims:
                    seen.add(holder)
                    pending.append([*path, holder])
        return []

    def release(self, spid: int, resource: Hashable, by_session: bool = False) -> bool:
        """Give back one hold; False when there is none of that kind."""
        with self._condition:
            entry = self._resources.get(resource)
            held = entry.held.get(spid) if entry else None
            if entry is None or held is None or (held.session if by_session else held.transaction) == 0:
                return False
            if by_session:
                held.session -= 1
            else:
                held.transaction -= 1
            self._tidy(resource, entry, spid, held)
            return True

    def release_transaction(self, spid: int) -> None:
        """Give back everything that ends with the transaction."""
        self._release_kind(spid, transaction=True, session=False)

    def release_all(self, spid: int) -> None:
        """The connection ends."""
        self._release_kind(spid, transaction=True, session=True)

    def release_session(self, spid: int) -> None:
        """The connection is reset: locks of the session go."""
        self._release_kind(spid, transaction=False, session=True)

    def _release_kind(self, spid: int, transaction: bool, session: bool) -> None:
        with self._condition:
            for resource, entry in list(self._resources.items()):
                held = entry.held.get(spid)
                if held is None:
                    continue
                if transaction:
                    held.transaction = 0
                if session:
                    held.session = 0
                self._tidy(resource, entry, spid, held)

    def _tidy(self, resource: Hashable, entry: _Resource, spid: int, held: _Held) -> None:
        if held.transaction == 0 and held.session == 0:
            del entry.held[spid]
            if not entry.held and not entry.queue:
                self._resources.pop(resource, None)
            self._condition.notify_all()

    def mode_held(self, spid: int, resource: Hashable) -> str:
        """APPLOCK_MODE: the mode that a session holds, or NoLock."""
        with self._condition:
            entry = self._resources.get(resource)
            held = entry.held.get(spid) if entry else None
            return held.mode if held else "NoLock"

    def wake(self) -> None:
        """Let waiters look at their ``cancelled`` flag."""
        with self._condition:
            self._condition.notify_all()

    def snapshot(self) -> list[tuple[Hashable, int, str, str]]:
        """resource, session, mode, status (GRANT or WAIT) of every lock, for sys.dm_tran_locks."""
        with self._condition:
            rows: list[tuple[Hashable, int, str, str]] = []
            for resource, entry in self._resources.items():
                rows += [(resource, spid, held.mode, "GRANT") for spid, held in entry.held.items()]
                rows += [(resource, spid, mode, "WAIT") for spid, mode in entry.queue]
            return rows
