"""Message texts with printf-like places, as in RAISERROR and FORMATMESSAGE."""

from __future__ import annotations

import re
from typing import Any

_PLACE = re.compile(r"%([-+0# ]*)(\*|\d*)(?:\.(\*|\d+))?(?:h|l|I64)?([diosuxX%])")


def format_message(template: str, arguments: list[Any]) -> str:
    """``template`` with %s, %d, %i, %u, %x, %o replaced; missing arguments show as (null)."""
    left = list(arguments)

    def fill(found: re.Match[str]) -> str:
        flags, width, precision, kind = found.groups()
        if kind == "%":
            return "%"
        if width == "*":
            width = str(left.pop(0)) if left else ""
        if precision == "*":
            precision = str(left.pop(0)) if left else None
        value = left.pop(0) if left else None
        if value is None:
            return "(null)"
        specification = f"%{flags}{width}{'.' + precision if precision else ''}"
        if kind == "s":
            return str((specification + "s") % value)
        return str((specification + {"i": "d", "u": "d"}.get(kind, kind)) % int(value))

    return _PLACE.sub(fill, template)[:2047]
