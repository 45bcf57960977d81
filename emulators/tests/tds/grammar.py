"""A strict reader of answers: the token grammar of TDS 7.4, as SqlClient reads it.

It shares nothing with the server's encoder. It refuses what SqlClient fails on, and what a server never sends: a length that does
not fit its type, a token out of place, a count that is not the number of rows, a chunk that goes on in the next packet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from emulators.tests.tds.wire_types import Cursor, GrammarError, Metadata, check, read_type, read_value

DONE, DONEPROC, DONEINPROC = 0xFD, 0xFE, 0xFF
MORE, ERROR, COUNT, ATTENTION = 0x01, 0x02, 0x10, 0x20
_DONE_BITS = MORE | ERROR | 0x04 | COUNT | ATTENTION | 0x100
_SELECT = 0xC1
_NULLABLE, _HIDDEN = 0x01, 0x2000
_FLAGS = 0x01 | 0x02 | 0x0C | 0x10 | 0x20 | _HIDDEN
_ROWVERSION = 80
_TDS_VERSIONS = (0x72090002, 0x730A0003, 0x730B0003, 0x74000004, 0x08000000)


@dataclass
class Column:
    """A column of COLMETADATA."""

    name: str
    type: Metadata
    flags: int
    user_type: int
    table: tuple[str, ...] = ()


@dataclass
class Result:
    """COLMETADATA and its rows."""

    columns: list[Column]
    rows: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass
class Answer:
    """A whole answer."""

    results: list[Result] = field(default_factory=list)
    errors: list[tuple[int, int, int]] = field(default_factory=list)  # number, severity, state
    messages: list[tuple[int, str]] = field(default_factory=list)  # of ERROR and INFO
    done: list[tuple[int, int, int]] = field(default_factory=list)  # token, status, count
    environment: list[int] = field(default_factory=list)
    status: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)  # tokens, a run of rows counts as one
    features: dict[int, bytes] = field(default_factory=dict)
    version: int = 0

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The rows of all results."""
        return [row for result in self.results for row in result.rows]

    @property
    def columns(self) -> list[str]:
        """The names of the last result's columns."""
        return [column.name for column in self.results[-1].columns] if self.results else []


def read_answer(packets: list[bytes]) -> Answer:
    """The answer whose packets have these bodies.

    Raises:
        GrammarError: it is not what a server sends.
    """
    return _AnswerReader(Cursor(packets)).read()


