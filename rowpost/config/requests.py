"""The requests and the bodies of a relay, as relay.toml writes them: how they are read, and what they may not be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Raw, Struct

from rowpost.config.addresses import is_http_address
from rowpost.config.sections import Body, Format, RelayConfig, TargetConfig
from rowpost.rules.placeholders import Text, columns_of, not_apart, objects_of, read_text

UPSERT_METHODS = ("POST", "PUT", "PATCH")
DELETE_METHODS = ("DELETE", *UPSERT_METHODS)
NOT_THERE = (404, 410)
_LINE = re.compile(r"([A-Z]+) (/.*)")
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_NO_BYTE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OF_TEXTS = re.compile(r"relays\[\d+\]\.(?:upsert|delete|resync|body|delete_body|(?:query|headers|body|delete_body)\..*)")
_OF_JSON = re.compile(r"relays\[\d+\]\.(?:body|delete_body)")
Refuse = Callable[[str, str], None]


class RequestLine(Struct, frozen=True):
    """A method and a path."""

    method: str
    path: Text


def read_line(written: str) -> RequestLine:
    """Read ``PUT /orders/{OrderId}``.

    Raises:
        ValueError: it is no method and path, or the path cannot be sent as it is.
    """
    match = _LINE.fullmatch(written)
    if match is None:
        raise ValueError('expected a method, a space, and a path that begins with /, such as "PUT /orders/{OrderId}"')
    path = read_text(match[2])
    plain = [part for part in path if isinstance(part, str)]
    if any("?" in part or "#" in part for part in plain):
        raise ValueError("has a ? or a # in the path; put what follows it into the section `query`")
    if not all(_PATH.fullmatch(part) for part in plain):
        raise ValueError("has a character that cannot stand in a path; write it percent-encoded, such as %20 for a blank")
    # A client or a proxy takes such segments out of a path, also if they are percent-encoded.
    shape = "".join(part if isinstance(part, str) else "{}" for part in path)
    if any(re.fullmatch(r"(?:\.|%2e){1,2}", segment, re.IGNORECASE) for segment in shape.split("/")):
        raise ValueError("has the segment . or .. in the path; write the path without it")
    return RequestLine(match[1], _checked(path))


def read_value(written: str) -> Text:
    """Read the value of a parameter of the query or of a header.

    Raises:
        ValueError: a placeholder is none, or two are not apart.
    """
    return _checked(read_text(written))


def _checked(text: Text) -> Text:
    for place in objects_of(text):
        raise ValueError(f"has the placeholder {place.written}, which is no single value; it can stand in a body only")
    if pair := not_apart(text):
        one, other = pair
        raise ValueError(
            f"has nothing between {one.written} and {other.written} that cannot be in a value, so that two rows could look the "
            f"same; put a / or a comma between them"
        )
    return text


# --- bodies ---


def read_body(written: Body) -> Any:
    """A template as a JSON value in which each string is a :data:`~rowpost.rules.placeholders.Text`.

    Raises:
        ValueError: it is no JSON, or has a value or a placeholder that cannot be; the message begins with the place.
    """
    if not isinstance(written, str):
        return _template(written, "")
    try:
        value = json.loads(written, parse_constant=_no_number, parse_float=lambda digits: Raw(digits.encode()))
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f'is not JSON ({where}); put placeholders between quotes, such as "{{OrderId}}"') from None
    return _template(value, "")


def _no_number(_: str) -> float:
    raise ValueError("has a number that JSON does not have; write a finite number")


def _template(value: Any, place: str) -> Any:
    where = f"{place or 'the template'}: "
    if isinstance(value, dict):
        for name in value:
            if "{" in name or "}" in name:
                raise ValueError(f"{where}a name has a brace; placeholders stand in values only")
        return {name: _template(item, f"{place}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, list):
        return [_template(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, str):
        try:
            return read_text(value)
        except ValueError as error:
            raise ValueError(f"{where}{error}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}a number that JSON does not have; write a finite number")
    if value is None or isinstance(value, bool | int | float | Raw):
        return value
    raise ValueError(f"{where}a date or a time, which JSON does not have; write it between quotes")


def texts_of(template: Any) -> Iterator[Text]:
    """All texts of a template."""
    if isinstance(template, tuple):
        yield template
    elif isinstance(template, dict | list):
        for item in template.values() if isinstance(template, dict) else template:
            yield from texts_of(item)


# --- settings in them ---


def as_plain_text(field: str, value: str) -> str:
    """The value of an app setting as it is to be put into a field: as text, whatever braces or quotes it has."""
    if not _OF_TEXTS.fullmatch(field):
        return value
    value = value.replace("{", "{{").replace("}", "}}")
    return json.dumps(value, ensure_ascii=False)[1:-1] if _OF_JSON.fullmatch(field) else value


# --- what they may not be ---


def check_requests(
    field: str, relay: RelayConfig, target: TargetConfig | None, own_headers: frozenset[str], refuse: Refuse
) -> None:
    """Refuse what is wrong with the requests and the bodies of a relay, as far as the file alone tells it.

    Args:
        field: of the relay.
        relay: its section.
        target: its target; None if there is none.
        own_headers: names that the app sets itself, in lower case.
        refuse: takes a field and a sentence.
    """
    lines = {name: _line(f"{field}.{name}", getattr(relay, name), name, refuse) for name in ("upsert", "delete", "resync")}
    for name, written in relay.query.items():
        if not name:
            refuse(f"{field}.query", "has a parameter without a name; give it one")
        _value(f"{field}.query.{name}", written, refuse)
    for name, written in relay.headers.items():
        where = f"{field}.headers.{name}"
        plain = "".join(part for part in _value(where, written, refuse) if isinstance(part, str))
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(plain) or written != written.strip(" \t"):
            refuse(where, "not a valid HTTP header; use a token as name and one line of Latin-1 text as value")
        elif name.lower() in own_headers or name.lower().startswith("rowpost-"):
            refuse(where, "is a header that the app sets itself; remove it")
    if len({name.lower() for name in relay.headers}) < len(relay.headers):
        refuse(f"{field}.headers", "names a header twice; names that differ only in case are the same")
    for status in relay.delete_success:
        if status not in NOT_THERE:
            refuse(f"{field}.delete_success", "names a status that says nothing of a deleted row; use 404, 410, or both")
    for name in ("body", "delete_body"):
        written_body = getattr(relay, name)
        if written_body is not None:
            try:
                read_body(written_body)
            except ValueError as error:
                refuse(f"{field}.{name}", str(error))
    if relay.body is not None and relay.format is not None:
        refuse(f"{field}.format", "is of no use beside `body`; remove one of them")
    line = lines["delete"]
    if relay.delete_body is None and (line is None or line.method != "DELETE"):
        _check_deletions(field, relay, target, has_line=line is not None or relay.delete is not None, refuse=refuse)
    if target is not None:
        _check_target(field, relay, target, refuse)


def _line(field: str, written: str | None, name: str, refuse: Refuse) -> RequestLine | None:
    if written is None:
        return None
    try:
        line = read_line(written)
    except ValueError as error:
        refuse(field, str(error))
        return None
    methods = DELETE_METHODS if name == "delete" else UPSERT_METHODS
    if line.method not in methods:
        refuse(field, f"has a method that cannot be used for it; use one of {', '.join(methods)}")
    if name == "resync" and any(columns_of(line.path)):
        refuse(field, "names a column, and the events of a resync are of no row; remove the placeholder")
    return line


def _value(field: str, written: str, refuse: Refuse) -> Text:
    try:
        return read_value(written)
    except ValueError as error:
        refuse(field, str(error))
        return ()


def _check_deletions(field: str, relay: RelayConfig, target: TargetConfig | None, *, has_line: bool, refuse: Refuse) -> None:
    """A deletion that is no DELETE must look like one."""
    if relay.body is not None:
        refuse(
            f"{field}.delete_body",
            'is missing: `body` is the template of a row that exists; add delete_body, or a request such as delete = "DELETE /…"',
        )
    elif not has_line and target is not None and effective_format(relay, target) == "row":
        refuse(
            f"{field}.delete",
            'is missing: with the format "row" a deletion would look like a row; add a request such as delete = "DELETE /…", or '
            "delete_body",
        )


def _check_target(field: str, relay: RelayConfig, target: TargetConfig, refuse: Refuse) -> None:
    if relay.resync is not None and not target.resync_events:
        refuse(f"{field}.resync", "is of no use, since the target has resync_events = false; remove one of them")
    extends = relay.upsert or relay.delete or relay.resync or relay.query
    if extends and is_http_address(target.url) and _NO_BYTE.search("".join(urlsplit(target.url)[2:4])):
        refuse(f"{field}.target", "the url of the target has a % that begins no percent-encoded byte; write it as %25")


def effective_format(relay: RelayConfig, target: TargetConfig) -> Format:
    """The format of a relay: its own or its target's."""
    return relay.format or target.format


