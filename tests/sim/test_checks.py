"""The checks can see: what they pass for a healthy run they refuse when the run, or what was promised, is a little different."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from devtools.sim.checks import Violation, check
from devtools.sim.inside.arena import Arena
from devtools.sim.inside.world import InsideWorld
from devtools.sim.plan import Action, Plan, Settings
from devtools.sim.record import Choice, Look, Record

SETTINGS = Settings(breaker_failures=100, concurrency=1, max_delay=600, detach_after_rounds=100)
WATCHED = replace(SETTINGS, watch=("Note", "Total"))
POISON = {"match": {"path": "/rows", "key": {"Id": 3}}, "status": 422}
PLAN = Plan(
    seed=0,
    policy="rowpost",
    offset_minutes=0,
    hosts=1,
    settings=SETTINGS,
    actions=(
        Action(0, "rules", {"rules": [POISON]}),
        Action(1, "change", {"ops": [{"do": "insert", "id": number, "stamp": number} for number in (1, 2, 3)]}),
        Action(300, "change", {"ops": [{"do": "update", "id": 1, "stamp": 4}, {"do": "delete", "id": 2}]}),
    ),
    lasting_rules=(),
    length=3600,
)


@pytest.fixture(scope="module")
def healthy() -> Iterator[Record]:
    with Arena() as arena:
        yield InsideWorld(arena, PLAN).run()


def broken(record: Record, **changes: object) -> set[str]:
    """The rules that a changed record breaks."""
    found: list[Violation] = check(replace(record, **changes))  # type: ignore[arg-type]
    return {violation.rule for violation in found}


def test_a_healthy_run_breaks_no_rule(healthy: Record) -> None:
    assert check(healthy) == []
    assert len([attempt for attempt in healthy.attempts if attempt.key == {"Id": 3}]) > 8


def test_a_row_that_did_not_arrive_is_seen(healthy: Record) -> None:
    assert broken(healthy, state={}) == {"delivered"}


def test_an_older_state_at_the_api_is_seen(healthy: Record) -> None:
    rows = {text: {**row, "Extra": 99} for text, row in healthy.rows.items()}
    assert broken(healthy, rows=rows) == {"delivered"}


@pytest.mark.parametrize("promised", [{"factor": 3.0}, {"factor": 1.0}, {"first_delay": 400}, {"attempts": 3}])
def test_a_schedule_other_than_promised_is_seen(healthy: Record, promised: dict[str, float]) -> None:
    settings = replace(SETTINGS, **promised)  # type: ignore[arg-type]
    assert broken(healthy, plan=replace(PLAN, settings=settings)) == {"holds"}


@pytest.mark.parametrize("promised", [{"factor": 3.0}, {"factor": 1.0}, {"first_delay": 400}, {"attempts": 3}])
def test_a_schedule_other_than_promised_is_seen_over_the_wire_too(healthy: Record, promised: dict[str, float]) -> None:
    settings = replace(SETTINGS, **promised)  # type: ignore[arg-type]
    assert broken(healthy, plan=replace(PLAN, settings=settings), every_commit=False) == {"schedule"}


def test_a_row_that_comes_later_than_planned_is_seen(healthy: Record) -> None:
    late = [replace(a, at=(datetime.fromisoformat(a.at) + timedelta(seconds=300)).isoformat()) for a in healthy.attempts[-1:]]
    assert "schedule" in broken(healthy, attempts=[*healthy.attempts[:-1], *late])


def test_a_round_that_is_written_down_later_than_promised_is_seen(healthy: Record) -> None:
    looks = [
        replace(look, ledger={text: (*entry[:4], entry[4] + 9, *entry[5:]) for text, entry in look.ledger.items()})
        for look in healthy.looks
    ]
    assert broken(healthy, looks=looks) == {"holds"}


def test_a_hold_that_is_not_in_the_lease_is_seen(healthy: Record) -> None:
    looks = [replace(look, leases={text: (*lease[:2], 50.0) for text, lease in look.leases.items()}) for look in healthy.looks]
    assert "holds" in broken(healthy, looks=looks)


def test_a_column_above_the_ceiling_is_seen(healthy: Record) -> None:
    settings = replace(SETTINGS, send=("Note", "Total", "Extra"))
    assert broken(healthy, plan=replace(PLAN, settings=settings)) == {"columns", "contract"}


def test_a_choice_that_is_not_the_one_in_force_is_seen(healthy: Record) -> None:
    assert broken(healthy, known=["Note"]) == {"columns"}


def test_columns_that_the_client_had_not_chosen_are_seen(healthy: Record) -> None:
    assert broken(healthy, choices=[Choice(-100.0, -99.0, ("Note",))]) == {"columns"}


def test_a_neighbour_that_came_late_is_seen(healthy: Record) -> None:
    late = [(at - 90 if at > 100 else at, *rest) for at, *rest in healthy.changes]
    assert broken(healthy, changes=late) == {"neighbours"}
    # Those of which the API has said, of a request as a whole, what is the fault of another row as well as of theirs.
    minute = timedelta(seconds=60)
    refused = [replace(each, outcome="refused", status=400, whole=True) for each in healthy.attempts]
    hidden = [
        replace(each, at=(datetime.fromisoformat(each.at) - minute).isoformat())
        for each in refused
        if healthy.at(each.at) > 290 and each.key != {"Id": 3}
    ]
    assert broken(healthy, changes=late, attempts=[*healthy.attempts, *hidden]) == set()


def test_an_older_version_after_a_newer_one_is_seen(healthy: Record) -> None:
    last = healthy.attempts[-1]
    stale = replace(last, outcome="stale", event_id="another", at=last.at)
    assert "order" in broken(healthy, attempts=[*healthy.attempts, stale])


def test_old_data_under_a_newer_version_is_seen(healthy: Record) -> None:
    versions = sorted(version for _, text, version, _ in healthy.changes if text == '{"Id":1}')
    first = next(attempt for attempt in healthy.attempts if attempt.key == {"Id": 1})
    assert "fresh" in broken(healthy, attempts=[replace(first, version=versions[1]), *healthy.attempts[1:]])


def test_newer_data_under_an_older_version_is_no_matter(healthy: Record) -> None:
    versions = sorted(version for _, text, version, _ in healthy.changes if text == '{"Id":1}')
    last = [attempt for attempt in healthy.attempts if attempt.key == {"Id": 1}][-1]
    assert "fresh" not in broken(healthy, attempts=[*healthy.attempts, replace(last, version=versions[0])])


def test_an_alarm_that_came_twice_is_seen(healthy: Record) -> None:
    assert [notice["kind"] for _, notice in healthy.alerts] == ["alarm", "recovered"]
    assert broken(healthy, alerts=healthy.alerts * 2) == {"notices"}
    assert broken(healthy, alerts=[]) == {"notices"}


def test_a_cursor_that_passed_a_row_is_seen(healthy: Record) -> None:
    look = Look(at=10.0, cursor=10**6, ledger={}, missed=['{"Id":1}'])
    assert broken(healthy, looks=[*healthy.looks, look]) == {"cursor"}


def test_a_post_without_a_watched_change_is_seen(healthy: Record) -> None:
    changes = [(at, text, version, version < 1) for at, text, version, _ in healthy.changes]
    looks = [replace(look, base=0, ledger={}) for look in healthy.looks]
    plan = replace(PLAN, settings=WATCHED)
    assert "watch" in broken(healthy, plan=plan, changes=changes, looks=looks)
    assert "watch" not in broken(healthy, plan=plan, looks=looks)
    passed = [replace(look, base=10**6) for look in looks]  # of a change that is handed out again behind it the masks tell nothing
    assert "watch" not in broken(healthy, plan=plan, changes=changes, looks=passed)


def test_what_never_ends_is_seen(healthy: Record) -> None:
    running = {"instanceId": "recovery-dbo_Orders", "runtimeStatus": "Running"}
    assert broken(healthy, instances=[running]) == {"quiet"}
    assert broken(healthy, open_changes=[('{"Id":1}', 7)]) == {"quiet"}
    assert broken(healthy, open_timers=1) == {"quiet"}


def test_a_row_that_nobody_tries_any_more_is_seen(healthy: Record) -> None:
    look = Look(at=PLAN.length + 2000, cursor=1, ledger={'{"Id":3}': ("detached", 1, 5, 1, 60, None)})
    assert broken(healthy, looks=[*healthy.looks, look]) == {"stalled"}


def test_lines_of_the_log_that_do_not_add_up_are_seen(healthy: Record) -> None:
    delivered = [line for line in healthy.logged if '"delivered": 1' in line]
    assert delivered and any(": delivered" in line for line in healthy.logged)
    assert broken(healthy, logged=[line for line in healthy.logged if line is not delivered[0]]) == {"sums"}
    assert broken(healthy, logged=[*healthy.logged, delivered[0]]) == {"sums"}
    assert broken(healthy, logged=[line for line in healthy.logged if ": delivered" not in line]) == {"sums"}
    more = [line.replace("delivered 2", "delivered 7").replace("delivered 1", "delivered 7") for line in healthy.logged]
    assert more != healthy.logged and broken(healthy, logged=more) == {"sums"}
