"""The control port: statistics, faults and backups over HTTP.

====== ================ ==================================================================
GET    ``/stats``       ``applications``: counters and last statements by application name
POST   ``/stats/reset`` counters to zero
GET    ``/faults``      planned faults
POST   ``/faults``      plan a fault (:class:`emulators.sql_server.wire.faults.Fault`)
DELETE ``/faults``      forget all
POST   ``/backup``      ``{"path": …}``: BACKUP DATABASE, as a file
POST   ``/restore``     ``{"path": …}``: RESTORE DATABASE … WITH REPLACE; all connections end
====== ================ ==================================================================
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from emulators.callers import refusal
from emulators.sql_server.wire.faults import Fault, Faults
from emulators.sql_server.wire.statistics import Statistics


class Backups(Protocol):
    """What backs up and restores the database."""

    def backup(self, path: Path) -> None:
        """What is committed, as a file."""

    def restore(self, path: Path) -> None:
        """Make the database what it was at the backup."""


class ControlPort:
    """The HTTP server; listens on 127.0.0.1."""

    def __init__(self, statistics: Statistics, faults: Faults, port: int = 0, backups: Backups | None = None) -> None:
        def reset(_: Any) -> dict[str, Any]:
            statistics.reset()
            return {}

        def plan(document: Any) -> dict[str, Any]:
            fault = Fault.from_json(document)
            faults.add(fault)
            return fault.to_json()

        def forget(_: Any) -> dict[str, Any]:
            faults.clear()
            return {}

        def file(document: Any) -> Path:
            if not isinstance(document, dict) or not isinstance(document.get("path"), str):
                raise ValueError("field 'path' is missing")
            return Path(document["path"])

        def backup(document: Any) -> dict[str, Any]:
            if backups is not None:
                backups.backup(file(document))
            return {}

        def restore(document: Any) -> dict[str, Any]:
            if backups is not None:
                backups.restore(file(document))
            return {}

        routes: dict[tuple[str, str], Callable[[Any], Any]] = {
            ("POST", "/backup"): backup,
            ("POST", "/restore"): restore,
            ("GET", "/stats"): lambda _: {"applications": statistics.to_json()},
            ("POST", "/stats/reset"): reset,
            ("GET", "/faults"): lambda _: faults.planned(),
            ("POST", "/faults"): plan,
            ("DELETE", "/faults"): forget,
        }

        class Handler(_Handler):
            pass

        Handler.routes = routes
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Serve in a thread."""
        threading.Thread(target=self._server.serve_forever, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    routes: dict[tuple[str, str], Callable[[Any], Any]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if (why := refusal(self.headers)) is not None:
            self._send(403, {"error": why})
            return
        route = self.routes.get((self.command, self.path.partition("?")[0]))
        if route is None:
            self._send(404, {"error": f"no {self.command} {self.path}"})
            return
        try:
            self._send(200, route(json.loads(body) if body else None))
        except ValueError as error:
            self._send(400, {"error": str(error)})

    do_GET = do_POST = do_DELETE = _answer

    def _send(self, status: int, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""
