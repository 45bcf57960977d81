"""Runs that break what docs/guarantee.md promises in one detail each, as only the whole record shows: they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from devtools.sim.checks import check
from devtools.sim.inside.arena import Arena
from devtools.sim.inside.world import InsideWorld
from devtools.sim.plan import Action
from devtools.sim.record import Look, Record
from tests.sim.test_checks import PLAN, SETTINGS, broken

ROW = '{"Id":3}'  # refused until everything is up again
_STATE, _VERSION, _ATTEMPTS, _ROUNDS, _NEXT = range(5)


@pytest.fixture(scope="module")
def healthy() -> Iterator[Record]:
    with Arena() as arena:
        yield InsideWorld(arena, PLAN).run()


def later(record: Record, instant: str, seconds: float) -> str:
    return (datetime.fromisoformat(instant) + timedelta(seconds=seconds)).isoformat()


def with_ledger(look: Look, **entries: Any) -> Look:
    """A look whose entry of ROW differs in some places, by index."""
    places = {int(name[1:]): value for name, value in entries.items()}
    entry = look.ledger[ROW]
    return replace(look, ledger={**look.ledger, ROW: tuple(places.get(i, value) for i, value in enumerate(entry))})


def test_the_record_that_is_doctored_is_healthy(healthy: Record) -> None:
    assert check(healthy) == []


def test_a_row_that_is_given_up_at_its_first_failure_is_seen(healthy: Record) -> None:
    first = next(index for index, look in enumerate(healthy.looks) if ROW in look.ledger)
    looks = [*healthy.looks[: first + 1], with_ledger(replace(healthy.looks[first], at=healthy.looks[first].at + 1), _0="dead")]
    dead = {"RowKey": ROW, "State": "dead", "ChangeVersion": 1, "Attempts": 1, "Rounds": 0, "LastError": "HTTP 422"}
    mine = [attempt for attempt in healthy.attempts if attempt.key == {"Id": 3}]
    attempts = [attempt for attempt in healthy.attempts if attempt not in mine[1:]]
    state = {text: known for text, known in healthy.state.items() if text != ROW}
    assert broken(healthy, looks=looks, ledger=[dead], attempts=attempts, state=state, alerts=[])


def test_a_dead_letter_of_which_nobody_was_told_is_seen(healthy: Record) -> None:
    looks = [*healthy.looks, with_ledger(next(look for look in healthy.looks if ROW in look.ledger), _0="dead")]
    dead = {"RowKey": ROW, "State": "dead", "ChangeVersion": 1, "Attempts": 5, "Rounds": 9, "LastError": None}
    assert broken(healthy, looks=looks, ledger=[dead])


def test_rounds_that_stand_still_are_seen(healthy: Record) -> None:
    looks = [with_ledger(look, _3=0) if ROW in look.ledger else look for look in healthy.looks]
    assert broken(healthy, looks=looks)


def test_a_hold_that_is_made_longer_in_the_middle_is_seen(healthy: Record) -> None:
    *attempts, last = healthy.attempts
    index = max(index for index, look in enumerate(healthy.looks) if look.ledger.get(ROW, ("",))[_STATE] == "held")
    held = healthy.looks[index]
    version, count, end = held.leases[ROW]
    longer = with_ledger(replace(held, at=held.at + 10), _4=held.ledger[ROW][_NEXT] + 290)
    longer = replace(longer, leases={**held.leases, ROW: (version, count, (end or 0) + 290)})
    looks = [*healthy.looks[: index + 1], longer, *healthy.looks[index + 1 :]]
    late = replace(last, at=later(healthy, last.at, 300))
    assert broken(healthy, looks=looks, attempts=[*attempts, late])


def test_a_retry_after_that_was_ignored_is_seen(healthy: Record) -> None:
    rule = {"match": {"path": "/rows", "key": {"Id": 3}}, "status": 429, "retry_after": 800}
    plan = replace(PLAN, actions=(Action(0, "rules", {"rules": [rule]}), *PLAN.actions[1:]))
    attempts = [replace(attempt, status=429) if attempt.status == 422 else attempt for attempt in healthy.attempts]
    assert broken(healthy, plan=plan, attempts=attempts)


def test_recipients_of_mails_who_were_not_told_are_seen(healthy: Record) -> None:
    assert healthy.alerts
    assert broken(healthy, plan=replace(PLAN, settings=replace(SETTINGS, email=True)), mails=[]) == {"notices"}


def test_a_second_alarm_of_the_same_incident_is_seen(healthy: Record) -> None:
    (at, alarm), *others = healthy.alerts
    assert broken(healthy, alerts=[(at, alarm), (at + 60, {**alarm, "id": "notice-alarm-another"}), *others]) == {"notices"}


def test_an_alarm_that_came_four_times_is_seen_whatever_died_meanwhile(healthy: Record) -> None:
    (at, alarm), *others = healthy.alerts
    copies = [(at + 60 * number, alarm) for number in range(4)]
    kills = [(at + 60 * number, at + 60 * number + 1, "now") for number in range(3)]
    assert "notices" in broken(healthy, alerts=[*copies, *others], kills=kills)


def test_a_retry_with_another_idempotency_key_is_seen(healthy: Record) -> None:
    attempts = [replace(attempt, event_id=f"{number}") for number, attempt in enumerate(healthy.attempts)]
    assert broken(healthy, attempts=attempts)


def test_an_older_version_from_a_worker_that_never_stood_still_is_seen(healthy: Record) -> None:
    last = healthy.attempts[-1]
    stale = replace(last, outcome="stale", event_id="another")
    at = healthy.at(last.at)
    assert "order" in broken(healthy, attempts=[*healthy.attempts, stale], stalls=[(at - 200, at - 100, "w1")])


def test_a_neighbour_that_came_late_is_seen_though_an_earlier_change_of_it_had_failed_once(healthy: Record) -> None:
    late = [(at - 90 if at > 100 else at, *rest) for at, *rest in healthy.changes]
    first = next(attempt for attempt in healthy.attempts if attempt.key == {"Id": 1})
    once = replace(first, outcome="refused", status=500, at=later(healthy, first.at, -0.5))
    found = check(replace(healthy, changes=late, attempts=[once, *healthy.attempts]))  # type: ignore[arg-type]
    assert {violation.key for violation in found if violation.rule == "neighbours"} == {'{"Id":1}', '{"Id":2}'}


def test_a_record_that_goes_a_way_of_its_own_is_seen(healthy: Record) -> None:
    index = max(index for index, look in enumerate(healthy.looks) if look.ledger.get(ROW, ("",))[_STATE] == "held")
    dead = with_ledger(healthy.looks[index], _0="dead")
    assert "transitions" in broken(healthy, looks=[*healthy.looks[:index], dead, *healthy.looks[index:]])
