"""Incidents over HTTP: open ones and those that are over, in pages; and who knows of them."""

from __future__ import annotations

from typing import Any

from tests.harness.running_relay import Relay

OPEN = "incident-open"


def ask(relay: Relay, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    assert relay.stack.host is not None
    answer = relay.stack.host.request(method, f"/api/{path}", **options)
    return answer.status_code, answer.json()


def past(relay: Relay, *names: str) -> None:
    """Incidents that are over, each an hour after the one before."""
    for hour, name in enumerate(names):
        relay.execute(
            "INSERT INTO rowpost.IncidentHistory (Incident, App, Relay, About, Since, ToldAt, EndedAt, Delivered, GivenUp, "
            "Notices, LastError) SELECT ?, App, Relay, 'target', ?, ?, ?, 7, 1, 2, N'HTTP 503' FROM rowpost.Relays",
            name,
            *(f"2026-03-01T0{hour}:{minute}:00" for minute in ("00", "15", "45")),
        )


def test_an_incident_is_listed_while_it_is_open(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1, 2)
    relay.advance(hours=1)
    relay.execute("UPDATE rowpost.Incidents SET Incident = ? WHERE Incident IS NULL", OPEN)
    (incident,) = ask(relay, "GET", "incidents?open=true")[1]["incidents"]
    assert (incident["relay"], incident["about"], incident["ended_at"]) == ("dbo.Orders", "row", None)
    assert (incident["rows"], incident["delivered"], incident["given_up"]) == (1, 0, 0)
    assert incident["acknowledged"] is None and incident["error"] == "HTTP 422"
    assert ask(relay, "GET", "incidents?open=false")[1]["incidents"] == []
    assert ask(relay, "GET", "incidents?relay=dbo.Nothing")[1]["incidents"] == []


def test_incidents_that_are_over_page_newest_first_and_who_knows_of_one_first_stays(relay: Relay) -> None:
    past(relay, "first", "second", "third")
    _, page = ask(relay, "GET", "incidents?limit=2")
    assert [incident["id"] for incident in page["incidents"]] == ["third", "second"]
    assert page["incidents"][0]["ended_at"] == "2026-03-01T02:45:00Z" and page["incidents"][0]["delivered"] == 7
    _, rest = ask(relay, "GET", f"incidents?limit=2&cursor={page['next']}")
    assert [incident["id"] for incident in rest["incidents"]] == ["first"] and rest["next"] is None
    status, problem = ask(relay, "GET", "incidents?cursor=abc")
    assert status == 422 and problem["field"] == "cursor"
    status, known = ask(relay, "POST", "incidents/first/acknowledge", json={"note": "the API is being moved"})
    assert (status, known["incident"], known["relay"], known["by"]) == (200, "first", "dbo.Orders", "anonymous")
    relay.advance(60)
    assert ask(relay, "POST", "incidents/first/acknowledge")[1] == known
    (incident,) = ask(relay, "GET", f"incidents?cursor={page['next']}")[1]["incidents"]
    assert incident["acknowledged"] == {"at": known["at"], "by": "anonymous"}
    entries = ask(relay, "GET", "audit?action=acknowledge")[1]["entries"]
    assert [entry["request"].get("note") for entry in entries] == [None, "the API is being moved"]
    status, problem = ask(relay, "POST", "incidents/none/acknowledge")
    assert status == 404 and problem["field"] == "incident"
