"""What outlives a seed: virtual time and one SQL server for each time zone. A seed gets an empty database and a whole new day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from emulators.clock import VirtualTime
from emulators.launch import SqlServer

FIRST_DAY = datetime(2026, 3, 2, 6, tzinfo=UTC)

_EMPTY = """
DECLARE @sql nvarchar(max) = (SELECT STRING_AGG(CONCAT(N'DROP TABLE [', s.name, N'].[', t.name, N'];'), N' ')
  FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id);
IF @sql IS NOT NULL EXEC (@sql);
"""


class Fleet:
    """Processes that are shared by many seeds, one seed at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.time = VirtualTime(directory, FIRST_DAY)
        self._servers: dict[int, SqlServer] = {}

    def next_day(self) -> datetime:
        """Move on to the next whole day, so that each seed begins at the same time of day."""
        days = -(-(self.time.now() - FIRST_DAY) // timedelta(days=1))
        start = FIRST_DAY + timedelta(days=days)
        self.time.advance_to(start)
        return start

    def empty_server(self, offset_minutes: int) -> SqlServer:
        """A running SQL server of that time zone, without any table."""
        server = self._servers.get(offset_minutes)
        if server is None:
            name = f"sql_server_{offset_minutes}"
            server = SqlServer(self.directory, self.time.spec, time_zone_offset_minutes=offset_minutes, name=name)
            self._servers[offset_minutes] = server
        if not server.running:
            server.start()
        server.clear_faults()
        connection = server.connect()
        try:
            connection.execute(_EMPTY)
        finally:
            connection.close()
        return server

    def forget(self, offset_minutes: int) -> None:
        """End a server that a seed may have left in disorder."""
        server = self._servers.pop(offset_minutes, None)
        if server is not None:
            server.stop()
            for suffix in ("", "-wal", "-shm"):
                (self.directory / f"{server.name}.db{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        for server in self._servers.values():
            server.stop()
        self.time.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
