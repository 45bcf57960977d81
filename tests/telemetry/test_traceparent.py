"""The header traceparent: each request has one, it names the trace of the log, and the target's own configuration wins."""

from __future__ import annotations

import re

import pytest

from emulators.downstream.api import Downstream
from rowpost.config.sections import TargetConfig, TelemetryConfig
from rowpost.rules.trace_context import TraceContext, parse
from rowpost.target.delivery import Deliverer
from rowpost.telemetry.journal import Doer, Journal
from tests.harness.raw_server import RawServer
from tests.harness.requests import seen
from tests.target.posting import events

INVOCATION = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
TRACE = INVOCATION.split("-")[1]


def sent(api: Downstream, count: int = 3, config: TelemetryConfig | None = None, **values: object) -> list[str | None]:
    target = TargetConfig(name="api", url=f"{api.url}/rows", **values)  # type: ignore[arg-type]
    journal = Journal(config or TelemetryConfig(), "dbo.Orders", target, Doer.TRIGGER, INVOCATION)
    Deliverer(target).deliver(events(count), journal=journal)
    return [attempt.headers.get("traceparent") for attempt in api.attempts()]


def test_requests_of_a_batch_have_its_trace_and_a_span_each(api: Downstream) -> None:
    places = [parse(text) for text in sent(api)]
    assert {place.trace_id for place in places if place} == {TRACE} and None not in places
    assert len({place.span_id for place in places if place} - {INVOCATION.split("-")[2]}) == 3
    assert all(place.sampled for place in places if place), "else a target that samples as it is told would record nothing"


def test_a_request_with_several_events_has_one(api: Downstream) -> None:
    (text,) = set(sent(api, batch=10))
    assert text is not None and parse(text) == TraceContext(TRACE, text.split("-")[2])


def test_it_can_be_left_out(api: Downstream) -> None:
    assert sent(api, 1, TelemetryConfig(traceparent=False)) == [None]


@pytest.mark.parametrize("name", ["traceparent", "Traceparent"])
def test_one_of_the_configuration_wins(raw: RawServer, name: str) -> None:
    target = TargetConfig(name="api", url=f"{raw.url}/api", headers={name: "mine"})
    Deliverer(target).deliver(events(1))
    head = raw.requests[-1].partition(b"\r\n\r\n")[0].decode()
    assert re.findall("(?im)^traceparent: (.*?)\r?$", head) == ["mine"] and seen(raw.requests[-1]).headers["traceparent"] == "mine"


def test_a_batch_without_an_invocation_has_a_trace_of_its_own(api: Downstream) -> None:
    target = TargetConfig(name="api", url=f"{api.url}/rows")
    for _ in range(2):
        Deliverer(target).deliver(events(2), journal=Journal(TelemetryConfig(), "dbo.Orders", target, Doer.TRIGGER, ""))
    traces = [parse(attempt.headers["traceparent"]) for attempt in api.attempts()]
    assert None not in traces and len({place.trace_id for place in traces if place}) == 2
