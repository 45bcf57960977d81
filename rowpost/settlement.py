"""What becomes of each row of a batch, and the one transaction that writes it down.

Lease and ledger change together, under the extension's own application lock, as the last thing before the batch raises. Each
lease is touched only if its change version and count are still those that the claim saw: a row that another worker has taken
meanwhile is left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from rowpost.claim import APP_LOCK, GUARDED_COUNT, ClaimedRow
from rowpost.config import RetryConfig
from rowpost.database import Database
from rowpost.delivery import Answer, Verdict
from rowpost.gate import GATE_PARAMETERS, Gate, GateChange, gate_sql
from rowpost.ledger import ABOUT_THE_TARGET, NOT_TRIED, to_json
from rowpost.tables import Table, literal

PROTECT_SECONDS = 300  # how long an exhausted row is held for recovery to plan it; later the trigger tries it again by itself
UNSETTLED = "handed out several times without an outcome: the process ended, or the trigger's payload could not be matched"
TARGET_DOWN = "the target is known to be down"
_BUILT_IN_INTERVAL_SECONDS = 60  # the extension's lease: a failed row comes again when it lapses

# done: delivered, or nothing to deliver. hold: not before a given time. wait: again when the lease lapses.
# back: never tried, so the hand-out does not count.
LeaseAction = Literal["done", "hold", "wait", "back"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The fate of one row: what happens to its lease and, if ``state`` is set, what the ledger will say."""

    row: ClaimedRow
    lease: LeaseAction
    hold_seconds: int = 0
    state: str | None = None
    attempts: int = 0
    next_seconds: int = 0
    answer: Answer | None = None
    clears: bool = False
    detached: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the target accepted the row."""
        return self.answer is not None and self.answer.verdict is Verdict.DELIVERED

    @property
    def failed_before(self) -> bool:
        """Whether the row had failed before, in this state or a former one: a poison row says nothing new about the target."""
        record = self.row.record
        return record is not None and record.live and record.attempts > 0

    @property
    def failed(self) -> bool:
        """Whether the row is still to be delivered by the trigger or by recovery."""
        return self.lease != "done" or self.detached

    def for_recovery(self) -> Settlement:
        """The same for a row that the trigger does not hand out: if it failed its lease is released, and it stays detached."""
        return replace(self, lease="done", detached=True) if self.failed else self


def early_settlement(row: ClaimedRow) -> Settlement | None:
    """The fate of a row that is not to be posted: unwatched, dead already, never settled, or held; None for all others."""
    record = row.record
    if record is not None and not record.live and record.version >= row.version:
        return Settlement(row, "done")
    if row.attempt_count >= GUARDED_COUNT:
        # Each time it was handed out the process ended: recovery tries it with growing delays, and its neighbours are spared.
        known = record.attempts if record is not None and record.live else 0
        answer = Answer(Verdict.TRANSIENT, error=UNSETTLED)
        return Settlement(row, "hold", PROTECT_SECONDS, "exhausted", known + row.attempt_count, PROTECT_SECONDS, answer)
    if record is None:
        return None if row.watched else Settlement(row, "done")
    if record.version < row.version:
        return None  # changed since it failed: the new state gets its chance at once
    if record.state == "retrying" and record.wait_seconds > _BUILT_IN_INTERVAL_SECONDS:
        return Settlement(row, "hold", hold_seconds=record.wait_seconds)  # the target's Retry-After
    if record.state in ("held", "exhausted") and record.wait_seconds > 0:
        # Handed out early: a renewal of the lease, begun before the hold was written, has overtaken it.
        return Settlement(row, "hold", hold_seconds=record.wait_seconds)
    return None


def gated_settlement(row: ClaimedRow, gate: Gate) -> Settlement:
    """The fate of a row that is not posted, since its target is known to be down: recovery plans it. No attempt is counted."""
    known = row.record.attempts if row.record is not None and row.record.live else 0
    hold = max(PROTECT_SECONDS, gate.seconds)
    return Settlement(row, "hold", hold, "exhausted", known, hold, Answer(Verdict.TRANSIENT, error=f"{NOT_TRIED}: {TARGET_DOWN}"))


def settle_row(row: ClaimedRow, answer: Answer, retry: RetryConfig, *, redelivered: bool = False) -> Settlement:
    """The fate of a row that was posted, or should have been; ``redelivered`` if the trigger will not hand it out again."""
    record = row.record
    if answer.verdict is Verdict.DELIVERED:
        return Settlement(row, "done", answer=answer, clears=record is not None)
    if answer.verdict is Verdict.UNTRIED and row.leased:
        return Settlement(row, "back")
    known = record.attempts if record is not None and record.live else 0
    attempts = known + max(row.attempt_count, 1)  # the lease counts hand-outs that nobody settled, such as crashes
    if attempts >= retry.attempts and answer.verdict is Verdict.REJECTED and retry.rejected == "dead_letter":
        return Settlement(row, "done", state="dead", attempts=attempts, answer=answer)
    if attempts >= retry.attempts or redelivered or not row.leased:  # there is no further hand-out: recovery must plan it
        hold = max(PROTECT_SECONDS, answer.retry_after_seconds or 0)
        return Settlement(row, "hold", hold, "exhausted", attempts, hold, answer)
    wait = answer.retry_after_seconds or 0
    if wait > _BUILT_IN_INTERVAL_SECONDS:
        return Settlement(row, "hold", wait, "retrying", attempts, wait, answer)
    return Settlement(row, "wait", 0, "retrying", attempts, _BUILT_IN_INTERVAL_SECONDS, answer)


def settle(
    database: Database,
    table: Table,
    settlements: Sequence[Settlement],
    change: GateChange | None = None,
    *,
    redelivered: bool = False,
) -> None:
    """Write the fate of a batch's rows: one transaction, the same number of statements for any number of rows.

    Raises:
        DatabaseError: nothing was written; the leases lapse and the rows come again.
    """
    rows = to_json([_row_json(s) for s in settlements])
    sql = _settle_sql(table, gated=change is not None, redelivered=redelivered)
    database.run(sql, rows, *(change.parameters if change else ()))


def clear(database: Database, table: Table, settlements: Sequence[Settlement], change: GateChange | None = None) -> bool:
    """Drop the ledger records of delivered rows; all that a batch without a failure has to write, if anything.

    Returns:
        Whether that left nothing for recovery to look after.
    """
    rows = [{"rp_h": s.row.key_hash, "rp_v": s.row.version} for s in settlements if s.clears]
    if not rows and change is None:
        return False
    declare, write = (f", {GATE_PARAMETERS}", gate_sql(table)) if change else ("", "")
    ((row,),) = database.run(
        f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @rows nvarchar(max) = ?{declare}, @utc datetime2(7) = SYSUTCDATETIME();
BEGIN TRANSACTION;
{_clear_sql(table, "1 = 1")}{write}
COMMIT;
SELECT COUNT(*) FROM (SELECT TOP (1) 1 AS One FROM rowpost.Ledger
                       WHERE TableName = {literal(table.name)} AND State <> 'dead') live;""",
        to_json(rows),
        *(change.parameters if change else ()),
    )
    return bool(rows) and not row[0]


