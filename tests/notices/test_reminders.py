"""An incident that goes on is reminded of, later and later, until it ends or somebody acknowledges it; what ended is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from emulators.downstream.attempt import Attempt
from tests.harness.running_relay import CONFIG, Relay

LONG = """
[[targets]]
name = "api"
url = "%DOWNSTREAM_URL%"
probe = "6h"
headers = { X-Api-Key = "%DOWNSTREAM_API_KEY%" }
[notifications]
after = "6h"
reminder = "1d"
[[notifications.webhooks]]
url = "%ALERT_WEBHOOK_URL%"
[retry]
window = "14d"
[watchdog]
schedule = "0 0 */2 * * *"
[[relays]]
table = "dbo.Orders"
"""


def at(attempt: Attempt) -> datetime:
    return datetime.fromisoformat(attempt.at)


def days(relay: Relay, kind: str) -> list[float]:
    """When notices of a kind came, in days after the alarm."""
    attempts = [each for each in relay.stack.downstream.attempts() if each.path == "/alerts"]
    (alarm,) = (each for each in attempts if each.body["kind"] == "alarm")
    return [round((at(each) - at(alarm)).total_seconds() / 86400, 1) for each in attempts if each.body["kind"] == kind]


def test_reminders_come_after_one_two_and_four_days_and_end_with_the_incident(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(LONG)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1, 2)
    relay.advance(hours=8 * 24)
    assert days(relay, "reminder") == [1.0, 3.0, 7.0]
    first, *_ = relay.alerts("reminder")
    (alarm,) = relay.alerts("alarm")
    assert (
        first["incident"] == alarm["incident"]
        and first["rows"] == 2
        and sorted(first["keys"]) == ['{"OrderId":1}', '{"OrderId":2}']
    )
    assert [each["reminders"] for each in relay.alerts("reminder")] == [0, 1, 2]
    relay.accept_all()
    relay.advance(hours=14)
    (over,) = relay.alerts("recovered")
    assert over["incident"] == alarm["incident"] and len(relay.alerts("reminder")) == 3
    assert relay.execute("SELECT * FROM rowpost.Incidents") == []
    (kept,) = relay.execute(
        "SELECT Incident, Relay, About, Delivered, GivenUp, Notices, AcknowledgedAt, App FROM rowpost.IncidentHistory"
    )
    assert tuple(kept) == (alarm["incident"], "dbo.Orders", "target", 2, 0, 5, None, "rowpost-local")


def test_who_acknowledges_is_reminded_no_more_and_is_named_in_the_history(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(LONG)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(hours=36)
    assert len(relay.alerts("reminder")) == 1
    relay.execute("UPDATE rowpost.Incidents SET AcknowledgedAt = SYSUTCDATETIME(), AcknowledgedBy = N'somebody'")
    relay.advance(hours=3 * 24)
    assert len(relay.alerts("reminder")) == 1
    relay.accept_all()
    relay.advance(hours=14)
    assert len(relay.alerts("recovered")) == 1, "the end is told all the same"
    ((by, at, notices),) = relay.execute("SELECT AcknowledgedBy, AcknowledgedAt, Notices FROM rowpost.IncidentHistory")
    assert (by, notices) == ("somebody", 3) and at is not None
    relay.execute("UPDATE rowpost.IncidentHistory SET EndedAt = DATEADD(day, -31, EndedAt)")
    relay.advance(hours=24)
    assert relay.execute("SELECT * FROM rowpost.IncidentHistory") == [], "as long as other history"


def test_keys_are_left_out_if_they_are_nobodys_business(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG.replace("after_rounds = 3", "after_rounds = 3\nrow_keys = false"))
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=14)
    told = relay.alerts("alarm") + relay.alerts("dead_letter")
    assert len(told) == 2 and not any("keys" in each or "OrderId" in str(each) for each in told)


def test_an_alarm_and_dead_letters_name_the_oldest_rows_and_no_orchestration_does(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    for order in range(1, 8):
        relay.reject(order)
        relay.insert(order)
        relay.advance(5)
    relay.advance(hours=14)
    expected = [f'{{"OrderId":{order}}}' for order in range(1, 8)]
    assert relay.alerts("alarm")[0]["keys"] == expected[:5], "the oldest ones"
    dead = [key for told in relay.alerts("dead_letter") for key in told["keys"]]
    assert dead and dead == expected[: len(dead)], "those that each notice tells of"
    assert 'Oldest keys: {"OrderId":1}, {"OrderId":2}' in relay.alerts("alarm")[0]["text"]
    assert relay.stack.host is not None
    instances = relay.stack.host.request("GET", "/runtime/webhooks/durabletask/instances?showInput=true&top=1000").text
    assert "notice-alarm" in instances and "OrderId" not in instances and "OrderId" not in relay.host_log()
