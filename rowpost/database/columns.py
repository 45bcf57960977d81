"""A column of a tracked table: how its values travel, and how SQL names it."""

from __future__ import annotations

import re
import struct
from datetime import datetime, timedelta
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
_AS_TEXT = {"xml", "text", "ntext", "json"}
_AS_THEY_ARE = _WITH_LENGTH | {"timestamp"}  # any text of JSON is one of theirs
_SMALL_BYTES = 256  # of a column whose values need not be measured
_INTEGERS = {"bigint", "int", "smallint", "tinyint"}
RELAYED_TYPES = frozenset(
    _WITH_LENGTH
    | _WITH_PRECISION
    | _EXACT
    | _WITH_SCALE
    | _AS_ISO_TEXT
    | _AS_TEXT
    | _INTEGERS
    | {"bit", "float", "real", "uniqueidentifier", "timestamp", "image", "sql_variant"}
)
# How the text of a sql_variant is made that loses nothing, by base type. Text, integers and decimals need nothing.
_VARIANTS = [
    *((name, f"CONVERT(nvarchar(40), CONVERT({name}, {{0}}), 126)") for name in ("date", "datetime", "smalldatetime")),
    *((name, f"CONVERT(nvarchar(40), CONVERT({name}(7), {{0}}), 126)") for name in ("datetime2", "datetimeoffset", "time")),
    *((name, f"CONVERT(nvarchar(40), CONVERT({name}, {{0}}), 3)") for name in ("float", "real")),
    *((name, f"CONVERT(nvarchar(40), CONVERT({name}, {{0}}), 2)") for name in ("money", "smallmoney")),
    *((name, "CONVERT(nvarchar(max), CONVERT(varbinary(8000), {0}), 1)") for name in ("binary", "varbinary")),
]
_FRACTION = re.compile(r"\.(\d{7})")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)


class TableColumn(Struct, frozen=True):
    """A column and how its values travel.

    Attributes:
        nullable: whether a row may have no value of it.
    """

    name: str
    type: str
    max_length: int
    precision: int
    scale: int
    nullable: bool = True

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
        if self.type == "sql_variant":
            base = f"CONVERT(nvarchar(128), SQL_VARIANT_PROPERTY({expression}, 'BaseType'))"
            cases = " ".join(f"WHEN '{name}' THEN {how.format(expression)}" for name, how in _VARIANTS)
            scale = f"CONVERT(nvarchar(11), SQL_VARIANT_PROPERTY({expression}, 'Scale'))"
            return f"{base} + N',' + {scale} + N':' + CASE {base} {cases} ELSE CONVERT(nvarchar(max), {expression}) END"
        return f"CONVERT(varbinary(max), {expression})" if self.type == "image" else expression

    @property
    def is_small(self) -> bool:
        """Whether its values are so short that their greatest length will do for their size."""
        return 0 < self.max_length <= _SMALL_BYTES and self.type not in _AS_TEXT and self.type not in ("image", "sql_variant")

    def json_value(self, value: Any) -> JsonValue:
        """The value of :meth:`read` as it stands in JSON: numbers digit-exact, binary as bytes (base64 in JSON)."""
        if value is None:
            return None
        if self.type == "sql_variant":
            head, _, text = value.partition(":")
            base, _, scale = head.partition(",")
            return _variant(base, int(scale), text)
        if self.type == "real":
            return _shortest_float32(value)
        if self.type == "uniqueidentifier":
            return str(value).lower()
        if self.type in _EXACT and isinstance(value, Decimal):
            return msgspec.Raw(f"{value:f}".encode())  # never with an exponent: OPENJSON cannot read one as a decimal
        return bytes(value) if isinstance(value, bytearray | memoryview) else value

    def key_value(self, value: Any) -> JsonValue:
        """The value of :meth:`read` as it stands in a key: one text for what SQL Server takes for the same, where that can be.

        An instant is in UTC, since its offset does not count, and zero has no sign.
        """
        found = self.json_value(value)
        if self.type == "datetimeoffset" and isinstance(found, str):
            return _in_utc(found)
        return 0.0 if found == 0 and isinstance(found, float) else found

    def from_json(self, name: str, path: str) -> str:
        """The column's line in an ``OPENJSON … WITH`` clause, under a name; ``path`` leads to its object, such as ``$.key``."""
        return f"{name} {self.declaration} {self._path(path)}"

    def text_from_json(self, name: str, path: str) -> str:
        """The same for a text that may be of another type: to be read by :meth:`from_record`."""
        return self.from_json(name, path) if self.type in _AS_THEY_ARE else f"{name} nvarchar(4000) {self._path(path)}"

    def from_record(self, name: str, text: str) -> str:
        """The value of a text of :meth:`text_from_json`, under a name; NULL if it is none of this column's type."""
        return f"{text} AS {name}" if self.type in _AS_THEY_ARE else f"TRY_CONVERT({self.declaration}, {text}) AS {name}"

    def _path(self, path: str) -> str:
        plain = self.name.isascii() and self.name.isidentifier()
        step = self.name if plain else '"' + self.name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        text = literal(f"{path}.{step}")
        return text.removeprefix("N") if text.isascii() else text


def _shortest_float32(value: float) -> float:
    """The shortest decimal that is the same 32-bit float: 0.1, not 0.10000000149011612."""
    wanted = struct.pack("f", value)
    return next((short for n in range(6, 10) if struct.pack("f", short := float(f"{value:.{n}g}")) == wanted), value)


def _in_utc(text: str) -> str:
    """An instant of style 126 with the offset +00:00; its fraction stays as it is."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return text
    clock, fraction, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    moment = datetime.fromisoformat(clock) + (offset if sign == "-" else -offset)
    return f"{moment.isoformat()}{fraction or ''}+00:00"


def _variant(base: str, scale: int, text: str) -> JsonValue:
    """The value of a ``sql_variant``, from its base type, its scale, and its text."""
    if base in _INTEGERS:
        return int(text)
    if base == "bit":
        return text == "1"
    if base in _EXACT:
        return msgspec.Raw(f"{Decimal(text):f}".encode())
    if base in ("float", "real"):
        return _shortest_float32(float(text)) if base == "real" else float(text)
    if base in ("binary", "varbinary"):
        return bytes.fromhex(text.removeprefix("0x"))
    if base in _WITH_SCALE:
        return _FRACTION.sub(lambda found: f".{found[1].rstrip('0').ljust(scale, '0')}".rstrip("."), text)
    return text.lower() if base == "uniqueidentifier" else text
