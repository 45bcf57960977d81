"""Which recovery of a relay is the current one. The database decides: only who changes the number there starts the next one.

A recovery is an orchestration, and an orchestration can hang: its timer was lost, it was suspended, it stays pending. So the
database also knows by when the current one looks again. One that is followed by another ends by itself when it wakes.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rowpost.app import App

LOOK_SECONDS = 600  # one look, or one redelivery, takes less


class Current(Struct, frozen=True):
    """The current recovery of a relay.

    Attributes:
        number: its own, never given twice; 0 if there was none yet.
        age_seconds: since the number was given.
        ended: whether it has ended, or is about to: it has found that nothing is left.
    """

    number: int
    age_seconds: int
    ended: bool


def current_recovery(app: App, relay: str) -> Current:
    """The current recovery of a relay.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    (((number, age, ended),),) = app.database.run(app.table(relay).statement("current_recovery"))
    return Current(number, age, bool(ended))


def begin_recovery(app: App, relay: str, seen: int) -> int | None:
    """Take on the start of the recovery that follows the one with the number ``seen``.

    Returns:
        The number of the new one; None if somebody else was faster.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; if the number is given all the same, its instance is never started.
    """
    (rows,) = app.database.run(app.table(relay).statement("begin_recovery", look_seconds=LOOK_SECONDS), seen)
    return int(rows[0][0]) if rows else None


def goes_on(app: App, relay: str, number: int) -> bool:
    """Whether a recovery is still the current one; then the time that it has for its next step begins.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    return app.config.relay(relay) is not None and _expect(app, relay, number, LOOK_SECONDS)


def wait_for_next(app: App, relay: str, number: int, found: dict[str, Any]) -> bool:
    """Write down what follows a survey: by when the recovery looks again, or that it ends.

    Who wakes it reads this: a recovery that is about to end is not woken but followed by another. So what it has found must be
    looked at once more if it is about to end: rows may have come before it said so.

    Args:
        app: the app.
        relay: its name.
        number: of the recovery.
        found: what :func:`rowpost.recovery.survey.survey` has returned.

    Returns:
        Whether it ends.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    ends = not (found["live"] or found["unnoticed_dead"] or found["incidents"])
    _expect(app, relay, number, -1 if ends else found["next_seconds"] + LOOK_SECONDS)
    return ends


def looks_again(app: App, relay: str, number: int, seconds: int) -> None:
    """Write down that a recovery sleeps for so many seconds after a redelivery.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    _expect(app, relay, number, seconds + LOOK_SECONDS)


def _expect(app: App, relay: str, number: int, seconds: int) -> bool:
    (((changed,),),) = app.database.run(app.table(relay).statement("expect_recovery"), number, seconds)
    return bool(changed)
