"""The console on the running app: what it shows of relays, rows and orders, and that it never runs what a row holds."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.console.shop import HOSTILE, ORDERS, PAGES, WAITING, close_erp, insert_orders, open_shop
from tests.harness.running_relay import Relay
from tests.harness.screen import Screen

pytestmark = pytest.mark.browser


Make = Callable[..., Screen]


def test_the_overview_says_how_each_relay_is_and_leads_to_it(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open()
    relays = screen.page.locator(".relay")
    expect(relays).to_have_count(3)
    orders = relays.filter(has_text=ORDERS)
    expect(orders.locator(".pill")).to_have_attribute("data-state", "outage")
    expect(orders.locator(".relay-numbers a").first).to_contain_text(str(WAITING))
    assert orders.locator("svg.spark polyline").count() == 1
    expect(relays.filter(has_text="stock.Places").locator(".pill")).to_have_attribute("data-state", "ok")
    expect(relays.first).to_contain_text(ORDERS)  # who needs somebody comes first
    screen.page.get_by_role("link", name=ORDERS).click()
    expect(screen.page.get_by_role("heading", level=1)).to_have_text(ORDERS)
    assert screen.page.url.endswith(PAGES["a relay"]) and screen.page.title() == f"{ORDERS} – Rowpost"


def test_the_places_of_a_relay_add_up_to_what_waits(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open(PAGES["a relay"])
    counts = [int(text.replace(",", "")) for text in screen.page.locator(".legend-count").all_inner_texts()]
    assert len(counts) == 8 and sum(counts) == WAITING
    expect(screen.page.locator(".sum")).to_have_text(f"{WAITING} rows wait in all.")
    reasons = screen.page.locator("#reasons li")
    assert sum(int(text.splitlines()[0]) for text in reasons.locator(".reason-count").all_inner_texts()) <= WAITING
    expect(reasons.first).to_contain_text("503")


def test_an_outage_is_on_one_axis_and_the_table_says_the_same(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open(PAGES["a relay"])
    picture = screen.page.locator("#timeline svg")
    lanes = picture.locator("text.lane").all_text_contents()
    assert {"Waiting", "Incident", "Breaker", "Attempts", "Rounds", "Holds", "Notices"} <= set(lanes)
    assert re.search(r"Timeline of .*attempt.*round.*notice", picture.get_attribute("aria-label") or "")
    screen.page.locator("#timeline summary").click()
    kinds = set(screen.page.locator("#timeline tbody tr td:nth-child(2)").all_inner_texts())
    assert {"attempt", "round", "notice", "incident began", "breaker opened"} <= kinds
    screen.look()  # the page renews itself: what the person has opened stays open
    expect(screen.page.locator("#timeline details")).to_have_attribute("open", "")
    screen.page.locator("#timeline .choice").get_by_role("link", name="1h").click()
    expect(screen.page.locator("#timeline .choice [aria-current]")).to_have_text("1h")


def test_rows_are_narrowed_and_each_leads_to_its_story(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open(PAGES["rows"])
    rows = screen.page.locator(".rows li")
    listed = rows.count()
    assert 1 <= listed <= WAITING
    screen.page.get_by_label("Reason").select_option("server_error")
    expect(screen.page).to_have_url(re.compile("class=server_error"))
    screen.page.get_by_label("State").select_option("dead")
    screen.see("No row is like this.")
    screen.page.get_by_role("link", name="Show all").click()
    expect(rows).to_have_count(listed)
    screen.page.get_by_label("Failed from (UTC)").fill("2026-03-03T00:00")
    screen.see("No row is like this.")
    screen.page.get_by_role("link", name="Show all").click()
    screen.page.get_by_role("link", name="100", exact=True).click()
    expect(screen.page.locator("#why")).to_contain_text(re.compile("503|breaker|not called"))
    assert screen.page.locator("#facts dt").count() >= 5
    assert screen.page.locator("#attempts tbody tr").count() >= 1
    trace = screen.page.locator("#attempts .trace").first
    trace.click()
    assert screen.page.evaluate("getSelection().toString()") == trace.text_content() != ""
    expect(screen.page.locator("#would-send")).to_contain_text("POST")
    expect(screen.page.locator("#would-send pre")).to_contain_text("OrderId")
    assert "customer 100" not in screen.page.content(), "values are hidden"
    screen.button("Show the values").click()
    expect(screen.page.locator("#would-send pre")).to_contain_text("customer 100")


def test_names_are_shown_and_never_run(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open(PAGES["dead letters"])
    screen.page.get_by_role("link", name=HOSTILE).click()
    expect(screen.page.get_by_role("heading", level=1)).to_have_text(f"Row {HOSTILE}")
    expect(screen.page.locator("#why")).to_contain_text("422")
    screen.head_button("Replay").click()
    expect(screen.page.locator(".ask-count")).to_have_text("This touches 1 row.")
    screen.page.locator("#ask-reason").fill(HOSTILE)
    screen.page.locator("#ask-go").click()
    expect(screen.page.locator("#toast")).to_have_text("1 row waits again.")
    screen.open(PAGES["audit"])
    expect(screen.page.locator("tbody tr").first).to_contain_text(HOSTILE)
    assert screen.page.locator("#view img").count() == 0
    assert screen.page.title() == "Audit – Rowpost"


def test_a_key_of_several_columns_and_one_with_every_sign_are_found(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open("#/relays/stock.Places/rows/%7B%22Shelf%22%3A1%2C%22Place%22%3A2%7D")
    expect(screen.page.get_by_role("heading", level=1)).to_have_text("Row Shelf 1, Place 2")
    expect(screen.page.locator("#why")).to_contain_text("delivered")
    screen.open("#/relays/stock.Places/rows/7", answered=False)
    expect(screen.page.get_by_role("alert")).to_contain_text("several columns")
    screen.open("#/relays/nowhere", answered=False)
    expect(screen.page.get_by_role("alert")).to_contain_text("there is no relay 'nowhere'")
    screen.open("#/relays/%E0%A4%A", answered=False)
    screen.see("There is no such page.")


def test_an_incident_is_acknowledged_and_the_audit_knows_it(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open(PAGES["incidents"])
    incident = screen.page.locator("article").filter(has_text=ORDERS)
    expect(incident).to_contain_text("The target takes nothing.")
    assert screen.order("Acknowledge", within="article") == "The incident is acknowledged."
    expect(incident).to_contain_text("Acknowledged")
    expect(incident.get_by_role("button")).to_have_count(0)
    screen.open(PAGES["audit"])
    expect(screen.page.locator("tbody")).to_contain_text("acknowledge")


def test_health_names_each_check_and_the_channels_are_tried(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open(PAGES["health"])
    assert screen.page.locator(".checks li").count() >= 5
    assert screen.order("Test the channels") == "1 of 1 tests were sent."
    expect(screen.page.locator("#channels tbody tr")).to_have_count(1)
    expect(screen.page.locator("#channels")).to_contain_text("sent")


def test_what_was_said_of_an_order_does_not_stand_beside_the_next_one(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open(PAGES["health"])
    screen.order("Test the channels")
    screen.head_button("Test the channels").click()
    assert not screen.page.locator("#toast").is_visible(), "it would pass for the answer of this order"
    screen.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()


def test_it_says_when_the_app_does_not_answer_and_goes_on_afterwards(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open()
    screen.page.context.set_offline(True)
    screen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    alert = screen.page.get_by_role("alert")
    expect(alert).to_contain_text("The app does not answer. What you see is older. The next try is in 10 s.")
    expect(screen.page.locator(".relay")).to_have_count(3)  # the numbers stay
    expect(screen.page.locator("#live")).to_have_text("Not live")
    screen.page.context.set_offline(False)
    alert.get_by_role("button", name="Try now").click()
    expect(alert).to_have_count(0)
    screen.wait_for_data()
    screen.complaints.clear()  # the browser's own word on the failed request


def test_it_asks_every_five_seconds_and_not_while_nobody_looks(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.page.clock.install()
    asked: list[str] = []
    screen.page.on("request", lambda request: asked.append(request.url) if "/api/relays" in request.url else None)
    screen.open()
    assert len(asked) == 1
    with screen.page.expect_response("**/api/relays"):
        screen.page.clock.run_for(5_000)
    hide = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s})"
    screen.page.evaluate(hide % "true" + "; document.dispatchEvent(new Event('visibilitychange'))")
    before = len(asked)
    screen.page.clock.run_for(600_000)
    assert len(asked) == before
    with screen.page.expect_response("**/api/relays"):
        screen.page.evaluate(hide % "false" + "; document.dispatchEvent(new Event('visibilitychange'))")


def test_a_change_of_state_is_told_to_those_who_cannot_see_it(make_relay: Callable[..., Relay], make_screen: Make) -> None:
    relay = open_shop(make_relay)
    screen = make_screen(relay)
    screen.open()
    expect(screen.page.locator("#announce")).to_have_text("")
    close_erp(relay)
    insert_orders(relay, *range(1, 30))
    relay.advance(60)
    screen.look()
    expect(screen.page.locator("#announce")).to_have_text(re.compile(f"{re.escape(ORDERS)}: (Outage|Failing)."))


def test_only_the_choice_of_colours_outlives_the_tab(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open()
    screen.page.locator("#theme").click()
    expect(screen.page.locator("#theme")).to_have_text("Colours: light")
    assert screen.page.evaluate("JSON.stringify(localStorage)") == '{"rowpost-theme":"light"}'
    assert screen.page.context.cookies() == []
