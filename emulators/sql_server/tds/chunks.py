"""Values of (MAX) types and of xml, which travel in chunks."""

from __future__ import annotations

import struct

_LENGTH = struct.Struct("<I")
_HEAD = struct.Struct("<QI")
_END = bytes(4)


class Chunked(bytes):
    """A value in one chunk: its length, the chunk, and the end mark."""


def chunked(data: bytes) -> Chunked:
    """The value whose bytes are ``data``."""
    if not data:
        return Chunked(bytes(12))
    return Chunked(_HEAD.pack(len(data), len(data)) + data + _END)


def cut(value: Chunked, position: int, room: int) -> bytes:
    """The value in chunks that end where packets end. SqlClient stalls on a chunk that goes on in the next packet.

    Args:
        position: bytes of the present packet that are written already.
        room: bytes of a whole packet, without its header.
    """
    data = memoryview(value)[12 : -len(_END)]
    if not len(data):
        return value
    parts: list[bytes | memoryview] = [value[:8]]
    position += 8
    start = 0
    while start < len(data):
        position = (position + _LENGTH.size) % room
        piece = data[start : start + room - position]
        parts += (_LENGTH.pack(len(piece)), piece)
        start += len(piece)
        position += len(piece)
    parts.append(_END)
    return b"".join(parts)
