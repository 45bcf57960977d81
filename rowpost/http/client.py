"""Requests to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import requests
from requests.utils import default_headers

from rowpost.config.authorities import trusting
from rowpost.http.connections import Adapter
from rowpost.http.exchange import Body


class Reply(NamedTuple):
    """What is looked at of an answer."""

    status: int
    headers: Mapping[str, str]


class Client:
    """Calls one receiver, safe to use from several threads. No redirect is followed, no cookie kept, no `.netrc` or proxy used.

    A request takes at most twice the timeout, see :class:`rowpost.http.connections.Adapter`.

    Args:
        timeout_seconds: to connect, and between two bytes of an answer.
        connections: how many are kept to be used again; with none, each request has its own.
        tries: how often a connection is tried.
        ca: certificates in PEM form: only whom they vouch for is trusted; without, whom the public trusts.
    """

    def __init__(self, timeout_seconds: float, *, connections: int = 0, tries: int = 1, ca: str | None = None) -> None:
        self._kept = connections > 0
        body = Body.SKIPPED if self._kept else Body.UNREAD
        trust = None if ca is None else trusting(ca)
        self._adapter = Adapter(timeout_seconds, body, connections=max(1, connections), tries=tries, trust=trust)

    def post(self, url: str, body: bytes | str, headers: Mapping[str, str]) -> Reply:
        """Post once; see :meth:`send`."""
        return self.send("POST", url, body, headers)

    def send(self, method: str, url: str, body: bytes | str, headers: Mapping[str, str]) -> Reply:
        """Send a request once.

        Raises:
            Exception: of any kind. Its text may hold the address and what was answered.
        """
        sent = default_headers()
        sent["Accept-Encoding"] = "identity"
        sent["Connection"] = "keep-alive" if self._kept else "close"
        sent.update(headers)
        # Not by a session: it would look into the bodies of redirects, and for cookies.
        response = self._adapter.send(requests.Request(method, url, sent, data=body).prepare(), stream=True)
        return Reply(response.status_code, response.headers)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: a session reads and decodes the body of a redirect even when it does not follow it."""


def session(timeout_seconds: float) -> requests.Session:
    """A session for libraries that want one; as the client, but bodies are read, as far as they are short."""
    made = _Session()
    made.trust_env = False
    made.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        made.mount(scheme, Adapter(timeout_seconds, Body.WANTED))
    return made
