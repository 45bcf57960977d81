"""Scalar functions on strings, binaries and numbers, as SQLite calls them."""

from __future__ import annotations

import hashlib
import math
import re
import uuid
import zlib
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from emulators.sql_server.parser.names import split_name
from emulators.sql_server.runtime import json as json_functions
from emulators.sql_server.runtime.like import index_of_pattern
from emulators.sql_server.values.datatypes import decimal_context, decode_decimal, encode_decimal, quantize
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError
from emulators.sql_server.values.utf16 import cut, is_plain, units

_CONTEXT = decimal_context()


def _length(text: str | None) -> int | None:
    return None if text is None else units(text.rstrip(" "))


def _data_length(value: Any, width: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, (str, bytes)):
        return (units(value) if isinstance(value, str) and width == 2 else len(value)) * width
    return width


def _left(text: str | None, count: int | None) -> str | None:
    if text is None or count is None:
        return None
    if count < 0:
        raise sql_error(536, "left")
    return cut(text, 0, count)


def _right(text: str | None, count: int | None) -> str | None:
    if text is None or count is None:
        return None
    if count < 0:
        raise sql_error(536, "right")
    size = units(text)
    return cut(text, max(0, size - count), size)


def _substring(value: Any, start: int | None, count: int | None) -> Any:
    if value is None or start is None or count is None:
        return None
    if count < 0:
        raise sql_error(537)
    end = start - 1 + count
    if isinstance(value, str):
        return cut(value, max(0, start - 1), max(0, end))
    return value[max(0, start - 1) : max(0, end)]


def _replace(text: str | None, old: str | None, new: str | None) -> str | None:
    if text is None or old is None or new is None:
        return None
    if not old:
        return text
    lower, wanted = text.lower(), old.lower()
    if len(lower) != len(text):
        return text.replace(old, new)
    out: list[str] = []
    position = 0
    while (found := lower.find(wanted, position)) >= 0:
        out += [text[position:found], new]
        position = found + len(wanted)
    return "".join(out) + text[position:]


def _char_index(wanted: str | None, text: str | None, start: int | None) -> int | None:
    if wanted is None or text is None:
        return None
    if not wanted:
        return 0
    begin = max(0, (start or 1) - 1)
    if is_plain(text):
        return text.lower().find(wanted.lower(), begin) + 1
    found = text.lower().find(wanted.lower(), len(cut(text, 0, begin)))
    return units(text[:found]) + 1 if found >= 0 else 0


def _trim(text: str | None, characters: str | None, side: str) -> str | None:
    if text is None or characters is None:
        return None
    if side == "left":
        return text.lstrip(characters)
    return text.rstrip(characters) if side == "right" else text.strip(characters)


def _replicate(text: str | None, count: int | None) -> str | None:
    return None if text is None or count is None or count < 0 else text * count


def _stuff(text: str | None, start: int | None, count: int | None, new: str | None) -> str | None:
    if text is None or start is None or count is None or start < 1 or start > units(text) or count < 0:
        return None
    return cut(text, 0, start - 1) + (new or "") + cut(text, start - 1 + count, units(text))


def _quote_name(text: str | None, mark: str | None) -> str | None:
    if text is None or mark is None or len(text) > 128:
        return None
    pairs = {
        "[": "[]",
        "]": "[]",
        "'": "''",
        '"': '""',
        "(": "()",
        ")": "()",
        "<": "<>",
        ">": "<>",
        "{": "{}",
        "}": "{}",
        "`": "``",
    }
    pair = pairs.get(mark[:1])
    return None if pair is None else pair[0] + text.replace(pair[1], pair[1] * 2) + pair[1]


def _unicode(text: str | None) -> int | None:
    return ord(text[0]) if text else None


def _ascii(text: str | None) -> int | None:
    return text[0].encode("cp1252", "replace")[0] if text else None


def _char(number: int | None) -> str | None:
    return None if number is None or not 0 <= number <= 255 else bytes([number]).decode("cp1252", "replace")


def _nchar(number: int | None) -> str | None:
    return None if number is None or not 0 <= number <= 0x10FFFF else chr(number)


def _translate(text: str | None, old: str | None, new: str | None) -> str | None:
    if text is None or old is None or new is None:
        return None
    if len(old) != len(new):
        raise SqlError(
            9828, "The second and third arguments of the TRANSLATE built-in function must contain an equal number of characters."
        )
    return text.translate(str.maketrans(old, new))