def _row_json(settlement: Settlement) -> dict[str, Any]:
    row, answer = settlement.row, settlement.answer
    return {
        **row.key,
        "rp_h": row.key_hash,
        "rp_k": row.key_text,
        "rp_v": row.version,
        "rp_g": row.lease_version,
        "rp_f": row.tracked_version,
        "rp_c": min(row.attempt_count, GUARDED_COUNT - 1),  # as the guard has left it
        "rp_l": settlement.lease,
        "rp_w": settlement.hold_seconds,
        "rp_o": "D" if row.values is None else "U",
        "rp_s": settlement.state,
        "rp_a": settlement.attempts,
        "rp_n": settlement.next_seconds,
        "rp_b": answer.retry_after_seconds if answer else None,
        "rp_t": answer.status if answer else None,
        "rp_e": answer.error if answer else None,
        "rp_x": 1 if settlement.clears else 0,
        "rp_d": 1 if settlement.detached else 0,
        "rp_y": 1 if answer is not None and answer.tried else 0,
    }


def _clear_sql(table: Table, condition: str) -> str:
    return f"""
DELETE g FROM rowpost.Ledger g
  JOIN OPENJSON(@rows) WITH (h char(64) '$.rp_h', v bigint '$.rp_v', rp_x int '$.rp_x') s ON g.KeyHash = s.h
 WHERE g.TableName = {literal(table.name)} AND g.ChangeVersion <= s.v AND {condition};"""


