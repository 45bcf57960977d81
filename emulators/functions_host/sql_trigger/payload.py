"""The text a function receives: changed rows as JSON, byte for byte as the extension's serializer writes it.

The extension writes each row to JSON, reads it back with date recognition on and numbers as doubles, and writes it
again. Hence decimals lose digits past the seventeenth, offsets are turned into the host's local time, and texts that
look like a date-time are re-written.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from emulators.functions_host.sql_trigger.date_texts import rewrite_date_like

OPERATIONS = {"I": 0, "U": 1, "D": 2}
_DIGITS = 17  # of a double that survives a round trip; larger whole parts are written with an exponent
_ESCAPED = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the watched table.

    Attributes:
        name: as the table has it.
        type: name of its type without length.
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Change:
    """One changed row.

    Attributes:
        operation: I, U or D.
        values: of all columns of the table, in their order; of a deleted row only the keys count.
    """

    operation: str
    values: Sequence[Any]


def text_token(text: str) -> str:
    """``text`` as a JSON string. Protobuf, in which it travels, has no half of a surrogate pair: U+FFFD stands for it."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    token = json.dumps(text, ensure_ascii=False)
    for character, escape in _ESCAPED.items():
        token = token.replace(character, escape)
    return token


def double_token(value: float) -> str:
    """``value`` as .NET writes a double: shortest digits, always with a fraction or an exponent."""
    if value == 0:
        return "-0.0" if str(value).startswith("-") else "0.0"
    digits, _, exponent_text = f"{Decimal(repr(value)).normalize():E}".partition("E")
    exponent = int(exponent_text)
    sign = "-" if digits.startswith("-") else ""
    mantissa = digits.lstrip("-").replace(".", "")
    if exponent + 1 > _DIGITS or exponent < -4:
        head, tail = mantissa[0], mantissa[1:]
        return f"{sign}{head}{'.' + tail if tail else ''}E{'-' if exponent < 0 else '+'}{abs(exponent):02}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{mantissa}"
    whole, fraction = mantissa[: exponent + 1].ljust(exponent + 1, "0"), mantissa[exponent + 1 :]
    return f"{sign}{whole}.{fraction or '0'}"


def single_to_double(value: float) -> float:
    """The double that the shortest text of a 32-bit float stands for (1.1, not 1.10000002384...)."""
    packed = struct.pack("<f", value)
    for digits in range(1, 10):
        candidate = float(f"{value:.{digits}g}")
        if struct.pack("<f", candidate) == packed:
            return candidate
    return value


def beyond_dotnet(value: Any) -> bool:
    """Whether a number is more than System.Decimal holds, 96 bits and 28 places: SqlClient throws when it reads the row."""
    if not isinstance(value, Decimal):
        return False
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    return int("".join(map(str, digits))) * 10 ** max(0, exponent) >= 2**96 or exponent < -28


def value_token(value: Any, type_name: str) -> str:
    """A column's value as JSON.

    Raises:
        TypeError: a value of a kind that no supported column type has.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return double_token(float(value))
    if isinstance(value, float):
        return double_token(single_to_double(value) if type_name == "real" else value)
    if isinstance(value, (bytes, bytearray)):
        return text_token(base64.b64encode(value).decode())
    if type_name == "date":
        return f'"{value}T00:00:00"'
    if type_name == "uniqueidentifier":
        return f'"{str(value).lower()}"'
    if isinstance(value, str):
        if type_name == "time":
            return f'"{value.removesuffix(".0000000")}"'
        return text_token(rewrite_date_like(value))
    raise TypeError(f"a value of type {type(value).__name__} (column type {type_name}) has no JSON form")


def changes_json(changes: Iterable[Change], columns: Sequence[Column], keys: Sequence[str]) -> str:
    """The argument of one invocation.

    Args:
        changes: the rows of the batch, in the order of hand-out.
        columns: all columns of the table.
        keys: names of the key columns; a deleted row has no others.
    """
    names = [text_token(column.name) for column in columns]
    is_key = [column.name in keys for column in columns]
    texts: list[str] = []
    for change in changes:
        deleted = change.operation == "D"
        pairs = [
            f"{name}:{value_token(value, column.type)}"
            for name, column, key, value in zip(names, columns, is_key, change.values, strict=True)
            if key or not deleted
        ]
        texts.append(f'{{"Operation":{OPERATIONS[change.operation]},"Item":{{{",".join(pairs)}}}}}')
    return f"[{','.join(texts)}]"
