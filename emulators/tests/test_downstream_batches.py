"""Requests with several events at the downstream emulator: forms, limits, and a status for each."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from emulators.downstream.api import Downstream
from emulators.tests.test_downstream import api, change, event

__all__ = ["api"]


def post(api: Downstream, body: Any, kind: str = "application/json", **headers: str) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(f"{api.url}/rows", data=data, headers={"Content-Type": kind} | headers, timeout=10)


def lines(*changes: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in changes)


def test_arrays_and_lines_are_read_as_one_change_each(api: Downstream) -> None:
    assert post(api, [change(1), change(2)]).status_code == 202
    assert post(api, lines(change(3), change(4)), "application/x-ndjson").status_code == 202
    assert api.counters()["accepted"] == 4 and [attempt.request for attempt in api.attempts()] == [1, 1, 2, 2]
    assert post(api, b"{]\n", "application/x-ndjson").status_code == 400


def test_changes_without_an_id_are_told_by_their_places(api: Downstream) -> None:
    api.set_settings(batch="per_event", per_event_status=200)
    api.add_rule(match={"key": {"OrderId": 2}}, status=429, retry_after=7)
    answer = post(api, [change(1), change(2)])
    assert answer.status_code == 200
    assert answer.json() == {"results": [{"index": 0, "status": 202}, {"index": 1, "status": 429, "retry_after": 7}]}


def test_an_event_may_be_left_out_of_the_answer(api: Downstream) -> None:
    api.set_settings(batch="per_event")
    api.add_rule(match={"key": {"OrderId": 2}}, status=202, accept=True, omit=True)
    answer = post(api, [event(1), event(2)], "application/cloudevents-batch+json")
    assert answer.json() == {"results": [{"id": "1-10", "status": 202}]}
    assert [(attempt.status, attempt.outcome) for attempt in api.attempts()] == [(202, "accepted"), (None, "accepted")]


@pytest.mark.parametrize("limit", [{"batch_events": 2}, {"batch_bytes": 400}])
def test_a_batch_that_is_too_large_is_answered_413(api: Downstream, limit: dict[str, int]) -> None:
    api.set_settings(**limit)
    some = [event(number) for number in (1, 2, 3)]
    assert post(api, some, "application/cloudevents-batch+json").status_code == 413
    assert post(api, some[:2], "application/cloudevents-batch+json").status_code == (202 if "batch_events" in limit else 413)
    assert post(api, some[0], "application/cloudevents+json").status_code == 202, "one alone is no batch"
    assert [(attempt.outcome, attempt.whole) for attempt in api.attempts()][:3] == [("too_large", True)] * 3


def test_who_is_refused_for_a_neighbour_is_told_apart(api: Downstream) -> None:
    api.add_rule(match={"key": {"OrderId": 2}}, status=422)
    assert post(api, [change(1), change(2)]).status_code == 422
    assert [(attempt.outcome, attempt.whole) for attempt in api.attempts()] == [("spoiled", True), ("refused", True)]
    assert post(api, [change(2)]).status_code == 422
    assert api.attempts()[-1].whole is False


def test_a_lost_answer_is_lost_for_all_of_its_events(api: Downstream) -> None:
    api.add_rule(match={"key": {"OrderId": 2}}, status=202, accept=True, answer="reset_after_accept")
    with pytest.raises(requests.ConnectionError):
        post(api, [change(1), change(2)])
    assert [(attempt.status, attempt.outcome) for attempt in api.attempts()] == [(None, "accepted")] * 2
    assert api.numbers_beside(2) == {1, 2}
