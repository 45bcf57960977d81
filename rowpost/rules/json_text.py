"""JSON text, digit-exact: the one form in which rows, keys and batches travel to the target and to SQL Server."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

JsonValue = str | int | float | bool | Decimal | bytes | msgspec.Raw | None

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def to_json(value: Any) -> str:
    """JSON text: decimals digit-exact as numbers, bytes as base64."""
    return _ENCODER.encode(value).decode()
