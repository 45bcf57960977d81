"""The page's files and its data over HTTP.

========================  ====================================================================
``GET …/``                the page; it and its two files hold no data and need no key
``GET …/state``           host, functions, durable state, log; ``status``, ``text``, ``after``
``GET …/triggers``        SQL triggers with their leases
``GET …/instance``        an orchestration and its history; ``id``
========================  ====================================================================
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from emulators.functions_host.console.state import HostState
from emulators.functions_host.durable.reader import DurableReader
from emulators.functions_host.host_log import RecentLines

CONSOLE_PATH = "/admin/console"
_STATIC = Path(__file__).parent / "static"
_FILES = {
    "": ("console.html", "text/html"),
    "console.css": ("console.css", "text/css"),
    "console.js": ("console.js", "text/javascript"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Console:
    """Answers requests under :data:`CONSOLE_PATH`.

    Args:
        state: of the host.
        durable: of its orchestrations.
        log: the last lines.
    """

    def __init__(self, state: HostState, durable: DurableReader, log: RecentLines) -> None:
        self._state, self._durable, self._log = state, durable, log

    @staticmethod
    def owns(path: str) -> bool:
        """Whether a path is one of the page's."""
        lower = path.lower()
        return lower == CONSOLE_PATH or lower.startswith(CONSOLE_PATH + "/")

    async def handle(self, request: web.BaseRequest, *, allowed: bool) -> web.Response:
        """Answer one request; ``allowed`` tells whether it may see data."""
        path = request.rel_url.raw_path[len(CONSOLE_PATH) :]
        if request.method != "GET":
            return web.Response(status=405, headers={**_HEADERS, "Allow": "GET"})
        if path == "":
            return web.Response(status=308, headers={**_HEADERS, "Location": f"{CONSOLE_PATH}/"})
        name = path[1:]
        if name in _FILES:
            file, kind = _FILES[name]
            return web.Response(body=(_STATIC / file).read_bytes(), content_type=kind, charset="utf-8", headers=_HEADERS)
        if not allowed:
            return web.Response(status=401, headers=_HEADERS)
        return await self._data(name, request)

    async def _data(self, name: str, request: web.BaseRequest) -> web.Response:
        query = request.query
        body: Any = None
        if name == "state":
            after = query.get("after", "0")
            if not (after.isascii() and after.isdigit()):
                return web.Response(status=400, text="after must be a number\n", headers=_HEADERS)
            body = {
                "host": self._state.host(),
                "functions": self._state.functions(),
                "durable": await self._durable.overview(query.get("status", ""), query.get("text", "")),
                "log": [asdict(line) for line in self._log.after(int(after))],
            }
        elif name == "triggers":
            body = await self._state.triggers()
        elif name == "instance":
            body = await self._durable.instance(query.get("id", ""))
        if body is None:
            return web.Response(status=404, headers=_HEADERS)
        return web.json_response(body, headers=_HEADERS)
