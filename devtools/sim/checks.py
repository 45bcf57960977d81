"""The invariants: each takes the record of a run and returns what is wrong with it, one sentence a violation."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from devtools.sim.besides import overdue, repeats, strangers, told_of_trouble, unreadable
from devtools.sim.consumer import one_content, same_as_the_database, same_as_the_filtered_source
from devtools.sim.contents import fresh, same_value
from devtools.sim.contract import contract
from devtools.sim.judging import Violation, lapsed, posts_by_row
from devtools.sim.logged import sums
from devtools.sim.marks import as_wanted, marked, once
from devtools.sim.orders import audited, paused, resumed
from devtools.sim.pausing import pauses
from devtools.sim.plan import Settings, clock_text
from devtools.sim.record import Choice, Record, key_text
from devtools.sim.telling import alarms, dead_letters, notices
from devtools.sim.timing import breaker, deaths, holds, neighbours, patience, rounds, schedule, stalled
from rowpost.rules.lifecycle import allowed


def check(record: Record) -> list[Violation]:
    """All violations of a run: each relay is judged on its own."""
    if record.restores:  # versions have begun again: what counts is what a consumer has in the end
        return [
            violation for rule in (one_content, same_as_the_database, marked, once, contract, harness) for violation in rule(record)
        ]
    if record.plan.settings.filter:  # what arrives is not what has changed
        own = (one_content, same_as_the_filtered_source, transitions, quiet, paused, marked, once, contract, sums, harness)
        return [*(violation for rule in own for violation in rule(record)), *strangers(record)]
    rules: list[Callable[[Record], Iterator[Violation]]] = [delivered]
    if record.plan.policy == "rowpost":
        rules += [transitions, quiet, order, cursor, gaps, columns, watch, neighbours, schedule, holds, deaths]
        rules += [patience, pauses, rounds, breaker, stalled, notices, alarms, dead_letters, numbers, sums, harness]
        rules += [paused, resumed, audited]
        rules += [fresh, overdue, repeats, unreadable, told_of_trouble, marked, once, as_wanted, contract]
    found = [violation for rule in rules for violation in rule(record)]
    for other in record.others:
        found += [replace(v, text=f"{other.lane}: {v.text}", lane=other.lane) for rule in rules for v in rule(other)]
    return [*found, *strangers(record)]


def delivered(record: Record) -> Iterator[Violation]:
    """(1) The latest state of each row was accepted, or the row is in the dead letters."""
    for text in record.wanted:
        if text not in record.excused and (why := _missing(record, text)) is not None:
            yield Violation("delivered", f"{text}: {why}", text)


def _missing(record: Record, text: str) -> str | None:
    """What the API lacks of a row; None if it has its latest state, or the row is in the dead letters."""
    wanted, known = record.wanted[text], record.state.get(text)
    dead = {entry["RowKey"]: entry["ChangeVersion"] for entry in record.ledger if entry["State"] == "dead"}
    if max(dead.get(text, -1), record.discarded.get(text, -1)) >= wanted.version:
        return None
    if known is None:
        return f"version {wanted.version} never arrived"
    if wanted.deleted != (known.operation == "delete"):
        return f"the API has {known.operation} {known.version}, not version {wanted.version}"
    wrong = [] if wanted.deleted else list(_differences(record.rows[text], known.row or {}, record.plan.settings))
    return f"the API has version {known.version}, which differs in {wrong}" if wrong else None


def _differences(row: dict[str, Any], known: dict[str, Any], settings: Settings) -> Iterator[str]:
    for name in settings.watch or settings.ceiling:
        if name in known and not same_value(known[name], row[name]):
            yield f"{name}: {known[name]} instead of {row[name]}"


def transitions(record: Record) -> Iterator[Violation]:
    """(8) A record of the ledger goes from state to state as the app's own table of transitions says, and in no other way."""
    for before, look in pairwise(record.looks) if record.every_commit else ():
        for text in before.ledger.keys() | look.ledger.keys():
            old, new = (each.ledger.get(text, (None,))[0] for each in (before, look))
            if not allowed(old, new):
                yield Violation("transitions", f"{text}: went from {old} to {new} at {clock_text(look.at)}", text)


