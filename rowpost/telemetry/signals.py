"""Metrics and spans: what the app says to OpenTelemetry. Its API is imported here, and this module only if telemetry is on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Meter
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from rowpost.rules.trace_context import TraceContext
from rowpost.telemetry.instruments import INSTRUMENTS, Instrument, Name

Value = str | int | float
Attributes = Mapping[str, Value]


class Signals:
    """Safe to use from several threads. Nothing here waits for whoever takes the metrics and spans, or fails."""

    def __init__(self, meter: Meter, tracer: Tracer) -> None:
        self._record = {name: _recorder(meter, name, instrument) for name, instrument in INSTRUMENTS.items()}
        self._tracer = tracer

    def note(self, name: Name, value: float, attributes: Attributes) -> None:
        """Add to a counter, set a gauge, or take a value into a histogram."""
        self._record[name](value, attributes)

    def begin(self, name: str, parent: TraceContext | None, attributes: Attributes, *, client: bool = False) -> OpenSpan:
        """Begin a span.

        Args:
            name: of few values.
            parent: where in a trace; without it, at the beginning of a new one.
            attributes: known by now.
            client: whether it is a request to others.
        """
        kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
        context = Context() if parent is None else set_span_in_context(NonRecordingSpan(_span_context(parent)), Context())
        return OpenSpan(self._tracer.start_span(name, context, kind, attributes))


class OpenSpan:
    """A span that has begun. ``place``: where it is in its trace."""

    def __init__(self, span: Span) -> None:
        self._span, found = span, span.get_span_context()
        self.place = TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", found.trace_flags.sampled)

    def end(self, attributes: Attributes, error: str | None = None) -> None:
        """End it; ``error`` says why it has failed."""
        self._span.set_attributes(dict(attributes))
        if error is not None:
            self._span.set_status(StatusCode.ERROR, error)
        self._span.end()


def _span_context(place: TraceContext) -> SpanContext:
    # "Not sampled" is what a host says that records no traces at all. What is recorded here, the sampler of the app decides.
    return SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _recorder(meter: Meter, name: Name, instrument: Instrument) -> Callable[[Any, Attributes], None]:
    if instrument.kind == "counter":
        return meter.create_counter(name, instrument.unit, instrument.what).add
    if instrument.kind == "gauge":
        return meter.create_gauge(name, instrument.unit, instrument.what).set
    buckets = list(instrument.buckets)
    return meter.create_histogram(name, instrument.unit, instrument.what, explicit_bucket_boundaries_advisory=buckets).record
