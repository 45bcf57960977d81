"""The bytes of answers: types, values, nullability and packet sizes by chance, read by the strict reader of the grammar."""

from __future__ import annotations

import datetime
import socket
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.sql_server.tds import tokens
from emulators.sql_server.tds.packets import PacketStream
from emulators.sql_server.values.results import Column, Event, ResultSet, RowsAffected, SqlType, Variant
from emulators.sql_server.wire.result_writer import ResultWriter
from emulators.tests.tds.grammar import Answer, packet_bodies, read_answer

TICKS = 864_000_000_000
# Without the characters that stand for half a surrogate pair in what the engine gives.
UNICODE = st.text(st.characters(codec="utf-16-le", max_codepoint=0x10F7FF), max_size=20)
LONG_UNICODE = st.builds(lambda text, times: text * times, UNICODE, st.integers(0, 400))
CODE_PAGE = st.text(st.characters(codec="cp1252"), max_size=20)


def _time(ticks: int, scale: int) -> str:
    seconds, fraction = divmod(ticks, 10_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return text + f".{fraction:07}"[: scale + 1] if scale else text


def _scaled_ticks(scale: int) -> st.SearchStrategy[int]:
    unit = 10 ** (7 - scale)
    return st.integers(0, TICKS // unit - 1).map(lambda count: count * unit)


def _dates(first: int = 1) -> st.SearchStrategy[datetime.date]:
    return st.dates(datetime.date(first, 1, 1))


def _days(date: datetime.date, epoch: datetime.date = datetime.date(1, 1, 1)) -> int:
    return (date - epoch).days


Sample = tuple[Any, Any]
"""A value as the engine gives it, and as the reader reads it."""


def _same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Sample]:
    return values.map(lambda value: (value, value))


@st.composite
def _decimals(draw: st.DrawFn, precision: int, scale: int) -> Sample:
    unscaled = draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    value = Decimal((0 if unscaled >= 0 else 1, tuple(map(int, str(abs(unscaled)))), -scale))
    return value, value


@st.composite
def _instants(draw: st.DrawFn, name: str, scale: int) -> Sample:
    date, ticks = draw(st.dates(datetime.date(1, 1, 2), datetime.date(9999, 12, 30))), draw(_scaled_ticks(scale))
    if name == "datetimeoffset":
        offset = draw(st.integers(-840, 840))
        carried, rest = divmod(ticks + offset * 600_000_000, TICKS)
        day = datetime.date.fromordinal(date.toordinal() + carried)
        hours, minutes = divmod(abs(offset), 60)
        sign = "-" if offset < 0 else "+"
        return f"{day} {_time(rest, scale)} {sign}{hours:02}:{minutes:02}", (_days(date), ticks, offset)
    return f"{date} {_time(ticks, scale)}", (_days(date), ticks)


@st.composite
def _old_instants(draw: st.DrawFn, name: str) -> Sample:
    epoch = datetime.date(1900, 1, 1)
    if name == "smalldatetime":
        date, minutes = draw(st.dates(epoch, datetime.date(2079, 6, 6))), draw(st.integers(0, 1439))
        return f"{date} {minutes // 60:02}:{minutes % 60:02}:00", (_days(date, epoch), minutes * 600_000_000)
    date, thirds = draw(_dates(1753)), draw(st.integers(0, 300 * 86_400 - 1))
    return f"{date} {_time((thirds * 1000 + 150) // 300 * 10_000, 3)}", (_days(date, epoch), thirds)


def _padded(text: Any, length: int, pad: Any) -> Sample:
    return text, text + pad * (length - len(text))


TYPES: list[tuple[SqlType, st.SearchStrategy[Sample]]] = [
    (SqlType("bit"), _same(st.integers(0, 1))),
    (SqlType("tinyint"), _same(st.integers(0, 255))),
    (SqlType("smallint"), _same(st.integers(-(2**15), 2**15 - 1))),
    (SqlType("int"), _same(st.integers(-(2**31), 2**31 - 1))),
    (SqlType("bigint"), _same(st.integers(-(2**63), 2**63 - 1))),
    (SqlType("real"), _same(st.floats(width=32, allow_nan=False, allow_infinity=False))),
    (SqlType("float"), _same(st.floats(allow_nan=False, allow_infinity=False))),
    (SqlType("smallmoney"), _decimals(9, 4)),
    (SqlType("money"), _decimals(18, 4)),
    *((SqlType("decimal", 0, precision, scale), _decimals(precision, scale)) for precision, scale in ((5, 2), (19, 0), (28, 28))),
    (SqlType("numeric", 0, 38, 20), _decimals(38, 20)),
    (SqlType("uniqueidentifier"), st.uuids().map(lambda value: (str(value).upper(), value))),
    (SqlType("date"), _dates().map(lambda date: (date.isoformat(), _days(date)))),
    *((SqlType("time", 0, 0, scale), _scaled_ticks(scale).map(lambda t, scale=scale: (_time(t, scale), t))) for scale in (0, 3, 7)),
    *((SqlType("datetime2", 0, 0, scale), _instants("datetime2", scale)) for scale in (0, 3, 7)),
    *((SqlType("datetimeoffset", 0, 0, scale), _instants("datetimeoffset", scale)) for scale in (0, 4, 7)),
    (SqlType("datetime"), _old_instants("datetime")),
    (SqlType("smalldatetime"), _old_instants("smalldatetime")),
    (SqlType("nvarchar", 60), _same(UNICODE)),
    (SqlType("varchar", 60), _same(CODE_PAGE)),
    (SqlType("varbinary", 60), _same(st.binary(max_size=60))),
    (SqlType("nchar", 3), st.text("aé", max_size=3).map(lambda text: _padded(text, 3, " "))),
    (SqlType("char", 3), st.text("aé", max_size=3).map(lambda text: _padded(text, 3, " "))),
    (SqlType("binary", 3), st.binary(max_size=3).map(lambda data: _padded(data, 3, b"\0"))),
    (SqlType("rowversion"), _same(st.binary(min_size=8, max_size=8))),
    (SqlType("nvarchar", -1), _same(LONG_UNICODE)),
    (SqlType("varchar", -1), _same(CODE_PAGE)),
    (SqlType("varbinary", -1), _same(st.binary(max_size=1500))),
    (SqlType("xml"), _same(LONG_UNICODE)),
    (SqlType("text"), _same(CODE_PAGE)),
    (SqlType("ntext"), _same(LONG_UNICODE)),
    (SqlType("image"), _same(st.binary(max_size=1500))),
]
IN_A_VARIANT = [(kind, values) for kind, values in TYPES if kind.length >= 0 and kind.name not in ("xml", "text", "ntext", "image")]
IN_A_VARIANT = [(kind, values) for kind, values in IN_A_VARIANT if kind.name != "rowversion"]


@st.composite
def _variants(draw: st.DrawFn) -> Sample:
    kind, values = draw(st.sampled_from(IN_A_VARIANT))
    given, read = draw(values)
    return Variant(kind, given), (kind.name, read)


@st.composite
def results(draw: st.DrawFn) -> tuple[ResultSet, list[tuple[Any, ...]]]:
    """A result, and its rows as they are read."""
    every = [*TYPES, (SqlType("sql_variant"), _variants())]
    chosen = draw(st.lists(st.sampled_from(every), min_size=1, max_size=6))
    columns, cells = [], []
    for kind, values in chosen:
        nullable = draw(st.booleans())
        origin = draw(st.sampled_from([(), ("dbo", "Tälle")]))
        columns.append(Column(draw(st.text("aé😀", max_size=64)), kind, nullable, origin=origin))
        cells.append(st.one_of(st.just((None, None)), values) if nullable else values)
    rows = draw(st.lists(st.tuples(*cells), max_size=5))
    given = [tuple(cell[0] for cell in row) for row in rows]
    return ResultSet(columns, given), [tuple(cell[1] for cell in row) for row in rows]


class Wire:
    """A writer of answers and the other end of its socket."""

    def __init__(self) -> None:
        near, self.far = socket.socketpair()
        self.stream = PacketStream(near)
        self.writer = ResultWriter(self.stream, threading.Event())
        self.reader = ThreadPoolExecutor(1)

    def send(self, events: Sequence[Event], packet_size: int) -> Answer:
        """Write an answer, and read it as it arrives."""
        self.stream.packet_size = packet_size
        received = self.reader.submit(self.receive)
        assert self.writer.write(iter(events), tokens.DONE) is None
        self.writer.finish(tokens.DONE)
        self.stream.flush()
        return read_answer(packet_bodies(received.result(20), packet_size))

    def receive(self) -> bytes:
        """The packets of the next message."""
        message = b""
        while True:
            head = self.far.recv(8, socket.MSG_WAITALL)
            message += head + self.far.recv(int.from_bytes(head[2:4], "big") - 8, socket.MSG_WAITALL)
            if head[1] & 1:
                return message

    def close(self) -> None:
        """Hang up."""
        self.stream.abort()
        self.far.close()
        self.reader.shutdown()


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


@given(st.lists(results(), min_size=1, max_size=3), st.sampled_from([512, 513, 1024, 4096, 32_767]))
def test_every_result_is_what_the_grammar_says(
    wire: Wire, given_results: list[tuple[ResultSet, list[tuple[Any, ...]]]], packet_size: int
) -> None:
    events: list[Event] = []
    for result, rows in given_results:
        events += [result, RowsAffected(len(rows), "SELECT")]
    answer = wire.send(events, packet_size)
    assert [result.rows for result in answer.results] == [rows for _, rows in given_results]
    for read, (result, _) in zip(answer.results, given_results, strict=True):
        for column, sent in zip(read.columns, result.columns, strict=True):
            length = {"nvarchar": 120, "nchar": 6, "rowversion": 8}.get(sent.type.name, sent.type.length)
            assert column.name == sent.name
            assert bool(column.flags & 1) == sent.nullable
            assert column.type.name == ("binary" if sent.type.name == "rowversion" else sent.type.name)
            assert (column.type.precision, column.type.scale) == (sent.type.precision, sent.type.scale)
            assert sent.type.length == 0 or column.type.size == (-1 if sent.type.length < 0 else length)
            assert (column.user_type == 80) == (sent.type.name == "rowversion")
            assert column.table == (sent.origin if column.type.long else ())


@pytest.mark.parametrize("packet_size", [512, 4096, 32_767])
def test_chunks_end_where_packets_end_wherever_a_value_begins(wire: Wire, packet_size: int) -> None:
    columns = [Column("pad", SqlType("varbinary", 8000)), Column("v", SqlType("nvarchar", -1)), Column("x", SqlType("xml"), False)]
    for pad in range(packet_size - 45, packet_size + 2) if packet_size < 8000 else range(60):
        row = (bytes(min(pad, 8000)), "é" * 1000, "<a/>" * 200)
        assert wire.send([ResultSet(columns, [row, (None, None, "")])], packet_size).rows == [row, (None, None, "")]


def test_null_in_a_column_that_cannot_hold_it_is_an_error_and_no_broken_answer(wire: Wire) -> None:
    wire.stream.packet_size = 4096
    error = wire.writer.write(iter([ResultSet([Column("n", SqlType("int"), False)], [(None,)])]), tokens.DONE)
    wire.writer.finish(tokens.DONE, tokens.DONE_ERROR)
    wire.stream.flush()
    answer = read_answer(packet_bodies(wire.receive(), 4096))
    assert error is not None and "NOT NULL" in error.text and [number for number, _, _ in answer.errors] == [50000]


def test_the_value_of_an_output_parameter_is_cut_too(wire: Wire) -> None:
    text = "ä" * 5000
    wire.stream.packet_size = 512
    received = wire.reader.submit(wire.receive)
    wire.stream.write(tokens.return_status(0))
    for part in tokens.return_value(1, "@o", SqlType("nvarchar", -1), text):
        wire.stream.write(part)
    wire.stream.write(tokens.done(tokens.DONEPROC, 0, 0xE0))
    wire.stream.flush()
    assert read_answer(packet_bodies(received.result(20), 512)).values == {"@o": text}


def test_guids_are_read_as_they_were_meant(wire: Wire) -> None:
    value = uuid.UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF")
    columns = [Column("g", SqlType("uniqueidentifier"), False)]
    assert wire.send([ResultSet(columns, [(str(value).upper(),)])], 4096).rows == [(value,)]
