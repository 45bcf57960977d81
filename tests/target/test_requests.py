"""Methods, paths, queries and headers of a relay, at the wire: whatever the key, it stands there so that it can be read again."""

from __future__ import annotations

import re
import string
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowpost.rules.answer import Verdict
from rowpost.rules.json_text import JsonValue, value_text
from rowpost.target.event import build_resync_event
from rowpost.target.request import Unfit, address
from tests.harness.raw_server import RawServer
from tests.harness.requests import NOW, Seen, Sender, seen
from tests.harness.rows import TEXTS, VALUES

TARGET = '[[targets]]\nname = "erp"\nurl = "{URL}/api/v2"\nconcurrency = 1\n'
ORDERS = 'upsert = "PUT /orders/{OrderId}"\ndelete = "DELETE /orders/{OrderId}"\n'


def sender(raw: RawServer, folder: Path, relay: str, target: str = TARGET, **settings_: str) -> Sender:
    return Sender(f'{target}[[relays]]\ntable = "dbo.Orders"\n{relay}', folder, raw, **settings_)


# --- where it goes ---


def test_rows_are_put_and_deleted_at_their_own_address(raw: RawServer, tmp_path: Path) -> None:
    erp = sender(raw, tmp_path, ORDERS)
    put = erp.send_row({"OrderId": 7}, {"OrderId": 7, "Customer": "Ada"})
    assert (put.method, put.path, put.query) == ("PUT", "/api/v2/orders/7", "")
    assert put.json["data"]["row"] == {"OrderId": 7, "Customer": "Ada"}
    gone = erp.send_row({"OrderId": 7})
    assert (gone.method, gone.path, gone.raw) == ("DELETE", "/api/v2/orders/7", b"")
    assert gone.headers["content-length"] == "0" and "content-type" not in gone.headers
    for request in (put, gone):
        assert request.headers["idempotency-key"] and request.headers["rowpost-version"] == "7"
        assert request.headers["rowpost-epoch"] == "0"


def test_what_has_no_request_of_its_own_goes_where_all_goes(raw: RawServer, tmp_path: Path) -> None:
    erp = sender(raw, tmp_path, 'delete = "POST /orders/removed"\n')
    put, gone = erp.send_row({"OrderId": 7}, {"OrderId": 7}), erp.send_row({"OrderId": 7})
    assert (put.method, put.path) == ("POST", "/api/v2")
    assert (gone.method, gone.path, gone.json["data"]["key"]) == ("POST", "/api/v2/orders/removed", {"OrderId": 7})


@pytest.mark.parametrize(
    ("url", "path", "query", "expected"),
    [
        ("https://x", "/orders/1", "", "https://x/orders/1"),
        ("https://x/", "/orders/1", "", "https://x/orders/1"),
        ("https://x/api/?code=a%20b", "/orders/1", "", "https://x/api/orders/1?code=a%20b"),
        ("https://x/api?code=s", "/o", "a=1&b=2", "https://x/api/o?code=s&a=1&b=2"),
        ("https://x/api", "", "a=1", "https://x/api?a=1"),
        ("https://u:p@x:8443/a%2Fb#part", "/o", "", "https://u:p@x:8443/a%2Fb/o"),
        ("http://[::1]:80/rows?code=a%20b", "", "", "http://[::1]:80/rows?code=a%20b"),
    ],
)
def test_the_path_and_the_query_are_added_to_those_of_the_target(url: str, path: str, query: str, expected: str) -> None:
    assert address(url, path, query) == expected


def test_query_and_headers_hold_the_key_too(raw: RawServer, tmp_path: Path) -> None:
    erp = sender(
        raw,
        tmp_path,
        f'{ORDERS}[relays.query]\n"api version" = "2 & more"\nid = "{{orderid}}"\nat = "{{$version}}.{{$epoch}}"\n'
        '[relays.headers]\nX-Order = "no {OrderId}"\nx-api-key = "%KEY%"\nX-Event = "{$id}"\n',
        f'{TARGET}[targets.headers]\nX-Api-Key = "of the target"\nX-Other = "stays"\n',
        KEY="{secret}",
    )
    event = erp.event({"OrderId": "ä b"}, {"OrderId": "ä b"})
    _, (put,) = erp.send(event)
    assert put.query == "api%20version=2%20%26%20more&id=%C3%A4%20b&at=7.0"
    assert put.headers["x-order"] == "no %C3%A4%20b" and put.headers["x-event"] == event.id
    assert put.headers["x-api-key"] == "{secret}", "the relay's own wins, and braces of a setting are no placeholder"
    assert put.headers["x-other"] == "stays"


# --- keys ---

HOSTILE = [
    *("a/b", "a\\b", "a?b=c", "a#b", "100%", "%2F", "%2e%2e", "..%2f", "a b", " ", "+", "a+b", ";", "a;b=c", "...", ".a", "a."),
    *("~", "é", "売上", "😀", "\x00", "\r\nX-Bad: 1", "\t", "\u2028", "'", '"', "<>", "{OrderId}", "%DOWNSTREAM%", "http://x/"),
    *("//x", "@", ":", "*", "a" * 900),
]


