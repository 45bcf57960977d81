"""A line of the log for each request: what was asked, what came of it, and in which trace; whoever delivered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from devtools.log_lines import attempt_lines, rows_lines
from emulators.downstream.attempt import Attempt
from rowpost.rules.trace_context import parse
from tests.harness.running_relay import Relay, changed_config

FIELDS = ["relay", "target", "by", "event", "version", "attempt", "events", "delivered", "transient", "rejected"]
FIELDS += ["status", "error", "milliseconds", "alike", "trace"]


def config(attempts: str, **replacements: str) -> str:
    return changed_config(**{"max_delay": '"10m"\ndetach_after_rounds = 1', **replacements}) + (
        f'\n[telemetry]\nattempts = "{attempts}"\n'
    )


def traces(attempts: list[Attempt]) -> Counter[tuple[str, int | None]]:
    """How often a trace came with a status."""
    places = [(parse(attempt.headers["traceparent"]), attempt.status) for attempt in attempts]
    return Counter((place.trace_id, status) for place, status in places if place)


def test_each_request_has_a_line_whoever_made_it(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(config("all"))
    host = relay.stack.host
    assert host is not None
    relay.insert(1, 2, 3)
    relay.advance(5)
    host.add_durable_fault("error")  # the watchdog does the work of recovery
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(4, 5)
    relay.advance(hours=1)
    relay.accept_all()
    relay.advance(hours=1, until=lambda: relay.status()["waiting"] == 0)
    host.clear_durable_faults()
    relay.reject(6, status=503)
    relay.insert(6, 7)
    relay.advance(hours=1)
    relay.accept_all()
    relay.advance(hours=1, until=lambda: relay.status()["waiting"] == 0)
    log = relay.host_log()
    lines, posts = attempt_lines(log), relay.posts()
    assert Counter((line["trace"], line["status"]) for line in lines) == traces(posts)
    assert Counter((line["event"], line["status"]) for line in lines) == Counter((p.event_id, p.status) for p in posts)
    assert sum(line["delivered"] for line in lines) == sum(line["delivered"] for line in rows_lines(log)) == 7
    assert {line["by"] for line in lines} == {"trigger", "recovery", "watchdog"}
    assert all(list(line) == FIELDS and (line["relay"], line["target"]) == ("dbo.Orders", "api") for line in lines)
    poison = next(post.event_id for post in posts if post.key == {"OrderId": 6})
    tries = [line["attempt"] for line in lines if line["event"] == poison]
    assert tries == list(range(1, len(tries) + 1)) and len(tries) > 5
    assert {line["trace"] for line in lines} == {line["trace"] for line in rows_lines(log) if line["requests"]}
    told = "".join(line for line in log.splitlines() if "relay_attempt" in line)
    assert "OrderId" not in told and "customer" not in told and "hidden" not in told
    assert "is dropped, as the real host drops it" not in log


def test_a_request_with_many_events_has_one_line_that_says_how_the_answers_fell(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(config("all", timeout='"5s"\nbatch = 100'))
    relay.reject(7)
    relay.insert(*range(1, 21))
    relay.advance(5)
    lines = attempt_lines(relay.host_log())
    first = lines[0]
    assert (first["events"], first["delivered"] + first["rejected"] + first["transient"]) == (20, 20)
    assert len(lines) == len({post.headers["traceparent"] for post in relay.posts()}) < 20
    assert sum(line["delivered"] for line in lines) == 19


@pytest.mark.parametrize(("attempts", "failed", "delivered"), [("failed", True, False), ("none", False, False)])
def test_by_default_only_requests_that_fail_have_a_line(
    make_relay: Callable[..., Relay], attempts: str, failed: bool, delivered: bool
) -> None:
    relay = make_relay(config(attempts))
    relay.reject(2)
    relay.insert(1, 2)
    relay.advance(30)
    lines = attempt_lines(relay.host_log())
    assert any(line["rejected"] for line in lines) == failed and any(line["delivered"] for line in lines) == delivered
    first = rows_lines(relay.host_log())[0]
    assert (first["delivered"], first["failed"], first["requests"]) == (1, 1, 2)


def test_failures_of_the_target_that_are_alike_have_one_line_in_a_batch_and_those_about_rows_one_each(
    make_relay: Callable[..., Relay],
) -> None:
    relay = make_relay(config("failed", timeout='"5s"\nbreaker_failures = 50'))
    for order in range(1, 7):
        relay.reject(order, status=422 if order > 4 else 503)
    relay.insert(*range(1, 9))
    relay.advance(5)
    lines = attempt_lines(relay.host_log())
    assert Counter((line["status"], line["alike"]) for line in lines) == {(503, 3): 1, (422, 0): 2}