def quiet(record: Record) -> Iterator[Violation]:
    """(7) Everything ends: no live record, no running orchestration, nothing that the trigger still counts as unprocessed."""
    live = [entry for entry in record.ledger if entry["State"] != "dead"]
    for entry in live:
        yield Violation("quiet", f"{entry['RowKey']} is still {entry['State']} (rounds {entry['Rounds']})", entry["RowKey"])
    for each in record.instances:
        hangs = each["instanceId"] in record.hung and each["runtimeStatus"] != "Failed"
        if each["runtimeStatus"] in ("Running", "Pending", "ContinuedAsNew", "Failed") and not hangs:
            yield Violation("quiet", f"orchestration {each['instanceId']} is {each['runtimeStatus']}")
    for text, version in record.open_changes:
        yield Violation("quiet", f"{text}: change {version} lies beyond the cursor {record.cursor} and is not released", text)
    if record.open_timers:
        yield Violation("quiet", f"{record.open_timers} durable timers are open")
    if record.quiet_at is None and not live and not record.open_changes:
        yield Violation("quiet", "it did not become quiet in time")


def order(record: Record) -> Iterator[Violation]:
    """(2) No older version comes after a newer one, unless as a repeat of that event, by a worker without its lease, or for a row
    that the API has removed at the end of a resync; and each retry of a change has the same id."""
    conflicting = record.counters["conflicting"]
    # What change tracking has forgotten has no version any more: it travels under the one that the ledger knows.
    if conflicting and not record.choices and not record.plan.pace and not record.cleaned:
        yield Violation("order", f"{conflicting} times two contents came with the same version")
    for text, posts in posts_by_row(record).items():
        seen: set[str | None] = set()
        ids: dict[int | None, str | None] = {}
        for at, attempt in posts:
            if ids.setdefault(attempt.version, attempt.event_id) != attempt.event_id:
                yield Violation("order", f"{text}: version {attempt.version} came with another id at {clock_text(at)}", text)
            late = attempt.outcome == "stale" and attempt.event_id not in seen and not _removed(record, at, attempt.version)
            if late and not lapsed(record, at, attempt.event_id or ""):
                yield Violation("order", f"{text}: version {attempt.version} came after a newer one at {clock_text(at)}", text)
            if attempt.outcome in ("accepted", "repeated", "stale"):
                seen.add(attempt.event_id)


def _removed(record: Record, at: float, version: int | None) -> bool:
    """Whether the API knew from a resync that what it has of that version does not exist any more."""
    ends = [each for each in record.attempts if each.operation == "resync-completed" and each.outcome == "resynced"]
    return any(record.at(each.at) <= at and (each.version or 0) > (version or 0) for each in ends)


def columns(record: Record) -> Iterator[Violation]:
    """(3) Nothing is posted that ``send`` or the client's choice forbids."""
    settings = record.plan.settings
    keys = set(settings.key_columns)
    if all(choice.confirmed for choice in record.choices) and record.known != record.in_force:
        yield Violation("columns", f"the API tells of the choice {record.known}, but {record.in_force} is in force")
    for text, posts in posts_by_row(record).items():
        for at, attempt in posts:
            row = attempt.body["data"]["row"] if isinstance(attempt.body, dict) else None
            if row is None:
                continue
            allowed = set(settings.ceiling) & _chosen(record, at)
            extra = set(row) - keys - allowed
            if extra:
                yield Violation("columns", f"{text}: {sorted(extra)} left at {clock_text(at)}", text)
            due = set(settings.ceiling) & _chosen(record, at, every=False)
            missing = (due | keys) - set(row)
            if missing:
                yield Violation("columns", f"{text}: {sorted(missing)} were left out at {clock_text(at)}", text)


