"""The pictures of README and docs, taken of the running console: ``ROWPOST_SCREENSHOTS=1 python3 dev.py test tests/console``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console.shop import ORDERS, PAGES
from tests.harness.running_relay import Relay
from tests.harness.screen import Screen

pytestmark = pytest.mark.browser
IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PICTURES = {
    "console-relays": ("relays", "light"),
    "console-relay": ("a relay", "light"),
    "console-relay-dark": ("a relay", "dark"),
    "console-row": ("a row", "light"),
}
WIDTH = 1200
HEIGHTS = {"relays": 680, "a relay": 1130, "a row": 1000}
MOST_BYTES = 200_000


@pytest.mark.skipif(not os.environ.get("ROWPOST_SCREENSHOTS"), reason="writes files of the repository: set ROWPOST_SCREENSHOTS")
@pytest.mark.parametrize("name", PICTURES)
def test_take_a_picture(shop: Relay, make_screen: Callable[..., Screen], name: str) -> None:
    page, scheme = PICTURES[name]
    screen = make_screen(shop, viewport={"width": WIDTH, "height": HEIGHTS[page]}, color_scheme=scheme, reduced_motion="reduce")
    screen.open(PAGES[page])
    expect(screen.page.get_by_role("heading", level=1)).to_be_visible()
    screen.page.screenshot(path=IMAGES / f"{name}.png")
    assert ORDERS in screen.page.content()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small(name: str) -> None:
    content = (IMAGES / f"{name}.png").read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) <= MOST_BYTES
