"""A status for each event: what counts as one, and that nothing that is unclear is a success."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.answer import MAX_RETRY_AFTER_SECONDS, Answer, Verdict
from rowpost.rules.batch_answer import answers_by_id

IDS = ["a", "b", "c"]
OK = Answer(Verdict.DELIVERED, 200)


def read(document: Any, status: int = 207, *, is_json: bool = True, accepts: frozenset[int] = frozenset()) -> list[Answer] | None:
    content = document if document is None or isinstance(document, bytes) else json.dumps(document).encode()
    return answers_by_id(status, content, is_json=is_json, ids=IDS, accepts=[accepts] * 3)


def verdicts(answers: list[Answer] | None) -> list[str]:
    assert answers is not None
    return [answer.verdict.value for answer in answers]


def entry(name: str, status: int = 200, **more: Any) -> dict[str, Any]:
    return {"id": name, "status": status, **more}


@pytest.mark.parametrize("wrap", [list, *(lambda x, n=n: {n: x, "took": 3} for n in ("results", "items", "responses"))])
@pytest.mark.parametrize("status", [200, 202, 207])
def test_each_event_has_its_own_status_in_any_order(wrap: Any, status: int) -> None:
    found = read(wrap([entry("c", 503), entry("a"), entry("b", 422)]), status)
    assert found == [
        OK,
        Answer(Verdict.REJECTED, 422, "HTTP 422"),
        Answer(Verdict.TRANSIENT, 503, "HTTP 503"),
    ]


def test_an_index_is_the_place_in_the_request() -> None:
    assert verdicts(read([{"index": 2, "status": 422}, {"index": 0, "status": 200}, {"index": 1, "status": 200}])) == [
        "delivered",
        "delivered",
        "rejected",
    ]
    assert verdicts(read([{"index": 7, "status": 200}, entry("a")])) == ["delivered", "transient", "transient"]


@pytest.mark.parametrize("status", [200, 207])
@pytest.mark.parametrize("document", [[entry("a")], [], {"results": []}, [entry("a"), entry("of another")]])
def test_an_event_that_is_missing_is_no_success(document: Any, status: int) -> None:
    found = read(document, status)
    assert found is not None and found[1:] == [Answer(Verdict.TRANSIENT, status, "the answer has no status for this event")] * 2


UNCLEAR: dict[str, Any] = {
    "an id twice": [entry("a"), entry("b"), entry("c"), entry("a", 500)],
    "an id and its index": [entry("a"), entry("b"), entry("c"), {"index": 0, "status": 200}],
    "two arrays": {"results": [entry("a")], "items": [entry("a", 422)]},
    "something among them": [entry("a"), entry("b"), "c"],
    "one without a status": [entry("a"), entry("b"), {"id": "c"}],
    "a status that is none": [entry("a"), entry("b"), entry("c", 700)],
    "a status that is text": [entry("a"), entry("b"), {"id": "c", "status": "200"}],
    "a status that is true": [entry("a"), entry("b"), {"id": "c", "status": True}],
    "a negative index": [entry("a"), entry("b"), {"index": -1, "status": 200}],
}


@pytest.mark.parametrize("status", [200, 207])
@pytest.mark.parametrize("document", UNCLEAR.values(), ids=UNCLEAR)
def test_what_is_unclear_is_tried_again_as_a_whole(document: Any, status: int) -> None:
    assert read(document, status) == [Answer(Verdict.TRANSIENT, status, "the answer does not say what became of each event")] * 3


NO_STATUSES: list[Any] = [
    b"",
    b"ok",
    b"[",
    b"\xff",
    b"[" * 100_000,
    b"1e999",
    b"null",
    {},
    {"status": 200, "id": "a"},
    {"data": [entry("a", 422)]},
    [{"id": 7, "status": "active"}],  # the rows as they are kept there
    ["a", "b"],
]


@pytest.mark.parametrize("document", NO_STATUSES, ids=lambda each: repr(each)[:20])
def test_without_statuses_a_success_is_that_of_all_but_for_207(document: Any) -> None:
    assert read(document, 200) is None
    assert verdicts(read(document, 207)) == ["transient"] * 3


def test_an_answer_that_is_not_whole_is_no_success_if_it_may_have_had_statuses() -> None:
    assert read(None, 200, is_json=False) is None
    assert read(None, 200) == read(None, 202 - 2) == [Answer(Verdict.TRANSIENT, 200, "the answer is too long or breaks off")] * 3
    assert verdicts(read(None, 207, is_json=False)) == ["transient"] * 3


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(30, 30), (1.6, 2), (0, 0), (10**9, MAX_RETRY_AFTER_SECONDS), (-1, None), ("30", None), (True, None), (None, None)],
)
def test_an_event_may_have_a_time_to_wait(asked: Any, seconds: int | None) -> None:
    found = read([entry("a", 429, retry_after=asked), entry("b", 422, retry_after=30), entry("c")])
    assert found is not None
    assert [answer.retry_after_seconds for answer in found] == [seconds, None, None]


def test_what_is_a_success_for_a_deletion_is_one_here_too() -> None:
    assert verdicts(read([entry("a", 404), entry("b", 410), entry("c")], accepts=frozenset({404}))) == [
        "delivered",
        "rejected",
        "delivered",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 999) | st.text(max_size=3) | st.sampled_from(IDS),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "status", "index", "results", "items", "retry_after"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([200, 207]))
def test_no_answer_makes_it_fail_or_lets_a_207_deliver_what_it_does_not_name(document: Any, status: int) -> None:
    found = read(document, status)
    if found is None:
        assert status == 200
        return
    text = json.dumps(document)
    for name, answer in zip(IDS, found, strict=True):
        assert answer.verdict is not Verdict.DELIVERED or f'"{name}"' in text or '"index"' in text
