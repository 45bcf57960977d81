"""Requests to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.utils import default_headers

from rowpost.config.client_certificates import ClientCertificate, tls
from rowpost.http.connections import Adapter
from rowpost.http.exchange import Body


class Reply(NamedTuple):
    """What is looked at of an answer. ``content``: its body; None if it was not asked for, or is not there as a whole.

    ``milliseconds``: from the request to the end of the answer, if somebody has measured it.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes | None = None
    milliseconds: int | None = None


class Client:
    """Calls one receiver, safe to use from several threads. No redirect is followed, no cookie kept, no `.netrc` or proxy used.

    A request takes at most twice the timeout, see :class:`rowpost.http.connections.Adapter`.

    Args:
        timeout_seconds: to connect, and between two bytes of an answer.
        connections: how many are kept to be used again; with none, each request has its own.
        tries: how often a connection is tried.
        ca: certificates in PEM form: only whom they vouch for is trusted; without, whom the public trusts.
        certificate: by which the app shows who it is.
        answer_bytes: how long the body of an answer may be that is handed on; without it, none is.
    """

    def __init__(
        self,
        timeout_seconds: float,
        *,
        connections: int = 0,
        tries: int = 1,
        ca: str | None = None,
        certificate: ClientCertificate | None = None,
        answer_bytes: int | None = None,
    ) -> None:
        self._kept, self._offered = connections > 0, answer_bytes is not None
        body = Body.OFFERED if self._offered else Body.SKIPPED if self._kept else Body.UNREAD
        trust = tls(ca, certificate)
        many = max(1, connections)
        self._adapter = Adapter(timeout_seconds, body, connections=many, tries=tries, trust=trust, body_bytes=answer_bytes)

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
        whole = self._offered and getattr(response.raw, "whole", True)
        return Reply(response.status_code, response.headers, response.content if whole else None)


class _Session(requests.Session):
    """A session with one server: a library may be told by an answer to go elsewhere, and would take the credential there."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._server = _server(address)

    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        """Nothing for addresses of others."""
        text = url if isinstance(url, str) else url.decode()
        if _server(text) != self._server:
            raise requests.exceptions.InvalidURL("an address of another server")
        return super().get_adapter(text)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere: a session reads and decodes the body of a redirect even when it does not follow it."""


def _server(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def session(timeout_seconds: float, address: str) -> requests.Session:
    """A session for libraries that want one; as the client, but bodies are read, as far as they are short.

    Args:
        timeout_seconds: as of the client.
        address: of the server; requests to others are refused.
    """
    made = _Session(address)
    made.trust_env = False
    made.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        made.mount(scheme, Adapter(timeout_seconds, Body.WANTED))
    return made
