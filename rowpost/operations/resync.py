"""Resync: the order to send the present state of a whole table, and to let the target remove what does not exist.

The initial snapshot of a relay is one: it gives the target what was there before the relay. A later one repairs what nothing else
can: changes that were lost before they were handed out. A page of keys goes into the ledger as detached rows that are due, and
recovery delivers them like any other: under a lease, at the target's pace, with rounds and dead letters.

The order and its position are in the database (``rowpost.Resyncs``). Whoever makes its steps has nothing to remember: a step begins
by asking how far the resync has come, and writes down what it did, unless another one was faster.
"""

from __future__ import annotations

import json
import logging
import uuid
from datetime import datetime
from typing import Literal

from msgspec import Struct

from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import DatabaseError, Row
from rowpost.database.ledger import CHUNK_ROWS, change_in_chunks
from rowpost.database.notices import record_notice
from rowpost.database.statements import render
from rowpost.database.table import Table
from rowpost.notices.channels import recipients
from rowpost.notices.message import Notice, subject
from rowpost.operations import audit
from rowpost.recovery.redeliver import rows_at_most
from rowpost.rules.json_text import to_json
from rowpost.rules.resync import (
    Cause,
    ResyncState,
    Said,
    after_answer,
    backlog_rows,
    gives_way,
    is_checkpoint,
    pause_for_delivery,
    pause_for_the_rest,
    pause_for_trigger,
    pause_seconds,
)
from rowpost.rules.row import key_hash, key_text
from rowpost.target.event import build_resync_event
from rowpost.telemetry.journal import Journal

_log = logging.getLogger("rowpost.resync")
PAGE_ROWS = 500
_STAY_SECONDS = 60
_PAGES_UNCHECKED = 20  # without a look at what is hidden
_PAUSED_SECONDS = 300  # between two looks whether the relay is still paused
_COUNTS = 3  # of the rows: a busy table has them at different times
_INITIAL = "the relay has initial = snapshot"
_NOT_STARTED = "the trigger has not started yet: it is to hand out what changes while the table is sent"
_NO_VERSION = (
    "the database's change version does not move: changes of rowpost.Ticks are not tracked; run python infra/prepare_database.py"
)


class Order(Struct, frozen=True):
    """A resync that has not ended.

    Attributes:
        resync: its id.
        starts: how often an orchestration was started for it; only the last one may make its steps.
        due_seconds: until its next step; below zero if it is late.
        problem: what it waits for; None if it goes on.
        tries: how often the present event of it was posted in vain.
        said: what came of the last try.
    """

    resync: str
    starts: int
    due_seconds: int
    problem: str | None
    tries: int
    said: str | None


class Step(Struct, frozen=True):
    """What came of a step.

    Attributes:
        over: whether whoever made it is to make no other one.
        pause_seconds: until the next one.
        queued: rows that it put into the ledger.
        told: whether people are to be told of something.
    """

    over: bool = False
    pause_seconds: int = 0
    queued: int = 0
    told: bool = False


class _Seen(Struct, frozen=True):
    """The result set of ``look_at_resync.sql``, behind the state."""

    cause: Cause
    epoch: int
    since: int | None
    position: str | None
    pages: int
    tries: int
    starts: int
    taken: bool | None
    older: int
    waits_seconds: int | None
    left: int
    given_up: int
    error: str | None
    open_seconds: int | None
    next_seconds: int | None
    age_seconds: int
    waited_seconds: int
    queued: int
    begun: str | None
    now: str
    paused: int


def order_resync(
    app: App, relay_name: str, reason: str, *, gap: int | None = None, alone: bool = False, by: str = audit.THE_APP
) -> bool:
    """Write down the order to send a whole table again. The watchdog starts what is ordered; a caller may do so at once.

    An order while another one waits to begin adds nothing. If one is under way, this one follows it.

    Args:
        app: the app.
        relay_name: the relay's name.
        reason: for people.
        gap: the last version of the gap that is to be repaired: one that began later, or was cancelled, is enough.
        alone: add nothing either while one is under way.
        by: who orders it.

    Returns:
        Whether it was added.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the order may stand, and may be repeated.
    """
    table = app.table(relay_name)
    return _order(app, table, reason, gap, int(alone), int(table.relay.initial == "snapshot"), by)


def order_initial_snapshot(app: App, relay_name: str) -> bool:
    """Write down the order to send a whole table at the start of its relay, if the relay is to have that and had none yet.

    The database remembers it: there is one in the life of a relay, whoever asks for it and how often.

    Returns:
        Whether it was added.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the order may stand, and may be repeated.
    """
    table = app.table(relay_name)
    return table.relay.initial == "snapshot" and _order(app, table, _INITIAL, None, 1, 2, audit.THE_APP)


