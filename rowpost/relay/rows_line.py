"""The line of the log that says what became of rows: one for each batch, redelivery, planning and order, with the same fields.

So a sum over these lines is right, whoever delivered. The graphs of the workbook in infra/ are made from them.
"""

from __future__ import annotations

from enum import StrEnum

from rowpost.relay.batch import Outcome


class Doer(StrEnum):
    """Who has done something with rows."""

    TRIGGER = "trigger"  # a batch
    RECOVERY = "recovery"  # a redelivery, also of rows that are replayed or sent again by a resync; and planning
    WATCHDOG = "watchdog"  # the same, in the place of a recovery that does not move
    OPERATOR = "operator"  # dead letters that are replayed: they wait again


def rows_line(relay: str, by: Doer, outcome: Outcome, *, replayed: int = 0) -> str:
    """What became of rows.

    Args:
        relay: its name.
        by: who did it.
        outcome: the numbers.
        replayed: dead letters that wait again.
    """
    return (
        f"{relay}: delivered {outcome.delivered}, skipped {outcome.skipped}, failed {outcome.failed}, "
        f"handed back {outcome.handed_back}, dead {outcome.dead + outcome.expired}, replayed {replayed}, "
        f"exhausted {outcome.exhausted}, recovered {outcome.recovered}, by {by}"
    )
