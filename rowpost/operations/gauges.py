"""The state of a relay as metrics, at each look of the watchdog: it runs on one instance, so no two tell of the same relay."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rowpost.operations.status import PLACES
from rowpost.telemetry.instruments import PLACE, RELAY, STATE, TARGET, Name
from rowpost.telemetry.telemetry import Telemetry

_BREAKER_STATES = ("closed", "half-open", "open")


def note_state(telemetry: Telemetry, status: dict[str, Any], now: str) -> None:
    """Tell of one relay, if somebody wants metrics.

    Args:
        telemetry: takes them.
        status: as :func:`rowpost.operations.status.relay_status` gives it.
        now: the database's time, UTC, ISO 8601.
    """
    signals = telemetry.signals
    if signals is None:
        return
    target = {TARGET: status["target"]}
    relay = {RELAY: status["relay"], **target}
    for place in PLACES:
        signals.note(Name.WAITING, status[str(place)], {**relay, PLACE: str(place)})
    signals.note(Name.DEAD, status["dead"], relay)
    signals.note(Name.LAG, _lag_seconds(telemetry, status, now), relay)
    for state in _BREAKER_STATES:
        signals.note(Name.BREAKER, int(status["circuit_breaker"]["state"] == state), {**target, STATE: state})


def _lag_seconds(telemetry: Telemetry, status: dict[str, Any], now: str) -> float:
    """How long the oldest change has been waiting: one that nobody was handed yet, or one that fails."""
    instant = datetime.fromisoformat(now).replace(tzinfo=None)
    lag = telemetry.versions_of(status["relay"]).look(instant, status["version"] or 0, status["oldest_untouched"])
    if status["oldest_failure"] is None:
        return lag
    failing = datetime.fromisoformat(status["oldest_failure"]).replace(tzinfo=None)
    return max(lag, (instant - failing).total_seconds(), 0.0)
