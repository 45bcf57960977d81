"""The console for everybody: by keyboard, for screen readers, in light and dark, on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.console.shop import ORDERS, PAGES
from tests.harness.running_relay import Relay
from tests.harness.screen import Screen

pytestmark = pytest.mark.browser
Make = Callable[..., Screen]
PHONE = {"width": 320, "height": 640}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(shop: Relay, make_screen: Make, scheme: str) -> None:
    screen = make_screen(shop, color_scheme=scheme)
    for name, route in PAGES.items():
        screen.open(route)
        assert screen.findings() == [], name
    screen.open(PAGES["a relay"])
    screen.head_button("Retry").click()
    expect(screen.page.locator("#ask-go")).to_be_enabled()
    assert screen.findings() == [], "the dialog"
    screen.page.evaluate("document.querySelector('#ask-go').textContent = ''")
    assert "button-name" in screen.findings()[0], "axe sees what is wrong"


def test_nothing_is_wider_than_a_phone(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop, viewport=PHONE)
    for name, route in PAGES.items():
        screen.open(route)
        assert screen.overflow() <= 0, name
    screen.open(PAGES["a relay"])
    screen.head_button("Pause").click()
    box = screen.page.get_by_role("dialog").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    screen.page.evaluate(
        "document.querySelector('#view').append(Object.assign(document.createElement('pre'), {textContent: 'x'.repeat(90)}))"
    )
    screen.page.evaluate("document.querySelector('#view pre:last-child').style.width = '600px'")
    assert screen.overflow() > 0, "it would be seen"


def test_everything_is_reached_by_keyboard_and_what_has_the_focus_keeps_it(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    screen.open()
    press = screen.page.keyboard.press
    press("Tab")
    assert screen.focused() == "Skip to the content"
    press("Enter")
    assert screen.page.evaluate("document.activeElement.id") == "main"
    press("Tab")
    assert screen.focused() == ORDERS
    outline = "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth"
    assert screen.page.evaluate(outline) == "solid2px", "the focus is seen"
    press("Enter")
    expect(screen.page.get_by_role("heading", level=1)).to_be_focused()  # a new page is read from its beginning
    for _ in range(10):
        press("Tab")
        if screen.focused() == "Retry":
            break
    screen.look()  # the page renews itself under the focus
    assert screen.focused() == "Retry"
    press("Enter")
    dialog = screen.page.get_by_role("dialog")
    expect(dialog).to_contain_text("This touches")
    expect(dialog).to_have_accessible_name(f"Retry all rows of {ORDERS} now")
    seen = set()
    for _ in range(6):  # the focus stays in the dialog, or goes to the browser's own parts
        seen.add(
            screen.page.evaluate("document.activeElement.closest('dialog') !== null || document.activeElement === document.body")
        )
        press("Tab")
    assert seen == {True}
    press("Escape")
    expect(dialog).to_have_count(0)
    assert screen.focused() == "Retry"


def test_a_screen_reader_finds_landmarks_names_and_one_heading_of_the_page(shop: Relay, make_screen: Make) -> None:
    screen = make_screen(shop)
    for name, route in PAGES.items():
        screen.open(route)
        page = screen.page
        expect(page.get_by_role("main")).to_have_count(1)
        expect(page.get_by_role("navigation", name="Pages", exact=True)).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.locator("#pages [aria-current=page]")).to_have_count(1)
        unnamed = (
            "[...document.querySelectorAll('svg')].filter(e => !e.ariaLabel && e.getAttribute('aria-hidden') !== 'true').length"
        )
        assert page.evaluate(unnamed) == 0, name


def test_light_and_dark_follow_the_system_until_somebody_chooses(shop: Relay, make_screen: Make) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    screen = make_screen(shop, color_scheme="dark")
    screen.open()
    dark = screen.page.evaluate(ground)
    screen.page.emulate_media(color_scheme="light")
    light = screen.page.evaluate(ground)
    assert light != dark
    theme = screen.page.locator("#theme")
    for _ in range(2):
        theme.click()
    expect(theme).to_have_text("Colours: dark")
    assert screen.page.evaluate(ground) == dark
    screen.open("#/health")
    assert screen.page.evaluate(ground) == dark, "the choice is kept"
    screen.page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    theme.click()
    theme.click()
    assert screen.page.evaluate(ground) == light
