"""Each example of docs/batches.md is run: the requests that it shows arrive, and the answer that it shows is understood."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.batch_answer import answers_by_id
from rowpost.target.event import Event
from tests.harness.raw_server import RawServer
from tests.harness.requests import Sender
from tests.target.test_requests_page import same

PAGE = (Path(__file__).resolve().parents[2] / "docs/batches.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(toml|http|json)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ANY = "…"


def examples() -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for kind, text in BLOCKS:
        if kind == "toml":
            found.append((text, []))
        elif kind == "http":
            found[-1][1].append(text)
    return found


def events(sender: Sender) -> list[Event]:
    from rowpost.rules.row import ClaimedRow
    from rowpost.target.event import build_event
    from tests.harness.requests import NOW

    rows = [
        ClaimedRow({"OrderId": 7}, 7, 1, leased=True, values={"OrderId": 7, "Customer": "Ada"}),
        ClaimedRow({"OrderId": 8}, 8, 1, leased=True, values=None),
    ]
    return [build_event(sender.shape, row, 0, None, NOW) for row in rows]


@pytest.mark.parametrize(("text", "shown"), examples())
def test_an_example_sends_what_the_page_shows(raw: RawServer, tmp_path: Path, text: str, shown: list[str]) -> None:
    sender = Sender(text.replace("https://lake.example", "{URL}"), tmp_path, raw)
    answers, requests = sender.send(*events(sender))
    assert [answer.verdict for answer in answers] == [Verdict.DELIVERED] * 2
    if not shown:
        return
    (request,), (one,) = requests, shown
    head, _, body = one.partition("\n\n")
    line, *fields = head.splitlines()
    assert line == f"{request.method} {request.path} HTTP/1.1"
    for field in fields:
        name, _, value = field.partition(": ")
        assert value in (ANY, request.headers[name.lower()]), field
    read = (lambda text: [json.loads(line) for line in text.splitlines()]) if "ndjson" in head else json.loads
    sent, told = read(request.body.decode()), read(body)
    assert len(sent) == len(told) == 2 and all(map(_same, sent, told)), sent


def _same(sent: Any, shown: Any) -> bool:
    if isinstance(sent, dict) and "data" in sent:
        return sent.keys() == shown.keys() and all(_same(sent[name], shown[name]) for name in sent)
    return same(sent, shown)


def test_the_answer_that_the_page_shows_is_understood() -> None:
    (content,) = (text for kind, text in BLOCKS if kind == "json")
    ids = [entry["id"] for entry in json.loads(content)["results"]]
    found = answers_by_id(207, content.encode(), is_json=True, ids=ids, accepts=[frozenset()] * 2)
    assert found == [Answer(Verdict.DELIVERED, 200), Answer(Verdict.TRANSIENT, 503, "HTTP 503", 30)]


def test_the_page_has_examples() -> None:
    assert [len(shown) for _, shown in examples()] == [1, 1, 0]