# --- what the table must have for them ---


def column_mistakes(relay: RelayConfig, key: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """What is wrong with the columns that the requests and bodies of a relay name: a field and a sentence each.

    Args:
        relay: the relay, of which the form was checked.
        key: the columns of the key.
        columns: all that are sent.
    """
    lower, sent = {name.lower() for name in key}, {name.lower() for name in columns}
    has = f"the key has {', '.join(key)}"
    for field, text in _request_texts(relay):
        for name in columns_of(text):
            if name.lower() not in lower:
                what = "no column of the key" if name.lower() in sent else "no column of the table"
                yield f"{field}: {{{name}}} is {what}, and only the key can stand in a path, a query or a header; {has}"
    for field, body in (("body", relay.body), ("delete_body", relay.delete_body)):
        for name in () if body is None else (name for text in texts_of(read_body(body)) for name in columns_of(text)):
            if field == "body" and name.lower() not in sent | lower:
                yield f"{field}: {{{name}}} is no column that is sent; the relay sends {', '.join(columns)}"
            elif field == "delete_body" and name.lower() not in lower:
                yield f"{field}: {{{name}}} is no column of the key, and of a deleted row nothing else is known; {has}"
    if relay.delete_body is None and relay.delete is not None and read_line(relay.delete).method == "DELETE":
        named = {name.lower() for _, text in _request_texts(relay, "delete") for name in columns_of(text)}
        if left := [name for name in key if name.lower() not in named]:
            yield (
                f"delete: a DELETE has no body, and the request does not say which row is meant; put "
                f"{', '.join(f'{{{name}}}' for name in left)} into the path, or add delete_body"
            )


def column_warnings(relay: RelayConfig, key: Sequence[str]) -> Iterator[str]:
    """What works, but is hardly meant: an address that two rows share."""
    if relay.upsert is None or read_line(relay.upsert).method == "POST":
        return
    named = {name.lower() for _, text in _request_texts(relay, "upsert") for name in columns_of(text)}
    left = [name for name in key if name.lower() not in named]
    if named and left:
        yield f"rows that differ in {', '.join(left)} only have the same address; put all of the key into the path"


def _request_texts(relay: RelayConfig, *lines: str) -> Iterator[tuple[str, Text]]:
    for name in lines or ("upsert", "delete"):
        written = getattr(relay, name)
        if written is not None:
            yield name, read_line(written).path
    for section in ("query", "headers"):
        for name, written in getattr(relay, section).items():
            yield f"{section}.{name}", read_value(written)
