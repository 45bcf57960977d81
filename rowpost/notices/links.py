"""Where a notice leads: to the console, and to the section of the runbook that explains it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from rowpost.config.addresses import is_http_address
from rowpost.config.notifications import NotificationsConfig
from rowpost.notices.message import Notice
from rowpost.rules.error_class import error_class

# Kinds that tell of rows which are not delivered: their error says more than their kind.
_OF_AN_ERROR = frozenset(("alarm", "reminder", "dead_letter", "resync"))


class Links(NamedTuple):
    """Addresses. ``runbook`` is the path of the page in the repository unless the configuration has an address of it."""

    console: str | None
    runbook: str

    @property
    def clickable(self) -> list[tuple[str, str]]:
        """Those that a browser can open, each with its name."""
        named = [("Console", self.console or ""), ("Runbook", self.runbook)]
        return [(name, address) for name, address in named if is_http_address(address)]


def anchor(kind: str, last_error: str | None) -> str:
    """The section of the runbook for a notice: of its error's class if there is a section of that, else of its kind."""
    found = error_class(None, last_error)
    return f"error-{found}" if kind in _OF_AN_ERROR and found != "other" else f"notice-{kind}"


def links_of(config: NotificationsConfig, notice: Notice) -> Links:
    """Where a notice leads."""
    console = config.console_url or None
    if console is not None and notice["relay"]:
        console = f"{console}#/relays/{quote(notice['relay'], safe='')}"
    return Links(console, f"{config.runbook_url}#{anchor(notice['kind'], notice['last_error'])}")
