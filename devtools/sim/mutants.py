"""Deliberate defects of the app, put in at run time: seeds must find each, or a clean run means little."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import activities.notices
import orchestrators.recovery
import rowpost.claim
import rowpost.delivery
import rowpost.envelope
import rowpost.gate
import rowpost.notices
import rowpost.planning
import rowpost.recovery
import rowpost.settlement
import triggers.watchdog
from rowpost.backoff import Backoff

Replacement = tuple[Any, str, Any]  # object, attribute, what stands there instead
_LEASES = r"(?:\{table\.lease_sql\}|\[az_func\]\.)"


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


def _rewritten(module: Any, function: str, *changes: tuple[str, str]) -> Replacement:
    """A function that gives SQL, with some of it replaced. Patterns are searched in its source too, to know if they are stale."""
    original: Callable[..., str] = getattr(module, function)
    source = inspect.getsource(original)
    for pattern, _ in changes:
        if not re.search(pattern, source):
            raise StaleMutant(f"{module.__name__}.{function} does not contain {pattern}")

    @functools.wraps(original)
    def changed(*args: Any, **kwargs: Any) -> str:
        text = original(*args, **kwargs)
        for pattern, replacement in changes:
            text = re.sub(pattern, replacement, text)
        return text

    return module, function, changed


def _without_guard() -> list[Replacement]:
    return [(rowpost.claim, "guard_sql", lambda table, keys: "")]


def _without_hold() -> list[Replacement]:
    return [_rewritten(rowpost.settlement, "_settle_sql", (r"WHEN 'hold' THEN DATEADD\(second, s\.rp_w, @now\)", ""))]


def _late_delays() -> list[Replacement]:
    original = Backoff.delay_seconds
    return [(Backoff, "delay_seconds", lambda self, round_number: original(self, round_number + 1))]


def _clear_any_version() -> list[Replacement]:
    return [_rewritten(rowpost.settlement, "_clear_sql", (r"AND g\.ChangeVersion <= s\.\w+", ""))]


def _redeliver_without_lease() -> list[Replacement]:
    writes = ((r"UPDATE l SET _az_func[^;]*;", ""), (rf"INSERT INTO {_LEASES}[^;]*;", ""))
    return [_rewritten(rowpost.recovery, "_lease_sql", *writes)]


def _settle_any_version() -> list[Replacement]:
    guard = r"WHERE l\._az_func_ChangeVersion = s\.\w+ AND l\._az_func_AttemptCount = s\.rp_c"
    return [_rewritten(rowpost.settlement, "_settle_sql", (guard, "WHERE 1 = 1"))]


def _settle_stale() -> list[Replacement]:
    return [_rewritten(rowpost.settlement, "_settle_sql", (r"AND g\.Attempts <= s\.a", ""))]


def _post_for_others() -> list[Replacement]:
    return [(rowpost.claim, "OTHERS", "0")]


def _post_behind_the_gate() -> list[Replacement]:
    return [(rowpost.gate.Gate, "closed", property(lambda self: False))]


def _count_all_failures() -> list[Replacement]:
    return [(rowpost.settlement.Settlement, "failed_before", property(lambda self: False))]


def _trust_the_trigger() -> list[Replacement]:
    return [(triggers.watchdog, "look_at_trigger", lambda app, table: None)]


def _dead_at_once() -> list[Replacement]:
    return [_rewritten(rowpost.planning, "_plan_sql", (r"<= DATEADD\(second, -@window, @utc\)", "<= @utc"))]


def _rounds_stand_still() -> list[Replacement]:
    return [_rewritten(rowpost.planning, "_plan_sql", (r"THEN g\.Rounds \+ 1", "THEN g.Rounds"))]


def _deaf_to_retry_after() -> list[Replacement]:
    return [(rowpost.delivery, "retry_after_seconds", lambda headers: None)]


def _without_mails() -> list[Replacement]:
    return [(rowpost.notices, "_send_email", lambda app, notice, address: rowpost.notices._SENT)]


def _first_alarm_only() -> list[Replacement]:
    original = orchestrators.recovery._notice

    def notice(kind: str, number: str, *rest: Any) -> dict[str, Any]:
        return original(kind, "first" if kind == "alarm" else number, *rest)

    return [(orchestrators.recovery, "_notice", notice)]


def _untold(kind: str) -> list[Replacement]:
    original = activities.notices.start_notification

    async def start(client: Any, notice: Any, people: Any) -> bool:
        return notice["kind"] != kind and await original(client, notice, people)

    return [(activities.notices, "start_notification", start)]


def _new_id_each_time() -> list[Replacement]:
    numbers = itertools.count()
    return [(rowpost.envelope, "event_id", lambda table, key, version: f"{next(numbers):032x}")]


MUTANTS: dict[str, Callable[[], list[Replacement]]] = {
    "no-guard": _without_guard,  # a claim does not stop rows that were handed out four times without an outcome
    "no-hold": _without_hold,  # a settlement does not hold exhausted rows
    "late-delays": _late_delays,  # each delay is that of the next round
    "clear-any-version": _clear_any_version,  # a delivery clears the record of a newer change
    "redeliver-without-lease": _redeliver_without_lease,  # recovery posts without holding the row's lease
    "settle-any-version": _settle_any_version,  # a settlement touches leases that others have taken meanwhile
    "settle-stale": _settle_stale,  # a worker that stood still overwrites what others have learnt of a row since
    "post-for-others": _post_for_others,  # a claim posts rows that another worker has taken and released meanwhile
    "post-behind-the-gate": _post_behind_the_gate,  # a closed gate keeps nobody from posting
    "count-all-failures": _count_all_failures,  # a poison row that fails again and again closes the gate
    "dead-at-once": _dead_at_once,  # a row is given up as soon as it is planned
    "rounds-stand-still": _rounds_stand_still,  # every round is the first one
    "deaf-to-retry-after": _deaf_to_retry_after,  # what the API asks for is not read
    "no-mails": _without_mails,  # a mail is told to be sent that was not
    "first-alarm-only": _first_alarm_only,  # all incidents have one alarm
    "no-dead-letter-notice": lambda: _untold("dead_letter"),
    "no-recovered-notice": lambda: _untold("recovered"),
    "new-id-each-time": _new_id_each_time,  # a retry has another id than the first try
    "trust-the-trigger": _trust_the_trigger,  # nobody looks whether the trigger is alive
}
