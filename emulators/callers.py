"""Who may call an emulator: programs here and in containers beside it, but no page of another site in somebody's browser.

Without this, a page that a developer looks at could read rows, or start orchestrations, on a port of this machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

_OWN_NAMES = frozenset({"localhost", "host.docker.internal"})
_OWN_SITES = frozenset({"same-origin", "none"})  # of Sec-Fetch-Site, which browsers send


def refusal(headers: Mapping[str, str]) -> str | None:
    """Why a request is refused, by its header fields; None if it is not."""
    host, origin, site = headers.get("Host"), headers.get("Origin"), headers.get("Sec-Fetch-Site")
    if host is not None and not _is_near(host):
        return "this emulator answers to localhost, addresses and names of containers only: the field Host names something else"
    if origin is not None and origin.lower() not in {f"{scheme}://{host}".lower() for scheme in ("http", "https")}:
        return "this emulator answers no page of another site: the field Origin names one"
    if site is not None and site.lower() not in _OWN_SITES:
        return "this emulator answers no page of another site: the field Sec-Fetch-Site says that one asks"
    return None


def _is_near(host: str) -> bool:
    """Whether a name cannot be one that a stranger's name server points at this machine: those have a dot."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").lower()
        name = name.removesuffix(".")
    except ValueError:
        return False
    if name in _OWN_NAMES or name.endswith(".localhost") or (name and "." not in name and ":" not in name):
        return True
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
