"""Fixtures of the tests of the console: a browser for each module, and tabs that must not have complained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.console.shop import let_things_go_wrong, open_shop
from tests.harness.running_relay import Relay
from tests.harness.screen import Screen, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. It ends with the module: while it runs, its event loop is that of the thread."""
    with chromium() as started:
        yield started


@pytest.fixture
def make_screen(browser: Browser) -> Iterator[Callable[..., Screen]]:
    """A factory of tabs with the console of a relay's app."""
    made: list[Screen] = []

    def make(relay: Relay, **options: Any) -> Screen:
        assert relay.stack.host is not None
        made.append(Screen(browser, relay.stack.host.url, **options))
        return made[-1]

    yield make
    complaints = [text for screen in made for text in screen.complaints]
    strangers = [address for screen in made for address in screen.strangers]
    for screen in made:
        screen.close()
    assert complaints == [], "scripts that failed, and what the content security policy refused"
    assert strangers == [], "nothing is asked of anybody but the app"


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """The shop in its trouble, at one instant: its time stands still, and tests give no order that another one would see."""
    made: list[Relay] = []

    def make(config: str, tables: str) -> Relay:
        made.append(Relay(tmp_path_factory.mktemp("shop"), config, tables))
        made[-1].start()
        made[-1].advance(2)
        return made[-1]

    try:
        let_things_go_wrong(open_shop(make))
        yield made[0]
    finally:
        for relay in made:
            relay.stack.stop()
            relay.time.close()