def _settle_sql(table: Table, *, gated: bool, redelivered: bool) -> str:
    declare, write = (f", {GATE_PARAMETERS}", gate_sql(table)) if gated else ("", "")
    name = literal(table.name)
    leases = table.key_with(
        "rp_g bigint '$.rp_g'", "rp_f bigint '$.rp_f'", "rp_c int '$.rp_c'", "rp_l varchar(4) '$.rp_l'", "rp_w int '$.rp_w'"
    )
    failures = """WITH (h char(64) '$.rp_h', k nvarchar(max) '$.rp_k', v bigint '$.rp_v', o char(1) '$.rp_o',
       s varchar(10) '$.rp_s', a int '$.rp_a', n int '$.rp_n', b int '$.rp_b', t int '$.rp_t', e nvarchar(400) '$.rp_e',
       d bit '$.rp_d', y bit '$.rp_y')"""
    sweep = ""
    if redelivered:
        # The trigger sweeps leases only when its cursor moves, and all at once: those that it does not need are removed here.
        sweep = f"""
DELETE l FROM {table.lease_sql} l JOIN OPENJSON(@rows) {leases} s ON {table.on("l", "s")}
 WHERE l._az_func_ChangeVersion = s.rp_g AND l._az_func_AttemptCount = s.rp_c AND s.rp_f <= {table.cursor_sql};"""
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @rows nvarchar(max) = ?{declare}, @lock int;
BEGIN TRANSACTION;
{APP_LOCK}
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME();{sweep}
UPDATE l
   SET _az_func_ChangeVersion = s.rp_f,
       _az_func_AttemptCount = CASE s.rp_l WHEN 'back' THEN s.rp_c - 1 ELSE 0 END,
       _az_func_LeaseExpirationTime = CASE s.rp_l WHEN 'done' THEN NULL WHEN 'hold' THEN DATEADD(second, s.rp_w, @now)
                                                  ELSE l._az_func_LeaseExpirationTime END
  FROM {table.lease_sql} l
  JOIN OPENJSON(@rows) {leases} s ON {table.on("l", "s")}
 WHERE l._az_func_ChangeVersion = s.rp_g AND l._az_func_AttemptCount = s.rp_c;
{_clear_sql(table, "s.rp_x = 1")}{write}
-- Who fails for the first time after the gate has opened begins anew: its rounds were those of an outage that is over.
DECLARE @opened datetime2(7) = (SELECT GateOpened FROM rowpost.TableState WHERE TableName = {name});
UPDATE g
   SET FirstFailure = CASE g.State WHEN 'dead' THEN @utc ELSE g.FirstFailure END,
       Rounds = CASE WHEN g.State = 'dead' OR (g.LastFailure < @opened AND {ABOUT_THE_TARGET}) THEN 0 ELSE g.Rounds END,
       ChangeVersion = s.v,
       Operation = s.o, State = s.s, Attempts = s.a, LastFailure = @utc, NextAttempt = DATEADD(second, s.n, @utc),
       LastTried = CASE WHEN s.y = 1 THEN @utc WHEN g.ChangeVersion = s.v THEN g.LastTried END,
       NotBefore = DATEADD(second, s.b, @utc), Noticed = 0, Detached = s.d,
       -- That the target was not called says less than how the last try ended, unless that was of a former state of the row.
       LastStatus = CASE WHEN s.y = 0 AND g.ChangeVersion = s.v AND g.LastTried IS NOT NULL THEN g.LastStatus ELSE s.t END,
       LastError = CASE WHEN s.y = 0 AND g.ChangeVersion = s.v AND g.LastTried IS NOT NULL THEN g.LastError ELSE s.e END
  FROM rowpost.Ledger g JOIN OPENJSON(@rows) {failures} s ON g.KeyHash = s.h
 WHERE g.TableName = {name} AND s.s IS NOT NULL
   -- Fewer attempts than are known: others have gone on with the row while this worker stood still.
   AND (g.ChangeVersion < s.v OR (g.State <> 'dead' AND g.ChangeVersion = s.v AND g.Attempts <= s.a));
INSERT INTO rowpost.Ledger (TableName, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds,
                            FirstFailure, LastFailure, LastTried, NextAttempt, NotBefore, LastStatus, LastError, Noticed, Detached)
SELECT {name}, s.h, s.k, s.v, s.o, s.s, s.a, 0, @utc, @utc, CASE WHEN s.y = 1 THEN @utc END, DATEADD(second, s.n, @utc),
       DATEADD(second, s.b, @utc), s.t, s.e, 0, s.d
  FROM OPENJSON(@rows) {failures} s
 WHERE s.s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.TableName = {name} AND g.KeyHash = s.h);
COMMIT;
"""
