"""The whole app and an API of resources: rows are put and deleted under their paths, and what may not be sent is a dead letter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.harness.requests import Seen
from tests.harness.rest_api import RestApi
from tests.harness.running_relay import Relay, changed_config

TABLE = "CREATE TABLE dbo.Orders (Code nvarchar(40) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Note nvarchar(max) NULL)"
REQUESTS = 'upsert = "PUT /orders/{Code}"\ndelete = "DELETE /orders/{Code}"\n'


@pytest.fixture
def api() -> Iterator[RestApi]:
    with RestApi() as server:
        yield server


def config(api: RestApi, relay: str, target: str = "", **replacements: str) -> str:
    text = changed_config(table=f'"dbo.Orders"\n{relay}', **replacements)
    return text.replace('url = "%DOWNSTREAM_URL%"', f'url = "{api.url}"\n{target}')


def insert(relay: Relay, code: str, note: str = "hidden-note") -> None:
    relay.execute("INSERT INTO dbo.Orders (Code, Note) VALUES (?, ?)", code, note)


def dead(relay: Relay) -> list[tuple[str, str]]:
    return [tuple(row) for row in relay.execute("SELECT State, LastError FROM rowpost.Ledger ORDER BY RowKey")]


def test_rows_live_and_die_under_their_paths(make_relay: Callable[..., Relay], api: RestApi) -> None:
    relay = make_relay(config(api, REQUESTS, 'format = "row"'), TABLE)
    for code in ("hidden-a/b", "hidden-ä"):
        insert(relay, code)
    relay.advance(5)
    assert {path: json.loads(body)["Code"] for path, body in api.resources.items()} == {
        "/orders/hidden-a%2Fb": "hidden-a/b",
        "/orders/hidden-%C3%A4": "hidden-ä",
    }
    relay.execute("UPDATE dbo.Orders SET Note = N'new' WHERE Code = N'hidden-ä'; DELETE dbo.Orders WHERE Code = N'hidden-a/b'")
    relay.advance(5)
    assert {path: json.loads(body)["Note"] for path, body in api.resources.items()} == {"/orders/hidden-%C3%A4": "new"}
    # A key that is spelled anew: the API has one row of it afterwards.
    relay.execute("UPDATE dbo.Orders SET Code = N'HIDDEN-Ä' WHERE Code = N'hidden-ä'")
    relay.advance(5)
    assert list(api.resources) == ["/orders/HIDDEN-%C3%84"]
    assert [request.method for request in api.requests][-2:] == ["DELETE", "PUT"]
    assert relay.ledger() == [] and "hidden" not in relay.host_log().lower()


@pytest.mark.parametrize("accepted", [False, True])
def test_the_deletion_of_what_the_api_does_not_have(make_relay: Callable[..., Relay], api: RestApi, accepted: bool) -> None:
    more = "delete_success = [404]\n" if accepted else ""
    relay = make_relay(config(api, REQUESTS + more, rejected='"dead_letter"', max_delay='"1h"\nrejected = "dead_letter"'), TABLE)
    insert(relay, "hidden-a")
    relay.advance(5)
    api.resources.clear()
    relay.execute("DELETE dbo.Orders")
    relay.advance(5)
    assert [request.method for request in api.requests][:2] == ["PUT", "DELETE"]
    assert [state for state, _ in dead(relay)] == ([] if accepted else ["retrying"])
    assert "hidden" not in relay.host_log()


def test_what_may_not_be_sent_is_a_dead_letter_before_anything_is(make_relay: Callable[..., Relay], api: RestApi) -> None:
    relay = make_relay(config(api, REQUESTS, 'max_event_bytes = 600\nformat = "plain"'), TABLE)
    for code, note in (("1", "x"), ("..", "x"), ("3", "hidden" * 1000), ("4", "x")):
        insert(relay, code, note)
    relay.advance(10)
    assert sorted(api.resources) == ["/orders/1", "/orders/4"]
    assert {request.path for request in api.requests} == {"/orders/1", "/orders/4"}, "nothing was sent of the others"
    (dots, large) = dead(relay)
    assert dots == ("dead", "its key cannot stand in the path of the request: a part of the path would be empty, or . or ..")
    assert large[0] == "dead" and large[1].endswith("bytes, and at most 600 are sent (max_event_bytes)")
    assert int(large[1].split()[3]) > 6000
    relay.advance(3600)
    assert "dead_letter" in [notice["kind"] for notice in relay.alerts()]
    relay.execute("UPDATE dbo.Orders SET Note = N'short' WHERE Code = N'3'; DELETE dbo.Orders WHERE Code = N'..'")
    relay.advance(10)
    assert "/orders/3" in api.resources
    assert [state for state, _ in dead(relay)] == ["dead"], "nor can the deletion of .. be sent"
    assert "hidden" not in relay.host_log()


def test_a_resync_sends_rows_and_no_events_to_a_relay_with_paths_of_its_own(make_relay: Callable[..., Relay], api: RestApi) -> None:
    relay = make_relay(config(api, REQUESTS), TABLE)
    insert(relay, "1")
    relay.advance(5)
    api.resources.clear()
    assert relay.stack.host is not None
    relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").raise_for_status()
    assert relay.advance(1800, until=lambda: relay.status()["resync"]["state"] == "completed")
    assert list(api.resources) == ["/orders/1"] and {request.path for request in api.requests} == {"/orders/1"}
    assert "no `resync`" in json.dumps(relay.status()["resync"]["events"])


@pytest.mark.parametrize(
    ("requests", "told"),
    [
        ('upsert = "PUT /orders/{Note}"', "relays.upsert of dbo.Orders: {Note} is no column of the key, and only"),
        ('delete = "DELETE /orders"', "relays.delete of dbo.Orders: a DELETE has no body"),
        ("max_event_bytes = 20", "relays of dbo.Orders: max_event_bytes: its event has"),
    ],
)
def test_what_does_not_fit_the_table_is_told_at_start(
    make_relay: Callable[..., Relay], api: RestApi, requests: str, told: str
) -> None:
    relay = make_relay(config(api, requests), TABLE)
    insert(relay, "1")
    relay.advance(600, until=lambda: told in relay.host_log())
    assert told in relay.host_log()
    assert api.requests == []


def test_the_row_of_a_large_batch_that_fails_harms_no_neighbour(make_relay: Callable[..., Relay], api: RestApi) -> None:
    def answer(request: Seen) -> int | None:
        return 500 if request.path == "/orders/7" else None

    api.answer = answer
    relay = make_relay(config(api, REQUESTS, "gzip = 1"), TABLE)
    for number in range(20):
        insert(relay, str(number))
    relay.advance(10)
    assert len(api.resources) == 19 and all(json.loads(body)["data"]["row"]["Note"] for body in api.resources.values())
    assert [row[1] for row in relay.ledger()] == ["retrying"]
