"""Texts with placeholders: ``{OrderId}`` stands for a column, ``{$version}`` for an attribute of the event, ``{{`` for a brace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from msgspec import Struct

# What an event says of itself, as a template may name it. The last two are no texts, and stand in bodies only.
ATTRIBUTES = ("id", "source", "type", "subject", "time", "sequence", "table", "operation", "epoch", "version", "snapshot")
OBJECTS = ("key", "row")
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[^{}]+|[{}]")
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~%]*")  # all that can stand in a value that is percent-encoded


class Placeholder(Struct, frozen=True):
    """A place of a text.

    Attributes:
        name: of the column, or of the attribute.
        attribute: which of the two.
    """

    name: str
    attribute: bool = False

    @property
    def written(self) -> str:
        """As it stands in the text."""
        return f"{{{'$' if self.attribute else ''}{self.name}}}"


Text = tuple[str | Placeholder, ...]


def read_text(written: str) -> Text:
    """The parts of a text. Parts that are texts are never empty, and never next to each other.

    Raises:
        ValueError: a brace is alone, or a placeholder names nothing. Of the text itself the message quotes placeholders only.
    """
    parts: list[str | Placeholder] = []
    for match in _TOKEN.finditer(written):
        token = match[0]
        if token in ("{", "}"):
            raise ValueError("has a brace that belongs to no placeholder; write {{ or }} for a brace")
        if match[1] is not None:
            parts.append(_placeholder(match[1]))
            continue
        plain = token[0] if token in ("{{", "}}") else token
        if parts and isinstance(parts[-1], str):
            parts[-1] += plain
        else:
            parts.append(plain)
    return tuple(parts)


def _placeholder(name: str) -> Placeholder:
    name = name.strip()
    if name.startswith("$"):
        if name[1:] not in (*ATTRIBUTES, *OBJECTS):
            known = ", ".join(f"{{${each}}}" for each in (*ATTRIBUTES, *OBJECTS))
            raise ValueError(f"has the placeholder {{{name}}}, and an event has no such attribute; it has {known}")
        return Placeholder(name[1:], attribute=True)
    if not name:
        raise ValueError("has an empty placeholder {}; name a column in it")
    return Placeholder(name)


def columns_of(text: Iterable[str | Placeholder]) -> Iterator[str]:
    """The columns that a text names."""
    return (part.name for part in text if isinstance(part, Placeholder) and not part.attribute)


def objects_of(text: Iterable[str | Placeholder]) -> Iterator[Placeholder]:
    """The placeholders of a text that stand for no single value."""
    return (part for part in text if isinstance(part, Placeholder) and part.attribute and part.name in OBJECTS)


def fill(text: Text, value_of: Callable[[Placeholder], str], plain: Callable[[str], str] = str) -> str:
    """The text with values in its places; ``plain`` is applied to the parts between them."""
    return "".join(plain(part) if isinstance(part, str) else value_of(part) for part in text)


def not_apart(text: Text) -> tuple[Placeholder, Placeholder] | None:
    """A column and another placeholder with nothing between them that cannot be in a percent-encoded value; None if there are none.

    ``{A}-{B}`` is such a text: 1-2 and 3 would be the same as 1 and 2-3.
    """
    parts = [part for part in text if not isinstance(part, str) or not _UNRESERVED.fullmatch(part)]
    places = ((a, b) for a, b in pairwise(parts) if isinstance(a, Placeholder) and isinstance(b, Placeholder))
    return next(((a, b) for a, b in places if not (a.attribute and b.attribute)), None)
