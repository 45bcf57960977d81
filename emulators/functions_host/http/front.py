"""The public HTTP server: function routes, management endpoints of the durable engine, a few admin endpoints."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import unquote

import azure.functions as func
from aiohttp import web
from azure.functions.meta import Datum

from emulators.callers import refusal
from emulators.clock import Clock
from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.invocation import FunctionFailed, Invoker
from emulators.functions_host.console import CONSOLE_PATH, Console
from emulators.functions_host.durable.rpc import RPC_PATH, WEBHOOK_PATH, ManagementApi
from emulators.functions_host.http import key_requests
from emulators.functions_host.http.faults import Faults
from emulators.functions_host.http.keys import Keys
from emulators.functions_host.http.routes import Route
from emulators.functions_host.settings import ConfigurationError, section

_MAX_BODY_BYTES = 210_000_000  # of the function routes, as in the real host
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class _HttpFunction:
    def __init__(self, function: IndexedFunction) -> None:
        self.function = function
        self.route = Route(str(function.trigger.get("route") or function.name))
        methods = function.trigger.get("methods")
        self.methods = frozenset(str(method).upper() for method in methods) if methods else None
        self.level = str(function.trigger.get("authLevel", "FUNCTION"))


class HttpFront:
    """The servers.

    Args:
        functions: all functions of the app.
        host_json: for the route prefix.
        invoker: runs functions.
        management: the durable endpoints.
        trigger_by_hand: runs a non-HTTP function with an input text, for the admin endpoint; False if it cannot.
        keys: access keys; asked for if ``enable_auth``.
        console: the status page.
        clock: a request in progress counts as busy.
        logger: receives answers.

    Raises:
        ConfigurationError: a route template is not valid.
    """

    def __init__(
        self,
        functions: list[IndexedFunction],
        host_json: dict[str, Any],
        invoker: Invoker,
        management: ManagementApi,
        trigger_by_hand: Callable[[str, str | None], bool],
        keys: Keys,
        enable_auth: bool,
        console: Console,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._prefix = str(section(host_json, "extensions", "http").get("routePrefix", "api")).strip("/")
        self._functions = sorted(
            (_HttpFunction(f) for f in functions if f.kind == "httpTrigger"), key=lambda entry: entry.route.precedence
        )
        seen: dict[tuple[str, str], str] = {}
        for entry in self._functions:
            for method in entry.methods or ("*",):
                key = (entry.route.template.lower(), method)
                if key in seen:
                    raise ConfigurationError(f"functions {seen[key]} and {entry.function.name} have the same route {key[0]!r}")
                seen[key] = entry.function.name
        self._invoker, self._management, self._trigger_by_hand = invoker, management, trigger_by_hand
        self._keys, self._enable_auth, self._clock, self._logger = keys, enable_auth, clock, logger
        self._console = console
        self._durable_calls, self._faults = 0, Faults()
        self._runners: list[web.ServerRunner] = []

    async def start(self, port: int, rpc_port: int) -> tuple[int, int]:
        """Listen on loopback; the two real ports.

        Raises:
            OSError: a port is taken.
        """
        public = await self._listen(self._handle, port)
        rpc = await self._listen(self._handle_rpc, rpc_port)
        self._management.base_url = f"http://localhost:{public}{WEBHOOK_PATH}"
        self._management.rpc_url = f"http://127.0.0.1:{rpc}{RPC_PATH}/"
        self._management.code = self._keys.durable
        return public, rpc

    async def _listen(self, handler: Handler, port: int) -> int:
        async def guarded(request: web.BaseRequest) -> web.StreamResponse:
            if (why := refusal(request.headers)) is not None:
                return web.Response(status=403, text=f"{why}\n")
            if handler == self._handle and self._console.owns(request.path):  # who looks must not hold virtual time
                return await self._console.handle(request, allowed=self._is_admin(request))
            with self._clock.busy():
                if request.headers.get("Expect", "").lower() == "100-continue":
                    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return await handler(request)

        runner = web.ServerRunner(web.Server(guarded, access_log=None))
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the servers; requests in progress get a moment to end."""
        for runner in self._runners:
            await runner.cleanup()

    async def _handle_rpc(self, request: web.BaseRequest) -> web.StreamResponse:
        if not request.path.lower().startswith(RPC_PATH + "/"):
            return web.Response(status=404)
        self._durable_calls += 1
        return await self._faults.around(request, self._management.handle)

    @staticmethod
    def _given_key(request: web.BaseRequest) -> str | None:
        """The header counts if it is there, also if it is empty."""
        return request.headers.get("x-functions-key", request.query.get("code"))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        lower = path.lower()
        if lower.startswith(WEBHOOK_PATH + "/"):
            if self._enable_auth and not self._keys.allows_durable(self._given_key(request)):
                return web.Response(status=401)
            return await self._management.handle(request)
        if lower.startswith("/admin/"):
            return await self._admin(request, path)
        if lower == "/" and not (self._prefix == "" and any(e.route.template == "" for e in self._functions)):
            return web.Response(text=f"The Functions host emulator is up and running. Status page: {CONSOLE_PATH}/\n")
        below = self._below_prefix(path)
        if below is not None:
            for entry in self._functions:
                if entry.methods is not None and request.method not in entry.methods:
                    continue
                values = entry.route.match(below)
                if values is not None:
                    return await self._run(entry, request, values)
        return web.Response(status=404)

    def _below_prefix(self, path: str) -> str | None:
        path = path.strip("/")
        if not self._prefix:
            return path
        head, _, rest = path[: len(self._prefix)], "", path[len(self._prefix) :]
        if head.lower() == self._prefix.lower() and (rest == "" or rest.startswith("/")):
            return rest.strip("/")
        return None

    async def _run(self, entry: _HttpFunction, request: web.BaseRequest, values: dict[str, str]) -> web.StreamResponse:
        function = entry.function
        if self._enable_auth and not self._keys.allows(entry.level, function.name, self._given_key(request)):
            return web.Response(status=401)
        body = await request.content.read()
        if len(body) > _MAX_BODY_BYTES:
            return web.Response(status=413)
        query: dict[str, Datum] = {}
        for name in dict.fromkeys(request.query):
            if joined := ",".join(request.query.getall(name)):
                query[name] = Datum(joined, "string")
        value = Datum(
            {
                "method": Datum(request.method, "string"),
                "url": Datum(str(request.url), "string"),
                "headers": {
                    name: Datum(",".join(request.headers.getall(name)), "string") for name in dict.fromkeys(request.headers)
                },
                "query": query,
                "params": {name: Datum(text, "string") for name, text in values.items()},
                "body": Datum(body, "bytes"),
            },
            "http",
        )
        try:
            returned = await self._invoker.invoke(function, value, f"{request.method} {request.path}")
            return self._response(function, returned)
        except FunctionFailed:
            return web.Response(status=500)

    def _response(self, function: IndexedFunction, returned: Any) -> web.Response:
        if function.return_type is None:
            return web.Response(status=204)
        try:
            encoded = func.get_binding_registry().get("http").encode(returned, expected_type=None)
            if encoded.type == "http":
                return self._from_http(encoded.value)
            return self._from_text(str(encoded.value))
        except Exception as problem:
            self._logger.error("%s: its return value is no HTTP response: %s: %s", function.name, type(problem).__name__, problem)
            return web.Response(status=500)

    @staticmethod
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
        headers.setdefault(
            "Content-Type", "text/plain; charset=utf-8" if isinstance(body, str) else "application/json; charset=utf-8"
        )
        return web.Response(body=content.encode(), status=status, headers=headers)

    @staticmethod
    def _from_http(value: dict[str, Any]) -> web.Response:
        body = value["body"].value if value.get("body") is not None else b""
        content = body.encode() if isinstance(body, str) else bytes(body or b"")
        response = web.Response(body=content, status=int(value["status_code"].value))
        response.headers.popall("Content-Type", None)
        for name, datum in value["headers"].items():
            if name.lower() not in ("content-length", "transfer-encoding"):
                response.headers[name] = datum.value
        for jar in value.get("cookies") or []:
            assert isinstance(jar, SimpleCookie)
            for morsel in jar.values():
                response.headers.add("Set-Cookie", morsel.OutputString())
        return response

    def _is_admin(self, request: web.BaseRequest) -> bool:
        return not self._enable_auth or self._keys.allows("ADMIN", "", self._given_key(request))

    async def _admin(self, request: web.BaseRequest, path: str) -> web.Response:
        if not self._is_admin(request):
            return web.Response(status=401)
        parts = [part for part in path.split("/") if part][1:]
        if [part.lower() for part in parts] == ["host", "status"] and request.method == "GET":
            # Ours: how often the SDK's client has called, which the real host does not tell.
            return web.json_response(
                {"state": "Running", "version": "4.0.0.0", "versionDetails": "emulator", "durableCalls": self._durable_calls}
            )
        if [part.lower() for part in parts] == ["host", "durablefaults"] and request.method in ("POST", "DELETE"):
            return self._faults.control(request.method, json.loads(await request.content.read() or b"{}"))
        if len(parts) in (3, 4) and [parts[0].lower(), parts[2].lower()] == ["functions", "keys"]:
            body = await request.content.read()
            return key_requests.answer(
                self._keys, request.method, unquote(parts[1]), unquote(parts[3]) if parts[3:] else None, body
            )
        if len(parts) == 2 and parts[0].lower() == "functions" and request.method == "POST":
            try:
                text = json.loads(await request.content.read() or b"{}").get("input")
            except (ValueError, AttributeError):
                return web.Response(status=400, text='the body must be a JSON object with "input"')
            return web.Response(status=202 if self._trigger_by_hand(parts[1], text) else 404)
        return web.Response(status=404)
