"""An event that is sent for the sake of a snapshot says so, in each form; any other event is as it would be without snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rowpost.rules.resync import Cause
from rowpost.rules.row import ClaimedRow
from rowpost.target.event import build_event, build_resync_event
from tests.harness.raw_server import RawServer
from tests.harness.requests import NOW, Seen, Sender

KEY: dict[str, Any] = {"OrderId": 7}
VALUES: dict[str, Any] = {"OrderId": 7, "Customer": "Ada"}
SNAPSHOT = "5f0c4a55-0000-5000-8000-000000000001"


def sender(raw: RawServer, folder: Path, relay: str = "") -> Sender:
    return Sender(f'[[targets]]\nname = "api"\nurl = "{{URL}}"\n[[relays]]\ntable = "dbo.Orders"\n{relay}', folder, raw)


def sent(api: Sender, snapshot: str | None, values: dict[str, Any] | None = VALUES, former: tuple[Any, ...] = ()) -> list[Seen]:
    row = ClaimedRow(KEY, 7, 1, leased=True, values=values, snapshot=snapshot)
    row.former = former
    return api.send(build_event(api.shape, row, 3, None, NOW))[1]


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-binary", "plain"])
def test_the_mark_is_a_member_of_the_change_and_a_header(raw: RawServer, tmp_path: Path, form: str) -> None:
    api = sender(raw, tmp_path, f'format = "{form}"\n')
    (with_mark,), (without,) = sent(api, SNAPSHOT), sent(api, None)
    change, other = ((each.json["data"] if form == "cloudevents" else each.json) for each in (with_mark, without))
    assert change == {**other, "snapshot": SNAPSHOT} and "snapshot" not in other
    assert with_mark.headers["rowpost-snapshot"] == SNAPSHOT and "rowpost-snapshot" not in without.headers
    assert with_mark.headers["idempotency-key"] == without.headers["idempotency-key"]
    if form == "cloudevents":
        assert with_mark.json["type"] == without.json["type"] == "rowpost.row.upserted"


def test_a_bare_row_and_a_request_without_a_body_have_it_in_the_header(raw: RawServer, tmp_path: Path) -> None:
    api = sender(raw, tmp_path, 'format = "row"\ndelete = "DELETE /orders/{OrderId}"\n')
    (bare,), (deleted,) = sent(api, SNAPSHOT), sent(api, SNAPSHOT, None)
    assert bare.json == VALUES and deleted.raw == b""
    assert bare.headers["rowpost-snapshot"] == deleted.headers["rowpost-snapshot"] == SNAPSHOT


def test_a_template_can_name_it_and_it_is_an_empty_text_without(raw: RawServer, tmp_path: Path) -> None:
    body = '{"id": "{OrderId}", "load": "{$snapshot}"}'
    more = 'delete = "DELETE /orders/{OrderId}"\n'
    more += f'upsert = "PUT /orders/{{OrderId}}"\nbody = \'{body}\'\nquery = {{s = "{{$snapshot}}"}}\n'
    api = sender(raw, tmp_path, more)
    (with_mark,), (without,) = sent(api, SNAPSHOT), sent(api, None)
    assert with_mark.json == {"id": 7, "load": SNAPSHOT} and with_mark.query == f"s={SNAPSHOT}"
    assert without.json == {"id": 7, "load": ""} and without.query == "s="


def test_the_events_of_a_snapshot_have_its_id_and_its_cause(raw: RawServer, tmp_path: Path) -> None:
    api = sender(raw, tmp_path, 'resync = "POST /whole/{$snapshot}"\n')
    for cause in Cause:
        for phase in ("begun", "completed"):
            _, (request,) = api.send(build_resync_event(api.shape, SNAPSHOT, phase, (3, 9), NOW, cause))  # type: ignore[arg-type]
            assert (request.json["data"]["resync"], request.json["data"]["cause"]) == (SNAPSHOT, cause.value)
            assert request.headers["rowpost-snapshot"] == SNAPSHOT and request.path.endswith(f"/whole/{SNAPSHOT}")


def test_the_deletion_of_a_former_spelling_is_not_marked(raw: RawServer, tmp_path: Path) -> None:
    requests = sent(sender(raw, tmp_path), SNAPSHOT, former=({"OrderId": 8},))
    assert [(request.json["data"]["operation"], request.headers.get("rowpost-snapshot")) for request in requests] == [
        ("delete", None),
        ("upsert", SNAPSHOT),
    ]
