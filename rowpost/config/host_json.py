"""What the app must know of ``host.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DEFAULT_ROWS = 100
_SETTINGS = ("Sql_Trigger_MaxBatchSize", "Sql_Trigger_BatchSize")  # each over the file; the first over the second


def batch_rows(root: Path, settings: Mapping[str, str]) -> int:
    """How many rows the SQL trigger hands out at most. The host itself tells of a value that is none."""
    for name in _SETTINGS:
        if settings.get(name, "").strip().isdecimal():
            return int(settings[name])
    try:
        document = json.loads((root / "host.json").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return _DEFAULT_ROWS
    rows = _value(_value(_value(document, "extensions"), "sql"), "maxbatchsize")
    return rows if isinstance(rows, int) and rows > 0 else _DEFAULT_ROWS


def _value(section: Any, name: str) -> Any:
    """The value of a key, whose case does not matter."""
    found = section.items() if isinstance(section, dict) else ()
    return next((value for key, value in found if key.lower() == name), None)
