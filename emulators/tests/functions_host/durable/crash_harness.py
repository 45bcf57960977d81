"""Run one orchestration over and over, each time killed at another commit of the engine, and print what came out as JSON.

``python -m emulators.tests.functions_host.durable.crash_harness APP DIRECTORY ORCHESTRATOR``.

Each run is a fork, so that it starts in milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from emulators.clock import AcceleratedClock
from emulators.functions_host.app.indexing import LoadedFunction
from emulators.functions_host.app.invocation import Invoker
from emulators.functions_host.app.loading import load_app
from emulators.functions_host.app.runner import Runner
from emulators.functions_host.durable.config import DurableConfig
from emulators.functions_host.durable.engine import Engine, Functions
from emulators.functions_host.durable.entities import EntityRunner
from emulators.functions_host.durable.history import FINISHED
from emulators.functions_host.durable.operations import Operations
from emulators.functions_host.durable.orchestrations import OrchestrationRunner
from emulators.functions_host.durable.store import Store
from emulators.functions_host.durable.work import WorkSet
from emulators.functions_host.settings import AppSettings, load_settings

_INSTANCE = "grand"
_FACTOR = 500  # a second of the orchestrator passes in two milliseconds
_NEVER = 1_000_000


class DyingStore(Store):
    """Kills the process just before, or just after, its n-th commit."""

    def __init__(self, file: Path, deadly_commit: int, before: bool) -> None:
        self._left, self._before = deadly_commit, before
        super().__init__(file)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self._left -= 1
        with super().transaction():
            yield
            if self._left == 0 and self._before:
                os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def _run(
    settings: AppSettings, functions: list[LoadedFunction], directory: Path, name: str, deadly: int, before: bool
) -> None:
    logger = logging.getLogger("crash")
    clock = AcceleratedClock(_FACTOR, directory / "clock")
    work = WorkSet(clock, logger)
    store = DyingStore(directory / "durable.sqlite", deadly, before)
    invoker = Invoker(Runner(functions, settings.values), clock, logger)
    engine = Engine(
        store, DurableConfig.read(settings), Functions([function.about for function in functions]), invoker, clock, work, logger
    )
    runner, entities = OrchestrationRunner(engine), EntityRunner(engine)
    if store.instance(_INSTANCE) is None:
        Operations(engine, runner).start(name, _INSTANCE, None)
    engine.start(runner.run_episode, entities.run_batch)
    while True:
        instance = store.instance(_INSTANCE)
        if instance is not None and instance.status in FINISHED:
            (directory / "result").write_text(json.dumps([instance.status, instance.output]))
            return
        await asyncio.sleep(0.002)


def _attempt(settings: AppSettings, functions: list[LoadedFunction], directory: Path, name: str, deadly: int, before: bool) -> bool:
    """One life of the engine in a process of its own; whether it was killed."""
    child = os.fork()
    if child == 0:
        os.environ["NOTES"] = str(directory / "notes")
        asyncio.run(_run(settings, functions, directory, name, deadly, before))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main(app: Path, directory: Path, name: str) -> None:
    """Go through all commits; print one line for each run."""
    logging.basicConfig(level=logging.CRITICAL)
    settings = load_settings(app, None, ["EveryFiveMinutes=0 */5 * * * *"])
    functions = load_app(settings)
    for before in (True, False):
        for deadly in range(1, _NEVER):
            place = directory / f"{deadly}-{before}"
            place.mkdir()
            killed = _attempt(settings, functions, place, name, deadly, before)
            _attempt(settings, functions, place, name, _NEVER, before)
            notes = (place / "notes").read_text().splitlines()
            result = json.loads((place / "result").read_text())
            print(json.dumps({"commit": deadly, "before": before, "killed": killed, "result": result, "notes": notes}), flush=True)
            if not killed:
                break


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
