"""The lines of the log that machines read, out of the log of a host."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

OUTCOMES = ("delivered", "skipped", "failed", "handed back", "dead", "replayed", "exhausted", "recovered")
_ROWS = re.compile(
    r"(\S+): "
    + ", ".join(rf"{name} (\d+)" for name in OUTCOMES)
    + r", by (\w+), requests (\d+), milliseconds (\d+), trace ([0-9a-f]{32})$",
    re.MULTILINE,
)
_ATTEMPT = re.compile(r"relay_attempt (\{.*\})$", re.MULTILINE)


def rows_lines(log: str) -> list[dict[str, Any]]:
    """The lines about rows, each as its fields."""
    names = ("relay", *OUTCOMES, "by", "requests", "milliseconds", "trace")
    return [
        {name: int(value) if value.isdecimal() and name != "trace" else value for name, value in zip(names, found, strict=True)}
        for found in _ROWS.findall(log)
    ]


def attempt_lines(log: str) -> list[dict[str, Any]]:
    """The lines about requests, each as its fields."""
    return [json.loads(text) for text in _ATTEMPT.findall(log)]


def sums(log: str) -> dict[str, Counter[str]]:
    """The lines about rows, summed up by relay."""
    total: dict[str, Counter[str]] = {}
    for line in rows_lines(log):
        found = total.setdefault(line["relay"], Counter())
        found.update({name: line[name] for name in OUTCOMES})
        found[f"delivered by {line['by']}"] += line["delivered"]
    return total
