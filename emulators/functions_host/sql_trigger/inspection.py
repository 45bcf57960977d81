"""What a person may want to see of a trigger: cursor, versions, leases. Reads only, on a connection of its own.

The connection has an application name of its own, so that the server's counters keep the listener's round trips apart, and
is closed when nobody has looked for a while.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from emulators.functions_host.sql_trigger.connection import Connection
from emulators.functions_host.sql_trigger.connection_string import translate
from emulators.functions_host.sql_trigger.statements import MAX_ATTEMPTS, Statements

APPLICATION_NAME = "functions-host status page"
LEASES_SHOWN = 100
_PATIENCE_SECONDS = 3.0  # real time: a page is looked at by people
_IDLE_SECONDS = 15.0
_VALUE_CHARACTERS = 100


def lease_state(attempts: int, end: datetime | None, now: datetime) -> str:
    """One of ``released``, ``handed out``, ``held``, ``due`` and ``used up``.

    A count of zero or below with an end in the future is never the trigger's own doing: the app holds the row.
    """
    if attempts >= MAX_ATTEMPTS and (end is None or end <= now):
        return "used up"
    if end is None:
        return "released"
    if end <= now:
        return "due"
    return "handed out" if attempts > 0 else "held"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text[:26])


def _utc_text(local: datetime, offset: timedelta) -> str:
    return (local - offset).replace(tzinfo=UTC).isoformat(timespec="milliseconds")


def _value_text(value: Any) -> str:
    text = "0x" + value.hex() if isinstance(value, (bytes, bytearray)) else str(value)
    return text if len(text) <= _VALUE_CHARACTERS else text[:_VALUE_CHARACTERS] + "…"


class Inspector:
    """Shows one trigger's state. For one event loop.

    Args:
        connection_string: ADO.NET text.
        statements: of the trigger.
    """

    def __init__(self, connection_string: str, statements: Statements) -> None:
        self._target = translate(connection_string, APPLICATION_NAME)
        self._statements = statements
        self._look: asyncio.Task[dict[str, Any]] | None = None
        self._connection: Connection | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._close: asyncio.Task[None] | None = None  # kept so that it is not collected before it has run

    async def look(self) -> dict[str, Any]:
        """The trigger's state as JSON values; ``problem`` instead of most of it if the database does not answer.

        Those who ask while a look is under way share it.
        """
        if self._look is None or self._look.done():
            self._look = asyncio.get_running_loop().create_task(self._read())
            self._look.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be waiting any more
        about = {"table": self._statements.table.name.display, "leaseTable": self._statements.lease_table}
        try:
            return about | await asyncio.wait_for(asyncio.shield(self._look), _PATIENCE_SECONDS)
        except TimeoutError:
            return about | {"problem": f"the database has not answered for {_PATIENCE_SECONDS:g} s"}
        except Exception as problem:
            return about | {"problem": f"{type(problem).__name__}: {problem}"}

    async def _read(self) -> dict[str, Any]:
        if self._closing is not None:
            self._closing.cancel()
        self._connection = connection = self._connection or Connection(self._target)
        try:
            await connection.open()
            status, leases = await connection.run(self._statements.inspect(LEASES_SHOWN))
        finally:
            self._closing = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._close_idle)
        cursor, version, unprocessed, count, local, utc = status[0]
        now = _instant(local)
        offset = now - _instant(utc)
        return {
            "cursor": cursor,
            "version": version,
            "unprocessed": unprocessed,
            "leaseCount": count,
            "leases": [self._lease(row, now, offset) for row in leases],
        }

    def _lease(self, row: tuple[Any, ...], now: datetime, offset: timedelta) -> dict[str, Any]:
        *keys, version, attempts, end_text = row
        end = None if end_text is None else _instant(end_text)
        names = [key.name for key in self._statements.table.keys]
        return {
            "key": [[name, _value_text(value)] for name, value in zip(names, keys, strict=True)],
            "version": version,
            "attempts": attempts,
            "maximum": MAX_ATTEMPTS,
            "end": None if end is None else _utc_text(end, offset),
            "state": lease_state(attempts, end, now),
        }

    def _close_idle(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._close = asyncio.get_running_loop().create_task(connection.close())