def _hash(algorithm: str | None, data: bytes | None) -> bytes | None:
    names = {"md5": "md5", "sha": "sha1", "sha1": "sha1", "sha2_256": "sha256", "sha2_512": "sha512"}
    name = names.get((algorithm or "").lower())
    return None if name is None or data is None else hashlib.new(name, data).digest()


def _checksum(*values: Any) -> int:
    number = zlib.crc32(repr([v.casefold() if isinstance(v, str) else v for v in values]).encode())
    return number - 2**32 if number >= 2**31 else number


def _round(value: Any, digits: int | None, cut: int, kind: str) -> Any:
    if value is None or digits is None:
        return None
    if kind == "decimal":
        number = decode_decimal(value)
        if cut:
            unit = Decimal(1).scaleb(-digits)
            return encode_decimal(_CONTEXT.multiply(_CONTEXT.divide_int(number, unit), unit))
        return encode_decimal(
            quantize(number, digits) if digits >= 0 else quantize(number.scaleb(digits, _CONTEXT), 0).scaleb(-digits, _CONTEXT)
        )
    if kind == "int":
        if digits >= 0:
            return value
        unit = 10**-digits
        return int(value / unit) * unit if cut else (abs(value) + unit // 2) // unit * unit * (1 if value >= 0 else -1)
    if cut:
        return math.trunc(value * 10.0**digits) / 10.0**digits
    return float(quantize(Decimal(repr(value)), digits)) if digits >= 0 else float(round(value / 10.0**-digits) * 10.0**-digits)


def _floor(value: Any, kind: str, up: int) -> Any:
    if value is None or kind == "int":
        return value
    if kind == "decimal":
        return encode_decimal(decode_decimal(value).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR, _CONTEXT))
    return float(math.ceil(value) if up else math.floor(value))


def _absolute(value: Any, kind: str) -> Any:
    if value is None:
        return None
    return encode_decimal(decode_decimal(value).copy_abs()) if kind == "decimal" else abs(value)


