"""Each example of docs/requests.md is run: what the page shows is what arrives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rowpost.rules.json_text import JsonValue
from tests.harness.raw_server import RawServer
from tests.harness.requests import Seen, Sender
from tests.harness.rows import exact

PAGE = (Path(__file__).resolve().parents[2] / "docs/requests.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(toml|http)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
KEY: dict[str, JsonValue] = {"OrderId": 7}
ROW: dict[str, JsonValue] = {**KEY, "Customer": "Ada/Ltd", "Total": msgspec.Raw(b"10.50"), "Serial": 2**53 + 1}
ANY = "…"


def examples() -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for kind, text in BLOCKS:
        if kind == "toml":
            found.append((text, []))
        else:
            found[-1][1].append(text)
    return found


@pytest.mark.parametrize(("text", "shown"), examples(), ids=[f"example-{number}" for number, _ in enumerate(examples(), 1)])
def test_an_example_sends_what_the_page_shows(raw: RawServer, tmp_path: Path, text: str, shown: list[str]) -> None:
    api = Sender(text.replace("https://erp.example", "{URL}"), tmp_path, raw)
    long: dict[str, JsonValue] = {"Note": "x" * 200} if "Note" in "".join(shown) else {}
    upsert = api.send_row(KEY, ROW | long)
    assert_shown(upsert, shown[0])
    for request in shown[1:]:
        assert_shown(api.send_row(KEY), request)


def assert_shown(request: Seen, shown: str) -> None:
    head, _, body = shown.partition("\n\n")
    line, *fields = head.strip().splitlines()
    address = request.path + (f"?{request.query}" if request.query else "")
    assert line == f"{request.method} {address} HTTP/1.1"
    for field in fields:
        name, _, value = field.partition(": ")
        assert value in (ANY, request.headers[name.lower()]), field
    if body:
        assert same(exact(request.body), exact(body)), request.body
        assert request.headers["idempotency-key"] and request.headers["rowpost-epoch"] == "0"
    else:
        assert request.raw == b""


def same(sent: Any, shown: Any) -> bool:
    """Whether both are the same, but for texts that the page leaves out."""
    if isinstance(sent, dict) and isinstance(shown, dict):
        return sent.keys() == shown.keys() and all(same(sent[name], shown[name]) for name in sent)
    return shown == ANY or (type(sent) is type(shown) and sent == shown)


def test_the_page_has_examples_with_their_requests() -> None:
    assert len(examples()) >= 6 and all(shown for _, shown in examples())
