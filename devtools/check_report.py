"""What ``dev.py check-config`` found: the report, and how a person reads it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from devtools.retry_schedule import RetrySchedule

_EXAMPLE_START = datetime(2026, 1, 5, 8)  # a Monday: when the row of the example fails first
_INITIAL = {"changes": "changes from now on", "snapshot": "the rows that are there, once, and changes from now on"}
_ON_GAP = {"resync": "people are told, and a resync is ordered", "notify": "people are told, and nothing else is done"}


class Value(Struct, frozen=True):
    """A setting of the file as it is shown: what stands there, without secrets, or the default."""

    name: str
    shown: Any
    default: bool


class Report(Struct):
    """All that is known of a file.

    Attributes:
        mistakes: with one of these the app does not start, or a relay does not work.
        warnings: what works, but is hardly meant.
        unchecked: what cannot be known here.
        settings: the app settings that the file names, and whether each is set here.
        sections: effective values, by section.
    """

    file: str
    mistakes: list[str]
    warnings: list[str]
    unchecked: list[str]
    settings: dict[str, bool]
    sections: dict[str, list[Value]]
    relays: list[dict[str, Any]]
    schedule: RetrySchedule | None
    site: str
    database: dict[str, Any] | None


def duration(seconds: float) -> str:
    """A duration as relay.toml writes it, in the largest units: ``6h``, ``1h 30m``."""
    if math.isinf(seconds):
        return "for ever"
    left, parts = round(seconds), []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if left >= length:
            parts.append(f"{left // length}{unit}")
            left %= length
    return " ".join(parts) or "0s"


def _clock(seconds: int) -> str:
    return f"{_EXAMPLE_START + timedelta(seconds=seconds):%a %d %b %H:%M:%S}"


def schedule_lines(schedule: RetrySchedule) -> Iterator[str]:
    """The schedule in clock time, a line for each attempt and round; rounds that only repeat are summed up."""

    def line(at: int, what: str) -> tuple[int, str]:
        return at, f"  {_clock(at)}  {what:44} {duration(at) if at else '-'}"

    yield f"  {'at':19}  {'what':44} since the first failure"
    lines = [line(attempt.at_seconds, f"attempt {attempt.number} of the trigger") for attempt in schedule.attempts]
    for each in schedule.rounds:
        by = ", by recovery itself" if each.detached else ""
        lines.append(line(each.at_seconds, f"round {each.number}, {duration(each.delay_seconds)} later{by}"))
    if schedule.last is not None and schedule.count > len(schedule.rounds):
        last = schedule.last
        lines.append(line(last.at_seconds, f"round {last.number}, {duration(last.delay_seconds)} after each before it"))
    if schedule.told_seconds is not None:
        lines.append(line(schedule.told_seconds, "people are told"))
    lines.append(line(schedule.dead_seconds, "dead letter, and people are told"))
    for _, text in sorted(lines, key=lambda item: item[0]):
        yield text


def as_text(report: Report) -> str:
    """The report for a person."""
    lines = []
    for title, values in report.sections.items():
        lines.append(f"[{title}]")
        for value in values:
            shown = value.shown if isinstance(value.shown, str) else json.dumps(value.shown, ensure_ascii=False)
            lines.append(f"  {value.name:25} {shown}{'   (default)' if value.default else ''}")
        lines.append("")
    if report.settings:
        lines.append("app settings that the file names (their values are not shown)")
        lines += [f"  {name:25} {'set here' if is_set else 'not set here'}" for name, is_set in report.settings.items()]
        lines.append("")
    if report.relays:
        lines.append(f"relays of the app {report.site!r} (--site NAME: another name, such as that on Azure)")
        asked = {facts["name"]: facts for facts in (report.database or {}).get("relays", [])}
        for relay in report.relays:
            lines.append(f"  {relay['name']}: table {relay['table']} to target {relay['target']}")
            lines.append(f"    trigger function  {relay['function']}")
            lines.append(f"    lease table       {relay['lease_table']}")
            lines.append(f"    sends             {', '.join(relay['send']) if relay['send'] else 'all columns, also later ones'}")
            lines.append(f"    updates count     {', '.join(relay['watch']) if relay['watch'] else 'of any column'}")
            lines.append(f"    begins with       {_INITIAL[relay['initial']]}")
            lines.append(f"    after a gap       {_ON_GAP[relay['on_gap']]}")
            for name, value in relay["sending"].items():
                lines.append(f"    {name:17} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
            if relay["name"] in asked:
                lines.append(f"    in the database   {_facts_line(asked[relay['name']])}")
        lines.append("")
    if report.database is not None:
        found = report.database
        kept = "off" if found["retention_seconds"] is None else f"on, kept for {duration(found['retention_seconds'])}"
        lines.append(f"database {found['database']} on {found['server']}, as the user {found['user']}")
        lines.append(f"  change tracking   {kept}")
        lines.append(f"  the app's tables  version {found['schema_version']} (wanted: {found['wanted_schema_version']}; 0: none)")
        lines.append("")
    if report.schedule is not None:
        lines.append("a row that fails for ever, from a Monday at 08:00")
        lines += schedule_lines(report.schedule)
        lines.append("  While the target is down its circuit breaker delays rounds. As soon as it works, all waiting rows are due.")
        lines.append("")
    lines += [f"not checked: {text}" for text in report.unchecked]
    lines += [f"warning: {text}" for text in report.warnings]
    lines += [f"mistake: {text}" for text in report.mistakes]
    lines.append(f"{report.file}: {_count(report.mistakes, 'mistake')}, {_count(report.warnings, 'warning')}")
    return "\n".join(lines)


def _count(things: Sequence[str], name: str) -> str:
    return f"{len(things) or 'no'} {name}{'' if len(things) == 1 else 's'}"


def _facts_line(facts: dict[str, Any]) -> str:
    if not facts["exists"]:
        return "no such table"
    owner = f"registered for the app {facts['app']!r}" if facts["registered"] else "not registered yet"
    columns = ", by column" if facts["tracks_columns"] else ", but not by column"
    tracked = f"changes tracked{columns}" if facts["tracked"] else "no change tracking"
    rights = "may read" if facts["may_select"] and facts["may_view_change_tracking"] else "may not read"
    return f"key {', '.join(facts['key']) or 'missing'}; {len(facts['columns'])} columns; {tracked}; {rights}; {owner}"
