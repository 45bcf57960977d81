"""JSON_VALUE, JSON_QUERY, JSON_MODIFY, ISJSON, OPENJSON: numbers keep their source text, so that no digit is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from emulators.sql_server.values.errors import sql_error, unsupported

_STEP = re.compile(r'\.(?:"((?:[^"\\]|\\.)*)"|([A-Za-z_\u0080-\uffff$][\w$]*))|\[(\d+)\]')


class Number(str):
    """A JSON number, as written."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=lambda text: _bad_constant(text))


def _bad_constant(text: str) -> Any:
    raise ValueError(text)


def load(text: str) -> Any:
    """The document; numbers become :class:`Number`. Raises SqlError 13609."""
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        at = error.pos
        raise sql_error(13609, text[at] if at < len(text) else ".", at) from None
    except (ValueError, RecursionError):
        raise sql_error(13609, text[:1], 0) from None


@lru_cache(maxsize=1024)
def parse_path(path: str) -> tuple[bool, tuple[str | int, ...]]:
    """Whether strict, and the steps. Raises SqlError 13607, 40517."""
    text = path.strip()
    strict = text.startswith("strict ")
    if strict or text.startswith("lax "):
        text = text.split(" ", 1)[1].strip()
    if not text.startswith("$"):
        raise sql_error(13607, text[:1] or " ", 0)
    steps: list[str | int] = []
    position = 1
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise sql_error(13607, text[position], position)
        quoted, plain, index = found.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(_unquoted(quoted) if quoted is not None else plain)
        position = found.end()
    return strict, tuple(steps)


def _unquoted(step: str) -> str:
    try:
        return str(json.loads(f'"{step}"'))
    except ValueError:
        raise unsupported("a control character, or an escape that JSON does not have, in a JSON path") from None


_MISSING = object()


def find(document: Any, path: str) -> Any:
    """The value at a path, or _MISSING. Raises SqlError 13608 in strict mode."""
    strict, steps = parse_path(path)
    value = document
    for step in steps:
        if (
            isinstance(step, int)
            and isinstance(value, list)
            and step < len(value)
            or isinstance(step, str)
            and isinstance(value, dict)
            and step in value
        ):
            value = value[step]
        else:
            if strict:
                raise sql_error(13608)
            return _MISSING
    return value


def dump(value: Any, escape_slash: bool = False) -> str:
    """Compact JSON text, numbers as they were; FOR JSON writes a slash as ``\\/``."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{dump(key, escape_slash)}:{dump(item, escape_slash)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dump(item, escape_slash) for item in value) + "]"
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("/", "\\/") if escape_slash else text


def scalar_text(value: Any) -> str | None:
    """The text of a JSON scalar; None for null."""
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    return "true" if value is True else "false"


def json_value(text: str | None, path: str | None) -> str | None:
    if text is None or path is None:
        return None
    value = find(load(text), path)
    if value is _MISSING or value is None:
        return None
    if isinstance(value, (dict, list)):
        if parse_path(path)[0]:
            raise sql_error(13623)
        return None
    result = scalar_text(value)
    if result is not None and len(result) > 4000:
        return None
    return result


def json_query(text: str | None, path: str | None) -> str | None:
    if text is None or path is None:
        return None
    value = find(load(text), path)
    if isinstance(value, (dict, list)):
        return dump(value)
    if value is not _MISSING and parse_path(path)[0]:
        raise sql_error(13624)
    return None


def is_json(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(isinstance(_DECODER.decode(text), (dict, list)))
    except (ValueError, RecursionError):
        return 0


def json_modify(text: str | None, path: str | None, value: Any, kind: str) -> str | None:
    """JSON_MODIFY; ``kind`` of the new value: string, number, json, null."""
    if text is None or path is None:
        return None
    document = load(text)
    append = path.strip().startswith("append ")
    bare = path.strip()[7:] if append else path
    strict, steps = parse_path(bare)
    if not steps:
        raise sql_error(13607, "$", 0)
    new: Any = None
    if value is not None:
        new = load(value) if kind == "json" else Number(value) if kind == "number" else value == "1" if kind == "bit" else value
    holder = document
    for step in steps[:-1]:
        if (
            isinstance(step, str)
            and isinstance(holder, dict)
            and step in holder
            or isinstance(step, int)
            and isinstance(holder, list)
            and step < len(holder)
        ):
            holder = holder[step]
        elif strict:
            raise sql_error(13608)
        else:
            return dump(document)
    last = steps[-1]
    if append:
        target = find(document, bare)
        if target is _MISSING and isinstance(holder, dict):
            holder[last] = [new]
        elif isinstance(target, list):
            target.append(new)
        return dump(document)
    if isinstance(holder, dict) and isinstance(last, str):
        if last not in holder and strict:
            raise sql_error(13608)
        if value is None and not strict:
            holder.pop(last, None)
        else:
            holder[last] = new
    elif isinstance(holder, list) and isinstance(last, int) and last <= len(holder):
        holder[last : last + 1] = [new]
    return dump(document)


# --- OPENJSON: rows as a JSON array, for SQLite's json_each ---


def _root(text: str, path: str) -> Any:
    value = find(load(text), path) if path != "$" else load(text)
    if not isinstance(value, (dict, list)):
        if value is not _MISSING and parse_path(path)[0]:
            raise sql_error(13608)
        return _MISSING
    return value


def open_json(text: str | None, path: str | None) -> str:
    """Rows [key, value, type] of the default schema."""
    if text is None or path is None:
        return "[]"
    root = _root(text, path)
    if root is _MISSING:
        return "[]"
    pairs = enumerate(root) if isinstance(root, list) else root.items()
    return json.dumps(
        [
            [str(key), dump(value) if isinstance(value, (dict, list)) else scalar_text(value), _json_type(value)]
            for key, value in pairs
        ]
    )


def _json_type(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, Number):
        return 2
    return 1 if isinstance(value, str) else 3 if isinstance(value, bool) else 4 if isinstance(value, list) else 5


@lru_cache(maxsize=256)
def _columns(specification: str) -> list[tuple[str, bool, str | None]]:
    return [
        (path, as_json, path[2:] if re.fullmatch(r"\$\.[A-Za-z_]\w*", path) else None)
        for path, as_json in json.loads(specification)
    ]


def open_json_with(text: str | None, path: str | None, specification: str) -> str:
    """Rows of text values for the columns of the WITH clause."""
    if text is None or path is None:
        return "[]"
    root = _root(text, path)
    if root is _MISSING:
        return "[]"
    columns = _columns(specification)
    rows = []
    for item in root if isinstance(root, list) else [root]:
        row: list[str | None] = []
        for column_path, as_json, simple in columns:
            if simple is not None and isinstance(item, dict):
                value = item.get(simple, _MISSING)
            else:
                value = find(item, column_path)
            if value is _MISSING:
                row.append(None)
            elif as_json:
                row.append(dump(value) if isinstance(value, (dict, list)) else None)
            else:
                row.append(None if isinstance(value, (dict, list)) else scalar_text(value))
        rows.append(row)
    return json.dumps(rows)


def path_exists(text: str | None, path: str | None) -> int | None:
    """JSON_PATH_EXISTS"""
    if text is None or path is None:
        return None
    return int(find(load(text), path) is not _MISSING)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_json_value": (2, json_value),
    "k_json_query": (2, json_query),
    "k_is_json": (1, is_json),
    "k_json_modify": (4, json_modify),
    "k_open_json": (2, open_json),
    "k_open_json_with": (3, open_json_with),
    "k_path_exists": (2, path_exists),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
