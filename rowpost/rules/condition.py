"""The condition of a relay, ``where``: one T-SQL condition on the columns of a row, as text.

The server checks what it means. What is checked here is that it is one condition and stays one wherever it is put: no parenthesis,
quote or comment of it reaches beyond its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

LONGEST = 4000
_TOKEN = re.compile(
    r"""
    (?P<text>N?'(?:[^']|'')*')
    | (?P<name>\[(?:[^\]]|\]\])+\] | "(?:[^"]|"")+")
    | (?P<word>[^\W\d][\w@\#$]*)
    | (?P<number>\d[\w.]*)
    | (?P<line>--[^\r\n]*)
    | (?P<block>/\*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_BLOCK = re.compile(r"/\*|\*/")
_STATEMENTS = frozenset(("select", "exec", "execute", "openjson", "openquery", "openrowset"))
_REFUSED = {
    ";": "has a semicolon; write one condition, without an end",
    "@": "has an @; a condition has no variables",
    "?": "has a question mark outside of quotes, which a driver takes for a parameter",
    "\0": "has a character of code 0",
}


class Condition(Struct, frozen=True):
    """A condition that stays one wherever it is put.

    Attributes:
        sql: its text, without comments.
        names: that may be those of columns, in lower case.
    """

    sql: str
    names: frozenset[str]


def read_condition(written: str) -> Condition:
    """Read a condition.

    Raises:
        ValueError: it is none, or would not stay one; the message says why and what to do, and begins with a verb.
    """
    if len(written) > LONGEST:
        raise ValueError(f"has {len(written)} characters, and at most {LONGEST} are taken; put it into a computed column")
    parts, names, depth = [], set(), 0
    for kind, token in _tokens(written):
        if kind == "comment":
            token = " "
        elif kind == "name":
            quote = token[-1]
            names.add(token[1:-1].replace(quote * 2, quote).lower())
        elif kind == "word":
            if token.lower() in _STATEMENTS:
                raise ValueError(
                    f"has the word {token.upper()}; a condition is on the row's own columns, since a change of another table sends "
                    f"nothing (put a column of that name into brackets)"
                )
            names.add(token.lower())
        elif token in _REFUSED:
            raise ValueError(_REFUSED[token])
        elif token in "'\"[":
            raise ValueError(f"has a {token} that does not end; close it")
        depth += (token == "(") - (token == ")")
        if depth < 0:
            break
        parts.append(token)
    if depth:
        raise ValueError("has parentheses that do not match; each ( needs its ) behind it")
    sql = "".join(parts).strip()
    if not sql:
        raise ValueError("is empty; write a condition, or remove the key to send all rows")
    return Condition(sql, frozenset(names))


def _tokens(written: str) -> Iterator[tuple[str, str]]:
    """The kind and the text of each part; a comment, which may hold others, is one."""
    place = 0
    while place < len(written):
        match = _TOKEN.match(written, place)
        assert match is not None
        kind, place = match.lastgroup or "", match.end()
        if kind == "block":
            place = _end_of_comment(written, place)
        yield ("comment" if kind in ("block", "line") else kind), match[0]


def _end_of_comment(written: str, place: int) -> int:
    depth = 1
    for match in _BLOCK.finditer(written, place):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise ValueError("has a comment that does not end; close it with */")
