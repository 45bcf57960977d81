"""What the control paths of the HTTP emulators share: data classes made from JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from emulators.http_server import BadRequest

Delivery = Literal["normal", "reset_after_accept"]
"""Whether the client gets an answer to what was accepted."""
T = TypeVar("T")


def made(kind: Callable[..., T], values: Any) -> T:
    """``kind(**values)``, with numbers of JSON as the type of their field.

    Raises:
        BadRequest: a name that ``kind`` does not have, or a value of another type.
    """
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    unknown = set(values) - known if isinstance(values, dict) else {"(not an object)"}
    if unknown:
        raise BadRequest(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    hints = get_type_hints(kind)
    return kind(**{name: _value(name, value, hints[name]) for name, value in values.items()})


def _value(name: str, value: Any, hint: Any) -> Any:
    """The value as the type of a field demands: names, numbers, texts; what is inside of objects and lists is not looked at."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    for kind in kinds:
        if get_origin(kind) is Literal and value in get_args(kind):
            return value
        if kind is float and isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            return float(value)
        plain = get_origin(kind) or kind
        if plain is Any or plain is type(None) and value is None:
            return value
        if isinstance(plain, type) and isinstance(value, plain) and not (plain is int and isinstance(value, bool)):
            return value
    shown = " or ".join("null" if kind is type(None) else getattr(kind, "__name__", str(kind)) for kind in kinds)
    if get_origin(kinds[0]) is Literal:
        shown = " or ".join(map(str, get_args(kinds[0])))
    raise BadRequest(f"{name}: {value!r} is not {shown}")
