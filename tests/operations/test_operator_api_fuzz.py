"""Whatever a caller sends to the operator API: the answer is JSON, and never one of the 500s."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlencode

import pytest
import requests
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.harness.running_relay import CONFIG, ORDERS, Relay

EXAMPLES = 10_000 if os.environ.get("ROWPOST_LONG") else 250
ROUTES = [
    ("GET", "/api/status"),
    ("GET", "/api/health"),
    ("GET", "/api/relays/{}/columns"),
    ("PUT", "/api/relays/{}/columns"),
    ("DELETE", "/api/relays/{}/columns"),
    ("GET", "/api/relays/{}/dead-letters"),
    ("POST", "/api/relays/{}/dead-letters/replay"),
    ("POST", "/api/relays/{}/retry"),
    ("POST", "/api/relays/{}/resync"),
    ("DELETE", "/api/relays/{}/resync"),
    ("GET", "/api/relays/{}/schema"),
    ("GET", "/api/asyncapi"),
]
DEEP = b'{"columns":' + b"[" * 30_000
HALF = '{"columns": ["\\ud800"]}'
NUMBERS = st.one_of(st.integers().map(str), st.text("0123456789+-_. eE٣", max_size=12), st.just("9" * 5000), st.text(max_size=5))
NAMES = st.one_of(
    st.sampled_from(["dbo.Orders", "DBO.ORDERS", "dbo.Nothing", "dbo.Orders%00", "%ED%A0%80", "..", "%2e%2e", "%2F"]),
    st.text(max_size=40).map(lambda text: quote(text.encode("utf-8", "surrogatepass"))),
    st.binary(max_size=20).map(quote_from_bytes),
    st.just("x" * 3000),
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.sampled_from(["OrderId", "secret", "\ud800"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["columns", "Columns", ""]), inner)),
    max_leaves=8,
)
BODIES = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()),
    JSON.map(lambda value: json.dumps({"columns": value}).encode()),
    st.binary(max_size=60),
    st.sampled_from([b"", DEEP, HALF.encode(), b"\xff\xfe", b"9" * 5000, b'{"columns": ' + b"9" * 5000 + b"}", b"x" * 70_000]),
    st.text(max_size=20).map(lambda text: json.dumps({"columns": [text]}).encode("utf-16")),
)
QUERIES = st.lists(st.tuples(st.sampled_from(["limit", "Limit", "code", ""]), NUMBERS), max_size=3)
LONGEST_LINE = 8000  # a longer one does not get past the front of a host


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    running = Relay(tmp_path_factory.mktemp("relay"), CONFIG, ORDERS)
    running.start()
    running.advance(2)
    running.reject(1)
    running.insert(1, 2)
    running.advance(600)
    yield running
    running.stack.stop()
    running.time.close()


def ask(relay: Relay, route: tuple[str, str], name: str, query: list[tuple[str, str]], body: bytes) -> requests.Response:
    method, path = route
    url = f"{relay.stack.host.url}{path.format(name)}"  # type: ignore[union-attr]
    text = urlencode([(key, value.encode("utf-8", "surrogatepass")) for key, value in query])
    return requests.request(method, f"{url}?{text}", data=body, timeout=60)


@pytest.mark.timeout(3600)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(route=st.sampled_from(ROUTES), name=NAMES, query=QUERIES, body=BODIES)
@example(("PUT", "/api/relays/{}/columns"), "dbo.Orders", [], DEEP)
@example(("PUT", "/api/relays/{}/columns"), "dbo.Orders", [], HALF.encode())
@example(("GET", "/api/relays/{}/dead-letters"), "dbo.Orders", [("limit", "9" * 5000)], b"")
@example(("GET", "/api/relays/{}/dead-letters"), "dbo.Orders", [("limit", "٣")], b"")
@example(("GET", "/api/relays/{}/columns"), "%ED%A0%80", [], b"")
def test_no_answer_is_a_500(relay: Relay, route: tuple[str, str], name: str, query: list[tuple[str, str]], body: bytes) -> None:
    assume(len(name) + sum(len(quote(value.encode("utf-8", "surrogatepass"))) for _, value in query) < LONGEST_LINE)
    answer = ask(relay, route, name, query, body)
    assert answer.status_code < 500, (answer.status_code, answer.text[:200])
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        document: Any = answer.json()
        assert isinstance(document, dict) and ("error" in document) == (answer.status_code >= 400)
        assert len(answer.content) < 20_000
    assert "hidden" not in answer.text


def test_the_routes_are_all_that_are_registered(relay: Relay) -> None:
    source = (Path(__file__).parents[2] / "triggers" / "operator_api.py").read_text(encoding="utf-8")
    assert source.count("@functions.route(") == len(ROUTES)
