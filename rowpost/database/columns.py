"""A column of a tracked table: how its values travel, and how SQL names it."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from rowpost.database.names import literal, quote
from rowpost.rules.json_text import JsonValue

_WITH_LENGTH = {"char", "varchar", "binary", "varbinary", "nchar", "nvarchar"}
_WITH_PRECISION = {"decimal", "numeric"}
_EXACT = {"decimal", "numeric", "money", "smallmoney"}
_WITH_SCALE = {"datetime2", "datetimeoffset", "time"}
# Date and time travel as ISO 8601 text (style 126): pyodbc's datetime would cut 100 ns, and an offset would be lost.
_AS_ISO_TEXT = {"date", "datetime", "datetime2", "smalldatetime", "datetimeoffset", "time"}
_AS_TEXT = {"xml", "text", "ntext", "sql_variant"}
_SMALL_BYTES = 256  # of a column whose values need not be measured


class TableColumn(Struct, frozen=True):
    """A column and how its values travel."""

    name: str
    type: str
    max_length: int
    precision: int
    scale: int

    @property
    def declaration(self) -> str:
        """The type as it stands in a declaration, such as ``nvarchar(20)``."""
        if self.type in _WITH_LENGTH:
            length = self.max_length // 2 if self.type[0] == "n" and self.max_length > 0 else self.max_length
            return f"{self.type}({'max' if length < 0 else length})"
        if self.type in _WITH_PRECISION:
            return f"{self.type}({self.precision}, {self.scale})"
        if self.type in _WITH_SCALE:
            return f"{self.type}({self.scale})"
        return "varbinary(8)" if self.type == "timestamp" else self.type

    def select(self, alias: str) -> str:
        """The expression that reads the column of ``alias`` without losing a digit."""
        return self.read(f"{alias}.{quote(self.name)}")

    def read(self, expression: str) -> str:
        """The expression that reads a value of this column's type without losing a digit."""
        if self.type in _AS_ISO_TEXT:
            return f"CONVERT(nvarchar(40), {expression}, 126)"
        if self.type in _AS_TEXT:
            return f"CONVERT(nvarchar(max), {expression})"
        return f"CONVERT(varbinary(max), {expression})" if self.type == "image" else expression

    @property
    def is_small(self) -> bool:
        """Whether its values are so short that their greatest length will do for their size."""
        return 0 < self.max_length <= _SMALL_BYTES and self.type not in _AS_TEXT and self.type != "image"

    def json_value(self, value: Any) -> JsonValue:
        """The value of :meth:`read` as it stands in JSON: numbers digit-exact, binary as bytes (base64 in JSON)."""
        if value is None:
            return None
        if self.type == "real":
            return _shortest_float32(value)
        if self.type == "uniqueidentifier":
            return str(value).lower()
        if self.type in _EXACT and isinstance(value, Decimal):
            return msgspec.Raw(f"{value:f}".encode())  # never with an exponent: OPENJSON cannot read one as a decimal
        return bytes(value) if isinstance(value, bytearray | memoryview) else value

    def from_json(self, name: str, path: str) -> str:
        """The column's line in an ``OPENJSON … WITH`` clause, under a name; ``path`` leads to its object, such as ``$.key``."""
        plain = self.name.isascii() and self.name.isidentifier()
        step = self.name if plain else '"' + self.name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        text = literal(f"{path}.{step}")
        return f"{name} {self.declaration} {text.removeprefix('N') if text.isascii() else text}"


def _shortest_float32(value: float) -> float:
    """The shortest decimal that is the same 32-bit float: 0.1, not 0.10000000149011612."""
    wanted = struct.pack("f", value)
    return next((short for n in range(6, 10) if struct.pack("f", short := float(f"{value:.{n}g}")) == wanted), value)
