"""The contract with the systems that rows are sent to, and that of this API itself."""

from __future__ import annotations

from typing import Any

from rowpost.log_lines import in_thread
from rowpost.operations.contract import asyncapi_of, schema_of
from triggers.api.api import Api, Call, Level, Nothing
from triggers.api.openapi import openapi_document


def add(api: Api) -> None:
    """Add the operations to the API."""

    @api.operation(
        "get_schema",
        "GET",
        "relays/{relay}/schema",
        Level.READ,
        summary="The JSON Schema of the events of a relay, as it sends them now.",
        answer=dict[str, Any],
        media="application/schema+json",
    )
    async def get_schema(call: Call[Nothing, Nothing]) -> dict[str, Any]:
        return await in_thread(schema_of, call.app, call.relay.name)

    @api.operation(
        "get_asyncapi", "GET", "asyncapi", Level.READ, summary="The AsyncAPI document of all relays.", answer=dict[str, Any]
    )
    async def get_asyncapi(call: Call[Nothing, Nothing]) -> dict[str, Any]:
        return await in_thread(asyncapi_of, call.app)

    @api.operation("get_openapi", "GET", "openapi", Level.READ, summary="This document.", answer=dict[str, Any])
    async def get_openapi(call: Call[Nothing, Nothing]) -> dict[str, Any]:
        return openapi_document(api.operations, entra=call.app.config.api.auth == "entra")
