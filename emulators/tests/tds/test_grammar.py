"""The strict reader itself: it refuses what SqlClient fails on."""

from __future__ import annotations

import itertools
import struct

import pytest

from emulators.tests.tds.grammar import GrammarError, packet_bodies, read_answer

INT_NULL, INT_NOT_NULL = "0000 26 04", "0000 38"
ONE_ROW = "fd 1000 c100 0100000000000000"


def columns(*described: str) -> str:
    """COLMETADATA; each column is its flags, type and (empty) name."""
    return f"81 {struct.pack('<H', len(described)).hex()}" + "".join(f" 00000000 {text} 00" for text in described)


def read(text: str, *ends: int) -> list[tuple[object, ...]]:
    """The rows of an answer given in hexadecimal; ``ends`` cut it into packets."""
    data = bytes.fromhex(text)
    return read_answer([data[start:end] for start, end in itertools.pairwise([0, *ends, len(data)])]).rows


MAX = columns("0100 e7 ffff 0904d00034")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (f"{columns('0000 38')} d1 07000000 {ONE_ROW}", [(7,)]),
        (f"{columns('0100 26 04')} d1 04 07000000 {ONE_ROW}", [(7,)]),
        (f"{columns('0100 26 04', '0000 38')} d2 01 07000000 {ONE_ROW}", [(None, 7)]),
        (f"{MAX} d1 0200000000000000 02000000 6100 00000000 {ONE_ROW}", [("a",)]),
        (f"{MAX} d1 feffffffffffffff 02000000 6100 02000000 6200 00000000 {ONE_ROW}", [("ab",)]),
        (f"{MAX} d1 ffffffffffffffff {ONE_ROW}", [(None,)]),
        (f"{columns('0100 22 ffffff7f 01 0100 7400')} d1 10 {'00' * 24} 01000000 ff {ONE_ROW}", [(b"\xff",)]),
    ],
)
def test_right_answers(text: str, rows: list[tuple[object, ...]]) -> None:
    assert read(text) == rows


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{columns('0000 26 04')} d1 04 07000000 {ONE_ROW}", "SqlClient reads none"),
        (f"{columns('0100 38')} d1 07000000 {ONE_ROW}", "without a length"),
        (f"{columns('0100 26 03')} d1 03 070000 {ONE_ROW}", "type 0x26 of 3 bytes"),
        (f"{columns('0100 26 04')} d1 02 0700 {ONE_ROW}", "int of 2 bytes"),
        (f"{columns('0100 6c 09 05 00')} d1 09 01 0100000000000000 {ONE_ROW}", "in 9 bytes"),
        (f"{columns('0100 e7 0100 0904d00034')} d1 ffff {ONE_ROW}", "nvarchar of 1 bytes"),
        (f"{columns('0100 e7 0200 0904d00034')} d1 0400 61006200 {ONE_ROW}", "4 bytes in 2"),
        (f"{MAX} d1 0300000000000000 02000000 6100 00000000 {ONE_ROW}", "3 announced"),
        (f"{columns('0000 a5 0100')} d1 ffff {ONE_ROW}", "NOT NULL"),
        (f"{columns('0000 38')} d1 07000000 d1 08000000 {ONE_ROW}", "2 rows, 1 counted"),
        (f"{columns('0000 38')} d1 07000000 fd 1100 c100 0100000000000000", "no last DONE"),
        ("fd 0000 0000 0000000000000000 fd 0000 0000 0000000000000000", "after the last DONE"),
        ("ff 1000 c100 0100000000000000", "DONEINPROC as the last token"),
        ("fd 0000 c100 0100000000000000", "does not count"),
        ("d1 07000000", "without COLMETADATA"),
        (f"ab {'1500 01000000 01 0b 0100 6100 01 7300 00 01000000 0000'} {ONE_ROW}", "severity 11"),
        (f"e3 0300 08 01 00 {ONE_ROW}", "ends too early"),
        (f"e3 0400 08 01 00 00 {ONE_ROW}", "ENVCHANGE 8"),
        ("c8", "token 0xC8"),
    ],
)
def test_wrong_answers(text: str, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason):
        read(text)


def test_a_chunk_that_goes_on_in_the_next_packet_is_refused() -> None:
    text = f"{MAX} d1 0400000000000000 04000000 61006200 00000000 {ONE_ROW}"
    at = len(bytes.fromhex(MAX)) + 1 + 8 + 4
    assert read(text, at) == read(text, at + 4) == read(text, at - 1) == [("ab",)]
    with pytest.raises(GrammarError, match="crosses packets"):
        read(text, at + 2)


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        ([(4, 1, 12, 1), (4, 1, 12, 2)], "after the last one"),
        ([(4, 0, 12, 1)], "not full"),
        ([(4, 0, 16, 1)], "no last packet"),
        ([(4, 0, 16, 1), (4, 1, 12, 3)], "packet 3 after 1"),
        ([(3, 1, 12, 1)], "header"),
        ([(4, 1, 17, 1)], "17 bytes"),
        ([(4, 1, 8, 1)], "8 bytes"),
    ],
)
def test_wrong_packets(packets: list[tuple[int, int, int, int]], reason: str) -> None:
    stream = b""
    for kind, status, size, number in packets:
        stream += struct.pack(">BBHHBB", kind, status, size, 0, number, 0) + bytes(size - 8)
    with pytest.raises(GrammarError, match=reason):
        packet_bodies(stream, 16)
