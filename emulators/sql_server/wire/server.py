"""The listener: one thread per connection, and one that looks after attentions."""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from emulators.sql_server.wire.connection import Connection
from emulators.sql_server.wire.shared import Shared

_WATCH_SECONDS = 0.05  # how often running requests are looked at
_PATIENCE_SECONDS = 0.02  # a request that ran no longer than this is not looked at
_IDLE_SECONDS = 0.5
_CLOSE_SECONDS = 5.0


@dataclass
class Server(Shared):
    """A TDS server on 127.0.0.1.

    Attributes:
        port: 0 takes a free one; read it after construction.
    """

    port: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[Connection, threading.Thread] = {}

    def start(self) -> None:
        """Serve, in threads of its own."""
        threading.Thread(target=self._accept, name="listener", daemon=True).start()
        threading.Thread(target=self._watch, name="attention", daemon=True).start()

    def stop(self) -> None:
        """Stop listening, end all connections (their transactions roll back) and wait for them."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """End all connections, and wait for them."""
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            connection.close()
        for thread in connections.values():
            thread.join(_CLOSE_SECONDS)

    def backup(self, path: Path) -> None:
        """What is committed, as a file."""
        self.database.backup(path)

    def restore(self, path: Path) -> None:
        """Make the database what it was at the backup; all connections end first.

        Raises:
            ValueError: the file is no backup.
        """
        if not path.is_file():
            raise ValueError(f"there is no backup {path}")
        self.drop_connections()
        self.database.restore(path)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError as error:
                if self._stopping.wait(_WATCH_SECONDS):
                    return
                print(f"accept: {error}", file=sys.stderr, flush=True)  # out of file descriptors, for instance
                continue
            connection = Connection(self, client)
            thread = threading.Thread(target=self._serve, args=(connection,), name=f"connection {client.fileno()}", daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.run()
        finally:
            with self._lock:
                self._connections.pop(connection, None)

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH_SECONDS if self._connections else _IDLE_SECONDS):
            with self._lock:
                connections = list(self._connections)
            for connection in connections:
                connection.watch(_PATIENCE_SECONDS, _readable)


def _readable(connection: socket.socket) -> bool:
    """Whether reading would not wait: data, or the end."""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            return bool(selector.select(0))
    except (OSError, ValueError, KeyError):  # closed meanwhile
        return False
