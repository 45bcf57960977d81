"""A consumer that is as good as the documentation asks: of each row it keeps the state with the greatest sequence.

The sequence orders states by the epoch of the database, then by the change version. A resync says when it has begun and when it is
completed: then the consumer removes the rows whose sequence is lower than that of the beginning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from devtools.sim.contents import same_value
from devtools.sim.judging import Violation
from devtools.sim.plan import clock_text
from devtools.sim.record import Record, key_text, parsed_key
from emulators.downstream.attempt import Attempt

_TAKEN = ("accepted", "repeated", "stale", "conflicting", "resynced")  # whatever became of it, it was not refused
_BEGUN, _COMPLETED = "resync.begun", "resync.completed"


class Consumer:
    """What a good consumer knows after the events that it was sent."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any] | None] = {}
        """By key: the row, or None for one that was deleted."""
        self._sequences: dict[str, str] = {}
        self._begun: dict[str, str] = {}
        self._floor = ""  # nothing that is older is taken any more: it was removed

    def take(self, event: dict[str, Any]) -> None:
        """One event."""
        kind, sequence, data = str(event.get("type", "")), str(event.get("sequence", "")), event["data"]
        if kind.endswith(_BEGUN):
            self._begun[str(data.get("resync"))] = sequence
        elif kind.endswith(_COMPLETED):
            begun = self._begun.get(str(data.get("resync")), "")
            self._floor = max(self._floor, begun)
            for text in [text for text, known in self._sequences.items() if known < begun]:
                self.rows[text] = None
        elif sequence >= max(self._floor, self._sequences.get(key_text(data["key"]), "")):
            self._sequences[key_text(data["key"])] = sequence
            known = (self.rows.get(key_text(data["key"])) or {}) if data.get("partly") else {}
            self.rows[key_text(data["key"])] = None if data["row"] is None else {**known, **data["row"]}


def one_content(record: Record) -> Iterator[Violation]:
    """(2) No event id has two contents, on whichever side of a restore."""
    known: dict[str, tuple[float, str]] = {}
    if record.choices or record.plan.pace:
        return  # a later try may carry other columns, or what the row has become since its version was read
    for at, attempt in _taken(record):
        content = json.dumps([attempt.body["data"].get("operation"), attempt.body["data"].get("row")], sort_keys=True, default=str)
        before, other = known.setdefault(str(attempt.event_id), (at, content))
        if other != content:
            told = f"{attempt.event_id} of {clock_text(before)} came with another content at {clock_text(at)}"
            yield Violation("one_content", told, key_text(attempt.key) if isinstance(attempt.key, dict) else None)


def same_as_the_database(record: Record) -> Iterator[Violation]:
    """(1) In the end a consumer that keeps the greatest sequence of each row has what the database has. Left out are dead letters,
    and rows that were not removed since people were told that the resync is incomplete."""
    consumer = Consumer()
    for event in taken_events(record):
        consumer.take(event)
    yield from differences(record, consumer.rows)


def taken_events(record: Record) -> list[dict[str, Any]]:
    """The events that were not refused, in the order in which they came."""
    return [attempt.body for _, attempt in _taken(record)]


def differences(record: Record, rows: dict[str, dict[str, Any] | None]) -> Iterator[Violation]:
    """What a consumer does not have as the database has it.

    Args:
        record: of the run.
        rows: what the consumer has, by key; None for a row that it knows to be deleted.
    """
    incomplete = _ended_incomplete(record)
    dead = {entry["RowKey"] for entry in record.ledger if entry["State"] == "dead"}
    for text in sorted((set(record.rows) | set(rows)) - dead):
        row, known = record.rows.get(text), rows.get(text)
        if row is None and known is not None and incomplete:
            continue
        if (row is None) != (known is None):
            yield Violation(
                "same", f"{text}: the database has {'no row' if row is None else 'a row'}, the consumer the contrary", text
            )
        elif row is not None and known is not None:
            wrong = [name for name, value in known.items() if name in row and not same_value(value, row[name])]
            wrong = [name for name in wrong if name in (record.plan.settings.watch or record.plan.settings.ceiling)]
            if wrong:
                yield Violation("same", f"{text}: the consumer has other values of {wrong}", text)


def same_as_the_filtered_source(record: Record) -> Iterator[Violation]:
    """(1) In the end a consumer has of the source what the filter lets through, and what it wrote itself; and nothing that does not
    meet the condition was ever sent. As above, dead letters and an incomplete resync are left out."""
    kind, incomplete = record.plan.settings.filter, _ended_incomplete(record)
    consumer, life = Consumer(), ""
    events = [(at, attempt.body) for at, attempt in _taken(record)]
    for _, event in events:
        life = str(event.get("sequence", "")).rpartition(".")[0] or life
        row = event["data"].get("row")
        if kind in ("where", "ignored") and row is not None and row.get("Extra", 0) % 2:
            yield Violation("same", f"a row was sent that does not meet the condition: {event['data']['key']}")
    own = [(at, _own_event(text, values, version, life)) for at, text, values, version in record.own]
    for _, event in sorted(events + own, key=lambda each: each[0]):
        consumer.take(event)
    dead = {entry["RowKey"] for entry in record.ledger if entry["State"] == "dead"}
    for text in sorted((set(record.rows) | set(consumer.rows)) - dead):
        row, known = record.rows.get(text), consumer.rows.get(text)
        left = row is not None and kind in ("where", "ignored") and row["Extra"] % 2 == 1
        if (left and kind == "ignored") or (row is None and (kind == "kept" or incomplete)):
            continue  # it may have any state of before
        if (row is None or left) != (known is None):
            said = "no row" if row is None else "a row that left" if left else "a row"
            yield Violation("same", f"{text}: the database has {said}, the consumer the contrary", text)
        elif row is not None and known is not None:
            wrong = [name for name, value in known.items() if name in row and not same_value(value, row[name])]
            wrong = [name for name in wrong if name in (record.plan.settings.watch or record.plan.settings.ceiling)]
            if wrong:
                yield Violation("same", f"{text}: the consumer has other values of {wrong}", text)


def _own_event(text: str, values: dict[str, Any] | None, version: int, life: str) -> dict[str, Any]:
    """What the consumer knows of its own write, as if it had been sent; only the columns that it wrote."""
    sequence = f"{life}.{version:020d}" if life else f"{version:020d}"
    return {"type": "own", "sequence": sequence, "data": {"key": parsed_key(text), "row": values, "partly": True}}


def _ended_incomplete(record: Record) -> bool:
    """Whether people were told last that a resync is incomplete: then the target was not told to remove what does not exist."""
    told = [at for at, notice in record.alerts if isinstance(notice, dict) and notice.get("kind") == "resync"]
    done = [record.at(each.at) for each in record.attempts if each.operation == "resync-completed" and each.outcome == "resynced"]
    return bool(told) and max(told) > max(done, default=0.0)


def _taken(record: Record) -> list[tuple[float, Attempt]]:
    found = [(record.at(attempt.at), attempt) for attempt in record.attempts if attempt.outcome in _TAKEN]
    return [(at, attempt) for at, attempt in found if isinstance(attempt.body, dict) and "data" in attempt.body]
