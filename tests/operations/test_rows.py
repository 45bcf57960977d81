"""Rows that are not delivered, over HTTP: lists that page, groups, and what each attempt leaves."""

from __future__ import annotations

from typing import Any

import pytest

from rowpost.operations.rows import write_cursor
from tests.harness.running_relay import Relay


def ask(relay: Relay, path: str) -> tuple[int, dict[str, Any]]:
    assert relay.stack.host is not None
    answer = relay.stack.host.request("GET", f"/api/relays/dbo.Orders/{path}")
    return answer.status_code, answer.json()


def test_a_list_pages_by_cursor_and_filters_by_state_class_and_time(relay: Relay) -> None:
    for order in (1, 2, 3, 4):
        relay.reject(order, status=422 if order < 3 else 503)
    relay.insert(1, 2, 3, 4, 5)
    relay.advance(20 * 60)
    seen, cursor = [], ""
    for _ in range(4):
        status, page = ask(relay, f"rows?limit=1{cursor}")
        assert status == 200
        seen += [row["key"]["OrderId"] for row in page["rows"]]
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == [1, 2, 3, 4] and page["next"] is None
    ((_, page)) = ask(relay, "rows?class=rejected&limit=1")
    assert [row["class"] for row in page["rows"]] == ["rejected"] and page["next"] is not None
    rest = ask(relay, f"rows?class=rejected&cursor={page['next']}")[1]["rows"]
    assert {row["key"]["OrderId"] for row in page["rows"] + rest} == {1, 2}
    assert ask(relay, "rows?state=dead")[1] == {"rows": [], "next": None}
    assert ask(relay, "rows?from=2026-03-02T23:00:00Z")[1]["rows"] == []
    assert len(ask(relay, "rows?state=held,retrying,exhausted,detached&to=2026-03-02T23:00:00Z")[1]["rows"]) == 4
    groups = ask(relay, "groups")[1]["groups"]
    told = [(group["class"], group["status"], group["error"], group["state"], group["rows"]) for group in groups]
    assert told == [("rejected", 422, "HTTP 422", "live", 2), ("server_error", 503, "HTTP 503", "live", 2)]
    assert groups[0]["example"]["OrderId"] in (1, 2)
    state = relay.get("/api/relays/dbo.Orders")
    assert state["failing_by_class"] == {"rejected": 2, "server_error": 2} and state["waiting"] == 4


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("rows?state=lost", "state"),
        ("rows?class=bad", "class"),
        ("rows?from=yesterday", "from"),
        ("rows?from=2026-02-30T00:00:00Z", "from"),
        ("rows?to=2026-03-01T24:00Z", "to"),
        ("timeline?to=0001-01-01T00:00Z", "to"),
        ("timeline?from=2026-13-01T00:00:00.1234567Z", "from"),
        (f"rows?cursor={write_cursor('2026-02-30T00:00:00', '0' * 64)}", "cursor"),
        ("rows?cursor=abc", "cursor"),
        ("rows?limit=0", "limit"),
        ("rows?order=1", None),
        ("rows/x", "key"),
        ("rows/%7B%22Id%22%3A1%7D", "key"),
        ("row?Nothing=1", "key"),
        ("row?OrderId=", "key"),
        ("rows/%20", "key"),
        ("timeline?from=2026-03-02T08:00:00Z&to=2026-03-01T08:00:00Z", "from"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(shared: Relay, path: str, field: str | None) -> None:
    status, problem = ask(shared, path)
    assert status == (400 if field in (None, "limit") else 422) and problem.get("field") == field and problem["detail"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.harness.running_relay import CONFIG, ORDERS

    relay = Relay(tmp_path_factory.mktemp("relay"), CONFIG, ORDERS)
    try:
        relay.start()
        relay.advance(2)
        yield relay
    finally:
        relay.stack.stop()
        relay.time.close()


def test_attempts_are_kept_while_a_row_fails_and_go_when_it_is_delivered(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1, 2)
    relay.advance(hours=11)
    attempts = ask(relay, "rows/1")[1]["attempts"]
    assert attempts[0]["class"] == "rejected" and attempts[0]["status"] == 422 and attempts[0]["milliseconds"] >= 0
    numbers = [attempt["number"] for attempt in attempts]
    assert numbers == sorted(numbers, reverse=True) and len(numbers) <= 20
    assert len(relay.posts(1)) == numbers[0]
    times = ask(relay, "timeline?from=2026-03-02T06:00:00Z&to=2026-03-02T18:00:00Z")[1]["events"]
    kinds = [event["kind"] for event in times]
    assert {"attempt", "round", "notice", "incident_began", "sample"} <= set(kinds)
    assert sum(event["rows"] for event in times if event["kind"] in ("attempt", "round")) == len(attempts)
    assert [event["at"] for event in times] == sorted(event["at"] for event in times)
    relay.accept_all()
    relay.advance(hours=2)
    assert relay.accepted(1) and relay.execute("SELECT COUNT(*) FROM rowpost.Attempts")[0][0] == 0


def test_attempts_of_records_that_are_gone_are_removed_by_the_watchdog(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(30)
    relay.execute("DELETE FROM rowpost.Ledger")
    relay.execute("UPDATE rowpost.Samples SET At = DATEADD(day, -8, At)")
    relay.accept_all()
    relay.advance(11 * 60)
    assert relay.execute("SELECT COUNT(*) FROM rowpost.Attempts")[0][0] == 0
    assert relay.execute("SELECT COUNT(*) FROM rowpost.Samples WHERE At < DATEADD(day, -7, SYSUTCDATETIME())")[0][0] == 0


def test_the_circuit_breaker_is_on_the_timeline(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 20))
    relay.advance(300)
    assert relay.get("/api/relays/dbo.Orders")["state"] == "outage"
    relay.accept_all()
    relay.advance(hours=1)
    events = ask(relay, "timeline")[1]["events"]
    kinds = [event["kind"] for event in events if event["kind"].startswith("breaker")]
    assert kinds == ["breaker_opened", "breaker_closed"]
