"""The three walks of docs/runbook.md, as a new operator goes them: through the console alone, by what it says and its buttons."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.console.shop import (
    ORDERS,
    ROUND_SECONDS,
    RUNBOOK,
    close_erp,
    insert_orders,
    open_shop,
)
from tests.harness.running_relay import Relay
from tests.harness.screen import Screen

pytestmark = pytest.mark.browser
MakeRelay = Callable[..., Relay]
MakeScreen = Callable[..., Screen]


def total_at_the_api(shop: Relay, order: int) -> object:
    """What the API has of an order; None if it never got it."""
    state = shop.stack.downstream.find(ORDERS, {"OrderId": order})
    return None if state is None or state.row is None else state.row["Total"]


def expect_state(screen: Screen, state: str) -> None:
    expect(screen.page.locator(".page-head .pill")).to_have_attribute("data-state", state)


def expect_waiting(screen: Screen, rows: int) -> None:
    """The first figure of a relay's page. The page may still show what it knew before."""
    expect(screen.page.locator(".figures .figure-value").first).to_have_text(str(rows))


def test_an_outage_appears_is_understood_and_retried(make_relay: MakeRelay, make_screen: MakeScreen) -> None:
    shop = open_shop(make_relay)
    insert_orders(shop, 1, 2, 3)
    shop.advance(60)
    screen = make_screen(shop)
    screen.open()
    item = screen.page.locator(".relay").filter(has_text=ORDERS)
    expect(item.locator(".pill")).to_have_text(re.compile("OK"))

    close_erp(shop)
    insert_orders(shop, 10)
    shop.advance(ROUND_SECONDS)
    insert_orders(shop, *range(11, 40))
    shop.advance(hours=1)
    screen.look()
    expect(item.locator(".pill")).to_have_text(re.compile("Outage"))  # it appears by itself
    item.get_by_role("link", name=ORDERS).click()

    expect_state(screen, "outage")  # and is understood: since when, how many, why
    expect(screen.page.locator(".sentence")).to_contain_text("30")
    expect(screen.page.locator("#reasons li")).to_have_count(1)
    expect(screen.page.locator("#reasons")).to_contain_text("HTTP 503")
    kinds = screen.page.locator("#timeline text.lane")
    expect(kinds.filter(has_text="Breaker")).to_have_count(1)
    expect(kinds.filter(has_text="Rounds")).to_have_count(1)
    expect_waiting(screen, 30)

    screen.page.get_by_role("link", name="Incidents").click()
    expect(screen.page.locator("article .pill")).to_have_text("open")
    screen.order("Acknowledge", within="article")
    screen.page.get_by_role("link", name=ORDERS).click()

    shop.accept_all()  # the API's owner has mended it
    said = screen.order("Retry", touches=re.compile(r"This touches \d+ rows\."), reason="the ERP is up again")
    due = re.match(r"(\d+) rows are due now\.", said)
    assert due is not None and 20 <= int(due[1]) <= 30, "all but those that are due anyway"
    assert shop.advance(600, until=lambda: total_at_the_api(shop, 39) is not None)
    shop.advance(120)
    screen.look()
    expect_state(screen, "ok")
    expect_waiting(screen, 0)
    assert all(total_at_the_api(shop, order) is not None for order in range(10, 40))

    screen.page.get_by_role("link", name="Audit").click()
    order = screen.page.locator("tbody tr").filter(has_text="retry")
    expect(order).to_contain_text("the ERP is up again")
    expect(order.locator("td").nth(4)).to_have_text(due[1])
    screen.page.get_by_role("link", name="Incidents").click()
    expect(screen.page.locator("article .pill")).to_have_text("ended")


def test_a_poison_row_is_found_explained_fixed_at_the_source_and_replayed(make_relay: MakeRelay, make_screen: MakeScreen) -> None:
    shop = open_shop(make_relay)
    wrong = [{"match": {"key": {"OrderId": number}}, "status": 422} for number in (13, 15)]
    shop.stack.downstream.set_rules(wrong)
    insert_orders(shop, 12, 13, 14, 15)
    shop.advance(hours=0.5)
    screen = make_screen(shop)
    screen.open()
    item = screen.page.locator(".relay").filter(has_text=ORDERS)
    item.get_by_role("link", name="2 dead").click()  # found
    expect(screen.page.get_by_role("heading", level=1)).to_have_text("Dead letters")
    expect(screen.page.locator(".rows li")).to_have_count(2)
    screen.page.get_by_role("link", name="13", exact=True).click()

    expect(screen.page.locator("#why")).to_contain_text("422")  # explained
    expect(screen.page.locator("#attempts tbody tr").first).to_contain_text("rejected")
    screen.button("Show the values").click()
    expect(screen.page.locator("#would-send pre")).to_contain_text("13.50")
    assert total_at_the_api(shop, 12) is not None and total_at_the_api(shop, 14) is not None, "the others have arrived"
    assert total_at_the_api(shop, 13) is None

    # Fixed at the source: the row is corrected, and the API takes it as it is now. Its change is sent like any other.
    shop.stack.downstream.set_rules(wrong[1:])
    shop.execute(f"UPDATE {ORDERS} SET Total = 99.5 WHERE OrderId = 13")
    assert shop.advance(900, until=lambda: total_at_the_api(shop, 13) is not None)
    shop.advance(60)
    screen.look()
    expect(screen.page.locator("#why")).to_contain_text("delivered")
    expect(screen.button("Replay")).to_have_count(0)

    # Fixed at the source: what the API missed is there now. The row itself is as it was, so only a replay sends it again.
    screen.open(f"#/relays/{ORDERS}/rows/15")
    shop.stack.downstream.set_rules([])
    assert screen.order("Replay", touches="This touches 1 row.", reason="the customer exists now") == "1 row waits again."
    assert shop.advance(900, until=lambda: total_at_the_api(shop, 15) is not None)
    shop.advance(60)
    screen.look()
    expect(screen.page.locator("#why")).to_contain_text("delivered")
    screen.page.get_by_role("link", name=ORDERS).click()
    expect_state(screen, "ok")


def test_a_relay_is_paused_and_resumed_and_loses_nothing(make_relay: MakeRelay, make_screen: MakeScreen) -> None:
    shop = open_shop(make_relay)
    insert_orders(shop, 1)
    shop.advance(60)
    screen = make_screen(shop)
    screen.open(f"#/relays/{ORDERS}")
    assert screen.order("Pause", reason="a new version of the ERP") == f"{ORDERS} is paused."
    expect_state(screen, "paused")
    screen.see("a new version of the ERP")

    posts = len(shop.posts())
    insert_orders(shop, *range(2, 12))
    shop.advance(hours=2)
    screen.look()
    expect_waiting(screen, 10)
    expect_state(screen, "paused")
    assert len(shop.posts()) == posts, "nothing is sent"

    assert screen.order("Resume") == f"{ORDERS} is resumed."
    assert shop.advance(900, until=lambda: total_at_the_api(shop, 11) is not None)
    shop.advance(120)
    screen.look()
    expect_state(screen, "ok")
    assert all(total_at_the_api(shop, order) is not None for order in range(1, 12))


def test_the_buttons_of_the_walks_are_those_that_the_runbook_names() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    walks = text[text.index("## Walk: an outage") : text.index("## Notice: alarm")]
    for button in ("Retry", "Replay", "Discard", "Pause", "Resume", "Timeline", "Rows in trouble"):
        assert f"**{button}**" in walks, button