def test_keys_of_any_text_arrive_as_one_segment(raw: RawServer, tmp_path: Path) -> None:
    erp = sender(raw, tmp_path, f'{ORDERS}[relays.query]\nid = "{{OrderId}}"\n[relays.headers]\nX-Order = "{{OrderId}}"\n')
    _, requests = erp.send(*(erp.event({"OrderId": key}) for key in HOSTILE))
    for key, request in zip(HOSTILE, requests, strict=True):
        assert_names(request, key)


def assert_names(request: Seen, key: str) -> None:
    assert re.fullmatch(r"/api/v2/orders/(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})+", request.path), "RFC 3986, 2.3"
    assert unquote(request.path.rpartition("/")[2], errors="strict") == key
    assert dict(parse_qsl(request.query, keep_blank_values=True, strict_parsing=True)) == {"id": key}
    assert unquote(request.headers["x-order"], errors="strict") == key


TYPED: list[tuple[JsonValue, str]] = [
    (-9223372036854775808, "-9223372036854775808"),
    (True, "true"),
    (Decimal("-0.10"), "-0.10"),
    (msgspec.Raw(b"12345678901234567890.1200"), "12345678901234567890.1200"),
    (1e300, "1e300"),
    (b"\x00\xff\xfb", "AP/7"),
    ("2026-03-01T12:30:15.1234567+00:00", "2026-03-01T12:30:15.1234567+00:00"),
    ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
]


def test_keys_of_each_type_stand_in_a_path_as_they_stand_in_json(raw: RawServer, tmp_path: Path) -> None:
    erp = sender(raw, tmp_path, ORDERS)
    _, requests = erp.send(*(erp.event({"OrderId": value}) for value, _ in TYPED))
    assert [unquote(request.path.rpartition("/")[2]) for request in requests] == [text for _, text in TYPED]


COLUMNS = st.lists(
    st.text(string.ascii_letters + " äß_", min_size=1, max_size=6), min_size=1, max_size=3, unique_by=str.lower
).filter(lambda names: all(name == name.strip() for name in names))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), columns=COLUMNS, separator=st.sampled_from(["/", ",", ";", "/x-", ":", "/a,b/"]))
def test_a_path_decodes_to_its_key_again_whatever_the_key_is(
    raw: RawServer, tmp_path: Path, data: st.DataObject, columns: list[str], separator: str
) -> None:
    finite = st.floats(allow_nan=False, allow_infinity=False)
    key: dict[str, Any] = {name: data.draw(st.one_of(VALUES, TEXTS, finite, st.sampled_from([".", "..", ""]))) for name in columns}
    places = separator.join(f"{{{name}}}" for name in columns)
    erp = sender(raw, tmp_path, f'delete = "DELETE /k/{places}"\n')
    texts = [value_text(value) for value in key.values()]
    try:
        event = erp.event(key)
    except Unfit:
        literal = separator.join(quote(text, safe="") for text in texts)
        assert any(segment in ("", ".", "..") for segment in literal.split("/")), "nothing else is refused"
        return
    _, (request,) = erp.send(event)
    assert [unquote(part, errors="strict") for part in request.path.removeprefix("/api/v2/k/").split(separator)] == texts


@pytest.mark.parametrize("key", ["", ".", ".."])
@pytest.mark.parametrize("path", ["/orders/{OrderId}", "/{OrderId}/lines", "/orders/{OrderId}/"])
def test_a_key_that_no_segment_can_hold_is_never_sent(raw: RawServer, tmp_path: Path, key: str, path: str) -> None:
    erp = sender(raw, tmp_path, f'delete = "DELETE {path}"\n')
    with pytest.raises(Unfit) as error:
        erp.event({"OrderId": key})
    assert "its key cannot stand in the path" in str(error.value)
    for other in ("/orders/id-{OrderId}", "/orders/'{OrderId}'"):
        request = sender(raw, tmp_path, f'delete = "DELETE {other}"\n').send_row({"OrderId": key})
        assert request.path == "/api/v2" + other.replace("{OrderId}", key)
    in_query = sender(raw, tmp_path, 'delete = "DELETE /orders"\n[relays.query]\nid = "{OrderId}"\n')
    assert in_query.send_row({"OrderId": key}).query == f"id={key}"


def test_a_dot_that_the_path_and_the_key_make_together_is_seen(raw: RawServer, tmp_path: Path) -> None:
    for path, key in (("/o/.{K}", "."), ("/o/.{K}", ""), ("/o/%2e{K}", "."), ("/o/{K}%2E", "")):
        with pytest.raises(Unfit):
            sender(raw, tmp_path, f'delete = "DELETE {path}"\n').event({"K": key})
    assert sender(raw, tmp_path, 'delete = "DELETE /o/.{K}"\n').send_row({"K": ".."}).path == "/api/v2/o/..."


# --- answers ---


