"""The files of the console as they are served: with which headers, which, and whether at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.harness.running_relay import CONFIG, Relay

FOLDER = Path(__file__).resolve().parents[2] / "rowpost" / "console"
_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\(|new Function|style=|onclick="
)
_ADDRESS = re.compile(r"https?://(?!www\.w3\.org/2000/svg)")


def faults(text: str) -> list[str]:
    """What makes markup of a text, or asks somebody else."""
    return _MARKUP.findall(text) + _ADDRESS.findall(text)


def get(relay: Relay, path: str, **headers: str) -> requests.Response:
    assert relay.stack.host is not None
    return requests.get(f"{relay.stack.host.url}/api/{path}", headers=headers, timeout=30, allow_redirects=False)


def test_the_pages_are_served_with_a_strict_policy_and_are_asked_for_anew_each_time(relay: Relay) -> None:
    page = get(relay, "console")
    assert page.status_code == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff" and page.headers["Referrer-Policy"] == "no-referrer"
    kinds = {"main.js": "text/javascript", "base.css": "text/css", "icon.svg": "image/svg+xml"}
    for name, kind in kinds.items():
        file = get(relay, f"console/{name}")
        assert file.status_code == 200 and file.headers["Content-Type"].startswith(kind), name
        assert file.headers["Content-Security-Policy"] == policy and file.headers["Cache-Control"] == "no-cache"
        again = get(relay, f"console/{name}", **{"If-None-Match": f'"other", W/{file.headers["ETag"]}'})
        assert again.status_code == 304 and not again.content and again.headers["ETag"] == file.headers["ETag"]
    assert get(relay, "console/main.js", **{"If-None-Match": '"other"'}).status_code == 200

    for name in ("..%2f..%2fapp.py", "%2e%2e", "..", "app.py", "main.js%00", "INDEX.HTML", "main.js%2f..%2fmain.js"):
        assert get(relay, f"console/{name}").status_code in (400, 404), name
    assert get(relay, "console/").headers["Location"] == "../console"
    assert requests.post(page.url, timeout=30).status_code == 404


def test_it_can_be_switched_off(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(f"{CONFIG}\n[api]\nconsole = false\n")
    assert get(relay, "console").status_code == get(relay, "console/main.js").status_code == 404
    assert get(relay, "relays").status_code == 200


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_a_file_makes_no_markup_of_text_and_knows_no_other_host(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


def test_such_faults_are_seen() -> None:
    assert faults("a.innerHTML = b; eval(c)") == ["innerHTML", "eval("]
    assert faults('<p style="x"><script src="https://cdn.example/x.js">') == ["style=", "https://"]
