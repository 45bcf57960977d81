"""The app's telemetry: one per process, handed to every function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rowpost.config.sections import Config
from rowpost.rules.lag import Versions
from rowpost.telemetry.journal import Doer, Journal

if TYPE_CHECKING:
    from rowpost.telemetry.signals import Signals


class Telemetry:
    """What the configuration says of telemetry. ``signals``: where metrics and spans go; None: there are none."""

    def __init__(self, config: Config, signals: Signals | None = None) -> None:
        self._config, self.signals = config, signals
        self._versions: dict[str, Versions] = {}

    def versions_of(self, relay: str) -> Versions:
        """Which versions of the database this process has seen in the looks at a relay."""
        return self._versions.setdefault(relay, Versions())

    def journal(self, relay: str, by: Doer, invocation: str | None) -> Journal:
        """Of what is done for a relay now.

        Args:
            relay: its name.
            by: who does it.
            invocation: the ``traceparent`` of the function that runs; it may be empty.
        """
        found = self._config.relay(relay)
        target = None if found is None else self._config.target(found.target)
        return Journal(self._config.telemetry, relay, target, by, invocation, self.signals)
