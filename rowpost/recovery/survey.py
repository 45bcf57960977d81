"""The survey of one relay: its rows planned, what people are to be told written down, and what is left to wait for."""

from __future__ import annotations

import logging
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from rowpost.app import App
from rowpost.config.notifications import NotificationsConfig
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import Row
from rowpost.database.ledger import CHUNK_ROWS, change_in_chunks
from rowpost.database.notices import Cause, record_notice, tellings
from rowpost.notices.channels import recipients
from rowpost.notices.message import KEYS_AT_MOST, About, Notice, subject
from rowpost.recovery.plan import LAPSED_SECONDS, plan
from rowpost.rules.reminders import seconds_to_reminder

_log = logging.getLogger("rowpost.notices")
DIGEST_SECONDS = 3600  # rows of a long outage die one after the other: they are told of once an hour
_SETTLED_SECONDS = 10
_KEY_CHARACTERS = 400  # of a key in a notice
_PAUSED_SECONDS = 3600  # between two looks while the relay is paused: whoever resumes it wakes recovery
_SOON_SECONDS = 60  # dead letters that are told so soon are told before the end of their incident
_SURVEY_AT_LEAST_SECONDS = 1
_SURVEY_AT_MOST_SECONDS = 6 * 3600  # look again at least so often, whatever is planned
_ABOUT: tuple[About, ...] = ("target", "row")


class Survey(Struct, frozen=True):
    """The state of a relay's ledger after its rows were planned.

    Attributes:
        live: rows still to be delivered, in all states.
        round: the highest round among them.
        due: detached rows that are to be redelivered now, from here.
        next_seconds: when to look again.
        unnoticed_dead: dead letters that nobody was told of, and that are told later.
        digest_seconds: how long these wait for a notice that tells of more at once.
        dead: all dead letters of the relay.
        as_of: the database's clock, ISO 8601, UTC.
        oldest_failure: the first failure among the live rows, ISO 8601, UTC.
        last_error: the reason of the latest failure.
        incidents: what people were told of that is not over yet.
        untold: how many recipients nobody was started to tell.
        expired: rows that this look has given up.
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
    incidents: int = 0
    untold: int = 0
    expired: int = 0


class _Ledger(Struct, frozen=True):
    """The first result set of ``survey.sql``."""

    live: int | None
    rounds: int | None
    due: int | None
    unnoticed: int | None
    tellable: int | None
    to_mark: int | None
    dead: int | None
    detached_seconds: int | None
    attached_seconds: int | None
    age: int | None
    open_seconds: int | None
    told_seconds: int | None
    as_of: str
    told_to: str
    oldest: str | None
    error: str | None
    paused: int


class _Waiting(Struct, frozen=True):
    """Live rows of one kind."""

    rows: int = 0
    rounds: int = 0
    age: int = 0
    since: str | None = None
    error: str | None = None


class _Incident(Struct, frozen=True):
    """An incident that people were told of."""

    since: str
    delivered: int
    given_up: int
    behind_breaker: int
    name: str
    reminders: int
    told_seconds: int
    acknowledged: int


class _Seen(Struct, frozen=True):
    """What one look at the ledger found; ``waiting`` and ``incidents`` by what they are about."""

    ledger: _Ledger
    waiting: dict[str, _Waiting]
    incidents: dict[str, _Incident]


def survey(app: App, relay: str) -> dict[str, Any]:
    """Plan the relay's rows (see :func:`rowpost.recovery.plan.plan`), write down what people are to be told, and say what is left.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; what was planned stays planned, and what was written down is told.
    """
    config = app.config.relay(relay)
    if config is None:  # no longer configured: nothing is left to recover
        return asdict(Survey())
    planned = plan(app, relay)
    seen = _look(app, relay)
    told = _tell(app, config, seen)
    if told:
        seen = _look(app, relay)
    if seen.ledger.to_mark:
        _mark_noticed(app, relay, seen.ledger.told_to)
    if seen.incidents and not seen.ledger.paused:
        change_in_chunks(app.database, app.table(relay).statement("join_incident", chunk_rows=CHUNK_ROWS))
    found = seen.ledger
    digest = _digest_seconds(found)
    untold = sum(telling.starts == 0 for telling in tellings(app.database, app.site, app.table(relay).name))
    return asdict(
        Survey(
            live=found.live or 0,
            round=found.rounds or 0,
            due=found.due or 0,
            next_seconds=_next_look(app, seen, digest, more=planned.more),
            unnoticed_dead=found.unnoticed or 0,
            digest_seconds=digest,
            dead=found.dead or 0,
            as_of=found.as_of,
            oldest_failure=found.oldest,
            last_error=found.error,
            incidents=len(seen.incidents),
            untold=untold,
            expired=planned.expired,
        )
    )


def seconds_to_next_look(app: App, relay: str) -> int:
    """When recovery should look again after a redelivery in which nothing succeeded. The rows are planned already.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    seen = _look(app, relay)
    return _next_look(app, seen, _digest_seconds(seen.ledger), more=False)


