"""What a relay may not have if its target takes batches: events share a request only if its address and header are the same."""

from __future__ import annotations

from collections.abc import Iterator

from rowpost.config.requests import Refuse, effective_format, read_line, read_value
from rowpost.config.sections import RelayConfig, TargetConfig
from rowpost.rules.placeholders import Placeholder, Text

_SAME_FOR_ALL = frozenset({"source", "table", "epoch", "operation", "type"})  # attributes that events of one kind share
_BATCH_OF_ONE = "with batch = 1 (give this relay a target of its own), each event has its own request"


def check_batches(field: str, relay: RelayConfig, target: TargetConfig, refuse: Refuse) -> None:
    """Refuse what would give each event a request of its own, or has no form for several.

    Args:
        field: of the relay.
        relay: its section.
        target: its target, which has ``batch``.
        refuse: takes a field and a sentence.
    """
    for name, text in _shared_texts(relay):
        own = next((part.written for part in text if isinstance(part, Placeholder) and not is_shared(part)), None)
        if own is not None:
            refuse(
                f"{field}.{name}",
                f"has {own}, which differs from row to row, and the target has batch = {target.batch}: events of one request share "
                f"its address and headers; remove the placeholder, or {_BATCH_OF_ONE}",
            )
    if effective_format(relay, target) == "cloudevents-binary" and _has_binary_form(relay):
        where = f"{field}.format" if relay.format is not None else f"{field}.target"
        refuse(
            where,
            f'is "cloudevents-binary", whose attributes are headers of one event, and the target has batch = {target.batch}; use '
            f'format = "cloudevents", or {_BATCH_OF_ONE}',
        )
    if target.batch_format == "ndjson" and effective_format(relay, target) == "cloudevents" and relay.body is None:
        where = f"{field}.format" if relay.format is not None else f"{field}.target"
        refuse(
            where,
            'is "cloudevents", of which a batch is always a JSON array, and the target has batch_format = "ndjson"; use the format '
            "plain or row or a template for lines, or remove batch_format",
        )


def is_shared(place: Placeholder) -> bool:
    """Whether a placeholder stands for the same in all events of one kind."""
    return place.attribute and place.name in _SAME_FOR_ALL


def _shared_texts(relay: RelayConfig) -> Iterator[tuple[str, Text]]:
    """The texts of a relay that are the same for all its events. A request for deletions may have the key in its path."""
    try:
        if relay.upsert is not None:
            yield "upsert", read_line(relay.upsert).path
        for section in ("query", "headers"):
            for name, written in getattr(relay, section).items():
                yield f"{section}.{name}", read_value(written)
    except ValueError:
        return  # told already


def _has_binary_form(relay: RelayConfig) -> bool:
    """Whether an event of the relay that can share a request would have its attributes in the header."""
    deletes = relay.delete_body is not None or (relay.delete is not None and relay.delete.startswith("DELETE "))
    return relay.body is None or not deletes
