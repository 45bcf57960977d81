"""What the control paths of the HTTP emulators share: data classes made from JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal, TypeVar

from emulators.http_server import BadRequest

Delivery = Literal["normal", "reset_after_accept"]
"""Whether the client gets an answer to what was accepted."""
T = TypeVar("T")


def made(kind: Callable[..., T], values: Any) -> T:
    """``kind(**values)``.

    Raises:
        BadRequest: a name that ``kind`` does not have.
    """
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    unknown = set(values) - known if isinstance(values, dict) else {"(not an object)"}
    if unknown:
        raise BadRequest(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    return kind(**values)
