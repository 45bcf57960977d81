"""Addresses in the configuration: whether they can be called at all, and whether they are this machine."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

import requests

_LONGEST_LABEL = 63  # of a host name, in characters


def is_http_address(text: str) -> bool:
    """Whether a text is an http or https address that can be called."""
    try:
        requests.Request("POST", text).prepare()
        parts = urlsplit(text)
        labels = (parts.hostname or "").removesuffix(".").split(".")
        named = all(0 < len(label) <= _LONGEST_LABEL for label in labels)
        return parts.scheme in ("http", "https") and named and parts.port != 0 and not re.search(r"\s", text)
    except (ValueError, requests.RequestException):  # brackets without an IPv6 address, or a port that is none
        return False


def is_here(host: str) -> bool:
    """Whether a host is this machine, by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.", "(local)", ".")