def _order(app: App, table: Table, reason: str, gap: int | None, alone: int, initial: int, by: str) -> bool:
    (((now, known),),) = app.database.run("SELECT CONVERT(nvarchar(40), SYSUTCDATETIME(), 126), COUNT(*) FROM rowpost.Resyncs;")
    resync = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{app.site}/{table.name}/{now}/{known}"))
    request = to_json({"reason": reason[:400]})
    order = (resync, reason[:400], -1 if gap is None else gap, alone, initial, by[:200], request)
    (((added,),),) = app.database.run(table.statement("order_resync"), *order)
    return bool(added)


def rows_to_send(app: App, relay: str) -> int:
    """About how many rows a resync would send, by the catalogue.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    (((rows,),),) = app.database.run(app.table(relay).statement("rows_of_table"))
    return int(rows or 0)


def cancel_resyncs(app: App, relay: str, by: str = audit.THE_APP) -> int:
    """End what is ordered or under way; rows that are in the ledger by then are still sent. Returns how many resyncs were ended.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; it may be repeated.
    """
    given = audit.Order("stop_resync", relay, by)
    (((cancelled,),),) = app.database.run(app.table(relay).statement("cancel_resyncs"), *given.parameters)
    return int(cancelled)


def next_resync(app: App, relay: str) -> Order | None:
    """The resync of a relay that is under way, or is to begin; None if there is none.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    (rows,) = app.database.run(app.table(relay).statement("next_resync"))
    return Order(*rows[0]) if rows else None


def why_it_waits(order: Order, tries: int) -> str | None:
    """Why a resync does not go on: what it waits for, or that its event was posted at least ``tries`` times in vain."""
    if order.problem is None and order.tries >= tries:
        return f"the target does not take its event ({order.said})"
    return order.problem


def waiting_notice(relay: RelayConfig, order: Order, reason: str, at: str) -> Notice:
    """What people are to be told of a resync that waits, once a day; ``at`` is the time of the look, ISO 8601, UTC."""
    return {
        "id": f"notice-resync-waits-{relay.slug}-{order.resync[:8]}-{at[:10]}",
        "kind": "resync_waits",
        "relay": relay.name,
        "rows": 0,
        "round": 0,
        "since": None,
        "at": at,
        "last_error": reason,
    }


def take_on(app: App, relay: str, order: Order) -> bool:
    """Take on a resync: whoever made its steps before may not any more. Returns whether the one that is started now may.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the watchdog finds that nobody makes its steps.
    """
    (((may,),),) = app.database.run(app.table(relay).statement("start_resync"), order.resync, order.starts)
    return bool(may)


def remove_resyncs(app: App, before: str) -> int:
    """Remove the records of resyncs that ended before that instant, but the last one of each relay; returns how many."""
    return change_in_chunks(app.database, render("remove_resyncs", {"chunk_rows": CHUNK_ROWS}), before)


def resync_step(app: App, relay: str, resync: str, start: int, journal: Journal | None = None) -> Step:
    """Make the next step of a resync. The same step twice, or by two workers at once, does no harm.

    Args:
        app: the app.
        relay: its name.
        resync: the id of the resync.
        start: which start of it makes the step.
        journal: takes each request.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the step is made again.
    """
    if app.config.relay(relay) is None:  # no longer configured
        return Step(over=True)
    table = app.table(relay)
    (rows,) = app.database.run(table.statement("look_at_resync"), resync)
    if not rows:
        return Step(over=True)
    state, cause, *values = rows[0]
    return _Resync(app, table, resync, ResyncState(state), _Seen(Cause(cause), *values), journal).step(start)


