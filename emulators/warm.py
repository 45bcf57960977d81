"""Emulators as forks of a process that has imported what they import: for tests, which start hundreds of them.

They behave as processes of their own do. Only their start costs a third. It needs fork, so it is for Linux.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

_IMPORTED = [  # nothing of an app: each host imports the one that it is given
    "emulators.sql_server.engine.database",
    "emulators.sql_server.wire.control",
    "emulators.sql_server.wire.server",
    "emulators.functions_host.host",
    "azure.durable_functions",
    "azure.communication.email",
    "msgspec",
    "pyodbc",
    "requests",
]


@cache
def _context() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context


class Forked:
    """A fork that runs ``python -m emulators.guarded``, with the part of ``subprocess.Popen`` that starters of emulators use."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        stdin, kept_in = os.pipe()
        kept_out, stdout = os.pipe()
        self.stdin, self.stdout = os.fdopen(kept_in, "wb"), os.fdopen(kept_out, "rb")
        try:
            given = (DupFd(stdin), DupFd(stdout), str(log), command, dict(environment), os.getcwd())
            self._process = _context().Process(target=_run, args=given)
            self._process.start()
        finally:
            os.close(stdin)
            os.close(stdout)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(f"emulator {self.pid}", timeout or 0)
        return self._process.exitcode

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()


def _run(stdin: Any, stdout: Any, log: str, command: list[str], environment: dict[str, str], folder: str) -> None:
    os.setsid()
    for wanted, found in ((0, stdin.detach()), (1, stdout.detach()), (2, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT))):
        os.dup2(found, wanted)
        os.close(found)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    sys.argv = command
    runpy.run_module("emulators.guarded", run_name="__main__", alter_sys=True)
