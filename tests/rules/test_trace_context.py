"""The header traceparent, as W3C Trace Context has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.trace_context import TraceContext, parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def digits(count: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**count - 1).map(lambda number: f"{number:0{count}x}")


@given(st.builds(TraceContext, digits(32), digits(16), st.booleans()))
def test_what_is_written_is_read(place: TraceContext) -> None:
    assert parse(place.header()) == place


@given(st.text(max_size=60))
def test_no_text_is_an_error(text: str) -> None:
    assert parse(text) is None or parse(text) == parse(parse(text).header())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"00-{TRACE}-{SPAN}-02", False),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_flags_and_later_versions(text: str, sampled: bool) -> None:
    assert parse(text) == TraceContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_what_is_none(text: str | None) -> None:
    assert parse(text) is None
