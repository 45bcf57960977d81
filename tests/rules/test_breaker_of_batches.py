"""The circuit breaker of a target that takes several events in a request: such a request is one failure."""

from __future__ import annotations

from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.backoff import Backoff, RetryPolicy
from rowpost.rules.circuit_breaker import CircuitBreaker, next_breaker
from rowpost.rules.fate import Fate, fate_of_answer
from rowpost.rules.row import ClaimedRow, LedgerRecord

POLICY = RetryPolicy(5, Backoff(60, 2, 3600))
OPEN_AT = 5


def failed(number: int, shared: int = 0, attempts: int = 0) -> Fate:
    """The fate of a row that failed with the target, with others if ``shared``, after so many attempts before."""
    record = LedgerRecord(number, "retrying", attempts, 0, 0, 60) if attempts else None
    row = ClaimedRow({"Id": number}, number, 1, leased=True, values={}, record=record)
    return fate_of_answer(row, Answer(Verdict.TRANSIENT, 503, "HTTP 503", shared=shared), POLICY)


def delivered(number: int) -> Fate:
    row = ClaimedRow({"Id": number}, number, 1, leased=True, values={})
    return fate_of_answer(row, Answer(Verdict.DELIVERED, 202), POLICY)


def after(breaker: CircuitBreaker, *fates: Fate) -> CircuitBreaker:
    change = next_breaker(breaker, fates, POLICY, threshold=OPEN_AT, probe_seconds=300, batches=True)
    return breaker if change is None else change.breaker


def test_a_request_with_a_thousand_rows_is_one_failure() -> None:
    assert after(CircuitBreaker(), *(failed(n, shared=1) for n in range(1000))) == CircuitBreaker(1)


def test_so_many_requests_open_it() -> None:
    four = [failed(n, shared=1 + n % 4) for n in range(400)]
    assert after(CircuitBreaker(), *four) == CircuitBreaker(4)
    assert after(CircuitBreaker(), *four, failed(400, shared=5)).open
    assert after(CircuitBreaker(3), failed(1, shared=1), failed(2, shared=1), failed(3)).open, "those of rows alone count as before"


def test_a_row_of_a_failed_request_does_not_count_again() -> None:
    assert after(CircuitBreaker(1), *(failed(n, attempts=1) for n in range(4))) == CircuitBreaker(1)


def test_rows_that_are_tried_alone_after_a_failed_request_show_that_the_target_is_down() -> None:
    assert after(CircuitBreaker(1), *(failed(n, attempts=1) for n in range(5))).open
    assert after(CircuitBreaker(0), *(failed(n, attempts=1) for n in range(5))) == CircuitBreaker(), "but not after a sign of life"


def test_a_quiet_target_opens_it_when_rows_have_used_up_their_attempts() -> None:
    """One request with all rows of the table failed; since then rows were tried alone, one after the other."""
    used_up = [failed(n, attempts=4) for n in range(2)]
    assert after(CircuitBreaker(1), *used_up).open
    assert after(CircuitBreaker(0), *used_up) == CircuitBreaker(0), "not after a sign of life"


def test_one_row_alone_never_opens_it() -> None:
    assert after(CircuitBreaker(1), failed(1, attempts=4)) == CircuitBreaker(1)
    alone = RetryPolicy(1, POLICY.backoff)
    rows = [ClaimedRow({"Id": n}, n, 1, leased=True, values={}) for n in range(100)]
    answer = Answer(Verdict.TRANSIENT, 500, "HTTP 500", shared=7)  # one of them may be what the target fails on
    fates = [fate_of_answer(row, answer, alone) for row in rows]
    change = next_breaker(CircuitBreaker(), fates, alone, threshold=OPEN_AT, probe_seconds=300, batches=True)
    assert change is not None and not change.breaker.openings


def test_a_neighbour_that_is_delivered_closes_it() -> None:
    assert after(CircuitBreaker(4), failed(1, shared=1), failed(2, shared=1), delivered(3)) == CircuitBreaker()
