"""The gate of a table: while its target is known to be down, batches are held without calling it.

One rule. A failure of the target counts if the row had not failed before, and any answer about a row, good or bad, starts the count
anew. With ``breaker_failures`` of them the gate closes until a given time. Then batches are posted again: one in which nothing
succeeds closes it again, and the first success opens it. So a poison row, however often it fails, does not close it, and an outage
costs the target a few posts an interval.

At first it is closed for as long as the trigger's built-in attempts go on, about a minute each time: its rows are handed back, and
come again by themselves. When it has been closed as often as there are attempts, the rows behind it are exhausted: recovery looks
after them, the intervals grow, and the success that opens it makes every row due that waited for the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rowpost.config import Config, RetryConfig
from rowpost.delivery import Verdict
from rowpost.tables import Table, literal

if TYPE_CHECKING:
    from rowpost.settlement import Settlement


_BUILT_IN_SECONDS = 40  # shorter than what is left of the leases of a batch that has failed, 45 to 60 s: its rows find it half open


@dataclass(frozen=True, slots=True)
class Gate:
    """What a claim saw of the gate.

    Attributes:
        failures: first failures of rows since the last sign of life.
        round: how often it was closed since; 0 is open.
        seconds: how long nothing is posted yet.
    """

    failures: int = 0
    round: int = 0
    seconds: int = 0

    @property
    def closed(self) -> bool:
        """Whether nothing is to be posted now."""
        return self.round > 0 and self.seconds > 0

    def exhausts(self, retry: RetryConfig) -> bool:
        """Whether the rows behind it have used up the built-in attempts."""
        return self.round >= retry.attempts


@dataclass(frozen=True, slots=True)
class GateChange:
    """The gate as a batch leaves it, and the round in which the batch found it."""

    gate: Gate
    seen_round: int

    @property
    def opens(self) -> bool:
        """Whether rows that waited for the target become due."""
        return self.seen_round > 0 and self.gate == Gate()

    @property
    def parameters(self) -> tuple[int, int, int, int]:
        """The values of :func:`gate_sql`'s parameters."""
        return self.gate.failures, self.gate.round, self.gate.seconds, self.seen_round


def next_gate(gate: Gate, posted: Sequence[Settlement], config: Config) -> GateChange | None:
    """The gate after a batch; None if it stays as it is.

    Args:
        gate: as the batch's claim saw it.
        posted: the rows that were to be posted, also those that the circuit breaker left out.
        config: of the app.
    """
    answers = [(s, s.answer) for s in posted if s.answer is not None and s.answer.tried]
    if any(answer.verdict in (Verdict.DELIVERED, Verdict.REJECTED) for _, answer in answers):
        return GateChange(Gate(), gate.round) if gate.failures or gate.round else None
    failures = gate.failures + sum(not s.failed_before for s, _ in answers)
    if not answers or (gate.round == 0 and failures < config.downstream.breaker_failures):
        return GateChange(Gate(failures), gate.round) if failures != gate.failures else None
    retry, probe = config.retry, round(config.downstream.probe.seconds)
    rounds = gate.round + 1
    pause = _BUILT_IN_SECONDS if rounds < retry.attempts else retry.backoff.delay_seconds(rounds - retry.attempts + 1)
    asked = max(answer.retry_after_seconds or 0 for _, answer in answers)
    return GateChange(Gate(failures, rounds, min(max(pause, asked), probe)), gate.round)


GATE_PARAMETERS = "@failures int = ?, @gate_round int = ?, @gate_seconds int = ?, @gate_seen int = ?"


def gate_sql(table: Table) -> str:
    """Write a :class:`GateChange`: opening always counts, closing only if no other worker was faster. Needs ``@utc``."""
    return f"""
UPDATE rowpost.TableState
   SET Failures = @failures, GateRound = @gate_round,
       GateUntil = CASE WHEN @gate_round > 0 THEN DATEADD(second, @gate_seconds, @utc) END,
       GateOpened = CASE WHEN @gate_round = 0 AND GateRound > 0 THEN @utc ELSE GateOpened END
 WHERE TableName = {literal(table.name)} AND ((@gate_round = 0 AND @failures = 0) OR GateRound = @gate_seen);"""
