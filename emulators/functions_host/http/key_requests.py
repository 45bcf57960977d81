"""The admin endpoint of function keys: ``/admin/functions/{function}/keys`` and ``…/keys/{key}``."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from emulators.functions_host.http.keys import Keys


def answer(keys: Keys, method: str, function: str, key: str | None, body: bytes) -> web.Response:
    """What the host says to a request about the keys of a function. Its caller has shown the master key."""
    known = keys.of_function(function)
    if key is None:
        if method != "GET":
            return web.Response(status=405)
        return web.Response(status=404) if known is None else _found({"keys": [_shown(*each) for each in known.items()]})
    if method == "DELETE":
        if key.startswith("_"):
            return web.Response(status=400, text="Invalid key name.")
        return web.Response(status=204 if keys.remove(function, key) else 404)
    if method == "GET":
        return web.Response(status=404) if known is None or key not in known else _found(_shown(key, known[key]))
    if method not in ("POST", "PUT"):
        return web.Response(status=405)
    value = None
    if method == "PUT":
        value = _value(body)
        if value is None:
            return web.Response(status=400, text="Invalid key value")
    if known is None:
        return web.Response(status=404)
    value, is_new = keys.set(function, key, value)
    return _found(_shown(key, value), 201 if is_new else 200)


def _shown(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _found(content: dict[str, Any], status: int = 200) -> web.Response:
    return web.json_response(content, status=status)


def _value(body: bytes) -> str | None:
    try:
        value = json.loads(body).get("value")
    except (ValueError, AttributeError):
        return None
    return value if isinstance(value, str) else None
