"""Bodies at the wire: the forms, templates, numbers that no double rounds, compression, and the limit of a body."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowpost.rules.json_text import JsonValue
from rowpost.rules.placeholders import Placeholder
from rowpost.target.event import build_event, build_resync_event
from rowpost.target.request import Unfit
from rowpost.target.shape import Shape
from tests.harness.raw_server import RawServer
from tests.harness.requests import NOW, Seen, Sender
from tests.harness.rows import VALUES, exact, row

TARGET = '[[targets]]\nname = "api"\nurl = "{URL}"\nsource = "/sql/größe %"\n'
KEY: dict[str, JsonValue] = {"OrderId": 7}
ROW: dict[str, JsonValue] = {
    "OrderId": 7,
    "Customer": 'Ada "L" {x}',
    "Total": msgspec.Raw(b"10.50"),
    "Big": 2**53 + 1,
    "Open": True,
    "Note": None,
    "Photo": b"\x00\x01",
    "Ratio": 0.5,
}


def sender(raw: RawServer, folder: Path, relay: str = "", target: str = "", table: str = "dbo.Orders") -> Sender:
    return Sender(f'{TARGET}{target}[[relays]]\ntable = "{table}"\n{relay}', folder, raw)


# --- CloudEvents, as the SDK reads them ---


def read_by_the_sdk(request: Seen) -> Any:
    return from_http_event(HTTPMessage(request.headers, request.body))


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-binary"])
@pytest.mark.parametrize("values", [ROW, None], ids=["upsert", "delete"])
def test_the_sdk_of_cloudevents_reads_both_modes(raw: RawServer, tmp_path: Path, form: str, values: Any) -> None:
    request = sender(raw, tmp_path, f'format = "{form}"\n', table="dbo.Größe").send_row(KEY, values)
    event = read_by_the_sdk(request)
    assert event.get_id() == request.headers["idempotency-key"]
    assert (event.get_source(), event.get_subject()[:10]) == ("/sql/größe %", "dbo.Größe/")
    assert event.get_type() == f"rowpost.row.{'deleted' if values is None else 'upserted'}"
    assert event.get_time().isoformat() == "2026-03-01T12:30:15.123000+00:00"
    assert (event.get_datacontenttype(), event.get_extension("sequence")) == ("application/json", "00000000000000000007")
    assert event.get_data()["key"] == KEY and event.get_data()["operation"] == ("delete" if values is None else "upsert")
    assert (event.get_data()["row"] or {}).get("Customer") == (values or {}).get("Customer")
    assert request.headers["content-type"] == ("application/json" if form.endswith("binary") else "application/cloudevents+json")


def test_a_delete_in_binary_mode_is_a_cloud_event_without_data(raw: RawServer, tmp_path: Path) -> None:
    request = sender(raw, tmp_path, 'format = "cloudevents-binary"\ndelete = "DELETE /orders/{OrderId}"\n').send_row(KEY)
    assert request.raw == b"" and "content-type" not in request.headers
    assert read_by_the_sdk(request).get_type() == "rowpost.row.deleted"


def test_the_events_of_a_resync_have_the_form_of_the_others(raw: RawServer, tmp_path: Path) -> None:
    api = sender(raw, tmp_path, 'format = "cloudevents-binary"\n')
    _, (request,) = api.send(build_resync_event(api.shape, "r1", "completed", (0, 2**60), NOW))
    event = read_by_the_sdk(request)
    assert (event.get_type(), event.get_data()["since"]) == ("rowpost.resync.completed", str(2**60))
    bare = sender(raw, tmp_path, 'format = "row"\ndelete = "DELETE /{OrderId}"\nresync = "POST /resync"\n')
    _, (request,) = bare.send(build_resync_event(bare.shape, "r1", "begun", (0, 9), NOW))
    assert (request.json["operation"], request.json["since"], request.path) == ("resync-begun", 9, "/resync")


# --- the bare row ---


def test_the_bare_row(raw: RawServer, tmp_path: Path) -> None:
    api = sender(raw, tmp_path, 'delete = "POST /removed"\n', 'format = "row"\n')
    request = api.send_row(KEY, {"OrderId": 7, "Name": "Zoë"})
    assert (request.raw, request.headers["content-type"]) == ('{"OrderId":7,"Name":"Zoë"}'.encode(), "application/json")
    assert api.send_row(KEY).raw == b'{"OrderId":7}', "of a deleted row the key is all that is known"


# --- numbers ---


def test_by_default_no_number_is_one_that_javascript_would_round(raw: RawServer, tmp_path: Path) -> None:
    request = sender(raw, tmp_path).send_row(KEY, ROW)
    sent = exact(request.body)["data"]["row"]
    assert (sent["Total"], sent["Big"], sent["OrderId"], sent["Ratio"], sent["Open"]) == (
        "10.50",
        "9007199254740993",
        7,
        Decimal("0.5"),
        True,
    )
    assert json.loads(request.body) == json.loads(json.dumps(json.loads(request.body), allow_nan=False))


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (2**53 - 1, "9007199254740991"),
        (-(2**53) + 1, "-9007199254740991"),
        (2**53, '"9007199254740992"'),
        (-(2**53), '"-9007199254740992"'),
        (2**63 - 1, '"9223372036854775807"'),
        (msgspec.Raw(b"0.0000000001"), '"0.0000000001"'),
        (Decimal("1.00"), '"1.00"'),
        (1e300, "1e300"),
        (False, "false"),
    ],
)
def test_the_edge_of_what_is_a_text(number: JsonValue, written: str) -> None:
    shapes = {"string": written, "exact": written.strip('"')}
    for numbers, expected in shapes.items():
        for form in ("plain", "row", "cloudevents"):
            shape = Shape("dbo.Orders", form=form, numbers=numbers)  # type: ignore[arg-type]
            body = build_event(shape, row(values={"N": number}, key={"N": number}), 0, None, NOW).body.decode()
            assert f'{{"N":{expected}}}' in body and (form == "row" or f'"key":{{"N":{expected}}}' in body)


@settings(max_examples=100, deadline=None)
@given(values=st.dictionaries(st.text(max_size=6), VALUES, max_size=6))
def test_a_reader_with_doubles_loses_nothing_of_the_default(values: dict[str, JsonValue]) -> None:
    body = build_event(Shape("dbo.Orders", form="row"), row(values=values), 0, None, NOW).body
    as_doubles = json.loads(body, parse_int=float, parse_float=float)
    for name, value in exact(body).items():
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            assert Decimal(as_doubles[name]) == value
    for name, value in values.items():
        if isinstance(value, Decimal):
            assert Decimal(as_doubles[name]) == value


def test_the_relay_may_say_how_numbers_are_written(raw: RawServer, tmp_path: Path) -> None:
    for target, relay, expected in (("exact", "", "10.50"), ("exact", "string", '"10.50"'), ("string", "exact", "10.50")):
        own = f'numbers = "{relay}"\n' if relay else ""
        request = sender(raw, tmp_path, own, f'numbers = "{target}"\n').send_row(KEY, ROW)
        assert f'"Total":{expected},' in request.body.decode()


# --- templates ---

TEMPLATE = """
delete = "DELETE /orders/{OrderId}"
[relays.body]
id = "{OrderId}"
name = "{customer}"
total = "{Total}"
big = "{Big}"
open = "{Open}"
note = "{Note}"
photo = "{Photo}"
ratio = "{Ratio}"
text = "no {OrderId}: {Total}, {Open}, {Note}; {{x}} {$table}"
kind = "order"
level = 3
rate = 0.25
live = true
items = ["{OrderId}", 1, { deep = "{$version}" }]
event = { id = "{$id}", source = "{$source}", type = "{$type}", at = "{$time}", sequence = "{$sequence}", epoch = "{$epoch}" }
what = "{$operation}"
subject = "{$subject}"
key = "{$key}"
row = "{$row}"
"""


@pytest.mark.parametrize("numbers", ["string", "exact"])
def test_a_template_has_values_with_their_types_other_names_and_constants(raw: RawServer, tmp_path: Path, numbers: str) -> None:
    api = sender(raw, tmp_path, TEMPLATE, f'numbers = "{numbers}"\n')
    event = api.event(KEY, ROW)
    _, (request,) = api.send(event)
    total: Any = "10.50" if numbers == "string" else Decimal("10.50")
    big: Any = str(2**53 + 1) if numbers == "string" else 2**53 + 1
    body = exact(request.body)
    assert request.headers["content-type"] == "application/json"
    assert body.pop("row") == {**ROW, "Total": total, "Big": big, "Photo": "AAE="}
    assert body.pop("event") == {
        "id": event.id,
        "source": "/sql/größe %",
        "type": "rowpost.row.upserted",
        "at": "2026-03-01T12:30:15.123Z",
        "sequence": "00000000000000000007",
        "epoch": 0,
    }
    assert body.pop("subject").startswith("dbo.Orders/")
    assert body == {
        "id": 7,
        "name": 'Ada "L" {x}',
        "total": total,
        "big": big,
        "open": True,
        "note": None,
        "photo": "AAE=",
        "ratio": Decimal("0.5"),
        "text": "no 7: 10.50, true, ; {x} dbo.Orders",
        "kind": "order",
        "level": 3,
        "rate": Decimal("0.25"),
        "live": True,
        "items": [7, 1, {"deep": 7}],
        "what": "upsert",
        "key": KEY,
    }
    assert request.headers["rowpost-version"] == "7" and request.headers["idempotency-key"] == event.id


def test_a_template_may_be_json_text_with_constants_as_they_are_written(raw: RawServer, tmp_path: Path) -> None:
    text = """body = '''[{"id": "{OrderId}", "nothing": null, "rate": 1.10, "huge": 12345678901234567890}]'''"""
    api = sender(raw, tmp_path, f"{text}\ndelete_body = '\"gone {{OrderId}}\"'\n")
    assert api.send_row(KEY, ROW).body == b'[{"id":7,"nothing":null,"rate":1.10,"huge":12345678901234567890}]'
    assert api.send_row(KEY).body == b'"gone 7"'


def test_a_delete_has_a_body_if_it_has_a_template(raw: RawServer, tmp_path: Path) -> None:
    request = sender(raw, tmp_path, 'delete = "DELETE /orders"\ndelete_body = { id = "{OrderId}" }\n').send_row(KEY)
    assert (request.method, request.body, request.headers["content-type"]) == ("DELETE", b'{"id":7}', "application/json")


def test_what_may_not_leave_is_null_in_a_template() -> None:
    shape = Shape("dbo.Orders", body={"a": _place("Customer"), "b": _place("OrderId"), "c": _place("Total")})
    event = build_event(shape, row(values=ROW, key=KEY), 0, ["Total"], NOW)
    assert json.loads(event.body) == {"a": None, "b": 7, "c": "10.50"}


def _place(name: str) -> Any:
    return (Placeholder(name),)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.one_of(VALUES, st.text(max_size=20)))
def test_whatever_a_value_is_a_template_stays_json(raw: RawServer, tmp_path: Path, value: JsonValue) -> None:
    api = sender(raw, tmp_path, 'body = { v = "{V}", text = "<{V}>" }\ndelete_body = "{}"\n', 'numbers = "exact"\n')
    sent = exact(api.event({"V": 1}, {"V": value}).body)
    plain = exact(build_event(Shape("dbo.Orders", form="row", numbers="exact"), row(values={"V": value}), 0, None, NOW).body)
    assert sent["v"] == plain["V"]
    assert sent["text"].startswith("<") and sent["text"].endswith(">")


def test_braces_and_quotes_of_a_setting_are_text_in_a_template(raw: RawServer, tmp_path: Path) -> None:
    secret = 'a"b\\c{OrderId}'
    for body in ('body = \'{"k": "%SECRET%"}\'\n', 'body = { k = "%SECRET%" }\n'):
        api = Sender(f'{TARGET}[[relays]]\ntable = "a.b"\n{body}delete_body = "{{}}"\n', tmp_path, raw, SECRET=secret)
        assert api.send_row(KEY, ROW).json == {"k": secret}


# --- compression ---


def test_bodies_are_compressed_from_a_size_on(raw: RawServer, tmp_path: Path) -> None:
    api = sender(raw, tmp_path, 'format = "plain"\n', "gzip = 200\n")
    short, long = api.send_row({"K": 1}, {"K": 1}), api.send_row({"K": 1}, {"K": 1, "Note": "x" * 5000})
    assert "content-encoding" not in short.headers and len(short.raw) < 200
    assert long.headers["content-encoding"] == "gzip" and len(long.raw) < 300
    assert int(long.headers["content-length"]) == len(long.raw)
    assert long.json["row"]["Note"] == "x" * 5000 and long.headers["content-type"] == "application/json"
    for size, expected in ((len(short.raw), True), (len(short.raw) + 1, False)):
        edge = sender(raw, tmp_path, 'format = "plain"\n', f"gzip = {size}\n").send_row({"K": 1}, {"K": 1})
        assert ("content-encoding" in edge.headers) is expected
    gone = sender(raw, tmp_path, 'delete = "DELETE /{K}"\n', "gzip = 1\n").send_row({"K": 1})
    assert gone.raw == b"" and "content-encoding" not in gone.headers


# --- the limit ---


def test_an_event_that_is_too_large_is_not_made(raw: RawServer, tmp_path: Path) -> None:
    free = sender(raw, tmp_path, 'format = "plain"\n')
    size = len(free.event(KEY, ROW).body)
    for target, relay in ((f"max_event_bytes = {size}\n", ""), ("max_event_bytes = 1\n", f"max_event_bytes = {size}\n")):
        fits = sender(raw, tmp_path, f'format = "plain"\n{relay}', f"{target}gzip = 1\n")
        assert len(fits.event(KEY, ROW).body) == size
        with pytest.raises(Unfit) as error:
            fits.event(KEY, {**ROW, "Customer": "secret-value-of-the-row"})
        assert f"its event has {size + 10} bytes, and at most {size} are sent (max_event_bytes)" == str(error.value)
