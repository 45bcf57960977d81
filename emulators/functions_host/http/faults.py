"""Planned faults of the endpoint that the SDK's durable client calls: as if the storage behind it were slow, away, or full.

``/admin/host/durableFaults`` takes them, as JSON; the real host has no such address.

POST    plan a fault (:class:`Fault`)
DELETE  forget all
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from aiohttp import web

_LOOK_SECONDS = 0.02
Action = Literal["error", "hang", "drop_before", "drop_after"]


@dataclass
class Fault:
    """One planned fault.

    Attributes:
        action: ``error`` answers 500; ``hang`` answers nothing for ``seconds`` and then goes on; ``drop_before`` closes the
            connection before the request has an effect, ``drop_after`` instead of the answer.
        pattern: a regular expression for ``METHOD /path?query`` of the requests that it concerns.
        seconds: of ``hang``, in real time; virtual time stands still meanwhile. It ends early if the client gives up.
        skip: how many such requests pass before.
        times: how many are struck; None is all.
    """

    action: Action
    pattern: str = ""
    seconds: float = 60.0
    skip: int = 0
    times: int | None = None

    def strikes(self, text: str) -> bool:
        """Whether the request is struck; counts."""
        if self.times == 0 or not re.search(self.pattern, text):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The planned faults; the first that concerns a request strikes it."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def control(self, method: str, values: dict[str, Any]) -> web.Response:
        """Answer a request to the address of the faults."""
        if method == "DELETE":
            self._planned.clear()
            return web.Response(status=204)
        known, actions = {field.name for field in fields(Fault)}, get_args(Action)
        if values.get("action") not in actions or set(values) - known:
            return web.Response(status=400, text=f"a fault has {', '.join(sorted(known))}; actions: {', '.join(actions)}")
        self._planned.append(Fault(**values))
        return web.Response(status=201)

    async def around(
        self, request: web.BaseRequest, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a request of the durable client, or not, as planned."""
        text = f"{request.method} {request.rel_url}"
        fault = next((each for each in self._planned if each.strikes(text)), None)
        if fault is None:
            return await handle(request)
        if fault.action == "error":
            body = {"Message": "planned", "ExceptionMessage": "planned", "ExceptionType": "Azure.RequestFailedException"}
            return web.json_response(body, status=500)
        if fault.action == "hang":
            await self._hang(request, fault.seconds)
            if _gone(request):  # the storage took the request all the same, or not: here it did not
                return web.Response(status=503)
            return await handle(request)
        if fault.action == "drop_after":
            await handle(request)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    @staticmethod
    async def _hang(request: web.BaseRequest, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end and not _gone(request):
            await asyncio.sleep(_LOOK_SECONDS)


def _gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()
