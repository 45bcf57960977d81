"""Whether the sums of the log are those of the API: what the app says that it has delivered, the API has accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from devtools.log_lines import attempt_lines, rows_lines
from devtools.sim.judging import Violation, taken
from devtools.sim.record import Record


def sums(record: Record) -> Iterator[Violation]:
    """(9) At the end the lines of the log add up to what the API has counted.

    A line comes after what it tells of. So a process that ends leaves lines out, and never is there one too many. An event that is
    sent twice is accepted twice and has two lines. A row is delivered by an event, but an event may be that of no row, or its row
    may not be settled.
    """
    if record.plan.policy != "rowpost":
        return
    log = "\n".join(record.logged)
    attempts, rows = attempt_lines(log), rows_lines(log)
    events = Counter(attempt.event_id for attempt in record.attempts if taken(record, attempt))
    of_no_row = sum(attempt.key is None for attempt in record.attempts if taken(record, attempt))  # those of a resync
    accepted, told = events.total(), sum(line["delivered"] for line in attempts)
    delivered = sum(line["delivered"] for line in rows)
    if told > accepted:
        yield Violation("sums", f"the log tells of {told} events that were delivered, and the API has accepted {accepted}")
    singles = Counter(line["event"] for line in attempts if line["events"] == 1 for _ in range(line["delivered"]))
    if wrong := singles - events:
        yield Violation("sums", f"the log tells of events that the API has not accepted: {dict(wrong)}")
    if delivered > told:
        yield Violation("sums", f"the log tells of {delivered} rows that were delivered, by {told} events")
    if told < accepted and not _may_lose_lines(record):
        yield Violation("sums", f"the API has accepted {accepted} events, and the log tells of {told}")
    if delivered < told - of_no_row and not (_may_lose_lines(record) or _may_not_settle(record)):
        yield Violation("sums", f"{told} events were delivered, and the log tells of {delivered} rows")
    given_up, dead = sum(line["dead"] for line in rows), sum(entry["State"] == "dead" for entry in record.ledger)
    if given_up < dead and not (_may_lose_lines(record) or _may_not_settle(record)):
        yield Violation("sums", f"{dead} rows are dead letters, and the log tells of {given_up}")
    for line in rows:
        if line["by"] not in ("trigger", "recovery", "watchdog", "operator"):
            yield Violation("sums", f"a line is by {line['by']}")


def _may_lose_lines(record: Record) -> bool:
    """Whether a process ended, stood still while its batch was over, or read an answer as something else than it was."""
    return bool(record.kills or record.stalls or record.frozen or "answers" in record.plan.dimensions)


def _may_not_settle(record: Record) -> bool:
    """Whether what became of a row may not have been written, or an event may be that of no row."""
    struck = any(name.startswith("sql") for name in record.faults)
    return bool(struck or record.troubles or record.shifts or record.plan.dimensions)
