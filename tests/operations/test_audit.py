"""The audit: each order stands in it, with who gave it and how many rows it has changed."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.odbc import odbc_driver
from rowpost.app import App, load_app
from rowpost.operations.audit import Order, list_orders, record_order, remove_orders
from tests.harness.running_relay import Relay

ADDRESS = "/api/relays/dbo.Orders"


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver of the app in this process."""
    monkeypatch.setenv("ODBC_DRIVER", odbc_driver().strip("{}"))


def entries(relay: Relay, **query: Any) -> list[dict[str, Any]]:
    assert relay.stack.host is not None
    answer = relay.stack.host.request("GET", "/api/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


@pytest.fixture
def app(relay: Relay) -> App:
    return load_app(relay.directory, relay.stack.settings)


def test_each_kind_of_order_is_written_down(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    relay.reject(1)
    relay.insert(1)
    relay.advance(400)
    host.request("PUT", f"{ADDRESS}/columns", json={"columns": ["Total"]})
    host.request("DELETE", f"{ADDRESS}/columns")
    for what in ("pause", "resume", "retry", "replay", "resync"):
        host.request("POST", f"{ADDRESS}/{what}")
    host.request("DELETE", f"{ADDRESS}/resync")
    host.request("POST", f"{ADDRESS}/discard", json={"keys": [{"OrderId": 1}], "reason": "wrong"})
    host.request("POST", f"{ADDRESS}/discard", json={"all": True, "dry_run": True})
    told = entries(relay)
    assert [each["action"] for each in told] == [
        "discard", "stop_resync", "resync", "replay", "retry", "resume", "pause", "columns", "columns"
    ]  # fmt: skip
    assert {each["by"] for each in told} == {"anonymous"} and {each["relay"] for each in told} == {"dbo.Orders"}
    assert told[0]["request"] == {"keys": [{"OrderId": 1}], "number_of_keys": 1, "reason": "wrong"}
    assert (told[0]["rows"], told[0]["result"], told[3]["rows"]) == (1, "done", 0)
    assert told[0]["at"].endswith("Z") and told[0]["at"] >= told[1]["at"]


def test_who_calls_is_named_by_the_key_and_the_app_by_itself(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    host.request("POST", f"{ADDRESS}/retry", headers={"x-functions-key": "a key"})
    relay.insert(1)
    relay.advance(400)
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING")
    assert relay.advance(660, until=lambda: [each["action"] for each in entries(relay)] == ["resync", "retry"])
    assert entries(relay)[0]["by"] == "the app"
    assert entries(relay)[1]["by"].startswith("key ") and "a key" not in str(entries(relay))


def test_pages_follow_each_other_whatever_is_ordered_meanwhile(relay: Relay, app: App) -> None:
    for number in range(5):
        with record_order(app, Order("note", by=f"person {number}", request={"number": number})):
            pass
    first = list_orders(app, limit=2)
    with record_order(app, Order("note", by="person 5")):
        pass
    second = list_orders(app, limit=2, cursor=first.next)
    third = list_orders(app, limit=2, cursor=second.next)
    names = [entry.by for page in (first, second, third) for entry in page.entries]
    assert names == [f"person {number}" for number in (4, 3, 2, 1, 0)] and third.next is None
    with pytest.raises(ValueError, match=r"^cursor: "):
        list_orders(app, cursor="x")


def test_it_is_filtered_by_relay_action_and_time(relay: Relay, app: App) -> None:
    with record_order(app, Order("one", "dbo.Orders")):
        pass
    relay.advance(100)
    middle = relay.time.now()
    relay.advance(100)
    with record_order(app, Order("two")):
        pass
    assert [entry.action for entry in list_orders(app, relay="dbo.Orders").entries] == ["one"]
    assert [entry.action for entry in list_orders(app, action="two").entries] == ["two"]
    assert [entry.action for entry in list_orders(app, since=middle).entries] == ["two"]
    assert [entry.action for entry in list_orders(app, until=middle).entries] == ["one"]


def test_an_order_that_fails_says_so_and_one_whose_process_ends_is_begun(app: App, relay: Relay) -> None:
    with pytest.raises(RuntimeError), record_order(app, Order("one")):
        raise RuntimeError("a value of a row")
    with pytest.raises(KeyboardInterrupt), record_order(app, Order("two")):
        raise KeyboardInterrupt
    with record_order(app, Order("three")) as order:
        order.rows, order.result = 3, "as told"
    found = {entry.action: (entry.rows, entry.result) for entry in list_orders(app).entries}
    assert found == {"one": (None, "failed: RuntimeError"), "two": (None, "begun"), "three": (3, "as told")}


@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
def test_a_lost_connection_writes_no_order_twice(relay: Relay, app: App, action: str) -> None:
    relay.stack.sql.inject(action=action, pattern="rowpost: record_order.sql", application="rowpost", times=2)
    relay.stack.sql.inject(action=action, pattern="rowpost: end_order.sql", application="rowpost", times=2)
    with record_order(app, Order("one")) as order:
        order.rows = 7
    assert [(entry.rows, entry.result) for entry in list_orders(app).entries] == [(7, "done")]


def test_keys_of_many_rows_do_not_stand_in_it(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    host.request("POST", f"{ADDRESS}/discard", json={"keys": [{"OrderId": number} for number in range(1, 22)]})
    assert entries(relay)[0]["request"] == {"number_of_keys": 21}


def test_orders_of_long_ago_are_removed(relay: Relay, app: App) -> None:
    with record_order(app, Order("old")):
        pass
    relay.advance(100)
    with record_order(app, Order("new")):
        pass
    middle = list_orders(app, action="new").entries[0].at.removesuffix("Z")
    assert remove_orders(app, middle) == 1
    assert [entry.action for entry in list_orders(app).entries] == ["new"]
