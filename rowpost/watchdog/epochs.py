"""New epochs of a relay: the tracking of its table begins anew, or the life of the database; and what follows."""

from __future__ import annotations

from contextlib import suppress

from msgspec import Struct

from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.notices.message import Notice
from rowpost.rules.epoch import same_mark

_REWIND_SECONDS = 240  # longer than any batch of the former life is under way; the watchdog's next look is after it
_REASONS = {
    True: "the database was restored, copied or replaced, or its change tracking was switched off and on",
    False: "the change tracking of the table began anew: it was switched off and on, or the table was truncated or made again",
}


class EpochLook(Struct, frozen=True):
    """What a look says of a relay's epoch.

    Attributes:
        epoch: the relay's.
        seen_to: the one that people were told of, and for which all rows were ordered to be sent again.
        rewind_due: whether the trigger's cursor is to be put back once more.
        known: since when the changes of the table were kept at the last look; empty if that is not known.
        since: since when they are; None while the table is not tracked.
        ahead: whether the trigger's cursor or a lease is of a version that is still to come.
        of_the_database: whether the epoch began with a new life of the database.
        now: the database's clock, ISO 8601, UTC.
    """

    epoch: int
    seen_to: int
    rewind_due: bool
    known: str
    since: str | None
    ahead: bool
    of_the_database: bool
    now: str

    @property
    def handled(self) -> bool:
        """Whether the epoch was seen to."""
        return self.epoch == self.seen_to

    @property
    def anew(self) -> bool:
        """Whether the tracking of the table has begun anew since the last look."""
        return bool(self.since and self.known) and not same_mark(self.known, self.since or "")

    @property
    def unwritten(self) -> bool:
        """Whether what was found is to be written down."""
        return self.since is not None and self.since != self.known


def look_at_epoch(app: App, relay: str) -> EpochLook:
    """Look at the epoch of a relay. Changes nothing.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    ((row,),) = app.database.run(app.table(relay).statement("look_at_epoch"))
    epoch, seen_to, rewind_due, known, since, ahead, of_the_database, now = row
    return EpochLook(epoch, seen_to, bool(rewind_due), known or "", since, bool(ahead), bool(of_the_database), now)


def begin_epoch(app: App, relay: str) -> EpochLook:
    """Write down since when changes are kept; if that is another time than before, a new epoch begins, once.

    Returns:
        The epoch after that.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the next look finds the same.
    """
    look = look_at_epoch(app, relay)
    if not look.unwritten:
        return look
    values = (look.known, look.since, int(look.anew), app.life.highest_epoch)
    app.database.run(app.table(relay).statement("begin_epoch"), *values)
    return look_at_epoch(app, relay)


def begin_epochs(app: App) -> None:
    """The same for each relay that can run. What follows of a new epoch is left to the watchdog.

    Raises:
        DatabaseError: the database failed.
    """
    for relay in app.config.relays:
        with suppress(ConfigError):
            begin_epoch(app, relay.name)


def rewind_cursor(app: App, relay: str) -> None:
    """Let the trigger hand out again all that change tracking knows.

    Raises:
        DatabaseError: the database failed; the next look repeats it.
    """
    app.database.run(app.table(relay).statement("rewind_cursor"))


def record_handled(app: App, relay: str, look: EpochLook) -> None:
    """Write down that an epoch was seen to; at the first time the cursor is to be put back once more later.

    Raises:
        DatabaseError: the database failed; the next look repeats what was done, which does no harm.
    """
    table = app.table(relay)
    app.database.run(table.statement("epoch_handled", rewind_seconds=_REWIND_SECONDS), look.epoch, int(look.handled))


def reason_of(look: EpochLook) -> str:
    """What was seen, in a few words."""
    return _REASONS[look.of_the_database]


def epoch_notice(relay: RelayConfig, look: EpochLook) -> Notice:
    """What people are to be told: once of each epoch."""
    return {
        "id": f"notice-epoch-{relay.slug}-{look.epoch}",
        "kind": "epoch",
        "relay": relay.name,
        "rows": 0,
        "round": 0,
        "since": None,
        "at": look.now,
        "last_error": reason_of(look),
        "epoch": look.epoch,
        "on_gap": relay.on_gap,
    }
