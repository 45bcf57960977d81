"""Who takes metrics and spans: an endpoint for OTLP, or what the platform has set up in the worker.

The packages are not in ``requirements.txt``, and they are looked for only if telemetry is on: docs/telemetry.md names them.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rowpost.telemetry.signals import Signals

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PLATFORM = "PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"  # the worker (4.34) sets up Azure Monitor before it loads the app
_SCOPE = "rowpost"
_FIELD = "telemetry.opentelemetry"


def connect(settings: Mapping[str, str]) -> tuple[Signals | None, str | None]:
    """What metrics and spans are told to, and a warning if they go nowhere.

    Telemetry is never a reason not to relay: what is missing is a warning.

    Args:
        settings: the app settings.
    """
    protocol = settings.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    try:
        if any(settings.get(name) for name in ENDPOINTS):
            if protocol != "http/protobuf":
                return None, f"{_FIELD} is on, but OTEL_EXPORTER_OTLP_PROTOCOL is not http/protobuf, which is all that is spoken"
            return _to_endpoint(settings), None
        if settings.get(PLATFORM, "").lower() == "true":
            return _to_the_platform(), None
    except ImportError as error:
        return None, f"{_FIELD} is on, but {error.name} is not installed: deploy with requirements-telemetry.lock"
    return None, f"{_FIELD} is on, but neither {ENDPOINTS[0]} nor {PLATFORM} is set: metrics and spans go nowhere"


def _to_the_platform() -> Signals:
    import_module("azure.monitor.opentelemetry")  # what the worker needs for it
    from opentelemetry import metrics, trace

    from rowpost.telemetry.signals import Signals

    return Signals(metrics.get_meter(_SCOPE), trace.get_tracer(_SCOPE))


def _to_endpoint(settings: Mapping[str, str]) -> Signals:
    """Send to an endpoint for OTLP. Its address, headers, intervals and time limits are those of the settings ``OTEL_…``.

    Both are sent from threads of their own, so an endpoint that hangs holds nobody up.
    """
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from rowpost.telemetry.signals import Signals

    # Counters of two processes are two series: an instance is one process, not one machine.
    own = {"service.instance.id": str(uuid.uuid4())}
    if not settings.get("OTEL_SERVICE_NAME"):
        own["service.name"] = settings.get("WEBSITE_SITE_NAME") or _SCOPE
    resource = Resource.create(own)
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Signals(meters.get_meter(_SCOPE), tracers.get_tracer(_SCOPE))