class _AnswerReader:
    def __init__(self, cursor: Cursor) -> None:
        self.cursor, self.answer = cursor, Answer()
        self.open: Result | None = None  # a result whose DONE is still to come
        self.ended = False

    def read(self) -> Answer:
        readers = {
            DONE: self._done,
            DONEPROC: self._done,
            DONEINPROC: self._done,
            0x79: self._return_status,
            0x81: self._metadata,
            0xA9: self._order,
            0xAA: self._message,
            0xAB: self._message,
            0xAC: self._return_value,
            0xAD: self._login_acknowledgement,
            0xAE: self._features,
            0xD1: self._row,
            0xD2: self._row,
            0xE3: self._environment,
        }
        while self.cursor.more:
            check(not self.ended, "tokens after the last DONE")
            token = self.cursor.u8()
            check(token in readers, f"token 0x{token:02X}")
            if not (self.answer.order and token == self.answer.order[-1] and token in (0xD1, 0xD2)):
                self.answer.order.append(token)
            readers[token](token)
        check(self.ended, "no last DONE")
        return self.answer

    # -- results

    def _metadata(self, _: int) -> None:
        check(self.open is None, "COLMETADATA before the DONE of the result before it")
        count = self.cursor.u16()
        check(0 < count <= 4096, f"{count} columns")
        self.open = Result([self._column() for _ in range(count)])
        self.answer.results.append(self.open)

    def _column(self) -> Column:
        user_type, flags = self.cursor.u32(), self.cursor.u16()
        check(user_type in (0, _ROWVERSION), f"user type {user_type}")
        check(not flags & ~_FLAGS, f"flags 0x{flags:04X}")
        check((flags >> 2) & 3 != 3, "both bits of usUpdateable")
        kind = read_type(self.cursor)
        nullable = bool(flags & _NULLABLE)
        check(not (kind.fixed and nullable), f"{kind.name} without a length, though it may be NULL")
        check(nullable or kind.fixed or not kind.has_fixed_form, f"{kind.name} NOT NULL with a length: SqlClient reads none")
        check(user_type != _ROWVERSION or (kind.name, kind.size) == ("binary", 8), "a rowversion that is no binary(8)")
        table: tuple[str, ...] = ()
        if kind.long:
            parts = self.cursor.u8()
            check(parts <= 4, f"a table name of {parts} parts")
            table = tuple(self.cursor.us_varchar() for _ in range(parts))
        name = self.cursor.b_varchar()
        check(len(name) <= 128, "a column name of more than 128 characters")
        return Column(name, kind, flags, user_type, table)

    def _order(self, _: int) -> None:
        size = self.cursor.u16()
        check(self.open is not None and not self.open.rows and size % 2 == 0, "ORDER out of place")
        for _ in range(size // 2):
            check(0 < self.cursor.u16() <= len(self.open.columns if self.open else []), "ORDER by a column that is not there")

    def _row(self, token: int) -> None:
        check(self.open is not None, "a row without COLMETADATA")
        assert self.open is not None
        columns = self.open.columns
        absent = [False] * len(columns)
        if token == 0xD2:
            bitmap = self.cursor.take((len(columns) + 7) // 8)
            absent = [bool(bitmap[number // 8] >> number % 8 & 1) for number in range(len(columns))]
            check(not any(gone and not column.flags & _NULLABLE for gone, column in zip(absent, columns, strict=True)), "NOT NULL")
        row = []
        for gone, column in zip(absent, columns, strict=True):
            value = None if gone else read_value(self.cursor, column.type)
            check(value is not None or bool(column.flags & _NULLABLE), f"NULL in {column.name!r}, which is NOT NULL")
            row.append(value)
        self.open.rows.append(tuple(row))

    # -- ends

    def _done(self, token: int) -> None:
        status, command, count = self.cursor.u16(), self.cursor.u16(), self.cursor.u64()
        check(not status & ~_DONE_BITS, f"status 0x{status:04X}")
        check(bool(status & COUNT) or count == 0, "a count that does not count")
        check(token != DONEINPROC or bool(status & MORE), "DONEINPROC as the last token")
        if self.open is not None:
            if command == _SELECT and status & COUNT:
                check(count == len(self.open.rows), f"{len(self.open.rows)} rows, {count} counted")
            check(bool(status & (COUNT | ERROR | ATTENTION)) or command != _SELECT, "a result that is not counted")
        if status & ATTENTION:
            check(token == DONE and status == ATTENTION, "an attention that is acknowledged together with something else")
        if status & ERROR and not self.answer.errors:
            check(not status & COUNT, "an error that was never told")
        self.open = None
        self.ended = not status & MORE
        self.answer.done.append((token, status, count))

    def _return_status(self, _: int) -> None:
        self.answer.status = struct.unpack("<i", self.cursor.take(4))[0]

    def _return_value(self, _: int) -> None:
        self.cursor.u16()
        name = self.cursor.b_varchar()
        check(self.cursor.u8() in (1, 2), "RETURNVALUE of nothing")
        user_type, flags = self.cursor.u32(), self.cursor.u16()
        check(user_type == 0 and not flags & ~_FLAGS, "RETURNVALUE with strange flags")
        kind = read_type(self.cursor)
        check(not kind.long and not kind.fixed, "RETURNVALUE without a length")
        self.answer.values[name] = read_value(self.cursor, kind)

    # -- messages

    def _message(self, token: int) -> None:
        cursor = Cursor([self.cursor.take(self.cursor.u16())])
        number, state, severity = struct.unpack("<iBB", cursor.take(6))
        check((severity > 10) == (token == 0xAA) and severity <= 25, f"severity {severity} in token 0x{token:02X}")
        text = cursor.us_varchar()
        check(bool(cursor.b_varchar()), "a message without the server's name")
        cursor.b_varchar()  # the procedure
        cursor.u32()  # the line
        check(not cursor.more, "a message that is longer than its parts")
        self.answer.messages.append((number, text))
        if token == 0xAA:
            self.answer.errors.append((number, severity, state))

    def _environment(self, _: int) -> None:
        cursor = Cursor([self.cursor.take(self.cursor.u16())])
        kind = cursor.u8()
        if kind in (1, 2, 4):
            new, old = cursor.b_varchar(), cursor.b_varchar()
            check(kind != 4 or (512 <= int(new) <= 32_767 and old.isdigit()), f"packet size {new} after {old}")
        else:
            sizes = {7: (5, 0), 8: (8, 0), 9: (0, 8), 10: (0, 8), 18: (0, 0)}
            check(kind in sizes, f"ENVCHANGE {kind}")
            found = tuple(len(cursor.take(cursor.u8())) for _ in range(2))
            check(found == sizes[kind], f"ENVCHANGE {kind} with {found} bytes")
        check(not cursor.more, "an ENVCHANGE that is longer than its parts")
        self.answer.environment.append(kind)

    def _login_acknowledgement(self, _: int) -> None:
        cursor = Cursor([self.cursor.take(self.cursor.u16())])
        check(cursor.u8() == 1, "an interface other than T-SQL")
        self.answer.version = int(struct.unpack(">I", cursor.take(4))[0])
        check(self.answer.version in _TDS_VERSIONS, f"TDS version 0x{self.answer.version:08X}")
        check(cursor.b_varchar() == "Microsoft SQL Server", "the name of the program")
        cursor.take(4)
        check(not cursor.more, "a LOGINACK that is longer than its parts")

    def _features(self, _: int) -> None:
        while (feature := self.cursor.u8()) != 0xFF:
            self.answer.features[feature] = self.cursor.take(self.cursor.u32())


def packet_bodies(stream: bytes, packet_size: int, *, pushed: bool = False) -> list[bytes]:
    """The bodies of the packets of one answer.

    Args:
        packet_size: as agreed at login.
        pushed: packets before the last may be shorter, because the server did not wait until they were full.

    Raises:
        GrammarError: a header that no server sends.
    """
    bodies: list[bytes] = []
    position, ended = 0, False
    while position < len(stream):
        check(not ended, "packets after the last one")
        kind, status, size, _, number, window = struct.unpack_from(">BBHHBB", stream, position)
        check((kind, window) == (4, 0) and status in (0, 1), "the header of a packet")
        check(number == (len(bodies) + 1) & 0xFF, f"packet {number} after {len(bodies)}")
        check(8 < size <= packet_size and position + size <= len(stream), f"a packet of {size} bytes")
        ended = status == 1
        check(ended or pushed or size == packet_size, "a packet before the last that is not full")
        bodies.append(stream[position + 8 : position + size])
        position += size
    check(ended, "no last packet")
    return bodies


__all__ = ["Answer", "Column", "GrammarError", "Result", "packet_bodies", "read_answer"]
