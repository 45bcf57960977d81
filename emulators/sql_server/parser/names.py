"""Qualified names given as strings, as in OBJECT_ID(N'[dbo].[T]')."""

from __future__ import annotations

from functools import lru_cache

from emulators.sql_server.parser.lexer import tokenize
from emulators.sql_server.values.results import SqlError


@lru_cache(maxsize=1024)
def split_name(text: str) -> tuple[str, ...]:
    """The parts of a name, without brackets; empty when it is no name. An omitted part is the empty string."""
    try:
        tokens = tokenize(text)
    except SqlError:
        return ()
    parts: list[str] = [""]
    for token in tokens:
        if token.kind == "end":
            break
        if token.kind == "op" and token.text == ".":
            parts.append("")
        elif token.kind in ("word", "quoted") and not parts[-1]:
            parts[-1] = str(token.value)
        else:
            return ()
    return tuple(parts) if parts[-1] and len(parts) <= 4 else ()