def _look(app: App, relay: str) -> _Seen:
    look = app.table(relay).statement("survey", settled_seconds=_SETTLED_SECONDS, lapsed_seconds=LAPSED_SECONDS)
    (totals,), kinds, errors, incidents = app.database.run(look)
    reasons: dict[str, str | None] = dict(_pair(row) for row in errors)
    return _Seen(
        _Ledger(*totals),
        {about: _Waiting(rows, rounds, age, since, reasons.get(about)) for about, rows, rounds, age, since in kinds},
        {about: _Incident(*values) for about, *values in incidents},
    )


def _pair(row: Row) -> tuple[str, str | None]:
    about, error = row
    return about, error


def _next_look(app: App, seen: _Seen, digest: int, *, more: bool) -> int:
    found = seen.ledger
    looks = [0] if more else []
    if found.unnoticed:
        looks.append(digest)
    for about, incident in seen.incidents.items():
        if about not in seen.waiting:  # it is over, and is told of when dead letters are told, and the breaker shows that it is
            looks.append(max(found.open_seconds or 0, 0) + LAPSED_SECONDS if incident.behind_breaker else _SETTLED_SECONDS)
    looks += [_PAUSED_SECONDS] if found.paused else _looks_at_rows(app, seen)
    return max(_SURVEY_AT_LEAST_SECONDS, min([*looks, _SURVEY_AT_MOST_SECONDS]))


def _looks_at_rows(app: App, seen: _Seen) -> list[int]:
    """When the rows that wait ask for a look. While the relay is paused none does: whoever resumes it wakes recovery."""
    found, retry, looks = seen.ledger, app.config.retry, []
    if found.age is not None:
        looks.append(round(retry.window.seconds) - found.age)
    if found.detached_seconds is not None:
        looks.append(max(found.detached_seconds, found.open_seconds or 0))
    if found.attached_seconds is not None:  # the trigger hands it out; this is when it should have done so
        looks.append(max(found.attached_seconds, 0) + LAPSED_SECONDS + 60)
    if found.open_seconds is not None and found.live:
        looks.append(found.open_seconds if found.open_seconds > 0 else LAPSED_SECONDS)
    after = round(app.config.notifications.after.seconds)
    looks += [after - waiting.age for about, waiting in seen.waiting.items() if about not in seen.incidents]
    for about, incident in seen.incidents.items():
        if about in seen.waiting and not incident.acknowledged:
            looks.append(_seconds_to_reminder(app, incident))
    # Nothing wakes recovery for a row that begins to fail while it sleeps: no row fails for long before a look.
    return [*looks, max(after, 60)]


def _digest_seconds(found: _Ledger) -> int:
    """How long dead letters wait until they are told."""
    digest = 0 if found.told_seconds is None else max(0, DIGEST_SECONDS - found.told_seconds)
    return max(digest, _SETTLED_SECONDS) if found.unnoticed and not found.tellable else digest


