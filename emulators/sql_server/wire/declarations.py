"""Parameter declarations: ``@P1 nvarchar(max), @n int OUTPUT``, as they go with sp_executesql and sp_prepare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from emulators.sql_server.values.datatypes import type_from_syntax
from emulators.sql_server.values.results import SqlError, SqlType

_DECLARATION = re.compile(
    r"""\s*@(?P<name>[\w@$\#]+)\s+(?:AS\s+)?
        (?:(?:\[[^\]]+\]|\w+)\s*\.\s*)?  # the schema
        (?P<type>\[[^\]]+\]|[A-Za-z_]\w*(?:\s+varying|\s+precision)?)
        (?:\s*\(\s*(?P<first>\d+|max)\s*(?:,\s*(?P<second>\d+)\s*)?\))?
        (?:\s*=\s*(?P<default>N?'(?:[^']|'')*'|[^\s,]+))?
        (?P<output>\s+OUT(?:PUT)?)?
        (?P<readonly>\s+READONLY)?
        \s*(?:,|$)""",
    re.IGNORECASE | re.VERBOSE,
)
_SYNONYMS = {
    "double precision": "float",
    "char varying": "varchar",
    "character varying": "varchar",
    "binary varying": "varbinary",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declared parameter; ``name`` is lower case without its @, ``default`` the literal's text."""

    name: str
    type: SqlType
    output: bool
    default: str | None


@lru_cache(maxsize=1024)
def parse_declarations(text: str) -> tuple[Declaration, ...]:
    """The parameters that ``text`` declares.

    Raises:
        SqlError: 102 for a syntax error, 2715 for an unknown type, 40517 for one that is not supported.
    """
    declarations = []
    position = 0
    while position < len(text) and not text[position:].isspace():
        match = _DECLARATION.match(text, position)
        if match is None:
            raise SqlError(102, f"Incorrect syntax near '{text[position : position + 40].strip()}'.", 15)
        if match["readonly"]:
            raise SqlError(8009, f"Parameter @{match['name']}: table-valued parameters are not supported by the emulator.")
        declared = _type_of(match["type"], match["first"], match["second"])
        declarations.append(Declaration(match["name"].lower(), declared, bool(match["output"]), match["default"]))
        position = match.end()
    return tuple(declarations)


def _type_of(name: str, first: str | None, second: str | None) -> SqlType:
    name = " ".join(name.strip("[]").lower().split())
    numbers = [-1 if text.lower() == "max" else int(text) for text in (first, second) if text is not None]
    return type_from_syntax(_SYNONYMS.get(name, name), numbers)
