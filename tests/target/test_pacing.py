"""The pace of a target, at the wire: the configured rate, pauses that it asks for, and what is in force since."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import pytest

from emulators.downstream.api import Downstream
from rowpost.config.sections import Duration, Rate
from rowpost.rules.answer import Answer, Verdict
from rowpost.target.time_budget import TimeBudget
from tests.harness.scripted_target import Script, ScriptedTarget
from tests.target.posting import deliverer, events

UNTRIED = Answer(Verdict.UNTRIED)
BUSY = b"HTTP/1.1 429 Busy\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_no_more_than_the_rate_is_sent(api: Downstream) -> None:
    begun = time.monotonic()
    answers = deliverer(api.url, rate=Rate.parse("20/s"), concurrency=8).deliver(events(30))
    assert {answer.verdict for answer in answers} == {Verdict.DELIVERED}
    assert time.monotonic() - begun >= 0.5, "20 at once, and 10 at 20 a second"


def test_for_batches_it_counts_events(api: Downstream) -> None:
    begun = time.monotonic()
    answers = deliverer(api.url, rate=Rate.parse("40/s"), batch=20, concurrency=4).deliver(events(60))
    assert {answer.verdict for answer in answers} == {Verdict.DELIVERED} and api.counters()["requests"] == 3
    assert time.monotonic() - begun >= 0.5


def test_all_batches_of_a_target_share_it(api: Downstream) -> None:
    sender = deliverer(api.url, rate=Rate.parse("20/s"), concurrency=8)
    begun = time.monotonic()
    threads = [threading.Thread(target=sender.deliver, args=(events(15, first=first),)) for first in (1, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert api.counters()["accepted"] == 30 and time.monotonic() - begun >= 0.5


def test_what_does_not_get_its_turn_in_time_is_untried(api: Downstream) -> None:
    answers = deliverer(api.url, rate=Rate.parse("5/s"), batch_budget=Duration(0.5)).deliver(events(50))
    assert answers[0].verdict is Verdict.DELIVERED and answers[-1] == UNTRIED
    assert 5 <= api.counters()["requests"] <= 9


def target(*answers: bytes) -> ScriptedTarget:
    given = iter(answers)
    return ScriptedTarget(lambda _: Script(next(given, OK)))


def test_a_retry_after_is_for_the_whole_target() -> None:
    with target(OK, BUSY % 1) as busy:
        begun = time.monotonic()
        answers = deliverer(busy.url).deliver(events(4))
        assert [answer.status for answer in answers] == [200, 429, 200, 200]
        assert time.monotonic() - begun >= 1


def test_beyond_the_budget_the_rest_is_untried_and_told() -> None:
    with target(OK, BUSY % 3600) as busy:
        sender = deliverer(busy.url, probe=Duration(200))
        assert [answer.status for answer in sender.deliver(events(4))] == [200, 429, None, None]
        told = sender.pace()
        assert told["paused_seconds"] == pytest.approx(200, abs=5), "no longer than a circuit breaker is open"
        assert told["rate"] is None and told["events_per_second"] >= 1
        assert sender.deliver(events(4)) == [UNTRIED] * 4 and len(busy.asked) == 2, "nor does the next batch ask"


@pytest.mark.parametrize("status", [429, 503])
def test_so_it_is_for_requests_with_several_events(api: Downstream, status: int) -> None:
    sender = deliverer(api.url, batch=10)
    api.set_mode("down", status=status, retry_after=100)
    answers = sender.deliver(events(30))
    assert [answer.verdict for answer in answers] == [Verdict.TRANSIENT] * 10 + [Verdict.UNTRIED] * 20
    assert answers[0].retry_after_seconds == 100 and sender.pace()["paused_seconds"] > 90


def test_a_429_without_a_time_slows_it_down_and_a_503_does_not(api: Downstream) -> None:
    sender = deliverer(api.url, breaker_failures=100)
    api.set_mode("down", status=503)
    sender.deliver(events(5))
    assert sender.pace() == {"rate": None, "events_per_second": None, "paused_seconds": 0.0}
    api.set_mode("down", status=429)
    sender.deliver(events(5))
    assert sender.pace()["events_per_second"] is not None and sender.pace()["paused_seconds"] == 0


def test_a_429_for_one_event_of_several_is_that_events(api: Downstream) -> None:
    api.set_settings(batch="per_event")
    api.add_rule(match={"key": {"Id": 2}}, status=429, retry_after=100)
    sender = deliverer(api.url, batch=10)
    answers = sender.deliver(events(3))
    assert [answer.retry_after_seconds for answer in answers] == [None, 100, None]
    assert sender.pace() == {"rate": None, "events_per_second": None, "paused_seconds": 0.0}


def test_a_pause_that_is_over_by_the_databases_clock_is_over(api: Downstream) -> None:
    sender, now = deliverer(api.url), datetime(2026, 3, 1, 8)
    sender.database_says(now)
    api.set_mode("down", status=429, retry_after=100)
    sender.deliver(events(1))
    api.set_mode("up")
    sender.database_says(now + timedelta(seconds=90))
    assert sender.deliver(events(1), TimeBudget(5)) == [UNTRIED]
    sender.database_says(now + timedelta(seconds=102))
    assert sender.deliver(events(1), TimeBudget(5)) == [Answer(Verdict.DELIVERED, 202)]


def test_a_lower_rate_is_forgotten_when_the_target_has_asked_for_nothing_for_long(api: Downstream) -> None:
    sender, now = deliverer(api.url, probe=Duration(300)), datetime(2026, 3, 1, 8)
    sender.database_says(now)
    api.set_mode("down", status=429)
    sender.deliver(events(1))
    for seconds, lower in ((290, True), (302, False)):
        sender.database_says(now + timedelta(seconds=seconds))
        assert (sender.pace()["events_per_second"] is not None) == lower


def test_successes_bring_it_back() -> None:
    with target(OK, BUSY % 0) as busy:
        sender = deliverer(busy.url, rate=Rate.parse("30/s"))
        sender.deliver(events(2))
        slowed = sender.pace()["events_per_second"]
        assert slowed < 30
        sender.deliver(events(3))
        assert slowed < sender.pace()["events_per_second"] < 30
