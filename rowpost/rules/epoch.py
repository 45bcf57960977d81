"""Lives of a database: whether its change versions go on, or have begun again.

Versions are comparable within one life only. A restore, a copy put in place of the database, a failover to an older replica, or
change tracking switched off and on begins another one. So what was seen is remembered outside the database as well, and both are
compared. Each look gives the database a new token and the next number, then tells the memory. So the database is never behind the
memory; one that is, or that has another token under the same number, is not the one that was seen last.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

UNKNOWN_PART = "-"


class Memory(Struct, frozen=True):
    """What is remembered outside the database.

    Attributes:
        mark: what told the database from others.
        token: the one that was written into it last.
        number: of the look that wrote it; it grows with each.
        version: the newest change version then.
        epoch: the highest epoch of the app's relays then.
    """

    mark: str
    token: str
    number: int
    version: int
    epoch: int

    def follows(self, other: Memory | None) -> bool:
        """Whether it is later than another one. A signal may arrive late, from a worker that stood still."""
        return other is None or (self.epoch, self.number) > (other.epoch, other.number)


class Recorded(Struct, frozen=True):
    """What the database itself says of the last look.

    Attributes:
        mark: what told the database from others.
        token: the one that was written.
        number: of the look.
        version: the newest change version then.
        life: the epoch with which this life of the database began; 0: the first that was seen.
    """

    mark: str
    token: str
    number: int
    version: int
    life: int


class Found(Struct, frozen=True):
    """The database as a look finds it.

    Attributes:
        mark: what tells the database from others, now.
        version: its newest change version; None while change tracking is off.
        epoch: the highest epoch of the app's relays.
        recorded: what it says of the last look; None before the first.
    """

    mark: str
    version: int | None
    epoch: int
    recorded: Recorded | None


class Seen(Struct, frozen=True):
    """What a batch sees of the database: the mark, the number of the last look, and the newest change version."""

    mark: str
    number: int
    version: int | None


class Verified(Struct, frozen=True):
    """What this process knows of the life that it has seen to be the remembered one; ``life`` is the epoch with which it began."""

    mark: str
    life: int
    number: int
    version: int

    def contradicts(self, seen: Seen) -> bool:
        """Whether what was read later cannot be the same life: the database is another one, or has gone back."""
        back = seen.number < self.number or seen.version is None or seen.version < self.version
        return back or not same_mark(self.mark, seen.mark)


class Verdict(Enum):
    """What a look says."""

    UNKNOWN = "unknown"  # change tracking is off
    SAME = "same"  # the life that is remembered, or the first that is seen: the next token is due
    AHEAD = "ahead"  # the same, and the memory was not told yet, or there is none: it is told what stands in the database
    NEW = "new"  # another life


def same_mark(one: str, other: str) -> bool:
    """Whether two marks can be of one database. A part that is unknown (:data:`UNKNOWN_PART`) says nothing."""
    return all(a == b or UNKNOWN_PART in (a, b) for a, b in zip(one.split(), other.split(), strict=False))


def judge(found: Found, memory: Memory | None, verified: Verified | None = None) -> Verdict:
    """Compare the database with what is remembered of it.

    Args:
        found: the database, read after the memory.
        memory: what is remembered outside; None if nothing is, or the storage is away.
        verified: what this process knew before it looked.
    """
    recorded = found.recorded
    if found.version is None:
        return Verdict.UNKNOWN
    if recorded is None:
        return Verdict.SAME if memory is None else Verdict.NEW
    if not same_mark(recorded.mark, found.mark) or found.version < recorded.version:
        return Verdict.NEW
    seen = Seen(found.mark, recorded.number, found.version)
    if verified is not None and verified.life == recorded.life and verified.contradicts(seen):
        return Verdict.NEW
    if memory is None:  # it is told what stands in the database: a token of its own would leave a late signal behind
        return Verdict.AHEAD
    if memory.epoch < recorded.life:  # a life that began after all that is remembered: the memory was not told of it
        return Verdict.AHEAD
    if not same_mark(memory.mark, found.mark) or found.version < memory.version:
        return Verdict.NEW
    if memory.token == recorded.token:
        return Verdict.SAME
    # A process ended before it told the memory; or another one, with a memory of its own, has looked meanwhile.
    return Verdict.AHEAD if recorded.number > memory.number else Verdict.NEW
