"""Who may look and who may give orders: the console asks for a key when the app does, keeps it in the tab, and for no longer."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from devtools.stack import ROOT
from emulators.launch import FunctionsHost
from tests.console.shop import ORDERS, insert_orders, open_shop
from tests.harness.running_relay import Relay
from tests.harness.screen import Screen

pytestmark = pytest.mark.browser
KEYS = {"read": "key-of-a-reader", "operate": "key-of-an-operator", "administer": "key-of-an-administrator"}


def ask_for_keys(relay: Relay) -> None:
    """Start the host anew: it asks for keys, and each level has one that opens its functions and no others."""
    stack = relay.stack
    assert stack.host is not None
    levels = {
        operation["operationId"]: operation["x-access"]
        for methods in relay.get("/api/openapi")["paths"].values()
        for operation in methods.values()
    }
    stack.host.stop()
    stack.host = FunctionsHost(ROOT, relay.directory, stack.clock_spec, stack.settings, enable_auth=True).start()
    master = {"x-functions-key": json.loads((stack.host.data / "keys.json").read_text())["master"]}
    for name, level in levels.items():
        path = f"/admin/functions/{name}/keys/{level}"
        stack.host.request("PUT", path, headers=master, json={"value": KEYS[level]}).raise_for_status()


def test_keys_are_asked_for_by_what_they_may_do(make_relay: Callable[..., Relay], make_screen: Callable[..., Screen]) -> None:
    relay = open_shop(make_relay)
    relay.stack.downstream.add_rule(match={"key": {"OrderId": 1}}, status=422)
    insert_orders(relay, 1)
    relay.advance(hours=1)
    ask_for_keys(relay)
    screen = make_screen(relay)
    page = screen.page
    page.goto(f"{screen.url}/api/console#/relays/{ORDERS}")
    field = page.get_by_label("Function key")
    expect(field).to_be_focused()
    screen.see("The app asks who you are.")
    assert screen.findings() == []
    field.fill("wrong")
    page.keyboard.press("Enter")
    screen.see("The app does not take this key.")
    field.fill(KEYS["read"])
    page.keyboard.press("Enter")
    screen.wait_for_data()
    expect(page.get_by_role("heading", level=1)).to_have_text(ORDERS)  # where the person wanted to go
    assert KEYS["read"] not in page.url

    screen.head_button("Replay dead letters").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The key of this tab may not give orders.")
    expect(dialog.locator("#ask-go")).to_be_disabled()
    dialog.get_by_label("Key that may give orders").fill(KEYS["operate"])
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog.locator(".ask-count")).to_have_text("This touches 1 row.")
    dialog.locator("#ask-go").click()
    expect(page.locator("#toast")).to_have_text("1 row waits again.")

    screen.open(f"#/relays/{ORDERS}/rows/1")
    screen.button("Show the values").click()
    screen.see("The key of this tab may not read values.")
    page.get_by_label("Key of level administer").fill(KEYS["administer"])
    screen.button("Use this key").click()
    expect(page.locator("#would-send pre")).to_contain_text("customer 1")

    screen.open()  # the tab remembers its keys
    assert page.evaluate("JSON.stringify(localStorage)") == "{}"
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("Function key")).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0
