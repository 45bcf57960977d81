"""Asking others for something small that the app needs itself: a token, a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import requests
from requests.utils import default_headers

from rowpost.config.authorities import trusting
from rowpost.http.connections import Adapter
from rowpost.http.exchange import Body


class Told(NamedTuple):
    """An answer with its body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def ask(
    method: Literal["GET", "POST"],
    url: str,
    headers: Mapping[str, str],
    body: str | None,
    timeout_seconds: float,
    ca: str | None = None,
) -> Told:
    """Ask once, as :class:`rowpost.http.client.Client` posts. A body that is long or breaks off is a failure.

    Args:
        method: of the request.
        url: its address.
        headers: its header.
        body: its body.
        timeout_seconds: all takes at most twice as long.
        ca: only whom these certificates vouch for is trusted; without, whom the public trusts.

    Raises:
        Exception: of any kind. Its text may hold the address and what was answered.
    """
    sent = default_headers()
    sent.update({"Accept-Encoding": "identity", "Accept": "application/json", "Connection": "close", **headers})
    adapter = Adapter(timeout_seconds, Body.WANTED, trust=None if ca is None else trusting(ca))
    try:
        answer = adapter.send(requests.Request(method, url, sent, data=body).prepare(), stream=True)
        return Told(answer.status_code, answer.headers, answer.content)
    finally:
        adapter.close()
