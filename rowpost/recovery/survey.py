"""The survey of one table: its rows planned, and what is left to wait for, to redeliver and to tell."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from rowpost.app import App
from rowpost.database.ledger import CHUNK_ROWS, change_in_chunks
from rowpost.recovery.plan import LAPSED_SECONDS, plan

DIGEST_SECONDS = 3600  # rows of a long outage die one after the other: they are told of once an hour
_SETTLED_SECONDS = 10
_SURVEY_AT_LEAST_SECONDS = 1
_SURVEY_AT_MOST_SECONDS = 6 * 3600  # look again at least so often, whatever is planned


class Survey(Struct, frozen=True):
    """The state of a table's ledger after its rows were planned.

    Attributes:
        live: rows still to be delivered, in all states.
        round: the highest round among them.
        due: detached rows that are to be redelivered now, from here.
        next_seconds: when to look again.
        unnoticed_dead: dead letters that nobody was told of.
        digest_seconds: how long these wait for a notice that tells of more at once; 0 if they are to be told now.
        dead: all dead letters of the table.
        as_of: the database's clock, ISO 8601, UTC.
        oldest_failure: the first failure among the live rows, ISO 8601, UTC.
        last_error: the reason of the latest failure.
        alarm: whether people are to be told that rows are not delivered.
    """

    live: int = 0
    round: int = 0
    due: int = 0
    next_seconds: int = _SURVEY_AT_MOST_SECONDS
    unnoticed_dead: int = 0
    digest_seconds: int = 0
    dead: int = 0
    as_of: str = ""
    oldest_failure: str | None = None
    last_error: str | None = None
    alarm: bool = False


def survey(app: App, relay: str) -> dict[str, Any]:
    """Plan the table's rows (see :func:`rowpost.recovery.plan.plan`), and say what is left (see :class:`Survey`).

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; what was planned stays planned.
    """
    retry = app.config.retry
    if app.config.relay(relay) is None:  # no longer configured: nothing is left to recover
        return asdict(Survey())
    more = plan(app, relay)
    look = app.table(relay).statement("survey", settled_seconds=_SETTLED_SECONDS)
    ((row,),) = app.database.run(look)
    live, rounds, due, unnoticed, tellable, dead, detached, attached, age, open_seconds, told, as_of, oldest, error = row
    looks = [0] if more else []
    if age is not None:
        looks.append(round(retry.window.seconds) - age)
    if detached is not None:
        looks.append(max(detached, open_seconds or 0))
    if attached is not None:  # the trigger hands it out; this is when it should have done so
        looks.append(max(attached, 0) + LAPSED_SECONDS + 60)
    if open_seconds is not None:
        looks.append(open_seconds if open_seconds > 0 else LAPSED_SECONDS)
    digest = 0 if told is None else max(0, DIGEST_SECONDS - told)
    if unnoticed and not tellable:
        digest = max(digest, _SETTLED_SECONDS)
    if unnoticed:
        looks.append(digest)
    pause = max(_SURVEY_AT_LEAST_SECONDS, min([*looks, _SURVEY_AT_MOST_SECONDS]))
    # A target that works now and then begins the rounds anew each time: by then people are told all the same.
    late = sum(map(retry.backoff.delay_seconds, range(1, retry.notify_after_rounds + 1))) + 60 * retry.attempts
    alarm = bool(live) and (rounds >= retry.notify_after_rounds or age >= late)
    return asdict(
        Survey(
            live=live or 0,
            round=rounds or 0,
            due=due or 0,
            next_seconds=pause,
            unnoticed_dead=(unnoticed or 0) if digest else (tellable or 0),
            digest_seconds=digest,
            dead=dead or 0,
            as_of=as_of,
            oldest_failure=oldest,
            last_error=error,
            alarm=alarm,
        )
    )


def mark_noticed(app: App, relay: str, as_of: str) -> None:
    """Remember that people were told of the dead letters that a survey at ``as_of`` counted."""
    table = app.table(relay)
    change_in_chunks(app.database, table.statement("mark_noticed", chunk_rows=CHUNK_ROWS), as_of)
    told = "DECLARE @relay nvarchar(261) = ?; UPDATE rowpost.Relays SET DeadToldAt = SYSUTCDATETIME() WHERE Relay = @relay;"
    app.database.run(told, table.name)