class _Resync:
    """One resync, as a step has found it."""

    def __init__(self, app: App, table: Table, resync: str, state: ResyncState, seen: _Seen, journal: Journal | None) -> None:
        self._app, self._table, self._id, self._state, self._seen, self._journal = app, table, resync, state, seen, journal
        self._target, self._shape = app.config.target(table.relay.target), app.shape(table.relay)

    @property
    def _name(self) -> str:
        return f"the {'initial snapshot' if self._seen.cause is Cause.INITIAL else 'resync'} {self._id}"

    def step(self, start: int) -> Step:
        seen = self._seen
        if (
            seen.starts != start or seen.older
        ):  # another one goes on with it; or it is not its turn, and whoever ends that starts it
            return Step(over=True)
        if seen.paused:
            return self._pause(_PAUSED_SECONDS)
        if gives_way(self._state, seen.waits_seconds):
            return self._end(ResyncState.SUPERSEDED)
        if self._state is ResyncState.ORDERED:
            return self._begin()
        if self._state is ResyncState.BEGUN:
            return self._announce()
        return self._page() if self._state is ResyncState.PAGING else self._settle()

    def _begin(self) -> Step:
        if problem := self._hidden():
            return self._stay(problem)
        (((begun, started),),) = self._app.database.run(self._table.statement("begin_resync"), self._id)
        if begun:
            _log.info("%s: %s has begun", self._table.name, self._name)
            return Step()
        if not started:  # soon after the start of the app it will have
            pause = pause_for_trigger(self._seen.age_seconds)
            self._move(self._state, pause, problem=_NOT_STARTED)
            return Step(pause_seconds=pause)
        return self._stay(_NO_VERSION)

    def _again(self, problem: str) -> Step:
        """Begin anew: rows may be missing in the pages so far. The next resync begins when nothing is hidden any more."""
        _log.error("%s: %s begins anew: %s", self._table.name, self._name, problem)
        order_resync(self._app, self._table.name, "rows were hidden from the app's user while it was sent")
        return self._end(ResyncState.SUPERSEDED)

    def _hidden(self) -> str | None:
        """Why the app may not see all rows of the table as it is now: those would be removed at the target."""
        return self._known_to_be_hidden() or self._uncounted()

    def _known_to_be_hidden(self) -> str | None:
        """The same, as far as the catalogue and change tracking say it for certain."""
        return self._hidden_by_the_catalogue() or self._hidden_from_tracking()

    def _hidden_by_the_catalogue(self) -> str | None:
        try:
            self._app.look_up(self._table.name)
        except ConfigError as error:
            return str(error)
        return None

    def _hidden_from_tracking(self) -> str | None:
        # The app's user may not know of a policy, and still not see what it hides.
        (((hidden,),),) = self._app.database.run(self._table.statement("count_hidden"))
        if hidden:
            return (
                f"relays.table {self._table.relay.table}: a security policy hides rows from the app's user; let its predicate pass "
                f"that user for each row, or disable the policy"
            )
        return None

    def _uncounted(self) -> str | None:
        """Why the app may not see rows that change tracking does not know any more, though its user knows of no policy."""
        name = f"relays.table {self._table.relay.table}"
        remedy = "GRANT VIEW DEFINITION on the database to the app's user, and policies are looked up"
        try:
            for _ in range(_COUNTS):
                (((missing,),),) = self._app.database.run(self._table.statement("count_rows"))
                if (missing or 0) <= 0:
                    return None
        except DatabaseError as error:
            if error.state.startswith("HYT"):  # the next step would not be faster
                return f"{name}: its rows cannot be counted in time, so a security policy may hide some: {remedy}"
            raise
        return (
            f"{name}: the app's user sees {missing} rows less than the table has; a security policy may hide them: let its "
            f"predicate pass that user; or {remedy}"
        )

    def _pause(self, seconds: int) -> Step:
        self._move(self._state, seconds, tries=self._seen.tries)
        return Step(pause_seconds=seconds)

    def _stay(self, problem: str) -> Step:
        _log.error("%s: %s waits: %s", self._table.name, self._name, problem)
        self._move(self._state, _STAY_SECONDS, tries=self._seen.tries, problem=problem[:400])
        return Step(pause_seconds=_STAY_SECONDS)

    def _announce(self) -> Step:
        if not self._target.resync_events:
            self._move(ResyncState.PAGING, taken=0, begun="not sent: resync_events is false")
            return Step()
        if self._shape.resync is None:
            self._move(ResyncState.PAGING, taken=0, begun="not sent: the relay has requests or bodies of its own, and no `resync`")
            return Step()
        said = self._post("begun")
        if said.taken is None:
            self._wait(said, begun=said.text)
            return Step(pause_seconds=said.pause_seconds)
        if not said.taken:
            _log.warning("%s: the target does not take the events of a resync (%s)", self._table.name, said.text)
        self._move(ResyncState.PAGING, taken=int(said.taken), begun=said.text)
        return Step()

    def _page(self) -> Step:
        position = self._seen.position
        if position is not None and json.loads(position).keys() != {column.name for column in self._table.key}:
            order_resync(self._app, self._table.name, "the table was made anew while it was sent")
            return self._end(ResyncState.SUPERSEDED)
        if problem := self._look_between_pages():
            return self._again(problem)
        name, parameters = ("resync_first_page", ()) if position is None else ("resync_next_page", (position,))
        (((live, current),), rows) = self._read_page(name, parameters)
        if live > backlog_rows(rows_at_most(self._target)):
            return self._pause(pause_for_delivery(self._seen.next_seconds, self._seen.waited_seconds))
        if not rows:
            if problem := self._known_to_be_hidden():  # now, and maybe while a page was read
                return self._again(problem)
            self._move(ResyncState.SETTLING)
            return Step()
        texts = [key_text(self._table.key_of(values)) for *values, _ in rows]
        keys = [{"keyHash": key_hash(text), "rowKey": text, "own": row[-1]} for text, row in zip(texts, rows, strict=True)]
        page = (self._id, self._seen.pages, to_json(keys), current, texts[-1])
        (((queued,),),) = self._app.database.run(self._table.statement("queue_page"), *page)
        return Step(queued=len(keys) if queued else 0)

    def _read_page(self, name: str, parameters: tuple[str, ...]) -> list[list[Row]]:
        """A page of the rows that meet the condition. If it fails at a row, of all: each is looked at when it is sent."""
        try:
            return self._app.database.run(self._table.statement(name, page_rows=PAGE_ROWS), *parameters)
        except DatabaseError as error:
            if self._table.relay.where is None or not error.by_a_row:
                raise
        return self._app.database.run(self._table.statement(name, page_rows=PAGE_ROWS, matching_of_t="1 = 1"), *parameters)

    def _look_between_pages(self) -> str | None:
        """Why the app may not see all rows. Asked, and told how far it is, now and then: a page costs the same in a large table."""
        pages = self._seen.pages
        if not pages or pages % _PAGES_UNCHECKED:
            return None
        if pages % (10 * _PAGES_UNCHECKED) == 0 or is_checkpoint(pages, _PAGES_UNCHECKED):
            _log.info("%s: %s has %d rows in the ledger, or delivered", self._table.name, self._name, self._seen.queued)
        if problem := self._hidden_by_the_catalogue():
            return problem
        return self._hidden_from_tracking() if is_checkpoint(pages, _PAGES_UNCHECKED) else None

    def _settle(self) -> Step:
        seen = self._seen
        if seen.left:
            return self._pause(pause_for_the_rest(seen.age_seconds))
        if seen.given_up:
            told = self._tell()
            return self._end(ResyncState.INCOMPLETE, told=told)
        if not seen.taken or self._shape.resync is None:
            return self._end(ResyncState.COMPLETED)
        if problem := self._hidden():
            return self._stay(problem)
        said = self._post("completed")
        if said.taken is None:
            self._wait(said, completed=said.text)
            return Step(pause_seconds=said.pause_seconds)
        if not said.taken:
            _log.warning("%s: the target refused the event of the end of a resync (%s)", self._table.name, said.text)
        return self._end(ResyncState.COMPLETED, said=said)

    def _post(self, phase: Literal["begun", "completed"]) -> Said:
        """Post an event of the resync, unless the target is known to be down."""
        assert self._seen.since is not None
        if (self._seen.open_seconds or 0) > 0:
            wait = pause_seconds(self._seen.open_seconds)
            return Said("not tried: the target is known to be down", None, wait, tried=False)
        target, now = self._target, datetime.fromisoformat(self._seen.now[:26])
        event = build_resync_event(self._shape, self._id, phase, (self._seen.epoch, self._seen.since), now, self._seen.cause)
        deliverer = self._app.deliverers[target.name]
        deliverer.database_says(now)
        (answer,) = deliverer.deliver([event], journal=self._journal)
        return after_answer(answer, self._seen.tries, self._app.config.retry.backoff, round(target.probe.seconds))

    def _wait(self, said: Said, *, begun: str | None = None, completed: str | None = None) -> None:
        tries = self._seen.tries + said.tried
        self._move(self._state, said.pause_seconds, tries=tries, begun=begun, completed=completed)

    def _move(
        self,
        to: ResyncState,
        pause: int = 0,
        *,
        tries: int = 0,
        taken: int = -1,
        begun: str | None = None,
        completed: str | None = None,
        problem: str | None = None,
    ) -> None:
        values = (self._id, self._state, to, pause, tries, taken, begun, completed, problem)
        self._app.database.run(render("move_resync", {}), *values)

    def _end(self, to: ResyncState, *, said: Said | None = None, told: bool = False) -> Step:
        answer = (None, 0) if said is None else (said.text, int(bool(said.taken)))
        values = (self._id, self._state, to, self._seen.given_up, *answer)
        self._app.database.run(self._table.statement("end_resync"), *values)
        _log.info("%s: %s is %s", self._table.name, self._name, to)
        return Step(over=True, told=told)

    def _tell(self) -> bool:
        """Write down that rows of it were given up: people are told, once."""
        seen, relay = self._seen, self._table.relay
        notice: Notice = {
            "id": f"notice-resync-{relay.slug}-{self._id}",
            "kind": "resync",
            "relay": relay.name,
            "rows": seen.given_up,
            "round": 0,
            "since": seen.begun,
            "at": seen.now,
            "last_error": seen.error,
        }
        new = record_notice(self._app.database, self._app.site, notice, recipients(self._app.config.notifications))
        if new:
            _log.warning("%s", subject(notice))  # without recipients as well: the log tells it, once
        return new
