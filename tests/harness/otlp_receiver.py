"""What stands in for a collector: it takes metrics and spans by OTLP over HTTP, as protobuf."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.harness.http_server import Asked, Given, HttpServer

Names = dict[str, Any]
Series = tuple[str, str, tuple[tuple[str, Any], ...]]  # instance, metric, attributes
_WAIT_SECONDS = 30


class OtlpReceiver:
    """Keeps the newest value of each series, and every span.

    Attributes:
        hangs: whether requests are left without an answer.
        metrics: each metric as it came last, by name.
        values: of each series: a number, or the count of a histogram.
        spans: name, trace id, parent's span id, span id and attributes.
        resources: the attributes of who has sent.
    """

    def __init__(self) -> None:
        self.hangs = False
        self.metrics: dict[str, Metric] = {}
        self.values: dict[Series, float] = {}
        self.spans: list[tuple[str, str, str, str, Names]] = []
        self.resources: list[Names] = []
        self._changed = threading.Condition()
        self._server = HttpServer(self._take)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def asked(self) -> int:
        return len(self._server.asked)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.__exit__(kind, error, trace)

    def wait(self, condition: Callable[[], bool]) -> bool:
        """Wait until the condition holds; returns whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, _WAIT_SECONDS)

    def sum(self, metric: str, **wanted: Any) -> float:
        """The sum of the series of a metric with these attributes; of ``rowpost.by`` the name is ``by``."""
        known = list(self.values.items())  # they come in another thread
        return sum(value for (_, name, pairs), value in known if name == metric and _short(pairs).items() >= wanted.items())

    def _take(self, asked: Asked) -> Given:
        if self.hangs:
            with self._changed:
                self._changed.notify_all()
            self._server.over.wait()
        with self._changed:
            if asked.path == "/v1/metrics":
                self._take_metrics(asked.body)
            elif asked.path == "/v1/traces":
                self._take_spans(asked.body)
            self._changed.notify_all()
        return Given(headers={"Content-Type": "application/x-protobuf"})

    def _take_metrics(self, body: bytes) -> None:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            sender = _names(resource.resource.attributes)
            self.resources.append(sender)
            for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                self.metrics[metric.name] = metric
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points if kind else ():
                    value = point.count if kind == "histogram" else point.as_double or point.as_int
                    pairs = tuple(sorted(_names(point.attributes).items()))
                    self.values[sender["service.instance.id"], metric.name, pairs] = value

    def _take_spans(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            spans: list[Span] = [each for scope in resource.scope_spans for each in scope.spans]
            self.spans += [(s.name, s.trace_id.hex(), s.parent_span_id.hex(), s.span_id.hex(), _names(s.attributes)) for s in spans]


def _names(attributes: Any) -> Names:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in attributes}


def _short(pairs: tuple[tuple[str, Any], ...]) -> Names:
    return {name.rpartition(".")[2]: value for name, value in pairs}
