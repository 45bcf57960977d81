"""What a relay would send, before it sends anything: its configuration as it counts, and its events for a sample of a row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from rowpost.app import App
from rowpost.config.sections import Config, RelayConfig, TargetConfig
from rowpost.config.units import Duration, Rate
from rowpost.rules.row import ClaimedRow
from rowpost.target.event import build_event
from rowpost.target.sample import sample_of
from rowpost.target.shape import Shape
from rowpost.target.shown import HIDDEN, WouldSend, public_address, shown

_SAMPLE_TIME = datetime(2026, 1, 5, 8, tzinfo=UTC)
_CREDENTIALS = ("basic", "oauth2", "managed_identity", "signature", "client_certificate")
_OF_TARGET = (
    *("format", "numbers", "max_event_bytes", "gzip", "batch", "max_batch_bytes", "batch_format", "rate", "source"),
    *("timeout", "concurrency", "batch_budget", "breaker_failures", "probe", "resync_events"),
)
_OF_RELAY = (
    *("send", "watch", "operations", "where", "leaving", "ignore_context", "initial", "on_gap", "lost_columns"),
    *("upsert", "delete", "resync", "delete_success"),
)
_OF_RETRY = ("attempts", "strategy", "first_delay", "factor", "max_delay", "window", "detach_after_rounds", "rejected")


class PreviewColumn(Struct, frozen=True):
    """A column that is sent."""

    name: str
    type: str
    key: bool


class Sample(Struct, frozen=True):
    """The events of the sample: of the row as it exists, and as it was deleted."""

    upsert: WouldSend
    delete: WouldSend


class Preview(Struct, frozen=True):
    """What a relay would send. Nothing is sent.

    Attributes:
        relay: its name.
        configuration: every setting as it counts, without secrets; durations in seconds.
        columns: that are sent.
        sample: the requests for a row with short values.
    """

    relay: str
    configuration: dict[str, Any]
    columns: list[PreviewColumn]
    sample: Sample


def preview(app: App, relay: str) -> Preview:
    """What a relay would send, with the columns of its table. The catalogue is read, and no relay is registered.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database cannot be reached.
    """
    table = app.describe(relay)
    keys = {column.name: column.type for column in table.key}
    columns = {column.name: column.type for column in table.columns}
    return preview_of(app.config, table.relay, app.shape(table.relay), keys, columns)


def preview_of(config: Config, relay: RelayConfig, shape: Shape, key: Mapping[str, str], columns: Mapping[str, str]) -> Preview:
    """The same for columns that are known from elsewhere.

    Args:
        config: the app's.
        relay: the relay.
        shape: of its events.
        key: the SQL types of the columns of the key.
        columns: the SQL types of all columns that are sent.

    Raises:
        Unfit: no event can be made of a short row.
    """
    target = config.target(relay.target)
    named = [PreviewColumn(name, kind, name in key) for name, kind in {**columns, **key}.items()]
    values = sample_of({**columns, **key})
    events = [
        build_event(shape, ClaimedRow(sample_of(key), 1, 1, leased=True, values=some), 0, None, _SAMPLE_TIME)
        for some in (values, None)
    ]
    upsert, delete = (shown(event, target) for event in events)
    return Preview(relay.name, effective(config, relay, target), named, Sample(upsert, delete))


def effective(config: Config, relay: RelayConfig, target: TargetConfig) -> dict[str, Any]:
    """The settings of a relay as they count, without secrets. Values of headers and of queries may be secrets."""
    shows = [name for name in _CREDENTIALS if getattr(target, name, None) is not None]
    return {
        "relay": {
            "name": relay.name,
            "table": relay.table,
            **_plain(relay, _OF_RELAY),
            "query": dict.fromkeys(relay.query, HIDDEN),
            "headers": dict.fromkeys(relay.headers, HIDDEN),
        },
        "target": {
            "name": target.name,
            "url": public_address(target.url),
            **_plain(target, _OF_TARGET),
            "format": relay.format or target.format,
            "numbers": relay.numbers or target.numbers,
            "max_event_bytes": relay.max_event_bytes or target.max_event_bytes,
            "headers": dict.fromkeys(target.headers, HIDDEN),
            "credentials": shows,
        },
        "retry": _plain(config.retry, _OF_RETRY),
    }


def _plain(section: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _value(getattr(section, name)) for name in names}


def _value(value: Any) -> Any:
    if isinstance(value, Duration):
        return value.seconds
    return value.written if isinstance(value, Rate) else value
