"""The class of a failure, from each error as the app words it."""

from __future__ import annotations

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from rowpost.http.failures import describe
from rowpost.rules.answer import NOT_TRIED, classify
from rowpost.rules.error_class import ERROR_CLASSES, error_class
from rowpost.rules.fate import TARGET_DOWN, UNSETTLED, unreadable
from rowpost.rules.row import CHANGING, FORGOTTEN, HIDDEN
from rowpost.target.under_way import NO_ANSWER


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (101, "other"),
        (302, "redirect"),
        (400, "rejected"),
        (401, "unauthorized"),
        (403, "unauthorized"),
        (404, "rejected"),
        (408, "timeout"),
        (409, "rejected"),
        (413, "rejected"),
        (422, "rejected"),
        (425, "throttled"),
        (429, "throttled"),
        (500, "server_error"),
        (503, "server_error"),
        (599, "server_error"),
    ],
)
def test_an_answer_has_the_class_of_its_status(status: int, expected: str) -> None:
    answer = classify(status, {})
    assert error_class(answer.status, answer.error) == expected
    assert error_class(None, answer.error) == expected, "a notice has the error only"
    assert error_class(answer.status, None) == expected


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (requests.ConnectTimeout(), "timeout"),
        (requests.ReadTimeout(), "timeout"),
        (requests.ConnectionError(), "unreachable"),
        (requests.exceptions.SSLError(), "tls"),
        (ValueError("x"), "other"),
    ],
)
def test_a_failed_exchange(raised: Exception, expected: str) -> None:
    assert error_class(None, describe(raised)) == expected
    assert error_class(None, f"the token endpoint: {describe(raised, 'the token endpoint')}") == "unauthorized"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NO_ANSWER.error, "timeout"),
        (f"{NOT_TRIED}: {TARGET_DOWN}", "unreachable"),
        (f"{NOT_TRIED}: the row has changed", "other"),
        (unreadable("SQL Server error 8134").error, "unreadable"),
        (HIDDEN, "unreadable"),
        (FORGOTTEN, "unreadable"),
        (CHANGING, "unreadable"),
        (UNSETTLED, "other"),
        ("the row has 70000000 bytes, and at most 67108864 are sent", "unfit"),
        ("its event has 300000 bytes, and at most 262144 are sent (max_event_bytes)", "unfit"),
        ("its key cannot stand in the path of the request: a part of the path would be empty, or . or ..", "unfit"),
        ("the database failed (08001): x; the database cannot be reached", "database"),
        ("the answer of the database could not be read (ValueError)", "database"),
        ("HTTP 400 to a request with several events", "rejected"),
        ("the Key Vault: HTTP 403: give the app's identity the role Key Vault Secrets User", "unauthorized"),
        ("the managed identity: no token (CredentialUnavailableError); check it", "unauthorized"),
        (None, "other"),
    ],
)
def test_an_error_without_a_status(error: str | None, expected: str) -> None:
    assert error_class(None, error) == expected


def test_an_answer_that_says_nothing_of_an_event_is_of_no_class_of_its_own() -> None:
    assert error_class(207, "the answer has no status for this event") == "other"


@given(st.none() | st.integers(), st.none() | st.text())
def test_whatever_is_stored_has_one_of_the_classes(status: int | None, error: str | None) -> None:
    assert error_class(status, error) in ERROR_CLASSES
