"""A notice to send, and whom to send it to."""

from __future__ import annotations

from typing import Any

from rowpost.config.notifications import NotificationsConfig
from rowpost.notices.channel import Sent
from rowpost.notices.channels import recipients, send
from rowpost.notices.message import Kind, Notice

SENT: Sent = {"sent": True, "final": True, "retry_after_seconds": None, "error": None}
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]


def notice(kind: Kind = "alarm", **values: Any) -> Notice:
    """One of that kind."""
    known: dict[str, Any] = {
        "id": f"notice-{kind}-dbo_Orders-1",
        "kind": kind,
        "relay": "dbo.Orders",
        "rows": 3,
        "round": 10,
        "since": "2026-03-01T00:00:00.1234567",
        "at": "2026-03-02T00:00:00.1234567",
        "last_error": "HTTP 503",
    }
    if kind in ("gap", "retention", "stalled"):
        known["versions"] = [5, 9]
    if kind in ("alarm", "reminder", "recovered"):
        known |= {"about": "target", "incident": "incident-dbo_Orders-target-1"}
    if kind in ("alarm", "reminder", "dead_letter"):
        known["keys"] = ['{"OrderId":7}', '{"OrderId":8}']
    if kind == "digest":
        known |= {"relay": "", "notices": [notice("alarm"), notice("recovered")]}
    known.update(values)
    return known  # type: ignore[return-value]


def tell(config: NotificationsConfig, told: Notice) -> Sent:
    """Send it to the only recipient."""
    (person,) = recipients(config)
    return send(config, told, person)
