"""Deliberate defects of the app, put in at run time: seeds must find each, or a clean run means little."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import Any

import orchestrators.instances
import rowpost.http.answers
import rowpost.notices.channels
import rowpost.recovery.survey
import rowpost.relay.batch
import rowpost.relay.claim
import rowpost.relay.reading
import rowpost.rules.answer
import rowpost.rules.batch_answer
import rowpost.target.event
import triggers.api.orders
import triggers.watchdog
from orchestrators.recoveries import ensure_recovery
from rowpost.app import KnownLife
from rowpost.database import statements
from rowpost.database.connection import Database, DatabaseError
from rowpost.database.names import literal
from rowpost.database.table import Table
from rowpost.notices.channel import SENT
from rowpost.rules.answer import Answer, Verdict, classify
from rowpost.rules.backoff import Backoff
from rowpost.rules.circuit_breaker import CircuitBreaker
from rowpost.rules.fate import Fate
from rowpost.target.batches import Batches
from rowpost.target.delivery import Deliverer
from rowpost.target.pacer import Pacer
from rowpost.telemetry.journal import About

Replacement = tuple[Any, str, Any]  # object, attribute, what stands there instead


class StaleMutant(Exception):
    """The code that a mutant changes does not look as it did: the mutant must be written anew."""


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    """The app with a defect, or as it is.

    Raises:
        StaleMutant: the defect cannot be put in.
    """
    with ExitStack() as stack:
        for target, attribute, value in MUTANTS[name]() if name is not None else ():
            stack.callback(setattr, target, attribute, getattr(target, attribute))
            setattr(target, attribute, value)
        yield


def _rewritten(file: str, *changes: tuple[str, str]) -> Replacement:
    """A statement of the app, with some of it replaced; each pattern must be found in its file, or the mutant is stale."""
    original = statements.body
    for pattern, _ in changes:
        if not re.search(pattern, original(file)):
            raise StaleMutant(f"{file}.sql does not contain {pattern}")

    def changed(name: str) -> str:
        text = original(name)
        for pattern, replacement in changes if name == file else ():
            text = re.sub(pattern, replacement, text)
        return text

    return statements, "body", changed


def _without_guard() -> list[Replacement]:
    return [_rewritten("fragments/guard_leases", (r"[\s\S]+", ""))]


def _without_hold() -> list[Replacement]:
    return [_rewritten("settle", (r"WHEN 'hold' THEN DATEADD\(second, k\.waitSeconds, @now\)", ""))]


def _late_delays() -> list[Replacement]:
    original = Backoff.delay_seconds
    return [(Backoff, "delay_seconds", lambda self, round_number: original(self, round_number + 1))]


def _clear_any_version() -> list[Replacement]:
    return [_rewritten("fragments/remove_delivered", (r"AND g\.ChangeVersion <= s\.version", ""))]


def _redeliver_without_lease() -> list[Replacement]:
    writes = ((r"UPDATE l\s+SET _az_func[^;]*;", ""), (r"INSERT INTO \{leases\}[^;]*;", ""))
    return [_rewritten("lease_for_redelivery", *writes)]


def _settle_any_version() -> list[Replacement]:
    guard = r"WHERE l\._az_func_ChangeVersion = k\.leaseVersion\s+AND l\._az_func_AttemptCount = k\.attemptCount"
    return [_rewritten("settle", (guard, "WHERE 1 = 1"))]


def _settle_stale() -> list[Replacement]:
    return [_rewritten("settle", (r"AND g\.Attempts <= s\.attempts", ""))]


def _post_for_others() -> list[Replacement]:
    return [_rewritten("claim", (r"CASE WHEN l\._az_func_ChangeVersion IS NOT NULL[\s\S]*? AS InOtherHands", "0 AS InOtherHands"))]


def _post_behind_the_breaker() -> list[Replacement]:
    return [(CircuitBreaker, "open", property(lambda self: False))]


def _count_all_failures() -> list[Replacement]:
    return [(Fate, "failed_before", property(lambda self: False))]


def _trust_the_trigger() -> list[Replacement]:
    return [(triggers.watchdog, "look_at_trigger", lambda app, table: None)]


def _dead_at_once() -> list[Replacement]:
    return [_rewritten("plan", (r"<= DATEADD\(second, -@window, @utc\)", "<= @utc"))]


def _rounds_stand_still() -> list[Replacement]:
    return [_rewritten("plan", (r"THEN g\.Rounds \+ 1", "THEN g.Rounds"))]


def _deaf_to_retry_after() -> list[Replacement]:
    return [(rowpost.rules.answer, "retry_after_seconds", lambda headers: None)]


def _without_mails() -> list[Replacement]:
    channels = rowpost.notices.channels.CHANNELS
    silent = channels["email"]._replace(send=lambda config, notice, address, index: SENT)
    return [(rowpost.notices.channels, "CHANNELS", channels | {"email": silent})]


def _first_alarm_only() -> list[Replacement]:
    original = rowpost.recovery.survey._notice

    def notice(kind: str, *rest: Any) -> Any:
        made = original(kind, *rest)
        return {**made, "id": "notice-alarm-first"} if kind == "alarm" else made

    return [(rowpost.recovery.survey, "_notice", notice)]


def _untold(kind: str) -> list[Replacement]:
    original = rowpost.recovery.survey.record_notice

    def record(database: Any, app: str, notice: Any, people: Any, cause: Any) -> bool:
        return original(database, app, notice, [] if notice["kind"] == kind else people, cause)

    return [(rowpost.recovery.survey, "record_notice", record)]


def _new_id_each_time() -> list[Replacement]:
    numbers = itertools.count()
    return [(rowpost.target.event, "event_id", lambda *_: f"{next(numbers):032x}")]


def _fragment(name: str, value: Callable[[Table], str]) -> Replacement:
    """The same text in the place of a fragment in all statements."""
    original = Table.fragments.func
    changed = functools.cached_property(lambda table: original(table) | {name: literal(value(table))})
    changed.__set_name__(Table, "fragments")
    return Table, "fragments", changed


def _ledger_by_table() -> list[Replacement]:
    original = statements.body

    def changed(name: str) -> str:
        text = original(name)
        return text if name in ("register_relay", "check_relay") else text.replace("{relay}", "{relayed_table}")

    return [(statements, "body", changed)]


def _delete_what_is_missing() -> list[Replacement]:
    return [(module, "obstacle", lambda missing: "") for module in (rowpost.relay.reading, rowpost.relay.claim)]


def _without_bisection() -> list[Replacement]:
    def read_at_once(read: Callable[[Any], None], keys: Any, into: Any) -> None:
        try:
            read(keys)
        except DatabaseError as failure:
            if not failure.by_a_row:
                raise
            into.unreadable.update((key["number"], failure.reason) for key in keys)

    return [(module, "halve", read_at_once) for module in (rowpost.relay.reading, rowpost.relay.claim)]


def _wake_what_hangs() -> list[Replacement]:
    async def wake(client: Any, app: Any, relay: Any) -> None:
        await ensure_recovery(client, app, relay)

    return [(triggers.watchdog, "replace_recovery", wake), *_say_nothing("_do_the_work_of_recovery")]


def _exceptions_take_the_batch() -> list[Replacement]:
    def request(self: Any, event: Any, batch: Any, attempt: int) -> Answer:
        sending = batch.journal.request(About(event.id, event.version, attempt, 1, "POST"))
        headers = {**event.headers, "Content-Type": event.content_type, **self._config.headers}
        reply = self._sender.caller.send("POST", self._config.url, event.body, headers, event.id, lambda: batch.over)
        answer = classify(reply.status, reply.headers)
        sending.over([answer], reply.status)
        return answer

    return [(Deliverer, "_request", request)]


def _interim_is_final() -> list[Replacement]:
    def head(self: Any) -> tuple[bytes, int, bool]:
        while True:
            self._left = rowpost.http.answers.HEAD_BYTES
            version, status = self._status_line()
            clean = self._read_fields()
            if status != HTTPStatus.CONTINUE:
                return version, status, clean

    return [(rowpost.http.answers.WholeAnswer, "_final_head", head)]


def _say_nothing(place: str) -> list[Replacement]:
    async def nothing(*_: Any, **__: Any) -> None:
        """Nobody is told."""

    return [(triggers.watchdog, place, nothing)]


def _without_epochs() -> list[Replacement]:
    event = rowpost.target.event
    original = event.event_id
    return [
        (KnownLife, "goes_on", lambda *_: True),
        (event, "event_id", lambda table, key, version, epoch=0: original(table, key, version)),
        (event, "sequence", lambda version, epoch: f"{version:020d}"),
    ]


def _missing_is_delivered() -> list[Replacement]:
    module = rowpost.rules.batch_answer
    original = module._answer

    def answer(status: int, entry: Any, accepts: frozenset[int]) -> Answer:
        return Answer(Verdict.DELIVERED, status) if entry is None else original(status, entry, accepts)

    return [(module, "_answer", answer)]


def _rest_is_not_sent() -> list[Replacement]:
    original = Batches._search

    def search(self: Any, numbers: list[int], said: Any, answer: Answer, batch: Any) -> bool:
        """Once a bad row is found, the others are taken for delivered."""
        found = original(self, numbers[: len(numbers) // 2 + 1], said, answer, batch)
        for number in numbers[len(numbers) // 2 + 1 :]:
            batch.answers[number] = Answer(Verdict.DELIVERED, 200)
        return found

    return [(Batches, "_search", search)]


def _no_search() -> list[Replacement]:
    def search(self: Any, numbers: list[int], said: Any, answer: Answer, batch: Any) -> bool:
        for number in numbers:
            batch.answers[number] = answer
        return True

    return [(Batches, "_search", search)]


def _leave_unsaid() -> list[Replacement]:
    original = rowpost.relay.reading.take_values

    def take(table: Any, row: Any, reading: Any) -> None:
        original(table, row, reading)
        row.ignored = row.ignored or row.number in reading.left

    return [(rowpost.relay.claim, "take_values", take)]


def _position_first() -> list[Replacement]:
    original = Database.run

    def run(self: Database, sql: str, *parameters: Any) -> Any:
        if sql.startswith("-- rowpost: queue_page.sql"):
            resync, pages, _, _, position = parameters
            original(self, "UPDATE rowpost.Resyncs SET Position = ? WHERE Resync = ? AND Pages = ?;", position, resync, pages)
        return original(self, sql, *parameters)

    return [(Database, "run", run)]


def _in_both(files: tuple[str, str], pattern: str, replacement: str) -> list[Replacement]:
    """Two statements of the app, with the same replaced in each."""
    one, other = (_rewritten(file, (pattern, replacement))[2] for file in files)
    return [(statements, "body", lambda name: other(name) if name == files[1] else one(name))]


def _pause_gives_up() -> list[Replacement]:
    changes = ((r"IF @paused IS NOT NULL\s+BEGIN[\s\S]*?END;", ""), (r"AND \(@resumed IS NULL[^\n]*\n", "\n"))
    return [_rewritten("plan", *changes)]


def _resume_unheard() -> list[Replacement]:
    async def recover(app: Any, client: Any, relay: Any) -> list[str]:
        return []

    return [(triggers.api.orders, "_recover", recover)]


MUTANTS: dict[str, Callable[[], list[Replacement]]] = {
    "no-guard": _without_guard,  # a claim does not stop rows that were handed out four times without an outcome
    "no-hold": _without_hold,  # a settlement does not hold exhausted rows
    "late-delays": _late_delays,  # each delay is that of the next round
    "clear-any-version": _clear_any_version,  # a delivery clears the record of a newer change
    "redeliver-without-lease": _redeliver_without_lease,  # recovery posts without holding the row's lease
    "settle-any-version": _settle_any_version,  # a settlement touches leases that others have taken meanwhile
    "settle-stale": _settle_stale,  # a worker that stood still overwrites what others have learnt of a row since
    "post-for-others": _post_for_others,  # a claim posts rows that another worker has taken and released meanwhile
    "post-behind-the-breaker": _post_behind_the_breaker,  # an open circuit breaker keeps nobody from posting
    "count-all-failures": _count_all_failures,  # a poison row that fails again and again opens the circuit breaker
    "dead-at-once": _dead_at_once,  # a row is given up as soon as it is planned
    "rounds-stand-still": _rounds_stand_still,  # every round is the first one
    "deaf-to-retry-after": _deaf_to_retry_after,  # what the API asks for is not read
    "no-mails": _without_mails,  # a mail is told to be sent that was not
    "first-alarm-only": _first_alarm_only,  # all incidents have one alarm
    "no-dead-letter-notice": lambda: _untold("dead_letter"),
    "no-recovered-notice": lambda: _untold("recovered"),
    "new-id-each-time": _new_id_each_time,  # a retry has another id than the first try
    "breaker-by-relay": lambda: [_fragment("target", lambda table: table.name)],  # each relay has a circuit breaker of its own
    "ledger-by-table": _ledger_by_table,  # what is remembered of a relay is kept under the name of its table
    "delete-what-is-missing": _delete_what_is_missing,  # a row that is not there is posted as deleted, whatever is known of it
    "no-bisection": _without_bisection,  # a row that cannot be read fails all that are read with it
    "wake-what-hangs": _wake_what_hangs,  # a recovery that does not move is woken, and never replaced
    "one-id-for-all-tries": lambda: [  # whoever tells in the place of one who hangs has the same instance id
        (orchestrators.instances, "telling_id", lambda notice, number, generation: f"{notice}-r{number}")
    ],
    "exceptions-take-the-batch": _exceptions_take_the_batch,  # what a library raises at one answer leaves the whole batch unsettled
    "interim-is-final": _interim_is_final,  # the first answer is taken for the final one, if it is not 100
    "unable-untold": lambda: _say_nothing("_tell_of_problem"),  # nobody is told of a relay that cannot run
    "rest-untold": lambda: _say_nothing("_tell_what_is_left"),  # nor of one that is not configured, nor does anybody tell again
    "epoch-ignored": _without_epochs,  # change versions that begin again are taken for those that were before
    # decimals go out as numbers, whatever ``numbers`` says
    "decimals-as-numbers": lambda: [(rowpost.target.event, "numbers_in", lambda data, numbers: data)],
    "position-first": _position_first,  # the position of a snapshot is moved before its page is in the ledger
    "page-of-the-future": lambda: _in_both(  # rows of a snapshot get a version that is later than they are
        ("resync_first_page", "resync_next_page"),
        r"= CHANGE_TRACKING_CURRENT_VERSION\(\)",
        "= CHANGE_TRACKING_CURRENT_VERSION() + 3",
    ),
    "mark-by-record": lambda: _in_both(  # a newer change of a row that a snapshot has queued is marked as well
        ("lease_for_redelivery", "fetch_records"), r"CASE WHEN g\.ResyncVersion = g\.ChangeVersion THEN g\.Resync END", "g.Resync"
    ),
    "snapshot-each-time": lambda: [_rewritten("order_resync", (r"AND InitialSnapshot IS NULL", ""))],  # it is not remembered
    "wrong-place": lambda: [_rewritten("fragments/place_of_lease", (r"[\s\S]+", "'pending'"))],  # all leases count as one kind
    "records-only": lambda: [_rewritten("status", (r"WHERE k\.UpTo IS NULL", "WHERE 1 = 0"))],  # status counts records alone
    "missing-is-delivered": _missing_is_delivered,  # an id that an answer with statuses does not name counts as delivered
    "rest-is-not-sent": _rest_is_not_sent,  # the rest of a batch in which a bad row is looked for is released without being sent
    "no-search": _no_search,  # all rows of a request that is refused are taken for bad
    "refused-by-inference": lambda: [  # a row is given up that was never refused alone
        (rowpost.relay.batch, "refusal_is_final", lambda row, policy: False)
    ],
    "deaf-to-pauses": lambda: [(Pacer, "heard", lambda self, answer, begun: None)],  # what the target asks for is for one row only
    "leaves-unsaid": _leave_unsaid,  # a row that does not meet the condition any more is left out instead of deleted
    "base-unproved": lambda: [  # the base of the masks moves on while changes are not delivered yet
        _rewritten("move_watch_base", (r"IF NOT EXISTS", "IF 1 = 1 OR NOT EXISTS"))
    ],
    "echo-unproved": lambda: [  # a change of the other side is left out whatever somebody else changed just before
        _rewritten("fragments/echoes", (r"AND \(w\.SYS_CHANGE_COLUMNS IS NULL[^;]*;", ";"))
    ],
    "deaf-to-the-pause": lambda: [  # what is handed out while the relay is paused is posted
        (rowpost.relay.batch, "fate_while_paused", lambda row: None)
    ],
    "pause-gives-up": _pause_gives_up,  # the retry window goes on in a pause
    "resume-unheard": _resume_unheard,  # recovery is not woken when the pause is over
    "discard-unguarded": lambda: [  # an order to discard releases the lease of a newer change as well
        _rewritten(
            "discard",
            (r"(?<=IS NOT NULL)\s+AND \(l\._az_func_ChangeVersion <= g\.ChangeVersion OR [^;]*\);", ";"),
        )
    ],
    "trust-the-trigger": _trust_the_trigger,  # nobody looks whether the trigger is alive
}