def _tell(app: App, relay: RelayConfig, seen: _Seen) -> bool:
    """Write down what people are to be told of this look; returns whether there was anything."""
    found, told = seen.ledger, False
    for about in _ABOUT:
        # While the relay is paused its rows wait for an operator: what people hear of it is the notice of the pause.
        waiting, incident = None if found.paused else seen.waiting.get(about), seen.incidents.get(about)
        if waiting is not None and incident is None and _lasts(waiting, app.config.notifications):
            notice = _notice("alarm", relay, seen, about, waiting)
            notice["incident"] = notice["id"].replace("notice-alarm", "incident", 1)
            told |= _write_down(app, _with_keys(app, notice, about), Cause("begin", about, waiting.since))
        elif waiting is not None and incident is not None and _is_due(app, incident):
            notice = _notice("reminder", relay, seen, about, waiting)
            notice["incident"], notice["reminders"] = incident.name, incident.reminders
            told |= _write_down(app, _with_keys(app, notice, about), Cause("remind", about, waiting.since))
    about_to_tell = bool(found.unnoticed) and _digest_seconds(found) <= _SOON_SECONDS
    if found.tellable and not _digest_seconds(found):
        notice = _notice("dead_letter", relay, seen, None, _Waiting(found.tellable, 0, 0, found.oldest, found.error))
        told |= _write_down(app, _with_keys(app, notice, "dead"), Cause("dead", "", found.as_of))
    for about in _ABOUT:
        incident = seen.incidents.get(about)
        if incident is not None and about not in seen.waiting and not incident.behind_breaker and not about_to_tell:
            notice = _notice("recovered", relay, seen, about, _Waiting(found.live or 0, 0, 0, incident.since, found.error))
            notice["delivered"], notice["given_up"] = incident.delivered, incident.given_up
            notice["incident"] = incident.name
            told |= _write_down(app, notice, Cause("end", about))
    return told


def _lasts(waiting: _Waiting, config: NotificationsConfig) -> bool:
    """Whether rows have been failing for so long, or so often, that people are told."""
    return waiting.rounds >= config.after_rounds or waiting.age >= round(config.after.seconds)


def _is_due(app: App, incident: _Incident) -> bool:
    return not incident.acknowledged and _seconds_to_reminder(app, incident) <= 0


def _seconds_to_reminder(app: App, incident: _Incident) -> int:
    return seconds_to_reminder(app.config.notifications.reminder.seconds, incident.reminders, incident.told_seconds)


def _with_keys(app: App, notice: Notice, about: str) -> Notice:
    """The notice with the keys of the oldest rows that it tells of, unless keys are not to be told."""
    if app.config.notifications.row_keys:
        look = app.table(notice["relay"]).statement("oldest_keys", keys=KEYS_AT_MOST, characters=_KEY_CHARACTERS)
        (keys,) = app.database.run(look, about, notice["at"])
        notice["keys"] = [key for (key,) in keys]
    return notice


def _notice(kind: Any, relay: RelayConfig, seen: _Seen, about: About | None, waiting: _Waiting) -> Notice:
    instant = "".join(filter(str.isalnum, seen.ledger.as_of))
    notice: Notice = {
        "id": f"notice-{'end' if kind == 'recovered' else kind}-{relay.slug}-{f'{about}-' if about else ''}{instant}",
        "kind": kind,
        "relay": relay.name,
        "rows": waiting.rows,
        "round": waiting.rounds,
        "since": waiting.since,
        "at": seen.ledger.as_of,
        "last_error": waiting.error,
    }
    if about is not None:
        notice["about"] = about
    return notice


def _write_down(app: App, notice: Notice, cause: Cause) -> bool:
    new = record_notice(app.database, app.site, notice, recipients(app.config.notifications), cause)
    if new:
        _log.warning("%s", subject(notice))  # without recipients as well: the log tells it, once
    return new


def _mark_noticed(app: App, relay: str, told_to: str) -> None:
    """Mark the dead letters of which the last notice told."""
    change_in_chunks(app.database, app.table(relay).statement("mark_noticed", chunk_rows=CHUNK_ROWS), told_to)
