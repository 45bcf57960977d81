"""The relays: what each does now."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from rowpost.operations.status import target_status
from triggers.api.api import Api, Call, Level, Nothing
from triggers.api.looking import Looking


class Relays(msgspec.Struct):
    """All relays, the pace of the targets, and what the app needs and does not answer."""

    away: dict[str, str]
    targets: list[dict[str, Any]]
    relays: list[dict[str, Any]]


def add(api: Api, looking: Looking) -> None:
    """Add the operations to the API."""

    @api.operation("list_relays", "GET", "relays", Level.READ, summary="The state of all relays.", answer=Relays)
    async def list_relays(call: Call[Nothing, Nothing]) -> Relays:
        relays = call.app.config.relays
        away, *found = await asyncio.gather(looking.away(call.client), *(looking.status(call.client, relay) for relay in relays))
        listed = [{name: value for name, value in relay.items() if name != "history"} for relay in found]
        return Relays(away, target_status(call.app), listed)

    @api.operation("get_relay", "GET", "relays/{relay}", Level.READ, summary="The state of one relay.", answer=dict[str, Any])
    async def get_relay(call: Call[Nothing, Nothing]) -> dict[str, Any]:
        found = await looking.status(call.client, call.relay)
        return {name: value for name, value in found.items() if name != "sparkline"}
