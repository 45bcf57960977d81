"""What is put in the place of the system while a seed runs: the clock, randomness, threads, the driver and the network.

Nothing of the app's own code is replaced, only names through which it reaches the system.
"""

from __future__ import annotations

import functools
import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

import pyodbc
from azure.durable_functions.models import DurableOrchestrationClient as _client_class
from azure.durable_functions.models.history import HistoryEvent
from requests.adapters import HTTPAdapter

import emulators.functions_host.app.failures as failures
import rowpost.http.connections
import rowpost.http.exchange
import rowpost.operations.resync
import rowpost.target.delivery
from devtools.sim.inside.logging_heard import heard
from devtools.sim.inside.scheduler import Scheduler
from devtools.sim.inside.sockets import Sockets
from devtools.sim.inside.waiting import Deadlines, Pool, threading_for, wait_for

_history: ModuleType = sys.modules[HistoryEvent.__module__]
_client: ModuleType = sys.modules[_client_class.__module__]


_parse_instant = functools.lru_cache(maxsize=4096)(_history.dt_parse)


class Running(Protocol):
    """The simulation of one seed, as the patches see it."""

    scheduler: Scheduler
    noise: random.Random  # for ids and keys
    connect: Callable[..., Any]
    send: Callable[..., Any]
    sockets: Sockets | None  # of a seed whose HTTP goes through sockets; else what the app's adapters send is answered directly
    durable_request: Callable[..., Any]
    page_rows: int  # of a resync: few, so that there are several pages
    logged: Callable[[str], None]  # takes the lines of the log that machines read


class _Patches:
    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def put(self, target: Any, name: str, value: Any) -> None:
        old = getattr(target, name)
        self._undo.append(lambda: setattr(target, name, old))
        setattr(target, name, value)

    def undo(self) -> None:
        while self._undo:
            self._undo.pop()()


@contextmanager
def patched(running: Running) -> Iterator[None]:
    """Everything in place for one seed."""
    patches = _Patches()
    try:
        _put(patches, running)
        with heard(running.logged):
            yield
    finally:
        patches.undo()


def _put(patches: _Patches, running: Running) -> None:
    scheduler, noise = running.scheduler, running.noise
    real_sleep = time.sleep

    def current() -> Scheduler:
        return scheduler

    def sleep(seconds: float) -> None:
        strand = scheduler.current
        if strand is None:
            real_sleep(seconds)
        elif strand.answering:
            strand.delay += seconds
        else:
            scheduler.sleep(seconds)

    patches.put(time, "sleep", sleep)
    patches.put(uuid, "uuid4", lambda: uuid.UUID(int=noise.getrandbits(128), version=4))
    patches.put(os, "urandom", noise.randbytes)
    patches.put(pyodbc, "connect", running.connect)
    patches.put(rowpost.operations.resync, "PAGE_ROWS", running.page_rows)
    if running.sockets is None:
        patches.put(HTTPAdapter, "send", lambda adapter, request, **options: running.send(adapter, request, **options))
    else:
        for module in (rowpost.http.connections, rowpost.http.exchange):
            patches.put(module, "socket", running.sockets.module())
    threading_module = threading_for(current)
    for name, module in list(sys.modules.items()):
        if name.startswith("rowpost.") and getattr(module, "threading", None) is not None:
            patches.put(module, "threading", threading_module)
        if name.startswith("rowpost.") and getattr(module, "time", None) is time:
            patches.put(module, "time", SimpleNamespace(monotonic=lambda: current().monotonic(), sleep=sleep))
    poller = sys.modules.get("azure.core.polling._poller")
    if poller is not None:
        patches.put(poller, "threading", threading_module)
    patches.put(rowpost.http.exchange, "_deadlines", Deadlines(current))
    patches.put(rowpost.target.delivery, "ThreadPoolExecutor", lambda *args, **kwargs: Pool(current, *args, **kwargs))
    patches.put(
        rowpost.target.delivery,
        "wait",
        lambda futures, timeout=None, return_when="ALL_COMPLETED": wait_for(current, futures, timeout, return_when),
    )

    async def post(url: str, data: Any = None, *_: Any, **__: Any) -> list[Any]:
        return list(await running.durable_request("POST", url, data))

    async def get(url: str, *_: Any, **__: Any) -> list[Any]:
        status, body = await running.durable_request("GET", url, None)
        return [status, "" if body is None else body]

    async def delete(url: str, *_: Any, **__: Any) -> list[Any]:
        return list(await running.durable_request("DELETE", url, None))

    patches.put(_client, "post_async_request", post)
    patches.put(_client, "get_async_request", get)
    patches.put(_client, "delete_async_request", delete)
    patches.put(_history, "dt_parse", _parse_instant)  # the same instants are parsed at each replay
    patches.put(failures, "app_traceback", lambda problem: f"{type(problem).__name__}: {problem}")