@pytest.mark.parametrize("status", [404, 410])
def test_a_row_that_is_not_there_is_deleted_if_the_relay_says_so(raw: RawServer, tmp_path: Path, status: int) -> None:
    raw.handler = raw.answering(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
    told = {}
    for name, more in (
        ("without", ""),
        ("with", f"delete_success = [{status}]\n"),
        ("other", f"delete_success = [{814 - status}]\n"),
    ):
        erp = sender(raw, tmp_path, ORDERS + more)
        answers, _ = erp.send(erp.event({"OrderId": 1}), erp.event({"OrderId": 1}, {"OrderId": 1}))
        told[name] = [answer.verdict for answer in answers]
        assert answers[0].status == status
    assert told["without"] == told["other"] == [Verdict.REJECTED, Verdict.REJECTED]
    assert told["with"] == [Verdict.DELIVERED, Verdict.REJECTED], "a row that exists is never taken for accepted"


# --- former spellings ---


def test_a_former_spelling_is_deleted_by_the_same_rules(raw: RawServer, tmp_path: Path) -> None:
    erp = sender(raw, tmp_path, f'{ORDERS}[relays.headers]\nX-Order = "{{OrderId}}"\n')
    answers, requests = erp.send(erp.event({"OrderId": "A/B"}, {"OrderId": "A/B"}, former=({"OrderId": "a/b"},)))
    assert [answer.verdict for answer in answers] == [Verdict.DELIVERED]
    assert [(r.method, r.path, r.headers["x-order"]) for r in requests] == [
        ("DELETE", "/api/v2/orders/a%2Fb", "a%2Fb"),
        ("PUT", "/api/v2/orders/A%2FB", "A%2FB"),
    ]


def test_a_former_spelling_under_which_nothing_could_be_sent_is_left_out(raw: RawServer, tmp_path: Path) -> None:
    erp = sender(raw, tmp_path, ORDERS)
    _, requests = erp.send(erp.event({"OrderId": " "}, {"OrderId": " "}, former=({"OrderId": ""},)))
    assert [(request.method, request.path) for request in requests] == [("PUT", "/api/v2/orders/%20")]


# --- the events of a resync ---


def test_the_events_of_a_resync_go_to_a_path_of_their_own_or_nowhere(raw: RawServer, tmp_path: Path) -> None:
    more = '[relays.query]\nv = "2"\nid = "{OrderId}"\n[relays.headers]\nX-Tenant = "7"\nX-Order = "{OrderId}"\n'
    erp = sender(raw, tmp_path, f'{ORDERS}resync = "POST /orders/resync/{{$operation}}"\n{more}')
    _, (request,) = erp.send(build_resync_event(erp.shape, "r1", "begun", (0, 9), NOW))
    assert (request.method, request.path, request.query) == ("POST", "/api/v2/orders/resync/resync-begun", "v=2")
    assert request.json["type"] == "rowpost.resync.begun" and request.headers["x-tenant"] == "7"
    assert "x-order" not in request.headers
    for own in (ORDERS, 'delete = "DELETE /orders/{OrderId}"\n', 'body = "{}"\ndelete_body = "{}"\n'):
        assert sender(raw, tmp_path, own).shape.resync is None
    for own in ("", more, 'format = "plain"\n'):
        assert sender(raw, tmp_path, own).shape.resync is not None


# --- what goes without all this stays as it was ---


def test_a_relay_without_settings_of_its_own_sends_these_bytes(raw: RawServer, tmp_path: Path) -> None:
    plain = sender(raw, tmp_path, "", f'{TARGET}[targets.headers]\nX-Api-Key = "k"\n')
    plain.send(plain.event({"OrderId": 1}, {"OrderId": 1, "Name": "Zoë"}))
    host = raw.url.split("/")[2]
    head, _, body = raw.requests[-1].partition(b"\r\n\r\n")
    agent = seen(raw.requests[-1]).headers["user-agent"]
    assert head.decode().split("\r\n") == [
        "POST /api/v2 HTTP/1.1",
        f"Host: {host}",
        f"User-Agent: {agent}",
        "Accept-Encoding: identity",
        "Accept: */*",
        "Connection: keep-alive",
        f"traceparent: {seen(raw.requests[-1]).headers['traceparent']}",
        "Idempotency-Key: 1c7d357e5b9d9af9288a23ff839df3dd",
        "Rowpost-Version: 7",
        "Rowpost-Epoch: 0",
        "Content-Type: application/cloudevents+json",
        "X-Api-Key: k",
        f"Content-Length: {len(body)}",
    ]
    assert body.decode() == (
        '{"specversion":"1.0","id":"1c7d357e5b9d9af9288a23ff839df3dd","source":"rowpost","type":"rowpost.row.upserted",'
        '"subject":"dbo.Orders/d00c591f7801625a","time":"2026-03-01T12:30:15.123Z","sequence":"00000000000000000007",'
        '"datacontenttype":"application/json","data":{"table":"dbo.Orders","operation":"upsert","key":{"OrderId":1},"epoch":0,'
        '"version":7,"row":{"OrderId":1,"Name":"Zoë"}}}'
    )