def _sign(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "decimal":
        number = decode_decimal(value)
        return encode_decimal(Decimal((number > 0) - (number < 0)))
    sign = (value > 0) - (value < 0)
    return float(sign) if kind == "float" else sign


def _power(base: float | None, exponent: float | None) -> float | None:
    if base is None or exponent is None:
        return None
    try:
        result = math.pow(base, exponent)
    except (OverflowError, ValueError):
        raise sql_error(8115, "expression", "float") from None
    return result


def _mathematics(name: str, value: float | None, other: float | None) -> float | None:
    if value is None:
        return None
    try:
        if name == "log":
            return math.log(value) if other is None else math.log(value, other)
        if name == "square":
            return value * value
        functions: dict[str, Callable[[float], float]] = {
            "sqrt": math.sqrt,
            "exp": math.exp,
            "log10": math.log10,
            "sin": math.sin,
            "cos": math.cos,
            "tan": math.tan,
            "asin": math.asin,
            "acos": math.acos,
            "atan": math.atan,
            "radians": math.radians,
            "degrees": math.degrees,
        }
        return functions[name](value)
    except (ValueError, OverflowError):
        raise SqlError(3623, "An invalid floating point operation occurred.") from None


_NUMERIC = re.compile(r"\s*[+-]?\s*[$£¤¥€]?\s*[+-]?\d*(?:,\d*)*\.?\d*(?:(?<=[\d.])[eEdD][+-]?\d*)?\s*", re.ASCII)


def _is_numeric(text: str | None) -> int:
    """ISNUMERIC: also of what only money takes, such as a sign alone."""
    return int(text is not None and text.strip() != "" and _NUMERIC.fullmatch(text) is not None)


def _each(change: Callable[[str], str]) -> Callable[[str | None], str | None]:
    """UPPER and LOWER go character by character: no length changes, ß stays."""

    def changed(character: str) -> str:
        other = change(character)
        return other if len(other) == 1 else character

    def run(text: str | None) -> str | None:
        if text is None:
            return None
        return change(text) if text.isascii() else "".join(map(changed, text))

    return run


def _new_id() -> str:
    return str(uuid.uuid4()).upper()


def _identity_text(*parts: Any) -> str:
    return "".join("" if part is None else part for part in parts)


def _concat_ws(separator: str | None, *parts: Any) -> str:
    return (separator or "").join(part for part in parts if part is not None)


def _parse_name(text: str | None, part: int | None) -> str | None:
    """PARSENAME: 1 object, 2 schema, 3 database, 4 server."""
    if text is None or part is None:
        return None
    parts = split_name(text)
    return parts[-part] or None if parts and 1 <= part <= len(parts) else None


def _from_parts(kind: str, precision: int, *parts: int | None) -> str | None:
    """The text of a date or time out of its numbers (year to fraction, hours and minutes of the offset). Raises SqlError 289."""
    if None in parts:
        return None
    numbers = [part or 0 for part in parts]
    try:
        if kind == "time":
            numbers = [1900, 1, 1, *numbers]
        full = (*numbers, *[0] * (7 - len(numbers)))
        year, month, day, hour, minute, second, fraction = full[:7]
        datetime(year, month, day, hour, minute, second)
        if not 0 <= fraction < 10**precision:
            raise ValueError
        text = f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"
        if precision:
            text += f".{fraction:0{precision}d}"
        if kind == "datetimeoffset":
            hours, minutes = full[7:9]
            if abs(hours * 60 + minutes) > 14 * 60 or abs(minutes) > 59 or hours * minutes < 0:
                raise ValueError
            text += f" {'-' if hours < 0 or minutes < 0 else '+'}{abs(hours):02d}:{abs(minutes):02d}"
    except ValueError:
        raise sql_error(289, kind) from None
    return text[11:] if kind == "time" else text[:10] if kind == "date" else text


def _str(value: float | None, length: int | None, decimals: int | None) -> str | None:
    """STR: right-aligned, asterisks when it does not fit."""
    if value is None or length is None or decimals is None or length < 1 or decimals < 0:
        return None
    exact = Decimal(repr(value))
    whole = f"{exact.quantize(Decimal(1), ROUND_HALF_UP):f}"
    places = min(decimals, 16, max(0, length - len(f"{int(exact)}") - 1 - (exact < 0 and int(exact) == 0)))
    if len(whole) > length:
        return "*" * length
    return f"{exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}".rjust(length)[:length]


SCALARS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_length": (1, _length),
    "k_data_length": (2, _data_length),
    "k_left": (2, _left),
    "k_right": (2, _right),
    "k_substring": (3, _substring),
    "k_replace": (3, _replace),
    "k_char_index": (3, _char_index),
    "k_pattern_index": (2, index_of_pattern),
    "k_trim": (3, _trim),
    "k_replicate": (2, _replicate),
    "k_stuff": (4, _stuff),
    "k_quote_name": (2, _quote_name),
    "k_unicode": (1, _unicode),
    "k_ascii": (1, _ascii),
    "k_char": (1, _char),
    "k_nchar": (1, _nchar),
    "k_translate": (3, _translate),
    "k_hash": (2, _hash),
    "k_checksum": (-1, _checksum),
    "k_round": (4, _round),
    "k_floor": (3, _floor),
    "k_absolute": (2, _absolute),
    "k_sign": (2, _sign),
    "k_power": (2, _power),
    "k_math": (3, _mathematics),
    "k_is_numeric": (1, _is_numeric),
    "k_concat": (-1, _identity_text),
    "k_concat_ws": (-1, _concat_ws),
    "k_upper": (1, _each(str.upper)),
    "k_lower": (1, _each(str.lower)),
    "k_reverse": (1, lambda v: None if v is None else v[::-1]),
    "k_parse_name": (2, _parse_name),
    "k_json_value": (2, json_functions.json_value),
    "k_json_query": (2, json_functions.json_query),
    "k_is_json": (1, json_functions.is_json),
    "k_json_modify": (4, json_functions.json_modify),
    "k_open_json": (2, json_functions.open_json),
    "k_open_json_with": (3, json_functions.open_json_with),
    "k_from_base64": (1, json_functions.from_base64),
    "k_string_split": (2, json_functions.string_split),
    "k_generate_series": (3, json_functions.generate_series),
    "k_path_exists": (2, json_functions.path_exists),
    "k_from_parts": (-1, _from_parts),
    "k_str": (3, _str),
}
"""Deterministic functions."""

VOLATILE: dict[str, tuple[int, Callable[..., Any]]] = {"k_new_id": (0, _new_id)}
