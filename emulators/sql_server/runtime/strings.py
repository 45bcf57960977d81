"""Functions on strings and binaries."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from typing import Any

from emulators.sql_server.parser.names import split_name
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError
from emulators.sql_server.values.utf16 import cut, encoded, inner, is_plain, merged, reverse, units


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
    text, old = merged(text), merged(old)
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
    wanted, text = merged(wanted), merged(text)
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


def _replicate(text: str | None, count: int | None, limit: int) -> str | None:
    """``limit``: where the result is cut, -1 for the types with MAX."""
    if text is None or count is None or count < 0:
        return None
    return text * count if limit < 0 or not text else cut(text * min(count, limit), 0, limit)


def _stuff(text: str | None, start: int | None, count: int | None, new: str | None, limit: int) -> str | None:
    if text is None or start is None or count is None or start < 1 or start > units(text) or count < 0:
        return None
    changed = cut(text, 0, start - 1) + (new or "") + cut(text, start - 1 + count, units(text))
    if 0 < limit < units(changed):
        raise unsupported("a result of STUFF that is longer than its type")
    return changed


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
    return int.from_bytes(encoded(text[0])[:2], "little") if text else None


def _ascii(text: str | None) -> int | None:
    return text[0].encode("cp1252", "replace")[0] if text else None


def _char(number: int | None) -> str | None:
    return None if number is None or not 0 <= number <= 255 else bytes([number]).decode("cp1252", "replace")


def _nchar(number: int | None) -> str | None:
    """NULL beyond the first plane: the collation of the database knows no supplementary characters."""
    return None if number is None or not 0 <= number <= 0xFFFF else inner(chr(number))


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


def _from_base64(text: str | None) -> bytes | None:
    """The bytes of a binary column of OPENJSON. Raises SqlError 13609 when the text is not base64."""
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise sql_error(13609, text[:1], 0) from None


def to_base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_length": (1, _length),
    "k_data_length": (2, _data_length),
    "k_left": (2, _left),
    "k_right": (2, _right),
    "k_substring": (3, _substring),
    "k_replace": (3, _replace),
    "k_char_index": (3, _char_index),
    "k_trim": (3, _trim),
    "k_replicate": (3, _replicate),
    "k_stuff": (5, _stuff),
    "k_quote_name": (2, _quote_name),
    "k_unicode": (1, _unicode),
    "k_ascii": (1, _ascii),
    "k_char": (1, _char),
    "k_nchar": (1, _nchar),
    "k_translate": (3, _translate),
    "k_hash": (2, _hash),
    "k_checksum": (-1, _checksum),
    "k_concat": (-1, _identity_text),
    "k_concat_ws": (-1, _concat_ws),
    "k_upper": (1, _each(str.upper)),
    "k_lower": (1, _each(str.lower)),
    "k_reverse": (1, lambda v: None if v is None else reverse(v)),
    "k_parse_name": (2, _parse_name),
    "k_from_base64": (1, _from_base64),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
