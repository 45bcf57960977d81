"""A request as the worker receives it, and the answer that a returned value becomes."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from typing import Any

from aiohttp import web
from azure.functions.meta import Datum


def request_value(request: web.BaseRequest, route_values: dict[str, str], body: bytes) -> Datum:
    """The value of an HTTP trigger.

    Names of header fields are in lower case. Names in the query regard no case, and those without a value are left out.
    """
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.lower(), []).append(value)
    query: dict[str, tuple[str, list[str]]] = {}
    for name, value in request.query.items():
        query.setdefault(name.lower(), (name, []))[1].append(value)
    return Datum(
        {
            "method": Datum(request.method, "string"),
            "url": Datum(str(request.url), "string"),
            "headers": {name: Datum(",".join(values), "string") for name, values in headers.items()},
            "query": {name: Datum(joined, "string") for name, values in query.values() if (joined := ",".join(values))},
            "params": {name: Datum(text, "string") for name, text in route_values.items()},
            "body": Datum(body, "bytes"),
        },
        "http",
    )


def response(returned: Datum) -> web.Response:
    """The answer that a function's converted return value becomes.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    if returned.type == "http":
        return _from_http(returned.value)
    return _from_text(str(returned.value))


def _from_text(text: str) -> web.Response:
    """A text; or, if it is a JSON object with a key "body", a description of a response."""
    try:
        described = json.loads(text)
    except ValueError:
        described = None
    if not isinstance(described, dict) or "body" not in {key.lower() for key in described}:
        return web.Response(text=text, content_type="text/plain", charset="utf-8")
    fields = {key.lower(): value for key, value in described.items()}
    body = fields["body"]
    headers = {str(name): str(value) for name, value in (fields.get("headers") or {}).items()}
    status = int(fields.get("status") or fields.get("statuscode") or 200)
    content = body if isinstance(body, str) else json.dumps(body)
    kind = "text/plain" if isinstance(body, str) else "application/json"
    headers.setdefault("Content-Type", f"{kind}; charset=utf-8")
    return web.Response(body=content.encode(), status=status, headers=headers)


def _from_http(value: dict[str, Any]) -> web.Response:
    body = value["body"].value if value.get("body") is not None else b""
    content = body.encode() if isinstance(body, str) else bytes(body or b"")
    answer = web.Response(body=content, status=int(value["status_code"].value))
    answer.headers.popall("Content-Type", None)
    for name, datum in value["headers"].items():
        if name.lower() not in ("content-length", "transfer-encoding"):
            answer.headers[name] = datum.value
    for jar in value.get("cookies") or []:
        assert isinstance(jar, SimpleCookie)
        for morsel in jar.values():
            answer.headers.add("Set-Cookie", morsel.OutputString())
    return answer
