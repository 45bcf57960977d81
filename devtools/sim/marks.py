"""The invariants of snapshots: what is marked, and that a relay which begins with one brings everything to its target."""

from __future__ import annotations

from collections.abc import Iterator

from devtools.sim.consumer import same_as_the_database
from devtools.sim.judging import Violation, posts_by_row
from devtools.sim.plan import clock_text
from devtools.sim.record import Record


def as_wanted(record: Record) -> Iterator[Violation]:
    """(1) A relay that begins with a snapshot: in the end a consumer has the table, with all rows that were there before."""
    if record.plan.settings.initial:
        yield from same_as_the_database(record)


def once(record: Record) -> Iterator[Violation]:
    """(2) No relay has two initial snapshots, unless its change versions have begun again."""
    ended = [each.body["data"] for each in record.attempts if each.operation == "resync-completed" and each.outcome == "resynced"]
    for epoch in {data["epoch"] for data in ended}:
        found = {data["resync"] for data in ended if data["epoch"] == epoch and data["cause"] == "initial"}
        if len(found) > (1 if record.plan.settings.initial else 0):
            yield Violation("once", f"in the epoch {epoch} the relay had the initial snapshots {sorted(found)}")


def marked(record: Record) -> Iterator[Violation]:
    """(2) An event is marked each time or never, with the id of a resync of that relay that has begun; and never under the version
    of a change of its row."""
    known = {str(each.body["data"].get("resync")) for each in record.attempts if str(each.operation).startswith("resync-")}
    for text, posts in posts_by_row(record).items():
        own = {version for _, key, version, _ in record.changes if key == text}
        first: dict[str, str | None] = {}
        for at, attempt in posts:
            mark = attempt.body["data"].get("snapshot")
            when = f"version {attempt.version} at {clock_text(at)}"
            shared = "batch" in attempt.headers.get("Content-Type", "")  # such a request has no headers of a single event
            if not shared and attempt.headers.get("Rowpost-Snapshot") != mark:
                yield Violation("marked", f"{text}: {when} has the mark {mark}, and another one in its header", text)
            if first.setdefault(str(attempt.event_id), mark) != mark and not _forgotten(record, at):
                yield Violation("marked", f"{text}: {when} has the mark {mark}, and had another one before", text)
            if mark is not None and mark not in known:
                yield Violation("marked", f"{text}: {when} has the mark {mark}, which no resync has", text)
            if record.restores or _forgotten(record, at):
                continue
            if mark is not None and attempt.version in own:
                yield Violation("marked", f"{text}: {when} is that of its own change, and has the mark {mark}", text)
            if mark is None and own and attempt.version not in own:
                yield Violation("marked", f"{text}: {when} is that of no change of it, and has no mark", text)


def _forgotten(record: Record, at: float) -> bool:
    """Whether change tracking may have forgotten before what a row's own last change was, while the app was there to see it."""
    return any(record.plan.starts[record.lane.app] < when <= at for when in record.cleaned)
