"""Health, for a monitor or a load balancer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from orchestrators.recoveries import storage_problem
from rowpost.app import App
from rowpost.operations.health import Check, channel_checks, database_check, relay_checks, target_check
from triggers.api.api import Api, Call, Level, Nothing, Reply
from triggers.api.looking import Looking, answered
from triggers.api.looks import LOOK_SECONDS, Looks


class HealthWanted(msgspec.Struct, forbid_unknown_fields=True):
    """``deep=false``: only whether the app answers; nothing is touched."""

    deep: bool = True


class Health(msgspec.Struct):
    """Whether all is well that counts, and every check. A target or a channel that is down does not count: the rows wait."""

    healthy: bool
    checks: list[Check]


def add(api: Api, looking: Looking) -> None:
    """Add the operation to the API."""
    outside = Looks()  # a database that is away holds the threads of the others

    @api.operation(
        "get_health",
        "GET",
        "health",
        Level.READ,
        summary="Whether the app can do its work: 200, or 503 with what is wrong and what to do.",
        query=HealthWanted,
        answer=Health,
        statuses=(200, 503),
    )
    async def get_health(call: Call[Nothing, HealthWanted]) -> Reply:
        if not call.query.deep:
            return Reply(200, Health(healthy=True, checks=[]))
        checks = [check for found in await _checks(call, looking.looks, outside) for check in found]
        healthy = all(check.healthy for check in checks if check.counts)
        return Reply(200 if healthy else 503, Health(healthy, checks))


async def _checks(call: Call[Nothing, HealthWanted], inside: Looks, outside: Looks) -> list[Sequence[Check]]:
    """All checks; each is over in time, whatever is away."""
    app = call.app

    async def look(
        name: str, work: Callable[[], Sequence[Check]], relay: str | None = None, *, counts: bool = True
    ) -> Sequence[Check]:
        found: list[Check] = []

        async def fill() -> None:
            found.extend(await (inside if counts else outside).at(f"health of {name} {relay}", work))

        if await answered(fill()) is None:
            return found
        text = f"no answer within {LOOK_SECONDS:g} s"
        return [Check(name, False, text, relay, "check the database and the network", counts=counts)]

    return await asyncio.gather(
        look("connection", lambda: [database_check(app)]),
        _storage(call),
        *(look("relay", partial(relay_checks, app, relay), relay.name) for relay in app.config.relays),
        *(look(f"target {target.name}", partial(_target, app, target.name), counts=False) for target in app.config.targets),
        look("channel", partial(channel_checks, app), counts=False),
    )


def _target(app: App, name: str) -> list[Check]:
    return [target_check(app.config.target(name))]


async def _storage(call: Call[Nothing, HealthWanted]) -> list[Check]:
    problem = await storage_problem(call.client)
    if problem is None:
        return [Check("storage", True, "the storage of Durable Functions answers")]
    remedy = "check the storage account and the app setting AzureWebJobsStorage; rows are relayed meanwhile"
    return [Check("storage", False, problem, remedy=remedy)]
