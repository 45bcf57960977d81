"""Metrics and spans of the real app, as they arrive at a collector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec

import opentelemetry.semconv.attributes.error_attributes as errors
import opentelemetry.semconv.attributes.http_attributes as http
import opentelemetry.semconv.attributes.server_attributes as server
import pytest
from opentelemetry.semconv.metrics.http_metrics import HTTP_CLIENT_REQUEST_DURATION

from devtools.log_lines import attempt_lines, rows_lines, sums
from rowpost.operations.status import PLACES
from rowpost.rules.trace_context import parse
from rowpost.telemetry.instruments import ERROR, INSTRUMENTS, METHOD, PORT, SERVER, STATUS, Name
from tests.harness.otlp_receiver import OtlpReceiver
from tests.harness.running_relay import Relay, changed_config

CONFIG = changed_config(max_delay='"1h"\nrejected = "dead_letter"') + '\n[telemetry]\nattempts = "all"\nopentelemetry = true\n'


@pytest.fixture
def collector() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


def settings(collector: OtlpReceiver) -> dict[str, str]:
    often = {"OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_BSP_SCHEDULE_DELAY": "200"}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **often}


def test_the_counters_say_what_the_target_says_and_what_the_log_says(
    make_relay: Callable[..., Relay], collector: OtlpReceiver
) -> None:
    relay = make_relay(CONFIG, settings=settings(collector))
    relay.reject(3)
    relay.insert(*range(1, 11))
    relay.advance(900, until=lambda: relay.status()["dead"] == 1)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(11, 12)
    relay.advance(900)
    log, posts, status = relay.host_log(), relay.posts(), relay.status()
    accepted = sum(post.status is not None and post.status < 300 for post in posts)
    total = sums(log)["dbo.Orders"]
    assert accepted == 9 and status["waiting"] == 2 and total["failed"] > 5
    assert collector.wait(lambda: collector.sum(Name.ROWS, outcome="failed") == total["failed"])
    assert collector.wait(lambda: collector.sum(Name.REQUESTS) == len(posts))
    for outcome in ("delivered", "dead", "skipped"):
        assert collector.sum(Name.ROWS, outcome=outcome) == total[outcome], outcome
    assert collector.sum(Name.ROWS, outcome="handed_back") == total["handed back"]
    assert collector.sum(Name.ROWS, outcome="delivered", by="trigger") == total["delivered by trigger"]
    assert collector.sum(Name.EVENTS, verdict="delivered") == accepted
    assert collector.sum(Name.EVENTS) == collector.sum(Name.REQUESTS) == len(posts)
    answers = Counter(post.status for post in posts)
    assert {status: collector.sum(Name.REQUESTS, status_code=status) for status in answers} == answers
    # The gauges, as the watchdog has seen the relay.
    assert collector.wait(lambda: collector.sum(Name.WAITING) == status["waiting"])
    assert {place: collector.sum(Name.WAITING, place=str(place)) for place in PLACES} == {p: status[p] for p in PLACES}
    assert collector.sum(Name.DEAD) == 1 and 300 <= collector.sum(Name.LAG) <= 900
    assert collector.sum(Name.BREAKER, state=status["circuit_breaker"]["state"]) == 1 == collector.sum(Name.BREAKER)


def test_the_span_of_a_request_is_the_one_that_the_target_was_told_and_the_log_has(
    make_relay: Callable[..., Relay], collector: OtlpReceiver
) -> None:
    relay = make_relay(CONFIG, settings=settings(collector))
    relay.reject(2)
    relay.insert(1, 2)
    relay.advance(5)
    posts = relay.posts()
    (told,) = {parse(post.headers["traceparent"]).trace_id for post in posts}  # type: ignore[union-attr]
    names_of_trace = lambda: sorted(name for name, trace, *_ in collector.spans if trace == told)  # noqa: E731
    assert collector.wait(lambda: names_of_trace() == ["POST", "POST", "rowpost.batch"]), names_of_trace()
    places = {parse(post.headers["traceparent"]): post for post in posts}
    spans = {span: (trace, parent, names) for name, trace, parent, span, names in collector.spans if name == "POST"}
    for place, post in places.items():
        assert place is not None and place.sampled
        trace, parent, names = spans[place.span_id]
        assert trace == place.trace_id and names[STATUS] == post.status and names["cloudevents.event_id"] == post.event_id
        assert any((name, each, span) == ("rowpost.batch", trace, parent) for name, each, _, span, _ in collector.spans)
    log = relay.host_log()
    (trace,) = {trace for trace, _, _ in spans.values()}
    assert {line["trace"] for line in attempt_lines(log)} == {line["trace"] for line in rows_lines(log)} == {trace}


def test_each_metric_has_the_form_that_the_table_says(make_relay: Callable[..., Relay], collector: OtlpReceiver) -> None:
    relay = make_relay(CONFIG, settings=settings(collector))
    relay.insert(1)
    relay.advance(360)
    assert collector.wait(lambda: set(collector.metrics) == {name.value for name in INSTRUMENTS})
    for name, instrument in INSTRUMENTS.items():
        metric = collector.metrics[name]
        kind = {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}[instrument.kind]
        assert (metric.WhichOneof("data"), metric.unit, metric.description) == (kind, instrument.unit, instrument.what)
        seen = {pair for _, each, pairs in list(collector.values) for pair, _ in pairs if each == name}
        assert seen <= set(instrument.attributes) and seen | {ERROR} >= set(instrument.attributes), name
    assert list(collector.metrics[Name.REQUESTS].histogram.data_points[0].explicit_bounds) == list(
        INSTRUMENTS[Name.REQUESTS].buckets
    )
    assert {resource["service.name"] for resource in collector.resources} == {"rowpost-local"}


def test_the_names_are_those_of_the_semantic_conventions() -> None:
    assert Name.REQUESTS == HTTP_CLIENT_REQUEST_DURATION
    assert [METHOD, STATUS, ERROR, SERVER, PORT] == [
        http.HTTP_REQUEST_METHOD,
        http.HTTP_RESPONSE_STATUS_CODE,
        errors.ERROR_TYPE,
        server.SERVER_ADDRESS,
        server.SERVER_PORT,
    ]
    own = [name for name in INSTRUMENTS if name is not Name.REQUESTS]
    assert all(name.startswith("rowpost.") for name in own)


def test_a_collector_that_hangs_holds_nothing_up(make_relay: Callable[..., Relay], collector: OtlpReceiver) -> None:
    collector.hangs = True
    relay = make_relay(CONFIG, settings=settings(collector))
    relay.insert(*range(1, 51))
    assert relay.advance(30, until=lambda: len(relay.posts()) == 50)
    assert collector.wait(lambda: collector.asked > 0), "it was asked, and has not answered"
    relay.restart()
    relay.insert(*range(51, 101))
    assert relay.advance(120, until=lambda: relay.status()["waiting"] == 0 and len(relay.posts()) >= 100)
    accepted = {post.event_id for post in relay.posts() if post.status is not None and post.status < 300}
    assert len(accepted) == 100


def test_no_collector_at_all_loses_nothing(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG, settings={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRIC_EXPORT_INTERVAL": "100"})
    relay.insert(1, 2, 3)
    assert relay.advance(30, until=lambda: len(relay.posts()) == 3)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({}, "neither OTEL_EXPORTER_OTLP_ENDPOINT nor PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY is set"),
        pytest.param(
            {"PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY": "true"},
            "azure.monitor is not installed",
            marks=pytest.mark.skipif(find_spec("azure.monitor") is not None, reason="it is installed here"),
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "is not http/protobuf"),
    ],
)
def test_what_is_missing_is_a_warning_and_rows_are_relayed(
    make_relay: Callable[..., Relay], own: dict[str, str], told: str
) -> None:
    relay = make_relay(CONFIG, settings=own)
    relay.insert(1)
    assert relay.advance(30, until=lambda: len(relay.posts()) == 1)
    assert relay.host_log().count(told) == 1
