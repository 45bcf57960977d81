"""The OpenAPI 3.1 document of the API, made from its operations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from triggers.api.api import Nothing, Operation, Texts
from triggers.api.problems import MEDIA_TYPE, ProblemDetails

_REFERENCE = "#/components/schemas/{name}"
_PLACE = re.compile(r"\{(\w+)\}")
_ABOUT = {
    "relay": "The name of a relay: that of its table, unless relay.toml gives another.",
    "key": "The value of the key column of a row; if there are several, a JSON object with each.",
    "incident": "The id of an incident.",
}
_KEYS = {
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "A key of the function or of the host.",
    },
    "parameter": {"type": "apiKey", "in": "query", "name": "code", "description": "The same, in the address."},
}
_FREE: dict[str, Any] = {"properties": {}}
_COLUMNS = {"type": "object", "additionalProperties": {"type": "string"}, "description": "Each column of the key, with its value."}
_ENTRA = {"entra": {"type": "http", "scheme": "bearer", "description": "A token of Entra ID, checked by App Service."}}


def openapi_document(operations: Sequence[Operation], *, entra: bool) -> dict[str, Any]:
    """The document: each operation with its parameters, its body, and all its answers."""
    types = {kind for each in operations for kind in (each.body, each.answer, ProblemDetails) if kind is not Nothing}
    types |= {each.query for each in operations if each.query is not Texts}
    ordered = sorted(types, key=str)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    by_type = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(f"/{each.route}", {})[each.method.lower()] = _operation(each, by_type, components)
    hidden = {each.query.__name__ for each in operations if each.query is not Texts}
    used = [name for name in components if name not in hidden]
    schemes = _ENTRA if entra else _KEYS
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rowpost",
            "version": "1",
            "summary": "Row changes of SQL Server, relayed to an HTTP API.",
        },
        "servers": [{"url": "/api"}],
        "security": [{name: []} for name in schemes],
        "paths": paths,
        "components": {"schemas": {name: components[name] for name in used}, "securitySchemes": schemes},
    }


def _operation(each: Operation, schemas: dict[type, Any], components: dict[str, Any]) -> dict[str, Any]:
    places = _PLACE.findall(each.route)
    query = _FREE if each.query is Texts else components[each.query.__name__]
    needed = query.get("required", [])
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "description": _ABOUT[name], "schema": {"type": "string", "minLength": 1}}
        for name in places
    ]
    parameters += [
        {"name": name, "in": "query", "required": name in needed, "schema": schema} for name, schema in query["properties"].items()
    ]
    if each.query is Texts:
        parameters.append(
            {"name": "columns", "in": "query", "required": True, "style": "form", "explode": True, "schema": _COLUMNS}
        )
    found: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "x-access": each.level.name.lower(),
        "parameters": parameters,
        "responses": _answers(each, schemas),
    }
    if each.body is not Nothing:
        required = bool(components[each.body.__name__].get("required"))
        found["requestBody"] = {"required": required, "content": {"application/json": {"schema": schemas[each.body]}}}
    return found


def _answers(each: Operation, schemas: dict[type, Any]) -> dict[str, Any]:
    answer = {each.media: {"schema": schemas[each.answer]}}
    found = {str(status): {"description": HTTPStatus(status).phrase, "content": answer} for status in each.statuses}
    problems = [400, 401, 403, 409, 422, 503]
    problems += [404] if "{" in each.route else []
    problems += [413, 415] if each.body is not Nothing else []
    problem = {MEDIA_TYPE: {"schema": schemas[ProblemDetails]}}
    for status in sorted(problems):
        found.setdefault(str(status), {"description": HTTPStatus(status).phrase, "content": problem})
    return found
