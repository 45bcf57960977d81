"""Whatever a caller sends to the operator API: the answer is JSON, and never one of the 500s."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlencode

import pytest
import requests
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rowpost.operations.rows import write_cursor
from tests.harness.running_relay import CONFIG, ORDERS, Relay

EXAMPLES = 10_000 if os.environ.get("ROWPOST_LONG") else 250
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
# Like times, many of which do not exist: 30 February, 24 o'clock, the year 0, offsets that lead out of the calendar.
TIMES = st.builds(
    "{:04}-{:02}-{:02}T{:02}:{:02}{}{}".format,
    st.sampled_from([0, 1, 1752, 1900, 2026, 9999]),
    st.sampled_from([0, 1, 2, 12, 13]),
    st.sampled_from([0, 1, 28, 29, 30, 31, 32]),
    st.sampled_from([0, 8, 23, 24, 25]),
    st.sampled_from([0, 59, 60]),
    st.sampled_from(["", ":00", ":59.9999999", ":60"]),
    st.sampled_from(["", "Z", "+12:00", "-14:00", "z"]),
)
KEY_VALUES = st.one_of(JSON, TIMES, NUMBERS, st.sampled_from(["", " ", "\x00", "1", 1, 1e300, -1, 2**31, 2**63, True]))
ORDERS_OF_ROWS = st.fixed_dictionaries(
    {},
    optional={
        "keys": st.lists(st.dictionaries(st.sampled_from(["OrderId", "orderid", "Id"]), KEY_VALUES, max_size=2), max_size=3),
        "filter": st.fixed_dictionaries({}, optional={"from": TIMES, "to": TIMES, "state": st.just(["dead"]), "class": JSON}),
        "all": st.booleans(),
        "dry_run": st.booleans(),
        "reason": st.text(max_size=5),
    },
)
BODIES_OF_ORDERS = ORDERS_OF_ROWS.map(lambda order: json.dumps(order).encode())
CURSORS = st.builds(write_cursor, TIMES, st.one_of(st.just("0" * 64), st.text(max_size=5)))
QUERIES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["limit", "Limit", "code", "cursor", "state", "relay", "OrderId", ""]), NUMBERS),
        st.tuples(st.sampled_from(["from", "to"]), TIMES),
        st.tuples(st.just("cursor"), CURSORS),
    ),
    max_size=3,
)
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


@pytest.fixture(scope="module")
def routes(relay: Relay) -> list[tuple[str, str]]:
    """All operations: a method, and a path with a place for the name."""
    paths = relay.get("/api/openapi")["paths"]
    found = [(method.upper(), f"/api{re.sub('{.+?}', '{0}', path)}") for path, methods in paths.items() for method in methods]
    # And what comes behind the relay's name: else it is hardly ever one that exists.
    return found + [(method, path.replace("{0}", "dbo.Orders", 1)) for method, path in found if path.startswith("/api/relays/{0}")]


def ask(relay: Relay, route: tuple[str, str], name: str, query: list[tuple[str, str]], body: bytes) -> requests.Response:
    method, path = route
    url = f"{relay.stack.host.url}{path.format(name)}"  # type: ignore[union-attr]
    text = urlencode([(key, value.encode("utf-8", "surrogatepass")) for key, value in query])
    return requests.request(method, f"{url}?{text}", data=body, timeout=60)


@pytest.mark.timeout(3600)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 10_000), name=NAMES, query=QUERIES, body=st.one_of(BODIES, BODIES_OF_ORDERS))
def test_no_answer_is_a_500(
    relay: Relay, routes: list[tuple[str, str]], number: int, name: str, query: list[tuple[str, str]], body: bytes
) -> None:
    assume(len(name) + sum(len(quote(value.encode("utf-8", "surrogatepass"))) for _, value in query) < LONGEST_LINE)
    check(ask(relay, routes[number % len(routes)], name, query, body))


ODD = [
    ("PUT", "/api/relays/{}/columns", "dbo.Orders", [], DEEP),
    ("PUT", "/api/relays/{}/columns", "dbo.Orders", [], HALF.encode()),
    ("GET", "/api/relays/{}/rows", "dbo.Orders", [("limit", "9" * 5000)], b""),
    ("GET", "/api/relays/{}/rows", "dbo.Orders", [("limit", "٣")], b""),
    ("GET", "/api/relays/{}/columns", "%ED%A0%80", [], b""),
]


@pytest.mark.parametrize(("method", "path", "name", "query", "body"), ODD, ids=range(len(ODD)))
def test_these_neither(relay: Relay, method: str, path: str, name: str, query: list[tuple[str, str]], body: bytes) -> None:
    check(ask(relay, (method, path), name, query, body))


def check(answer: requests.Response) -> None:
    assert answer.status_code < 500, (answer.status_code, answer.text[:200])
    kind = answer.headers.get("Content-Type", "")
    if kind.startswith("application/json"):
        assert isinstance(answer.json(), dict)
        assert len(answer.content) < 200_000
    if answer.status_code >= 400 and kind:
        problem: Any = answer.json()
        assert kind.startswith("application/problem+json") and problem["status"] == answer.status_code and problem["detail"]
    assert not re.search(r"hidden \d", answer.text), "a value of a row"
