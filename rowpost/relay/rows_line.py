"""The line of the log that says what became of rows: one for each batch, redelivery, planning and order, with the same fields.

So a sum over these lines is right, whoever delivered. The graphs of the workbook in infra/ are made from them.
"""

from __future__ import annotations

import logging

from rowpost.relay.batch import Outcome
from rowpost.telemetry.journal import Journal

_log = logging.getLogger("rowpost.telemetry")


def tell_rows(journal: Journal, outcome: Outcome, *, replayed: int = 0) -> None:
    """Log what became of rows, and count them. This is the only place where rows are counted.

    A line about dead letters is a warning: host.json lets no less than that through from a survey of recovery.

    Args:
        journal: whose rows, and who has done it.
        outcome: the numbers.
        replayed: dead letters that wait again.
    """
    journal.count_rows(
        {
            "delivered": outcome.delivered,
            "skipped": outcome.skipped,
            "failed": outcome.failed + outcome.paused,
            "handed_back": outcome.handed_back,
            "dead": outcome.dead + outcome.expired,
            "replayed": replayed,
        }
    )
    level = logging.WARNING if outcome.dead + outcome.expired else logging.INFO
    _log.log(level, "%s", rows_line(journal, outcome, replayed=replayed))


def rows_line(journal: Journal, outcome: Outcome, *, replayed: int = 0) -> str:
    """What became of rows, as text; see :func:`tell_rows`."""
    return (
        f"{journal.relay}: delivered {outcome.delivered}, skipped {outcome.skipped}, failed {outcome.failed + outcome.paused}, "
        f"handed back {outcome.handed_back}, dead {outcome.dead + outcome.expired}, replayed {replayed}, "
        f"exhausted {outcome.exhausted}, recovered {outcome.recovered}, by {journal.by}, requests {len(journal.attempts)}, "
        f"milliseconds {round(journal.seconds * 1000)}, trace {journal.trace_id}"
    )
