"""One emulator as a process: start, stop, kill.

An emulator that is started again keeps its ports and its data, so what was configured with them stays valid. None
outlives the process that started it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Protocol, Self

ROOT = Path(__file__).resolve().parents[1]
_POLL_SECONDS = 0.02
_LOG_LINES_SHOWN = 40
_PORT_SECONDS = 10  # that a port is waited for: a connection of another process may have it for a while


class EmulatorError(RuntimeError):
    """An emulator did not start, or ended by itself; the text holds the last lines of its log."""


def _await_port(port: int) -> None:
    """Wait until a port is free, but not for long: whoever listens there next says so otherwise."""
    late = time.monotonic() + _PORT_SECONDS
    while time.monotonic() < late:
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind(("127.0.0.1", port))
                return
            except OSError:
                time.sleep(_POLL_SECONDS)


class Process(Protocol):
    """What is used of ``subprocess.Popen``."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


def start_process(command: list[str], environment: Mapping[str, str], log: Path) -> Process:
    """Run ``python -m emulators.guarded`` with the rest of the command, and standard error into a log."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            stdin=subprocess.PIPE,  # held open: see emulators/guarded.py
            stdout=subprocess.PIPE,
            stderr=file,
            **_own_group(),
        )


class Emulator:
    """One process of ``python -m module``.

    Attributes:
        starter: starts it; tests have another one, see emulators/warm.py.

    Args:
        name: of its log file.
        module: that has the command line.
        directory: for the log (``<name>.log``) and the data; made if missing.
        arguments: of the command line, without the ports.
        ports: options that take a port, and their names in the ready line; 0 in ``chosen_ports`` or none: any free one.
    """

    starter: ClassVar[Callable[[list[str], Mapping[str, str], Path], Process]] = staticmethod(start_process)

    def __init__(
        self,
        name: str,
        module: str,
        directory: Path,
        arguments: list[str],
        ports: Mapping[str, str],
        chosen_ports: Mapping[str, int] | None = None,
    ) -> None:
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.directory = directory
        self.log_file = directory / f"{name}.log"
        self._module = module
        self._arguments = arguments
        self._port_options = ports
        self._ports = {label: (chosen_ports or {}).get(label, 0) for label in ports.values()}
        self._process: Process | None = None
        self._ready: Future[bool] = Future()
        _alive.add(self)

    # --- life ---

    def start(self, timeout_seconds: float = 60.0) -> Self:
        """Start the process and wait until it is ready.

        Raises:
            EmulatorError: it ended, or was not ready within ``timeout_seconds``.
        """
        self.begin()
        return self.wait_ready(timeout_seconds)

    def begin(self) -> None:
        """Start the process without waiting for it; :meth:`wait_ready` comes next."""
        if self.running:
            raise EmulatorError(f"{self.name} runs already")
        if self._ready.done():  # it is started again, and keeps its ports
            for port in self._ports.values():
                _await_port(port)
        options = [part for option, label in self._port_options.items() for part in (option, str(self._ports[label]))]
        command = ["emulators.guarded", self._module, *self._arguments, *options]
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
        self._ready = Future()
        self._process = type(self).starter(command, environment, self.log_file)
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout, self._ready), daemon=True).start()

    def _read(self, stdout: IO[bytes], ready: Future[bool]) -> None:
        """Copy standard output to the log; ``ready`` becomes true with the ready line, false if it never came."""
        with stdout, self.log_file.open("ab") as log:
            for line in stdout:
                if not ready.done():
                    with contextlib.suppress(ValueError):
                        found = json.loads(line)
                        if isinstance(found, dict) and "port" in found:
                            self._ports |= {label: found[label] for label in self._ports if label in found}
                            ready.set_result(True)
                log.write(line)
                log.flush()
        if not ready.done():
            ready.set_result(False)

    def wait_ready(self, timeout_seconds: float = 60.0) -> Self:
        """Wait until the process has announced its ports; errors as of :meth:`start`."""
        process = self._process
        if process is None:
            raise EmulatorError(f"{self.name} does not run")
        try:
            if self._ready.result(timeout_seconds):
                return self
            problem = f"ended with {process.wait(timeout_seconds)} before it was ready"
        except (TimeoutError, subprocess.TimeoutExpired):
            problem = f"was not ready within {timeout_seconds} s"
        self.kill()
        raise EmulatorError(f"{self.name} {problem}\n{self.log_tail()}")

    def stop(self, timeout_seconds: float = 20.0) -> None:
        """End the process with SIGTERM, after ``timeout_seconds`` with SIGKILL; nothing happens if it does not run."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        self._release()

    def kill(self) -> None:
        """End the process, and whatever it started, at once with SIGKILL."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            _kill_group(process)
            process.wait()
        self._release()

    def restart(self, timeout_seconds: float = 60.0) -> Self:
        """Stop and start again, at the same ports with the same data."""
        self.stop()
        return self.start(timeout_seconds)

    def _release(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # --- observation ---

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def end(self) -> str | None:
        """How the process ended, and the last lines of its log, if it ended by itself; None if it runs or was stopped."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return None
        how = f"signal {-code} ended it" if code < 0 else f"it ended with {code}"
        return f"{self.name} does not run any more: {how}\n{self.log_tail()}"

    @property
    def pid(self) -> int:
        """Of the process.

        Raises:
            EmulatorError: it does not run.
        """
        if self._process is None:
            raise EmulatorError(f"{self.name} does not run")
        return self._process.pid

    @property
    def port(self) -> int:
        """The main port; 0 before the first start."""
        return self._ports["port"]

    @property
    def url(self) -> str:
        """Of the main port, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def log_tail(self, lines: int = _LOG_LINES_SHOWN) -> str:
        """The last lines of the log, under its path."""
        text = self.log_file.read_text(encoding="utf-8", errors="replace") if self.log_file.exists() else ""
        return f"last lines of {self.log_file}:\n" + "\n".join(text.splitlines()[-lines:])

    def wait_until(self, condition: Callable[[], Any], timeout_seconds: float = 30.0, what: str = "the condition") -> None:
        """Wait, in real time, until ``condition()`` is true.

        Raises:
            TimeoutError: it was not within ``timeout_seconds``.
            EmulatorError: the process ended meanwhile.
        """
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            if not self.running:
                raise EmulatorError(f"{self.name} ended while {what} was awaited\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} did not hold within {timeout_seconds} s\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)


def _own_group() -> dict[str, Any]:
    """Options by which a child leads a process group: a Ctrl-C in the terminal does not reach it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _kill_group(process: Process) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


_alive: weakref.WeakSet[Emulator] = weakref.WeakSet()


@atexit.register
def _kill_all() -> None:
    for emulator in list(_alive):
        emulator.kill()


def start_together(*emulators: Emulator, timeout_seconds: float = 60.0) -> None:
    """Start several at once; errors as of :meth:`Emulator.start`, and then none of them is left running."""
    try:
        for emulator in emulators:
            emulator.begin()
        for emulator in emulators:
            emulator.wait_ready(timeout_seconds)
    except BaseException:
        for emulator in emulators:
            emulator.kill()
        raise
