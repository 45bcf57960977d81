"""The story of a row: each state of things has its sentence, and there is always one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.lease import REDELIVERED_VERSION
from rowpost.rules.lifecycle import State
from rowpost.rules.story import LeaseFacts, RecordFacts, RowFacts, story

T = "2026-03-01T08:15:00Z"


def record(state: str = "held", version: int = 5, attempts: int = 3, error: str | None = "HTTP 503") -> RecordFacts:
    return RecordFacts(state, version, attempts, error, T, "2026-03-01T09:00:00Z")


def waiting(**facts: Any) -> RowFacts:
    return RowFacts(**{"exists": True, "tracked_version": 5, "cursor": 1, **facts})


CASES = {
    "no such row": (RowFacts(cursor=9), "There is no such row"),
    "never changed": (RowFacts(exists=True, cursor=9), "has not changed since its changes are kept"),
    "the trigger has never started": (RowFacts(exists=True, tracked_version=5), "the trigger has never started"),
    "delivered, by the cursor": (
        waiting(cursor=9),
        "Nothing waits: its last change, of version 5",
    ),
    "delivered, by its lease": (waiting(lease=LeaseFacts(5, 0)), "Nothing waits"),
    "delivered and forgotten": (RowFacts(exists=True, cursor=9, lease=LeaseFacts(5, 0)), "does not keep it any more"),
    "deleted or hidden": (RowFacts(tracked_version=5, cursor=9, obstacle="a security policy may hide it"), "policy may hide it"),
    "not handed out yet": (waiting(), "waits to be handed out"),
    "changed again": (
        waiting(tracked_version=7, lease=LeaseFacts(5, 0)),
        "version 7 waits to be handed out",
    ),
    "behind an open breaker": (waiting(breaker_open_until=T), f"posted until {T}"),
    "paused": (waiting(paused_since=T), f"paused since {T}"),
    "left out": (
        waiting(filtered="`watch` leaves the change out"),
        "is not sent: `watch`",
    ),
    "left out before": (
        waiting(cursor=9, filtered="`watch` leaves it out"),
        "Nothing waits: its last",
    ),
    "in a batch": (waiting(lease=LeaseFacts(5, 1, T)), "being sent now, by a batch"),
    "with recovery": (
        waiting(lease=LeaseFacts(REDELIVERED_VERSION, 1, T)),
        "being sent now, by recovery",
    ),
    "handed back": (waiting(lease=LeaseFacts(5, 0, T)), "handed out and not tried"),
    "its process ended": (
        waiting(lease=LeaseFacts(5, 1, T, over=True)),
        "nobody has settled",
    ),
    "parked": (waiting(lease=LeaseFacts(5, -1, T)), "the watchdog gives it to recovery"),
    "retrying": (waiting(record=record("retrying")), "has failed 3 times"),
    "failed once": (RowFacts(exists=True, tracked_version=5, record=record("retrying", attempts=1)), "has failed once"),
    "exhausted": (RowFacts(exists=True, tracked_version=5, record=record("exhausted")), "recovery plans its next round"),
    "held": (RowFacts(exists=True, tracked_version=5, record=record()), "the next try is at 2026-03-01T09:00:00Z, by the trigger"),
    "detached": (RowFacts(exists=True, tracked_version=5, record=record("detached")), "by recovery"),
    "queued by a resync": (RowFacts(exists=True, record=record("detached", attempts=0, error="not tried: x")), "It waits, last at"),
    "failing and paused": (RowFacts(tracked_version=5, record=record(), paused_since=T), "until somebody resumes the relay"),
    "failing in an outage": (RowFacts(tracked_version=5, record=record(), breaker_open_until=T), f"nothing is posted until {T}"),
    "failing and in a batch": (
        RowFacts(tracked_version=5, record=record(), lease=LeaseFacts(5, 1, T)),
        "being tried again now",
    ),
    "given up": (RowFacts(tracked_version=5, record=record("dead")), "given up at 2026-03-01T09:00:00Z after 3 attempts"),
    "changed since it was given up": (RowFacts(tracked_version=9, cursor=1, record=record("dead")), "version 9 waits"),
    "the relay cannot run": (RowFacts(problem="no such table."), "The relay cannot run, so nothing of it is sent: no such table."),
}


@pytest.mark.parametrize("name", CASES)
def test_each_state_of_things_has_its_sentence(name: str) -> None:
    facts, part = CASES[name]
    assert part in story(facts)


VERSIONS = st.none() | st.integers(1, 9)
TEXTS = st.none() | st.text(max_size=9)
LEASES = st.builds(
    LeaseFacts, st.integers(1, 9) | st.just(REDELIVERED_VERSION), st.integers(-2, 5), st.none() | st.just(T), st.booleans()
)
RECORDS = st.builds(
    RecordFacts, st.sampled_from([str(s) for s in State]), st.integers(1, 9), st.integers(0, 9), TEXTS, st.just(T), st.just(T)
)
FACTS = st.builds(
    RowFacts,
    st.booleans(),
    VERSIONS,
    VERSIONS,
    st.none() | LEASES,
    st.none() | RECORDS,
    TEXTS,
    st.none() | st.just(T),
    st.none() | st.just(T),
    TEXTS,
    st.text(max_size=9),
)


@given(FACTS)
def test_there_is_always_one_sentence(facts: RowFacts) -> None:
    said = story(facts)
    assert said[0].isupper() and said.endswith(".") and "None" not in said
