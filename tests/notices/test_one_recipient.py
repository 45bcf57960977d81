"""Telling one recipient: an orchestration that no other depends on, and that goes on sleeping when a timer fires early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrators.notification import tell
from tests.harness.running_relay import CONFIG, Relay

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
HOOK = '[[notifications.webhooks]]\nurl = "%ALERT_WEBHOOK_URL%"\n'
GIVEN = {"notice": {"id": "n"}, "recipient": {}, "number": 1, "generation": 1, "tries": 0, "wait": 0}
SENT = {"over": False, "sent": True, "final": True, "retry_after_seconds": None, "error": None}


class EarlyContext:
    """The context of an orchestration in an engine whose timers fire early, as those of the real extension do."""

    def __init__(self, given: dict[str, Any], early: float) -> None:
        self.current_utc_datetime = NOW
        self.given, self.early = given, timedelta(seconds=early)
        self.next: dict[str, Any] | None = None

    def get_input(self) -> dict[str, Any]:
        return self.given

    def create_timer(self, instant: datetime) -> tuple[str, datetime]:
        return "timer", instant

    def call_activity(self, name: str, value: Any) -> tuple[str, Any]:
        return name, value

    def set_custom_status(self, status: Any) -> None:
        pass

    def continue_as_new(self, given: dict[str, Any]) -> None:
        self.next = given


def run(context: EarlyContext, answers: dict[str, list[Any]]) -> tuple[list[tuple[str, datetime]], Any]:
    """Drive one generation; returns what it asked for and when, and its result."""
    asked: list[tuple[str, datetime]] = []
    generator = tell(context)  # type: ignore[arg-type]
    try:
        what, value = next(generator)
        while True:
            asked.append((what, context.current_utc_datetime))
            assert len(asked) < 100, "it neither sleeps nor ends"
            if what == "timer":
                left = value - context.current_utc_datetime
                context.current_utc_datetime += (
                    left - context.early if left > context.early else left / 2 + timedelta(milliseconds=1)
                )
                what, value = generator.send(None)
                continue
            answer = answers[what].pop(0) if answers.get(what) else True
            what, value = generator.throw(answer) if isinstance(answer, Exception) else generator.send(answer)
    except StopIteration as stop:
        return asked, stop.value


def test_an_early_timer_is_slept_on() -> None:
    context = EarlyContext({**GIVEN, "wait": 3600}, early=0.9)
    asked, result = run(context, {"send_notice": [SENT]})
    assert result == "sent"
    names = [name for name, _ in asked]
    assert names.count("send_notice") == 1 and names[0] == names[1] == "timer"
    assert dict(asked)["send_notice"] >= NOW + timedelta(seconds=3600)


def test_who_asked_to_wait_for_hours_is_tried_then() -> None:
    context = EarlyContext(GIVEN, early=0)
    busy = {"over": False, "sent": False, "final": False, "retry_after_seconds": 7 * 3600, "error": "HTTP 429"}
    _, result = run(context, {"send_notice": [busy]})
    assert result is None and context.next is not None
    assert (context.next["tries"], context.next["wait"]) == (1, 7 * 3600)


def test_what_was_told_is_written_down_when_the_database_is_back_and_told_once() -> None:
    context = EarlyContext(GIVEN, early=0.5)
    asked, result = run(context, {"send_notice": [SENT], "record_told": [RuntimeError(), RuntimeError(), True]})
    assert result == "sent"
    names = [name for name, _ in asked]
    assert (names.count("send_notice"), names.count("record_told")) == (1, 3)


def test_a_database_that_is_away_costs_no_try() -> None:
    context = EarlyContext(GIVEN, early=0)
    run(context, {"send_notice": [RuntimeError()]})
    assert context.next is not None
    assert (context.next["tries"], context.next["wait"]) == (0, 60)


def test_who_waits_for_its_turn_has_not_tried() -> None:
    context = EarlyContext(GIVEN, early=0)
    asked, _ = run(context, {"send_notice": [{"over": False, "wait": 900}]})
    assert context.next is not None and (context.next["tries"], context.next["wait"]) == (0, 900)
    assert [name for name, _ in asked] == ["send_notice"]


def test_who_was_replaced_tells_nobody() -> None:
    asked, result = run(EarlyContext(GIVEN, early=0), {"send_notice": [{"over": True}]})
    assert (result, [name for name, _ in asked]) == ("over", ["send_notice"])


def test_each_recipient_has_an_instance_of_its_own(make_relay: Callable[..., Relay]) -> None:
    config = CONFIG.replace(HOOK, HOOK.replace('%"', '%/broken"') + HOOK.replace('%"', '%/busy"') + HOOK)
    relay = make_relay(config)
    relay.stack.downstream.add_rule(match={"path": "/alerts/broken"}, status=503)
    relay.stack.downstream.add_rule(match={"path": "/alerts/busy"}, status=429, retry_after=7 * 3600, times=1)
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm"]
    states = [tuple(row) for row in relay.execute("SELECT Number, State FROM rowpost.NoticeRecipients ORDER BY Number")]
    assert states == [(1, "waiting"), (2, "waiting"), (3, "sent")]
    relay.advance(hours=8)
    told = [a for a in relay.stack.downstream.attempts() if a.path == "/alerts/busy" and a.status and a.status < 300]
    assert [attempt.body["kind"] for attempt in told] == ["alarm"]
    relay.stack.downstream.set_rules([])
    relay.reject(1)
    relay.advance(hours=2)
    told = [a for a in relay.stack.downstream.attempts() if a.path == "/alerts/broken" and a.status and a.status < 300]
    assert [attempt.body["kind"] for attempt in told] == ["alarm"]
    ((done,),) = relay.execute("SELECT COUNT(*) FROM rowpost.Notices WHERE DoneAt IS NOT NULL")
    assert done == 1
