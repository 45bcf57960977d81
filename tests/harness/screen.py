"""The console in a real browser, on the running emulators: what a person sees and does, and what the browser complains of."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

# Without these a browser looks for its maker's servers at every start.
_FLAGS = ["--no-sandbox", "--disable-quic", "--disable-sync", "--disable-component-update", "--disable-background-networking"]
_SERIOUS = ("serious", "critical")
_EXPECTED = "Failed to load resource: the server responded with a status of"  # the page itself says what it was
WAIT_MILLISECONDS = 20_000  # one machine may run many tests


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium."""
    expect.set_options(timeout=WAIT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Screen:
    """One tab with the console.

    Attributes:
        page: of Playwright.
        complaints: what the browser has logged as an error or a warning, and scripts that failed.
        strangers: addresses outside of the app that were asked for.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.page: Page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(WAIT_MILLISECONDS)
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._logged)
        self.page.on("request", self._asked)

    def _logged(self, message: Any) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_EXPECTED):
            self.complaints.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:")):
            self.strangers.append(request.url)

    def open(self, route: str = "#/", *, answered: bool = True) -> None:
        """Open a page of the console, and wait until the app has answered, unless it will not."""
        address = f"{self.url}/api/console{route}"
        if self.page.url == address:
            self.page.reload()
        else:
            self.page.goto(address)
        if answered:
            self.wait_for_data()

    def wait_for_data(self) -> None:
        """Wait until what is shown is live."""
        expect(self.page.locator("#live")).to_have_attribute("data-state", "live")
        expect(self.page.locator(".loading")).to_have_count(0)

    def look(self) -> None:
        """Let the page ask the app now, as if the person came back to it."""
        with self.page.expect_response(lambda response: "/api/" in response.url):
            self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def see(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page shows a text. It asks the app meanwhile."""
        expect(self.page.locator("body")).to_contain_text(text)

    def button(self, name: str, within: str = "#view") -> Locator:
        """The button of that name on the page."""
        return self.page.locator(within).get_by_role("button", name=name, exact=True)

    def head_button(self, name: str) -> Locator:
        """The one beside the title of the page."""
        return self.button(name, ".page-head")

    def order(
        self, button: str, *, touches: str | re.Pattern[str] | None = None, within: str = ".page-head", reason: str = ""
    ) -> str:
        """Press a button that orders something, read what its dialog says, and confirm; the sentence that follows.

        Args:
            button: its name, on the page.
            touches: what the dialog must say of the number of rows.
            within: where the button is.
            reason: what is written as the reason.
        """
        self.button(button, within).click()
        dialog = self.page.get_by_role("dialog")
        if touches is not None:
            expect(dialog.locator(".ask-count")).to_have_text(touches)
        if reason:
            dialog.get_by_label("Reason").fill(reason)
        confirm = dialog.locator("#ask-go")
        expect(confirm).to_be_enabled()
        confirm.click()
        expect(dialog).to_have_count(0)
        toast = self.page.locator("#toast")  # it is not the former order's: a dialog takes that away
        expect(toast).to_be_visible()
        return toast.inner_text()

    def focused(self) -> str:
        """What has the focus: its label or its text."""
        name = "(e => e.getAttribute('aria-label') ?? (e.innerText || e.id || e.name))(document.activeElement)"
        return str(self.page.evaluate(name))

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def findings(self) -> list[str]:
        """What axe finds that is serious or critical."""
        found = Axe().run(self.page).response["violations"]
        return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in _SERIOUS]

    def close(self) -> None:
        """Close the tab, and forget all that it knew."""
        self.page.context.close()
