"""The built-in activity behind ``context.call_http``."""

from __future__ import annotations

import json
from typing import Any

import aiohttp


async def call_http(request: dict[str, Any]) -> str:
    """Send one HTTP request; status, headers and body text of the answer, as JSON text. It does not poll on 202.

    Raises:
        aiohttp.ClientError: no answer.
        ValueError: the request wants a token of a managed identity, which does not exist here.
    """
    if request.get("tokenSource"):
        raise ValueError("call_http with a token source is not supported by this host: it has no managed identity")
    headers = dict(request.get("headers") or {})
    content = request.get("content")
    if content is not None and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "text/plain"
    async with (
        aiohttp.ClientSession() as session,
        session.request(request["method"], request["uri"], headers=headers, data=content, allow_redirects=False) as answer,
    ):
        body = await answer.text()
        return json.dumps({"statusCode": answer.status, "headers": dict(answer.headers), "content": body})
