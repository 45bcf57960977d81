"""Planning: what becomes of the rows of a table's ledger as time passes. Set by set, in chunks, whatever the number of rows.

A chunk is chosen without any lock, and begins where the one before ended: a pass reads the ledger once. The trigger's lock, which
all triggers of the database share, is held only while the chunk's leases and records are written; rows that changed meanwhile are
left out.
"""

from __future__ import annotations

from msgspec import Struct

from rowpost.app import App
from rowpost.rules.json_text import to_json

LAPSED_SECONDS = 180  # a hold that ran out so long ago, and was not handed out: the trigger does not know the row any more
_CHUNK = 500  # rows
_PROBES = 3  # rows that try a target whose circuit breaker is half-open
_END = "z"  # after every hash
_CHUNKS_AT_MOST = 100  # of one call; what is left is planned by the next


class Planned(Struct, frozen=True):
    """What a call has planned.

    Attributes:
        more: whether more is left to plan: a call ends after so many chunks that it never comes near the time limit of a function.
        expired: rows whose window was over: they are dead letters now.
    """

    more: bool
    expired: int


def plan(app: App, relay: str) -> Planned:
    """Bring the table's ledger up to date with the clock, the circuit breaker and the operator's orders.

    Rows older than the window become dead letters; exhausted ones get their next round; those that wait for a target that works
    again, or that an operator ordered, become due; those that the trigger does not know any more are detached.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; each chunk was planned wholly or not at all.
    """
    table, retry = app.table(relay), app.config.retry
    delays = [{"r": r, "s": s} for r, s in enumerate(retry.backoff.schedule_seconds())]
    sql = table.statement("plan", chunk_rows=_CHUNK, probes=_PROBES, lapsed_seconds=LAPSED_SECONDS)
    parameters = (to_json(delays), len(delays) - 1, round(retry.window.seconds), retry.detach_after_rounds, retry.attempts)
    expired = 0
    after = lost = ""
    again = False
    for _ in range(_CHUNKS_AT_MOST):
        (((end, end_lost, more, dead),),) = app.database.run(sql, *parameters, after, lost)
        again = again or bool(more)
        expired += dead
        if end is not None or end_lost is not None:
            after, lost = end or _END, end_lost or lost
        elif again:
            after, lost, again = "", "", False
        else:
            return Planned(False, expired)
    return Planned(True, expired)
