"""The header ``traceparent`` of W3C Trace Context: it says to which trace a request belongs."""

from __future__ import annotations

import re

from msgspec import Struct

TRACEPARENT = "traceparent"
_VERSION_0 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_LATER = re.compile(r"(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED = 1
_ID_CHARACTERS, _SPAN_CHARACTERS = 32, 16


class TraceContext(Struct, frozen=True):
    """A place in a trace. Both ids are lower-case hexadecimal digits, 32 and 16, and not all of them are zero.

    ``sampled``: whether who came before may have recorded the trace.
    """

    trace_id: str
    span_id: str
    sampled: bool = True

    def header(self) -> str:
        """The value of ``traceparent``."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def parse(text: str | None) -> TraceContext | None:
    """The place that a ``traceparent`` names; None if it is missing or is none. Of a later version only the known parts count."""
    match = _VERSION_0.fullmatch(text or "") or _LATER.fullmatch(text or "")
    if match is None:
        return None
    trace_id, span_id, flags = match.groups()
    if trace_id == "0" * _ID_CHARACTERS or span_id == "0" * _SPAN_CHARACTERS:
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))
