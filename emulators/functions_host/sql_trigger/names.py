"""T-SQL identifiers and literals."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulators.functions_host.sql_trigger.errors import ListenerError
from emulators.reserved_words import RESERVED

_PART = re.compile(
    r"""\s*(?:
        \[(?P<bracketed>(?:[^\]]|\]\])+)\]
      | (?P<plain>[^\W\d][\w@$\#]*)
    )\s*""",
    re.VERBOSE,
)
_LONGEST_NAME = 128


def quote(name: str) -> str:
    """``name`` as a bracketed identifier."""
    return "[" + name.replace("]", "]]") + "]"


def literal(text: str) -> str:
    """``text`` as a national string literal."""
    return "N'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class TableName:
    """A table name of one part (the login's default schema) or two."""

    name: str
    schema: str | None = None

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read ``Table``, ``schema.Table`` or the same with brackets. To the parser of the extension double quotes make a text.

        Raises:
            ListenerError: the text is no such name.
        """
        parts: list[str] = []
        position = 0
        while True:
            match = _PART.match(text, position)
            if match is None:
                raise ListenerError(f"'{text}' is not a table name: give 'table' or 'schema.table', bracketed where needed.")
            if match["bracketed"] is not None:
                parts.append(match["bracketed"].replace("]]", "]"))
            elif match["plain"].upper() in RESERVED:
                raise ListenerError(f"'{text}' is not a table name: '{match['plain']}' is a reserved word, put it in brackets.")
            else:
                parts.append(match["plain"])
            if len(parts[-1]) > _LONGEST_NAME:
                raise ListenerError(f"'{text}' is not a table name: a part of it is longer than {_LONGEST_NAME} characters.")
            position = match.end()
            if position == len(text):
                break
            if text[position] != ".":
                raise ListenerError(f"'{text}' is not a table name: {text[position]!r} cannot follow '{text[:position]}'.")
            position += 1
        if len(parts) > 2:
            raise ListenerError(f"'{text}' names a database or server: only 'table' and 'schema.table' can be watched.")
        return cls(parts[-1], parts[0] if len(parts) == 2 else None)

    @property
    def quoted(self) -> str:
        """The name for use in statements."""
        return quote(self.name) if self.schema is None else f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def display(self) -> str:
        """The name for messages."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"
