"""The state of a relay in a word and a sentence, and how late it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.relay_state import Lag, RelayFacts, lag_of, margin_seconds, relay_state

NOW, EARLIER = "2026-03-01T09:00:00.5000000", "2026-03-01T08:15:00.1234567"


@pytest.mark.parametrize(
    ("facts", "word", "part"),
    [
        (RelayFacts(), "ok", "All changes are delivered."),
        (RelayFacts(dead=1), "ok", "1 row was given up"),
        (
            RelayFacts(waiting=2, lag=Lag(90, at_least=True, since=EARLIER)),
            "catching_up",
            "2 rows wait to be sent, the oldest for at least 90 s",
        ),
        (RelayFacts(waiting=3, failing={"timeout": 1, "rejected": 2}), "failing", "3 rows fail (rejected 2, timeout 1)"),
        (RelayFacts(waiting=3, failing={"timeout": 3}, openings=2, open_until="T"), "outage", "called again at T"),
        (RelayFacts(waiting=3, openings=2, paused_since="T"), "paused", "paused since T; 3 rows wait"),
        (RelayFacts(waiting=3, paused_since="T", problem="no table."), "cannot_run", "cannot run: no table."),
    ],
)
def test_the_first_that_holds_is_told(facts: RelayFacts, word: str, part: str) -> None:
    state, sentence = relay_state(facts)
    assert state == word and part in sentence


@given(
    st.builds(
        RelayFacts, st.integers(0, 9), st.integers(0, 9), st.dictionaries(st.sampled_from(["tls", "other"]), st.integers(1, 9))
    )
)
def test_there_is_always_one_sentence(facts: RelayFacts) -> None:
    assert relay_state(facts)[1].endswith(".")


def test_the_lag_is_exact_for_failures_and_a_lower_bound_for_what_was_never_handed_out() -> None:
    assert lag_of(NOW, None, None, waits=False, seen=None) == Lag(0, at_least=False, since=None)
    assert lag_of(NOW, 60, "T", waits=False, seen=None) == Lag(60, at_least=False, since="T")
    assert lag_of(NOW, None, None, waits=True, seen=EARLIER) == Lag(2700, at_least=True, since=EARLIER)
    assert lag_of(NOW, 60, "T", waits=True, seen=EARLIER).seconds == 2700
    assert lag_of(NOW, 9000, "T", waits=True, seen=EARLIER) == Lag(9000, at_least=False, since="T")
    assert lag_of(NOW, None, None, waits=True, seen=None) == Lag(0, at_least=True, since=None)


def test_the_margin_of_the_retention_is_what_is_left_at_least() -> None:
    assert margin_seconds(NOW, 60, waits=False, unseen=None) == 3600
    assert margin_seconds(NOW, 60, waits=True, unseen=EARLIER) == 900
    assert margin_seconds(NOW, 30, waits=True, unseen=EARLIER) == 0
    assert margin_seconds(NOW, 60, waits=True, unseen=None) is None
