"""Tokens of T-SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<comment>/\*)
  | (?P<string>N?'(?:[^']|'')*')
  | (?P<openstring>N?')
  | (?P<quoted>\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*")
  | (?P<hex>0[xX][0-9a-fA-F]*)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<global>@@\w+)
  | (?P<variable>@[\w@\#$]+)
  | (?P<word>[^\W\d][\w@\#$]*|\#{1,2}[\w@\#$]+|\$action\b|\$identity\b|\$rowguid\b|\$partition\b)
  | (?P<money>[$¢£¤¥€]\s*[+-]?\d*\.?\d*)
  | (?P<op><>|<=|>=|!=|!<|!>|\+=|-=|\*=|/=|%=|&=|\|=|\^=|::|[-+*/%&|^~=<>(),.;:])
    """,
    re.VERBOSE | re.IGNORECASE,
)


_LONGEST_NAME = 128


@dataclass(slots=True)
class Token:
    """One token; ``kind`` is word, quoted, string, number, money, hex, variable, global, op or end; ``upper`` is set for words."""

    kind: str
    text: str
    upper: str
    value: Any
    start: int
    end: int
    line: int


def tokenize(sql: str) -> list[Token]:
    """The tokens of a batch, with an ``end`` token last.

    Raises SqlError 102, 105 or 113.
    """
    tokens: list[Token] = []
    position, line, size = 0, 1, len(sql)
    match = _TOKEN.match
    while position < size:
        found = match(sql, position)
        if found is None:
            raise _at(sql_error(102, sql[position]), line)
        kind, end, text = found.lastgroup or "", found.end(), found.group()
        if kind == "comment":
            end = _comment_end(sql, position, line)
            text = sql[position:end]
        elif kind == "openstring":
            raise _at(sql_error(105, sql[end : end + 100]), line)
        elif kind != "space":
            tokens.append(_token(kind, text, position, end, line))
        line += text.count("\n")
        position = end
    tokens.append(Token("end", "", "", None, size, size, line))
    return tokens


def _token(kind: str, text: str, start: int, end: int, line: int) -> Token:
    value: Any = text
    upper = ""
    if kind == "word":
        upper = text.upper()
    elif kind == "string":
        national = text[0] in "nN"
        value = (text[2:-1] if national else text[1:-1]).replace("''", "'")
    elif kind == "quoted":
        value = text[1:-1].replace("]]", "]") if text[0] == "[" else text[1:-1].replace('""', '"')
    elif kind == "hex":
        digits = text[2:]
        value = bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
    elif kind == "money":
        value = text[1:].strip() or "0"
    elif kind in ("variable", "global"):
        value = text.lstrip("@").lower()
    if kind in ("word", "quoted", "variable") and len(value) > _LONGEST_NAME - (kind == "variable"):
        shown = text if kind == "variable" else str(value)
        raise _at(SqlError(103, f"The identifier that starts with '{shown[:128]}' is too long. Maximum length is 128.", 15), line)
    return Token(kind, text, upper, value, start, end, line)


def _comment_end(sql: str, position: int, line: int) -> int:
    """The end of a block comment; T-SQL comments nest."""
    depth, scan = 0, position
    while True:
        opened, closed = sql.find("/*", scan), sql.find("*/", scan)
        if closed < 0:
            raise _at(sql_error(113), line)
        if 0 <= opened < closed:
            depth, scan = depth + 1, opened + 2
        else:
            depth, scan = depth - 1, closed + 2
            if depth == 0:
                return scan


def _at(error: Exception, line: int) -> Exception:
    error.line = line  # type: ignore[attr-defined]
    return error
