"""Reading little-endian fields and TDS strings out of a request."""

from __future__ import annotations

import struct

_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_U64 = struct.Struct("<Q")


class ProtocolError(Exception):
    """The client sent bytes that are not TDS; the connection cannot go on."""


class ByteReader:
    """A cursor over the bytes of one request. Every method raises :class:`ProtocolError` at the end of the data."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data, self.position = data, position

    @property
    def more(self) -> bool:
        """Whether bytes are left."""
        return self.position < len(self.data)

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        start = self.position
        end = start + count
        if end > len(self.data):
            raise ProtocolError(f"request ends at byte {len(self.data)}, {end} expected")
        self.position = end
        return self.data[start:end]

    def peek(self) -> int:
        """The next byte, which stays unread."""
        if not self.more:
            raise ProtocolError("request ends where a byte was expected")
        return self.data[self.position]

    def u8(self) -> int:
        """An unsigned byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """An unsigned 16-bit number."""
        value: int = _U16.unpack(self.take(2))[0]
        return value

    def u32(self) -> int:
        """An unsigned 32-bit number."""
        value: int = _U32.unpack(self.take(4))[0]
        return value

    def i32(self) -> int:
        """A signed 32-bit number."""
        value: int = _I32.unpack(self.take(4))[0]
        return value

    def u64(self) -> int:
        """An unsigned 64-bit number."""
        value: int = _U64.unpack(self.take(8))[0]
        return value

    def b_varchar(self) -> str:
        """A string whose length in characters is one byte."""
        return self.take(2 * self.u8()).decode("utf-16-le", "surrogatepass")

    def b_varbyte_text(self) -> str:
        """A string whose length in bytes is one byte, as names of transactions are sent."""
        return self.take(self.u8()).decode("utf-16-le", "surrogatepass")

    def us_varchar(self) -> str:
        """A string whose length in characters is two bytes."""
        return self.take(2 * self.u16()).decode("utf-16-le", "surrogatepass")

    def skip_headers(self) -> None:
        """Pass over ALL_HEADERS, with which batches, RPCs and transaction-manager requests begin."""
        total = self.u32()
        if total < 4:
            raise ProtocolError(f"ALL_HEADERS of {total} bytes")
        self.take(total - 4)