def _chosen(record: Record, at: float, *, every: bool = True) -> set[str]:
    """The columns that the client may have chosen when a post was claimed: of any such choice, or (not ``every``) of all.

    A choice is over when another one that was asked for later was confirmed.
    """
    everything = set(record.plan.settings.ceiling)
    claimed = at - 60 - max((back - since for since, back, _ in record.stalls if since <= at and back >= at - 60), default=0.0)
    first = Choice(-math.inf, -math.inf, None)
    confirmed = [choice for choice in record.choices if choice.confirmed and choice.until < claimed]
    possible = [
        choice
        for choice in [first, *record.choices]
        if choice.since <= at and not any(later.since > choice.until for later in confirmed)
    ]
    sets = [everything if choice.columns is None else set(choice.columns) for choice in possible]
    return set.union(*sets) if every else set.intersection(*sets)


def watch(record: Record) -> Iterator[Violation]:
    """(3) An update that touches no watched column is not posted, as far as the database could know.

    It could not if another change of the row lies behind the base of the masks. Rows with a record in the ledger are posted anyway.
    """
    if record.plan.settings.watch is None or not record.every_commit:
        return
    changes: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for _, text, version, must in record.changes:
        changes[text].append((version, must))
    for text, posts in posts_by_row(record).items():
        for at, attempt in posts:
            version = attempt.version or 0
            if any(when <= at for when in record.cleaned):
                continue  # the masks begin at a version that is no longer valid: everything counts until the base has moved on
            looks = [look for look in record.looks if at - 120 <= look.at <= at]
            before = [look for look in record.looks if look.at < at - 120][-1:]
            if not before or any(text in look.ledger for look in before + looks) or lapsed(record, at, attempt.event_id or ""):
                continue
            base = before[0].base  # the oldest that the claim can have used
            if base is None or version <= base:
                continue  # a delivered change that is handed out again, such as by a late renewal: the masks begin behind it
            if any(base < when <= max(version, _latest(record, at)) and must for when, must in changes[text]):
                continue
            yield Violation("watch", f"{text}: version {version} was posted at {clock_text(at)}: no watched column changed", text)


def _latest(record: Record, at: float) -> int:
    return max((version for when, _, version, _ in record.changes if when <= at), default=0)


def gaps(record: Record) -> Iterator[Violation]:
    """(1) Of changes that change tracking forgot before anybody could attempt them people were told, with their versions; and a
    resync repairs them."""
    told = [notice["versions"] for _, notice in record.alerts if isinstance(notice, dict) and notice.get("kind") == "gap"]
    for text, version in record.excused.items():
        if record.unpromised.get(text) == version:
            continue
        if _missing(record, text) is not None and not any(first <= version <= last for first, last in told):
            yield Violation("gaps", f"{text}: version {version} was forgotten, and nobody was told", text)
        needless = record.wanted[text].deleted and record.state.get(text) is None  # the API never had the row
        if (why := _missing(record, text)) is not None and _removed(record, math.inf, version) and not needless:
            yield Violation("gaps", f"{text}: version {version} was forgotten, a later resync was completed, and {why}", text)
    if told and not record.cleaned:
        yield Violation("gaps", f"a gap {told} was told, but nothing was forgotten")


def cursor(record: Record) -> Iterator[Violation]:
    """(8) The trigger's cursor never passes a row that is neither delivered nor in the ledger."""
    told: set[str] = set()
    for look in record.looks:
        for text in look.missed:
            if text not in told:
                told.add(text)
                yield Violation("cursor", f"{text}: the cursor {look.cursor} has passed it at {clock_text(look.at)}", text)


def numbers(record: Record) -> Iterator[Violation]:
    """(9) At each look of the app at its numbers each changed row is at one place, and the places are those that the app tells."""
    for problem in record.miscounted[:3]:
        yield Violation("numbers", problem)


def harness(record: Record) -> Iterator[Violation]:
    """The emulators themselves did not trip."""
    for problem in record.problems:
        yield Violation("harness", problem)


__all__ = ["Violation", "check", "key_text", "posts_by_row"]
