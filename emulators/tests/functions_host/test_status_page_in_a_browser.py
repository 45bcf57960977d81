"""The status page in a real browser: what a person who runs ``dev.py start`` sees and does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from emulators.functions_host.console import CONSOLE_PATH
from emulators.launch import FunctionsHost
from emulators.tests.functions_host.browser import Browser
from emulators.tests.functions_host.world import APPS, World

pytestmark = pytest.mark.browser
LIVE = "document.querySelector('#health').textContent === 'live'"
SETTINGS = {"EveryFiveMinutes": "0 */5 * * * *"}


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as started:
        yield started


def has(selector: str, text: str) -> str:
    return f"[...document.querySelectorAll({json.dumps(selector)})].some(e => e.textContent.includes({json.dumps(text)}))"


def test_names_are_shown_and_never_run(world: World, browser: Browser) -> None:
    evil = "<img src=x onerror=document.title='owned'>"
    world.client("start_new", orchestration_function_name="collect", instance_id=evil, client_input=evil)
    world.settle()
    browser.open(f"{world.host.url}{CONSOLE_PATH}/")
    browser.wait_for(has("#instances-table button", evil))
    browser.click("#instances-table button")
    browser.wait_for(has("#instance-title", evil) + " && " + has("#history-table td", evil))  # the id, and the input
    assert browser.evaluate("document.querySelectorAll('main img, main b').length") == 0
    assert browser.evaluate("document.title") != "owned"
    assert browser.complaints == []


def test_it_is_used_by_keyboard(world: World, browser: Browser) -> None:
    for name in ("first", "second"):
        world.start("wait_or_time_out", 3600, instance=name)
    world.settle()
    browser.open(f"{world.host.url}{CONSOLE_PATH}/")
    browser.wait_for(has("#instances-table button", "second"))
    browser.evaluate("document.querySelector('#text').focus()")
    browser.type("FIRST")
    browser.wait_for("document.querySelectorAll('#instances-table button').length === 1")
    browser.press("Tab", 9)
    assert browser.evaluate("document.activeElement.dataset.instance") == "first"
    browser.press("Enter", 13)
    browser.wait_for("document.activeElement.id === 'instance-title'")
    browser.wait_for("document.querySelector('[data-instance]').getAttribute('aria-expanded') === 'true'")
    assert "instance=first" in browser.evaluate("location.search")
    browser.press("Escape", 27)
    browser.wait_for("document.querySelector('#instance').hidden && document.activeElement.dataset.instance === 'first'")
    # What has the focus keeps it while the page refreshes itself: the host's clock goes on under it.
    world.time.advance(60)
    browser.wait_for(has("#clock", "00:01:00"))
    assert browser.evaluate("document.activeElement.dataset.instance") == "first"


def test_pause_and_status_filter(world: World, browser: Browser) -> None:
    world.run("chain", 1)
    world.start("wait_or_time_out", 3600, instance="waits")
    world.settle()
    browser.open(f"{world.host.url}{CONSOLE_PATH}/?status=Completed")
    browser.wait_for(has("#instances-table td", "chain") + " && document.querySelectorAll('#instances-table button').length === 1")
    assert browser.evaluate("[...document.querySelector('#status').options].map(o => o.textContent)") == [
        "all (2)",
        "Completed (1)",
        "Running (1)",
    ]
    browser.click("#pause")
    browser.wait_for("document.querySelector('#health').textContent === 'paused'")
    before = browser.text("#clock")
    world.time.advance(600)
    # What would make the page ask at once, and then two questions of our own, which are answered later than its own would be.
    browser.evaluate("document.querySelector('#text').dispatchEvent(new Event('input'))")
    browser.evaluate("fetch('state').then(() => fetch('state')).then(answer => answer.json()).then(() => null)")
    assert browser.text("#clock") == before
    browser.click("#pause")
    browser.wait_for(has("#clock", "00:10:00"))


def test_the_log_can_be_narrowed(world: World, browser: Browser) -> None:
    world.host.request("GET", "/api/boom")
    world.host.request("GET", "/api/plain")
    browser.open(f"{world.host.url}{CONSOLE_PATH}/")
    browser.wait_for(has("#lines .error", "boom in a function"))
    assert "Executing" not in browser.text("#lines") and "listening on" in browser.text("#lines")
    choose = "(() => {{ const s = document.querySelector('#level'); s.value = '{}'; s.dispatchEvent(new Event('change')); }})()"
    browser.evaluate(choose.format(""))
    assert "Executing (GET /api/plain)" in browser.text("#lines")
    browser.evaluate(choose.format("bad"))
    assert "listening on" not in browser.text("#lines") and "boom in a function" in browser.text("#lines")
    browser.click("#lines summary")
    assert "Traceback (most recent call last)" in browser.text("#lines details[open]")


def test_a_host_that_ends_and_comes_back(world: World, browser: Browser) -> None:
    world.host.request("GET", "/api/boom")
    browser.open(f"{world.host.url}{CONSOLE_PATH}/")
    browser.wait_for(LIVE)
    browser.wait_for(has("#lines .line", "boom in a function"))
    world.host.kill()
    browser.wait_for("document.querySelector('#health').textContent === 'the host does not answer'")
    world.host.start()
    browser.wait_for(LIVE)
    browser.wait_for(
        f"{has('#lines .line', 'listening on')} && !{has('#lines .line', 'boom in a function')}"
    )  # the new process's log alone


def test_the_key_is_asked_for_once(tmp_path: Path, browser: Browser) -> None:
    settings = {**SETTINGS, "NOTES": str(tmp_path / "notes")}
    with FunctionsHost(APPS / "everything", tmp_path, "real", settings, enable_auth=True) as host:
        master = json.loads((host.data / "keys.json").read_text())["master"]
        url = f"{host.url}{CONSOLE_PATH}/"
        browser.open(url)
        browser.wait_for("document.activeElement.id === 'key-text'")
        assert browser.evaluate("document.querySelector('#content').hidden")
        browser.type("wrong")
        browser.press("Enter", 13)
        browser.wait_for(has("#key-problem", "does not know this key"))
        browser.evaluate("document.querySelector('#key-text').value = ''")
        browser.type(master)
        browser.press("Enter", 13)
        browser.wait_for(LIVE + " && " + has("#functions-table td", "five_minutes"))
        assert browser.evaluate("document.querySelector('#key').hidden")
        browser.open(url)  # the tab remembers it
        browser.wait_for(LIVE)
        browser.open("about:blank")
        browser.evaluate("0")
        browser.open(f"{url}?code={master}")
        browser.wait_for(LIVE)
        assert master not in browser.evaluate("location.href")


def test_it_fits_and_can_be_read_on_a_phone_and_in_the_dark(world: World, browser: Browser) -> None:
    world.run("counting")
    world.host.request("GET", "/api/boom")
    for width, dark in product((320, 400, 1280), (False, True)):
        browser.open(f"{world.host.url}{CONSOLE_PATH}/", width=width, dark=dark)
        browser.wait_for(has("#entities-table td", "@counter@k1"))
        browser.wait_for(has("#lines .error", "boom in a function"))
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.evaluate(_WORST_CONTRAST) >= 4.5, (width, dark)
    assert browser.complaints == []


# The least contrast (WCAG 2) of any text with the ground that it stands on.
_WORST_CONTRAST = """(() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (e) => {
    const found = numbers(getComputedStyle(e).backgroundColor);
    return found.length < 4 || found[3] > 0 ? found : ground(e.parentElement);
  };
  let worst = 21;
  for (const e of document.querySelectorAll('body *')) {
    if (!e.checkVisibility() || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [light(numbers(getComputedStyle(e).color)), light(ground(e))];
    worst = Math.min(worst, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
  }
  return worst;
})()"""
