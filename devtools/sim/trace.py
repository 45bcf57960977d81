"""The story of a run for people: the plan, and what happened to the rows that went wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from devtools.sim.judging import Violation, posts_by_row
from devtools.sim.plan import clock_text
from devtools.sim.record import Record
from devtools.sim.scenario import STATEMENTS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS_SHOWN = 2
_ALIKE_SHOWN, _LONGEST_PATTERN = 2, 5
_CRASHES_SHOWN, _EFFECTS_SHOWN = 4, 6


def story(record: Record, violations: list[Violation]) -> str:
    """The plan, and a timeline of at most two rows that the violations name."""
    lines = [str(record.plan), ""]
    named = list(dict.fromkeys((violation.lane, violation.key) for violation in violations if violation.key))[:_ROWS_SHOWN]
    for lane, text in named:
        of_lane = next((each for each in [record, *record.others] if each.lane == lane), record)
        lines += [f"--- {text}" + (f" ({lane})" if record.others else ""), *timeline(of_lane, text), ""]
    rows = [text for _, text in named]
    lines += crashes(record)
    for at, notice in record.alerts:
        lines.append(f"{clock_text(at)}  notice {notice.get('kind')} {notice.get('id')}")
    lines += [f"ledger at the end: {entry}" for each in [record, *record.others] for entry in each.ledger]
    lines += [f"lease at the end: {lease}" for lease in record.leases if any(str(value) in "".join(rows) for value in lease[:1])]
    lines.append(f"cursor at the end: {record.cursor}; counters of the API: {record.counters}")
    return "\n".join([*lines, "", *(str(violation) for violation in violations)])


def crashes(record: Record) -> list[str]:
    """What each worker that crashed or stood still was about, for the first few of them."""
    assert record.start is not None
    start = (record.start - _EPOCH) // timedelta(microseconds=1)
    lines: list[str] = []
    places = [index for index, effect in enumerate(record.effects) if effect[1] != "-" and effect[2] in ("crash", "stall")]
    for index in places[:_CRASHES_SHOWN]:
        name = record.effects[index][1]
        own = [effect for effect in record.effects[:index] if effect[1] == name][-_EFFECTS_SHOWN:]
        for at, worker, kind, detail in [*own, record.effects[index]]:
            lines.append(f"{clock_text((at - start) / 1e6)}  {worker} {kind}: {told(detail)}")
        lines.append("")
    return lines


def told(detail: str) -> str:
    """An effect's statement in a few words."""
    for name, (_, pattern) in STATEMENTS.items():
        if re.search(pattern, detail):
            return name
    return re.sub(r"\s+", " ", detail)[:90]


def timeline(record: Record, text: str) -> list[str]:
    """Everything that is known of one row, in order."""
    events: list[tuple[float, str]] = []
    for at, key, version, counts in record.changes:
        if key == text:
            events.append((at, f"changed: version {version}" + ("" if counts else " (no watched column)")))
    for at, attempt in posts_by_row(record).get(text, []):
        events.append((at, f"posted version {attempt.version} {attempt.operation}: {attempt.status}, {attempt.outcome}"))
    for since, back, how in record.kills:
        events.append((since, f"host killed ({how})"))
        events.append((back, "host back"))
    for since, back, name in record.stalls:
        events.append((since, f"{name} stands still for {back - since:.0f} s"))
    for at, minutes in record.shifts:
        events.append((at, f"the server's local time jumps by {minutes} min"))
    for at in record.struck:
        events.append((at, "a fault of the database strikes"))
    for trouble in record.troubles:
        events.append((trouble.since, f"trouble begins: {trouble.kind}"))
        events.append((trouble.until, f"trouble ends: {trouble.kind}"))
    for name, since in record.hung.items():
        events.append((since, f"{name} hangs"))
    for action in record.plan.actions:
        if action.kind in ("api", "rules", "sql", "command", "clean", "database", "backup", "restore"):
            events.append((action.at, f"{action.kind}: {action.values}"))
    breaker: float | None = None
    for look in record.looks:
        if (look.open_seconds is None) != (breaker is None):
            state = "closed or half-open" if look.open_seconds is None else f"open for {look.open_seconds:.0f} s"
            events.append((look.at, f"the circuit breaker is {state}"))
        breaker = look.open_seconds
    known: tuple[Any, ...] | None = None
    for look in record.looks:
        entry = look.ledger.get(text)
        if (entry and entry[:4]) != known:
            state = "no record" if entry is None else "{} version {} attempts {} rounds {}".format(*entry)
            if entry is not None and len(entry) > 4:
                state += f", due in {entry[4]} s"
            events.append((look.at, f"ledger: {state}; cursor {look.cursor}"))
            known = entry and entry[:4]
    return folded(sorted(events, key=lambda event: event[0]))


def folded(events: list[tuple[float, str]]) -> list[str]:
    """Lines for events; a run of those that differ in their numbers only is told by its first ones."""
    lines: list[str] = []
    shapes = [re.sub(r"\d+", "#", what) for _, what in events]
    index = 0
    while index < len(events):
        width, count = _run(shapes, index)
        shown = width * (_ALIKE_SHOWN if count > _ALIKE_SHOWN + 1 else count)
        lines += [f"{clock_text(at)}  {what}" for at, what in events[index : index + shown]]
        index += width * count
        if shown < width * count:
            what = "this" if width == 1 else "these"
            lines.append(f"... {width * count - shown} more like {what} until {clock_text(events[index - 1][0])}")
    return lines


def _run(shapes: list[str], begin: int) -> tuple[int, int]:
    """How many lines repeat from a place on, and how often; one line, once, if none do."""
    for width in range(1, _LONGEST_PATTERN + 1):
        pattern, count = shapes[begin : begin + width], 1
        while shapes[begin + width * count : begin + width * (count + 1)] == pattern:
            count += 1
        if count > _ALIKE_SHOWN + 1:
            return width, count
    return 1, 1
