"""Redelivery: detached rows that are due are posted by recovery itself, since the trigger does not hand them out any more."""

from __future__ import annotations

import json
from decimal import Decimal

from msgspec.structs import replace

from rowpost.app import App
from rowpost.config.sections import TargetConfig
from rowpost.database.ledger import fetch_records, rename_records
from rowpost.recovery.plan import LAPSED_SECONDS, plan
from rowpost.relay.batch import Outcome, hand_back, post, summarize
from rowpost.relay.claim import claim_keys, numbered_keys
from rowpost.relay.settle import settle
from rowpost.target.time_budget import TimeBudget
from rowpost.telemetry.journal import Journal

REDELIVER_AT_MOST = 100  # rows that one call leases and posts,
_REDELIVER_IN_BATCHES_AT_MOST = 1000  # and more if its target takes more in a request
_LEASE_MARGIN_SECONDS = 30
_LONG_SECONDS = 5  # after a redelivery that took so long the next survey comes first


def rows_at_most(target: TargetConfig) -> int:
    """How many rows one call leases and posts."""
    return max(REDELIVER_AT_MOST, min(target.batch, _REDELIVER_IN_BATCHES_AT_MOST))


def redeliver(app: App, relay: str, journal: Journal | None = None) -> Outcome:
    """Redeliver due rows that the trigger does not hand out any more, at most :func:`rows_at_most`.

    Whoever posts a row holds its lease: the rows are leased first, as a hand-out would, for as long as this may take. Only the
    version in the lease is not the row's, but one that no advance of the trigger reaches: the cursor may be past the row, and would
    take a lease of its version away. If the process ends the lease lapses; who leases the row next writes its true version.

    Args:
        app: the app.
        relay: its name.
        journal: takes each request.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; what was leased lapses and is redelivered later.
    """
    table, soon = app.table(relay), TimeBudget(_LONG_SECONDS)
    target = app.config.target(table.relay.target)
    lease = round(target.batch_budget.seconds + 2 * target.timeout.seconds + _LEASE_MARGIN_SECONDS)
    take = table.statement("lease_for_redelivery", at_most=rows_at_most(target), lapsed_seconds=LAPSED_SECONDS)
    (rows,) = app.database.run(take, lease)
    if not rows:
        return Outcome()
    known = app.life.known
    keys = numbered_keys(table, [json.loads(row[0], parse_float=Decimal) for row in rows])
    claimed = claim_keys(app.database, table, keys, [(row[2], row[3], row[4]) for row in rows])
    if claimed.masked or not app.life.goes_on(known, claimed.seen):
        return hand_back(app, table, claimed, redelivered=True)
    renamed = [row for row in claimed.rows if row.key_hash != rows[row.number][1]]
    if renamed:
        changes = [{"oldHash": rows[row.number][1], "keyHash": row.key_hash, "rowKey": row.key_text} for row in renamed]
        rename_records(app.database, table, changes)
        records = fetch_records(app.database, table, [row.key_hash for row in renamed])
        for row in renamed:
            row.recall(records.get(row.key_hash))
    fates, change = post(app, table, claimed, journal, redelivered=True)
    trace = journal.trace_id if journal else None
    settle(app.database, table, fates, claimed.epoch, change, redelivered=True, trace=trace)
    expired = 0
    if all(fate.failed for fate in fates):
        expired = plan(app, relay).expired  # the next look is not at once, and their next round begins now
    closed, slow = change is not None and change.closes, soon.spent
    return replace(summarize(fates, claimed.unknown), closed=closed, expired=expired, slow=slow)
