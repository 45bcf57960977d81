"""What all operations of the API share: access, reading the request, the answer. The OpenAPI document is made from it too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit

import azure.durable_functions as df
import azure.functions as func
import msgspec

from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import DatabaseError
from rowpost.rules.json_text import to_json
from triggers.api.access import Level, caller
from triggers.api.problems import MEDIA_TYPE, Problem

_MAX_BODY_BYTES = 65536
_JSON = "application/json"

B = TypeVar("B")
Q = TypeVar("Q")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body or a query without fields."""


@dataclass(frozen=True)
class Call(Generic[B, Q]):
    """One request.

    Attributes:
        app: the app.
        found: the relay that the route names, if it names one.
        path: the parameters of the route.
        body: of the request, checked.
        query: its parameters, checked.
        client: of Durable Functions.
        caller: who calls, for the audit.
        trace: the trace context of the invocation, as W3C writes it, if it has one.
    """

    app: App
    found: RelayConfig | None
    path: dict[str, str]
    body: B
    query: Q
    client: Any
    caller: str
    trace: str | None

    @property
    def relay(self) -> RelayConfig:
        """The relay that the route names."""
        assert self.found is not None, "the route names none"
        return self.found


Texts = dict[str, str]
"""A query with any parameters."""

Handler = Callable[[Call[Any, Any]], Awaitable[Any]]


class Reply(msgspec.Struct, frozen=True):
    """An answer with a status of its own."""

    status: int
    document: Any


@dataclass(frozen=True)
class Operation:
    """What the document says of an operation.

    Attributes:
        name: of the function.
        statuses: of its successes; also others that have the same document.
        media: the type of its answer.
    """

    name: str
    method: str
    route: str
    level: Level
    summary: str
    body: type
    query: type
    answer: type
    statuses: tuple[int, ...]
    media: str


class Api:
    """The operations, as functions of the app and as data. ``changed`` is told the relay that an order was about.

    Attributes:
        functions: the blueprint.
        operations: in the order in which they were added.
    """

    def __init__(self, app: App, changed: Callable[[str], None]) -> None:
        self.app = app
        self._changed = changed
        self.functions = df.Blueprint()
        self.operations: list[Operation] = []

    def operation(
        self,
        name: str,
        method: str,
        route: str,
        level: Level,
        *,
        summary: str,
        answer: type,
        body: type = Nothing,
        query: type = Nothing,
        statuses: tuple[int, ...] = (200,),
        media: str = _JSON,
    ) -> Callable[[Handler], Handler]:
        """Add an operation. It answers the first of the statuses, unless it gives a :class:`Reply`.

        The handler may raise :class:`Problem`. A ``ConfigError`` is answered with 409, a ``DatabaseError`` with 503.
        """
        described = Operation(name, method, route, level, summary, body, query, answer, statuses, media)
        self.operations.append(described)
        api = self.app.config.api
        auth = func.AuthLevel.ANONYMOUS if api.auth == "entra" else func.AuthLevel.FUNCTION

        def add(handler: Handler) -> Handler:
            @self.functions.function_name(name)
            @self.functions.route(route=route, methods=[method], auth_level=auth)
            @self.functions.durable_client_input(client_name="client")
            async def function(req: func.HttpRequest, client: str, context: func.Context) -> func.HttpResponse:
                return await self._answer(described, handler, req, client, context)

            return handler

        return add

    async def _answer(
        self, operation: Operation, handler: Handler, req: func.HttpRequest, client: Any, context: func.Context
    ) -> func.HttpResponse:
        try:
            who = caller(self.app.config.api, req, operation.level)
            path = dict(req.route_params)
            call: Call[Any, Any] = Call(
                self.app,
                self._relay(path),
                path,
                _body(req, operation.body),
                _query(req, operation.query),
                client,
                who,
                context.trace_context.trace_parent,
            )
            answer = await handler(call)
        except Problem as problem:
            return _problem(problem)
        except ConfigError as error:
            return _problem(Problem(409, str(error)))
        except DatabaseError as error:
            return _problem(Problem(503, f"{error}; try again"))
        if operation.method != "GET" and call.found is not None:
            self._changed(call.found.name)
        reply = answer if isinstance(answer, Reply) else Reply(operation.statuses[0], answer)
        return func.HttpResponse(to_json(reply.document), status_code=reply.status, mimetype=operation.media)

    def _relay(self, path: dict[str, str]) -> RelayConfig | None:
        name = path.get("relay")
        if name is None:
            return None
        relay = self.app.config.relay(name)
        if relay is None:
            known = ", ".join(each.name for each in self.app.config.relays)
            raise Problem(404, f"there is no relay {name!r}; configured are {known}", "relay")
        return relay


def _problem(problem: Problem) -> func.HttpResponse:
    details = problem.details
    return func.HttpResponse(to_json(details), status_code=details.status, mimetype=MEDIA_TYPE)


def _query(req: func.HttpRequest, wanted: type[Q]) -> Q:
    pairs = [pair for pair in parse_qsl(urlsplit(req.url).query, keep_blank_values=True) if pair[0] != "code"]  # which is the key
    given = dict(pairs)
    if len(given) < len(pairs):
        raise Problem(400, "the query has a parameter twice; give each once")
    try:
        return msgspec.convert(given, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise _refused(error, "the query") from None


def _body(req: func.HttpRequest, wanted: type[B]) -> B:
    raw = req.get_body()
    if len(raw) > _MAX_BODY_BYTES:
        raise Problem(413, f"the body is larger than {_MAX_BODY_BYTES} bytes; send less")
    kind = req.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if raw and wanted is not Nothing and kind != _JSON and not kind.endswith("+json"):
        raise Problem(415, "send the body as JSON, with the header Content-Type: application/json")
    try:
        return msgspec.json.decode(raw if wanted is not Nothing and raw.strip() else b"{}", type=wanted)
    except msgspec.ValidationError as error:
        raise _refused(error, "the body") from None
    except (ValueError, RecursionError):
        raise Problem(400, "the body is no JSON object; send one") from None


def _refused(error: msgspec.ValidationError, what: str) -> Problem:
    """In words: msgspec says ``Expected `int`, got `str` - at `$.limit```."""
    text, _, place = str(error).partition(" - at `$")
    field = place.strip("`.") or None
    said = text.replace("`", "").replace("Object ", "")
    return Problem(400, f"{field or what}: {said[:1].lower()}{said[1:]}", field)


__all__ = ["Api", "Call", "Level", "Nothing", "Operation", "Problem", "Reply", "Texts"]
