"""The class of a failure: what people look up, filter and group by, made of the last status and the last error of a record.

The errors are worded in rowpost/http/failures.py, rowpost/target, rowpost/rules (answer, batch_answer, fate, row) and
rowpost/watchdog. A text that is none of ours is of the class ``other``.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from rowpost.rules.fate import TARGET_DOWN, UNREADABLE
from rowpost.rules.row import CHANGING, FORGOTTEN, HIDDEN

ErrorClass = Literal[
    "unreachable",
    "timeout",
    "tls",
    "unauthorized",
    "throttled",
    "rejected",
    "server_error",
    "redirect",
    "unreadable",
    "unfit",
    "database",
    "other",
]
ERROR_CLASSES: tuple[ErrorClass, ...] = get_args(ErrorClass)

_BY_STATUS: dict[int, ErrorClass] = {401: "unauthorized", 403: "unauthorized", 408: "timeout", 425: "throttled", 429: "throttled"}
_HTTP = re.compile(r"HTTP ([1-9][0-9]{2})\b")
_OF_CREDENTIALS = ("the token endpoint", "the managed identity", "the Key Vault")
# How the errors of each class begin, or what they hold. The order counts: the first that fits wins.
_BY_BEGINNING: tuple[tuple[tuple[str, ...], ErrorClass], ...] = (
    (_OF_CREDENTIALS, "unauthorized"),
    (("TLS failure",), "tls"),
    (("connection timed out", "no answer "), "timeout"),
    (("connection failed", f"not tried: {TARGET_DOWN}"), "unreachable"),
    ((UNREADABLE, HIDDEN, FORGOTTEN, CHANGING), "unreadable"),
    (("the row has ", "its event has ", "its key cannot "), "unfit"),
    (("the database ", "the answer of the database ", "SQL Server error ", "SQLSTATE "), "database"),
)


def error_class(status: int | None, error: str | None) -> ErrorClass:
    """The class of a failure.

    Args:
        status: the HTTP status of the last answer, if there was one (``last_status``).
        error: the reason of the last failure (``last_error``). None: there was none, and only the status counts.
    """
    text = error or ""
    for beginnings, found in _BY_BEGINNING:
        if text.startswith(beginnings):
            return found
    told = _HTTP.match(text)
    code = status if status is not None else int(told[1]) if told else 0
    if 300 <= code < 400:
        return "redirect"
    if 400 <= code < 500:
        return _BY_STATUS.get(code, "rejected")
    return "server_error" if code >= 500 else "other"
