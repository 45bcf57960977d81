"""From the engine's events to tokens."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Generator, Iterable, Iterator

from emulators.sql_server.tds import tokens
from emulators.sql_server.tds.packets import ConnectionEnded, PacketStream
from emulators.sql_server.tds.types import is_chunked
from emulators.sql_server.tds.values import Encoder, row_encoders
from emulators.sql_server.values.results import Column, Event, Message, ResultSet, RowsAffected, SqlError

_COMMANDS = {"SELECT": 0xC1, "INSERT": 0xC3, "DELETE": 0xC4, "UPDATE": 0xC5, "MERGE": 0x117}
_ROWS_AT_ONCE = 256
_FIRST_ERROR_SEVERITY = 11
_TERMINATED = 3621


class Cancelled(Exception):
    """The client has given the running request up."""


def internal_error(error: Exception) -> SqlError:
    """What a client gets for a defect of the emulator; the traceback goes to stderr."""
    print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
    return SqlError(50000, f"internal error of the emulator: {type(error).__name__}: {error}")


class ResultWriter:
    """Writes results. The DONE of the last statement is held back, so that it can be the last token of a batch."""

    def __init__(self, stream: PacketStream, cancelled: threading.Event) -> None:
        self._stream = stream
        self._cancelled = cancelled
        self._token = tokens.DONE
        self._held: tuple[int, int, int] | None = None
        self._rows: int | None = None  # rows sent of a result set whose end was not announced yet

    def write(self, events: Iterator[Event | SqlError], token: int) -> SqlError | None:
        """Write all events; each statement ends with ``token`` (DONE, DONEINPROC).

        Returns:
            The error that ended the execution, which was written too.

        Raises:
            Cancelled: the client has sent an attention.
            ConnectionEnded: the client is gone.
        """
        self._token, self._held, self._rows = token, None, None
        try:
            for event in events:
                if self._cancelled.is_set():
                    raise Cancelled
                self._event(event)
            self._end_rows()
        except (Cancelled, ConnectionEnded):
            raise
        except Exception as error:
            if self._cancelled.is_set():
                raise Cancelled from error
            return self._failed(error if isinstance(error, SqlError) else internal_error(error))
        finally:
            if isinstance(events, Generator):
                events.close()  # what a cancelled batch leaves is undone now
        if token == tokens.DONEINPROC:
            self._release()
        return None

    def error(self, error: SqlError) -> None:
        """Write an ERROR token."""
        self._stream.write(
            tokens.message(tokens.ERROR, error.number, error.text, error.severity, error.state, error.line, error.procedure)
        )
        if error.at_once:
            self._stream.push()

    def finish(self, token: int, status: int = 0) -> None:
        """Write the last DONE: the one held back, if no error came in between."""
        held_status, command, count = self._held or (0, 0, 0)
        self._held = None
        self._stream.write(tokens.done(token, held_status | status, command, count))

    def _failed(self, error: SqlError) -> SqlError:
        self._rows = None
        self._release()
        self.error(error)
        return error

    def _event(self, event: Event | SqlError) -> None:
        if isinstance(event, RowsAffected):
            self._affected(event)
            return
        self._end_rows()
        if isinstance(event, ResultSet):
            self._release()
            self._result_set(event)
        elif isinstance(event, Message):
            if event.number != _TERMINATED:  # it belongs to the error before it
                self._release()
            self._message(event)
        elif isinstance(event, SqlError):
            self._release()
            self.error(event)
            self._held = (tokens.DONE_ERROR, 0, 0)
        else:
            raise TypeError(f"the engine gave {event!r}")

    def _release(self) -> None:
        if self._held is not None:
            status, command, count = self._held
            self._held = None
            self._stream.write(tokens.done(self._token, status | tokens.DONE_MORE, command, count))

    def _end_rows(self) -> None:
        if self._rows is not None:
            self._held = (tokens.DONE_COUNT, _COMMANDS["SELECT"], self._rows)
            self._rows = None

    def _affected(self, event: RowsAffected) -> None:
        rows, self._rows = self._rows, None
        if rows is None:
            if event.count is None:  # nothing to say: a driver would show it as an empty result
                return
            self._release()
        command = _COMMANDS.get(event.command.upper(), 0)
        self._held = (0, command, 0) if event.count is None else (tokens.DONE_COUNT, command, event.count)

    def _message(self, event: Message) -> None:
        kind = tokens.ERROR if event.severity >= _FIRST_ERROR_SEVERITY else tokens.INFO
        self._stream.write(tokens.message(kind, event.number, event.text, event.severity, event.state))
        if event.at_once:
            self._stream.push()
        if kind == tokens.ERROR:
            self._held = (tokens.DONE_ERROR, 0, 0)

    def _result_set(self, result: ResultSet) -> None:
        columns = tuple(result.columns)
        encoders = row_encoders(columns)
        self._stream.write(tokens.column_metadata(columns))
        self._rows = self._write_rows(result.rows, encoders, columns)

    def _write_rows(self, rows: Iterable[tuple[object, ...]], encoders: tuple[Encoder, ...], columns: tuple[Column, ...]) -> int:
        count = 0
        chunked = any(is_chunked(column.type) for column in columns)
        parts: list[bytes] = []
        for row in rows:
            parts.append(tokens.ROW)
            try:
                parts += [encode(value) for encode, value in zip(encoders, row, strict=True)]
            except Exception as error:
                raise _unencodable(row, encoders, columns) from error
            count += 1
            if count % _ROWS_AT_ONCE == 0:
                self._write_parts(parts, chunked)
                parts.clear()
                if self._cancelled.is_set():
                    raise Cancelled
        self._write_parts(parts, chunked)
        return count

    def _write_parts(self, parts: list[bytes], chunked: bool) -> None:
        if not chunked:
            self._stream.write(b"".join(parts))
            return
        for part in parts:
            self._stream.write(part)


def _unencodable(row: tuple[object, ...], encoders: tuple[Encoder, ...], columns: tuple[Column, ...]) -> Exception:
    if len(row) != len(columns):
        return ValueError(f"a row of {len(row)} values in a result of {len(columns)} columns")
    for value, encode, column in zip(row, encoders, columns, strict=True):
        try:
            encode(value)
        except Exception as error:
            return ValueError(f"column {column.name!r} of type {column.type}: {value!r:.200}: {error}")
    return ValueError("a row cannot be sent")
