"""A row: its key, what identifies it, and what the database knows of it when it is claimed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec import Struct

from rowpost.rules.json_text import JsonValue, to_json
from rowpost.rules.lease import GUARDED_COUNT
from rowpost.rules.lifecycle import State

ROW_BYTES_AT_MOST = 64 * 2**20  # of the columns that may leave, as the database counts them; a larger row is not sent
HIDDEN = "the row exists, but the app's user does not see it: a security policy may hide it"
FORGOTTEN = "the row is not there, and change tracking does not know any more whether it was deleted or a security policy hides it"
CHANGING = "the row changed each time that it was read"


def key_text(key: Mapping[str, JsonValue]) -> str:
    """A key as canonical JSON: columns in key order, no blanks, values as they travel."""
    return to_json(key)


def key_hash(text: str) -> str:
    """What identifies a row of a table in the ledger: SHA-256 of its canonical key, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


class LedgerRecord(Struct, frozen=True):
    """What is known of a row that failed.

    Attributes:
        version: the change version of the state that failed.
        wait_seconds: how long until its next attempt, at most 0 when it is due.
        tried_seconds: how long ago it was last posted; None if it was left out of every attempt so far.
        operation: ``D`` if the state that failed was a deletion.
        refused: whether the target said no to the row itself when it last answered.
        snapshot: the resync or snapshot that has given the row this version; None if it is that of a change.
    """

    version: int
    state: str
    attempts: int
    rounds: int
    wait_seconds: int
    tried_seconds: int | None
    operation: str = "U"
    refused: bool = False
    snapshot: str | None = None

    @property
    def live(self) -> bool:
        """Whether the row is still to be delivered."""
        return self.state != State.DEAD


class ClaimedRow(Struct):
    """One row of a batch, as the database knows it now.

    Attributes:
        version: the change version that the event will carry, and that the ledger knows.
        lease_version: the change version in the row's lease now.
        tracked_version: the one that the lease is to have when it is released.
        attempt_count: the lease's count at hand-out, or 0 when the row has no lease (any more).
        leased: whether a lease protects the row while we post it; if not, the trigger has swept it away.
        key: as the target is to know it: as the table spells it, or change tracking if the row is deleted.
        values: the columns that may leave, or None when the row is not there.
        skipped_by: the filter that leaves its change out, as relay.toml has it; None if the change counts.
        changed: the columns that may have changed since the target last took the row; None if that is not known.
        new: whether it was made with this very change, so that the target never had it.
        left: whether it exists and does not meet the condition of the relay: the target may not have it.
        ignored: whether nothing is to be sent, since the row does not meet the condition of the relay.
        record: what the ledger knows of the row, if it failed before.
        number: the number of the row's key among those that were claimed.
        unread: whether its values were not read yet; ``values`` is empty then.
        unreadable: why its values cannot be read, without any of them.
        unfit: why no event of it may be sent, without any of its values.
        size: of its values in bytes, if they were measured.
        former: other spellings of the key that the target may know: equal to SQL Server, but not as JSON.
        obstacle: why nothing can be said of the row to the target; empty if something can.
        snapshot: the resync or snapshot for whose sake it is sent; None if it is sent since it has changed.
    """

    key: dict[str, JsonValue]
    version: int
    attempt_count: int
    leased: bool
    values: dict[str, JsonValue] | None
    skipped_by: str | None = None
    record: LedgerRecord | None = None
    number: int = 0
    lease_version: int = 0
    tracked_version: int = 0
    former: tuple[dict[str, JsonValue], ...] = ()
    obstacle: str = ""
    key_text: str = ""
    key_hash: str = ""
    unread: bool = False
    unreadable: str | None = None
    unfit: str | None = None
    size: int = 0
    changed: tuple[str, ...] | None = None
    new: bool = False
    left: bool = False
    ignored: bool = False
    snapshot: str | None = None

    def __post_init__(self) -> None:
        self.lease_version = self.tracked_version = self.version
        self.key_text = key_text(self.key)
        self.key_hash = key_hash(self.key_text)

    def rename(self, claimed_key: Mapping[str, JsonValue], former: tuple[dict[str, JsonValue], ...]) -> None:
        """Name the row in the ledger by the key that was handed out: it stays the same until the row is delivered."""
        self.former = former
        if former:
            self.key_text = key_text(claimed_key)
            self.key_hash = key_hash(self.key_text)

    def spell(self, key: dict[str, JsonValue]) -> None:
        """Take a key that SQL Server takes for the same, as it was read later. In the ledger the row keeps its name."""
        if not self.former and key_text(key) == self.key_text:
            return
        known = {key_text(other): other for other in (*self.former, self.key)}
        known.pop(key_text(key), None)
        self.key, self.former = key, tuple(known.values())

    @property
    def deleted(self) -> bool:
        """Whether the row was deleted, and is not merely out of sight."""
        return self.values is None and not self.obstacle

    def recall(self, record: LedgerRecord | None) -> None:
        """Take what the ledger knows. What it knows to be deleted is, though change tracking has forgotten it."""
        self.record = record
        if record is not None and record.operation == "D" and self.obstacle == FORGOTTEN:
            self.obstacle = ""

    @property
    def stopped(self) -> bool:
        """Whether the row was handed out again and again without an outcome: the claim has parked it."""
        return self.attempt_count >= GUARDED_COUNT or self.attempt_count < 0

    @property
    def too_large(self) -> bool:
        """Whether the row is larger than a row may be."""
        return self.size > ROW_BYTES_AT_MOST

    @property
    def attempts_so_far(self) -> int:
        """How many attempts the ledger has counted for this row."""
        return self.record.attempts if self.record is not None and self.record.live else 0
