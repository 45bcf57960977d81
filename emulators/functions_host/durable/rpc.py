"""The HTTP endpoints that the SDK's client and the management URLs call: the same paths under two prefixes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from emulators.clock import Clock
from emulators.functions_host.durable import history
from emulators.functions_host.durable.config import DurableConfig
from emulators.functions_host.durable.history import FINISHED, STATUS_NUMBERS, decode_json, parse_instant
from emulators.functions_host.durable.operations import BadRequest, Gone, InvalidOperation, NotFound, Operations
from emulators.functions_host.durable.store import EntityRow, Instance, InstanceFilter, Store

WEBHOOK_PATH = "/runtime/webhooks/durabletask"
RPC_PATH = "/durabletask"
_TOKEN = "x-ms-continuation-token"


def _error(status: int, message: str, problem: str = "System.ArgumentException") -> web.Response:
    body = {"Message": message, "ExceptionMessage": message, "ExceptionType": problem, "StackTrace": ""}
    return web.json_response(body, status=status)


def _seconds_precision(text: str) -> str:
    return text[:19] + "Z"


class ManagementApi:
    """Handlers of the endpoints.

    Args:
        store: for reads.
        operations: for everything else.
        config: of the engine.
        clock: pauses of the start-and-wait call.
    """

    def __init__(self, store: Store, operations: Operations, config: DurableConfig, clock: Clock) -> None:
        self._store, self._operations, self._config, self._clock = store, operations, config, clock
        self.base_url = ""
        self.rpc_url = ""
        self.code = ""

    # URLs

    @property
    def _query(self) -> str:
        return f"taskHub={quote(self._config.hub_name)}&connection=Storage&code={quote(self.code)}"

    def management_urls(self, instance_id: str) -> dict[str, str]:
        """The links of one instance."""
        base = f"{self.base_url}/instances/{quote(instance_id, safe='@:')}"
        query = self._query
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{base}?{query}",
            "sendEventPostUri": f"{base}/raiseEvent/{{eventName}}?{query}",
            "terminatePostUri": f"{base}/terminate?reason={{text}}&{query}",
            "rewindPostUri": f"{base}/rewind?reason={{text}}&{query}",
            "purgeHistoryDeleteUri": f"{base}?{query}",
            "restartPostUri": f"{base}/restart?{query}",
            "suspendPostUri": f"{base}/suspend?reason={{text}}&{query}",
            "resumePostUri": f"{base}/resume?reason={{text}}&{query}",
        }

    def client_text(self, binding: dict[str, Any]) -> str:
        """What the input binding of a durable client receives."""
        hub = binding.get("taskHub")
        if hub and hub != self._config.hub_name:
            raise ValueError(f"durable client binding {binding['name']!r}: this host has only task hub {self._config.hub_name!r}")
        create = f"{self.base_url}/orchestrators/{{functionName}}[/{{instanceId}}]"
        return json.dumps(
            {
                "taskHubName": self._config.hub_name,
                "connectionName": binding.get("connectionName"),
                "creationUrls": {
                    "createNewInstancePostUri": f"{create}?code={self.code}",
                    "createAndWaitOnNewInstancePostUri": (
                        f"{create}?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&code={self.code}"
                    ),
                },
                "managementUrls": self.management_urls("INSTANCEID"),
                "baseUrl": self.base_url,
                "requiredQueryStringParameters": f"code={self.code}",
                "rpcBaseUrl": self.rpc_url,
                "httpBaseUrl": None,
            }
        )

    # Dispatch

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request under either prefix."""
        path = request.rel_url.raw_path
        for prefix in (WEBHOOK_PATH, RPC_PATH):
            if path.lower().startswith(prefix):
                path = path[len(prefix) :]
                break
        parts = [unquote(part) for part in path.split("/") if part]
        hub = request.query.get("taskHub")
        if hub and hub.lower() != self._config.hub_name.lower():
            return _error(400, f"this host has only the task hub {self._config.hub_name!r}, not {hub!r}")
        try:
            return await self._dispatch(request, parts)
        except BadRequest as problem:
            return _error(400, str(problem))
        except NotFound:
            return web.Response(status=404)
        except Gone:
            return web.Response(status=410)
        except InvalidOperation as problem:
            return _error(500, str(problem), "System.InvalidOperationException")

    async def _dispatch(self, request: web.BaseRequest, parts: list[str]) -> web.Response:
        method, count = request.method, len(parts)
        kind = parts[0].lower() if parts else ""
        if kind == "orchestrators" and method == "POST" and count in (2, 3):
            return await self._start(request, parts[1], parts[2] if count == 3 else None)
        if kind == "instances":
            if count == 1 and method in ("GET", "DELETE"):
                return self._list(request) if method == "GET" else self._purge_by(request)
            if count == 2 and method in ("GET", "DELETE"):
                return self._status(request, parts[1]) if method == "GET" else self._purge(parts[1])
            if method == "POST" and count in (3, 4):
                return await self._steer(request, parts[1], parts[2].lower(), parts[3] if count == 4 else None)
        if kind == "entities":
            if method == "GET" and count in (1, 2):
                return self._entities(request, parts[1] if count == 2 else None)
            if method == "GET" and count == 3:
                return self._entity(parts[1], parts[2])
            if method in ("POST", "DELETE") and count == 3:
                return await self._signal(request, parts[1], parts[2])
        return web.Response(status=404)

    # Orchestrations

    @staticmethod
    async def _json_body(request: web.BaseRequest) -> str | None:
        body = await request.content.read()
        if not body:
            return None
        try:
            text = body.decode("utf-8-sig")
            json.loads(text)
        except ValueError as problem:
            raise BadRequest(f"Invalid JSON in the request body: {problem}") from None
        return text

    async def _start(self, request: web.BaseRequest, name: str, instance_id: str | None) -> web.Response:
        text = await self._json_body(request)
        instance_id = self._operations.start(name, instance_id, text, request.query.get("version", ""))
        if "timeout" in request.query:
            return await self._wait(request, instance_id)
        return self._accepted(instance_id)

    def _accepted(self, instance_id: str) -> web.Response:
        links = self.management_urls(instance_id)
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(links, status=202, headers=headers)

    async def _wait(self, request: web.BaseRequest, instance_id: str) -> web.Response:
        try:
            timeout, interval = float(request.query["timeout"]), float(request.query.get("pollingInterval", "1"))
        except ValueError:
            raise BadRequest("timeout and pollingInterval must be numbers of seconds") from None
        if interval <= 0 or interval > timeout:
            raise BadRequest("pollingInterval must be above zero and not above timeout")
        deadline = self._clock.now() + timedelta(seconds=timeout)
        while True:
            instance = self._store.instance(instance_id)
            if instance is not None and instance.status in FINISHED:
                if instance.status == "Completed":
                    return web.Response(text=instance.output or "null", content_type="application/json")
                body = self._status_body(instance, show_input=True)
                return web.json_response(body, status=500 if instance.status == "Failed" else 200)
            if self._clock.now() >= deadline:
                return self._accepted(instance_id)
            await self._clock.sleep(interval)

    @staticmethod
    def _flag(request: web.BaseRequest, name: str, default: bool = False) -> bool:
        value = request.query.get(name)
        return default if value is None else value.lower() == "true"

    def _status_body(self, instance: Instance, *, show_input: bool) -> dict[str, Any]:
        return {
            "name": instance.name,
            "instanceId": instance.instance_id,
            "runtimeStatus": instance.status,
            "input": decode_json(instance.input) if show_input else None,
            "customStatus": decode_json(instance.custom_status),
            "output": decode_json(instance.output),
            "createdTime": _seconds_precision(instance.created_at),
            "lastUpdatedTime": _seconds_precision(instance.updated_at),
        }

    def _entity_status(self, entity: EntityRow) -> dict[str, Any]:
        """Entities appear among the instances, since the service keeps them as eternal orchestrations."""
        return {
            "name": entity.entity_id,
            "instanceId": entity.entity_id,
            "runtimeStatus": "Running",
            "input": {"exists": entity.present, "state": entity.state},
            "customStatus": {
                "entityExists": entity.present,
                "queueSize": self._store.entity_queue_length(entity.entity_id),
            },
            "output": None,
            "createdTime": _seconds_precision(entity.created_at),
            "lastUpdatedTime": _seconds_precision(entity.updated_at),
        }

    def _status(self, request: web.BaseRequest, instance_id: str) -> web.Response:
        if instance_id.startswith("@"):
            entity = self._store.entity(instance_id)
            if entity is None:
                raise NotFound(instance_id)
            return web.json_response(self._entity_status(entity), status=202)
        instance = self._store.instance(instance_id)
        if instance is None:
            raise NotFound(instance_id)
        show_input = self._flag(request, "showInput", True)
        body = self._status_body(instance, show_input=show_input)
        if self._flag(request, "showHistory"):
            events = (json.loads(text) for text in self._store.history(instance_id))
            body["historyEvents"] = history.reshape(
                events, self._flag(request, "showInput"), self._flag(request, "showHistoryOutput")
            )
        if instance.status not in FINISHED:
            headers = {"Location": self.management_urls(instance_id)["statusQueryGetUri"], "Retry-After": "5"}
            return web.json_response(body, status=202, headers=headers)
        failed = instance.status == "Failed" and self._flag(request, "returnInternalServerErrorOnFailure")
        return web.json_response(body, status=500 if failed else 200)

    @staticmethod
    def _instant(request: web.BaseRequest, name: str) -> datetime | None:
        text = request.query.get(name)
        if not text:
            return None
        try:
            return parse_instant(text)
        except ValueError:
            raise BadRequest(f"{name} is no instant: {text!r}") from None

    def _filter(self, request: web.BaseRequest) -> InstanceFilter:
        statuses: frozenset[str] | None = None
        if text := ",".join(request.query.getall("runtimeStatus", [])):
            by_name = {name.lower(): name for name in STATUS_NUMBERS}
            wanted = [name.strip().lower() for name in text.split(",") if name.strip()]
            if unknown := [name for name in wanted if name not in by_name]:
                raise BadRequest(f"unknown runtime status {', '.join(unknown)}")
            statuses = frozenset(by_name[name] for name in wanted)
        created_from, created_to = self._instant(request, "createdTimeFrom"), self._instant(request, "createdTimeTo")
        return InstanceFilter(created_from, created_to, statuses, request.query.get("instanceIdPrefix"))

    def _list(self, request: web.BaseRequest) -> web.Response:
        wanted = self._filter(request)
        show_input = self._flag(request, "showInput", True)
        bodies = [self._status_body(instance, show_input=show_input) for instance in self._store.instances(wanted)]
        if wanted.statuses is None or "Running" in wanted.statuses:
            bodies.extend(
                self._entity_status(entity)
                for entity in self._store.entities()
                if (not wanted.prefix or entity.entity_id.startswith(wanted.prefix))
                and (wanted.created_from is None or parse_instant(entity.created_at) >= wanted.created_from)
                and (wanted.created_to is None or parse_instant(entity.created_at) <= wanted.created_to)
            )
        bodies.sort(key=lambda body: body["instanceId"])
        if after := request.headers.get(_TOKEN):
            bodies = [body for body in bodies if body["instanceId"] > after]
        headers = {}
        if top := request.query.get("top"):
            if not top.isdecimal() or int(top) == 0:
                raise BadRequest("top must be a number above zero")
            if len(bodies) > int(top):
                bodies = bodies[: int(top)]
                headers[_TOKEN] = bodies[-1]["instanceId"]
        return web.json_response(bodies, headers=headers)

    async def _steer(self, request: web.BaseRequest, instance_id: str, action: str, argument: str | None) -> web.Response:
        reason = request.query.get("reason")
        operations = self._operations
        if action == "raiseevent" and argument is not None:
            if request.content_type != "application/json":
                raise BadRequest("Only application/json request content is supported")
            operations.raise_event(instance_id, argument, await self._json_body(request))
        elif argument is not None:
            return web.Response(status=404)
        elif action == "terminate":
            operations.terminate(instance_id, reason)
        elif action == "suspend":
            operations.suspend(instance_id, reason)
        elif action == "resume":
            operations.resume(instance_id, reason)
        elif action == "rewind":
            operations.rewind(instance_id, reason)
        elif action == "restart":
            return self._accepted(operations.restart(instance_id, self._flag(request, "restartWithNewInstanceId", True)))
        else:
            return web.Response(status=404)
        return web.Response(status=202)

    def _purge(self, instance_id: str) -> web.Response:
        if not self._operations.purge(instance_id):
            raise NotFound(instance_id)
        return web.json_response({"instancesDeleted": 1})

    def _purge_by(self, request: web.BaseRequest) -> web.Response:
        wanted = self._filter(request)
        if wanted.created_from is None:
            raise BadRequest("Please provide value for 'createdTimeFrom' parameter.")
        count = self._operations.purge_by(wanted)
        if count == 0:
            return web.Response(status=404)
        return web.json_response({"instancesDeleted": count})

    # Entities

    @staticmethod
    def _key(text: str) -> str:
        return "" if text == "$" else text

    def _entity(self, name: str, key: str) -> web.Response:
        entity = self._store.entity(f"@{name.lower()}@{self._key(key)}")
        if entity is None or not entity.present:
            raise NotFound(name)
        return web.Response(text=entity.state or "null", content_type="application/json")

    def _entities(self, request: web.BaseRequest, name: str | None) -> web.Response:
        since, until = self._instant(request, "lastOperationTimeFrom"), self._instant(request, "lastOperationTimeTo")
        bodies = []
        for entity in self._store.entities(f"@{name.lower()}@" if name else "@"):
            last = parse_instant(entity.updated_at)
            if not entity.present or (since and last < since) or (until and last > until):
                continue
            _, entity_name, key = entity.entity_id.split("@", 2)
            body: dict[str, Any] = {
                "entityId": {"name": entity_name, "key": key},
                "lastOperationTime": _seconds_precision(entity.updated_at),
            }
            if self._flag(request, "fetchState"):
                body["state"] = decode_json(entity.state)
            bodies.append(body)
        return web.json_response(bodies)

    async def _signal(self, request: web.BaseRequest, name: str, key: str) -> web.Response:
        operation = "delete" if request.method == "DELETE" else request.query.get("op", "")
        self._operations.signal_entity(name, self._key(key), operation, await self._json_body(request))
        return web.Response(status=202)
