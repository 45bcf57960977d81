"""All functions, aggregates and collations that SQLite calls while a statement runs, by their names in SQLite."""

from __future__ import annotations

import itertools
import math
import random
import sqlite3
import time
import uuid
from collections.abc import Callable
from typing import Any

from emulators.sql_server.runtime import (
    arithmetic,
    conversion,
    dates,
    json,
    like,
    masks,
    numbers,
    queries,
    series,
    strings,
    variants,
)
from emulators.sql_server.runtime.aggregates import DecimalSum, Single, StringAggregate
from emulators.sql_server.runtime.collations import compare_bin, compare_ci, compare_cs, compare_instants
from emulators.sql_server.runtime.for_json import JsonRows, json_row
from emulators.sql_server.values.messages import format_message
from emulators.sql_server.values.results import SqlError

DETERMINISTIC: dict[str, tuple[int, Callable[..., Any]]] = {
    **arithmetic.FUNCTIONS,
    **conversion.FUNCTIONS,
    **dates.FUNCTIONS,
    **json.FUNCTIONS,
    **like.FUNCTIONS,
    **masks.FUNCTIONS,
    **numbers.FUNCTIONS,
    **queries.FUNCTIONS,
    **series.FUNCTIONS,
    **strings.FUNCTIONS,
    **variants.FUNCTIONS,
}
"""Number of arguments and implementation."""


def _format_message(template: str | None, *arguments: Any) -> str | None:
    return None if template is None else format_message(template, list(arguments))


def _new_id() -> str:
    return str(uuid.uuid4()).upper()


_SEQUENTIAL = itertools.count(int(time.time()))
_MACHINE = _new_id()[8:]


def _new_sequential_id() -> str:
    """Greater than those before, also after a restart."""
    return f"{next(_SEQUENTIAL) & 0xFFFFFFFF:08X}{_MACHINE}"


OTHERS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_new_id": (0, _new_id),
    "k_new_sequential_id": (0, _new_sequential_id),
    "k_random": (0, lambda: random.random()),
    "k_pi": (0, lambda: math.pi),
    "k_null": (0, lambda: None),
    "k_context_info": (0, lambda: None),
    "k_atan2": (2, lambda a, b: None if a is None or b is None else math.atan2(a, b)),
    "k_switch_offset": (2, dates.switch_offset),
    "k_to_offset": (2, dates.to_offset),
    "k_format_message": (-1, _format_message),
    "k_json_row": (-1, json_row),
    "k_base64": (1, strings.to_base64),
}
"""Functions that SQLite calls again and again."""


def guarded(function: Callable[..., Any], report: Callable[[SqlError], None]) -> Callable[..., Any]:
    """SQLite loses the text of an exception: keep it for the caller."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except SqlError as error:
            report(error)
            raise
        except Exception as error:
            report(SqlError(8630, f"Internal Query Processor Error: {function.__name__}: {error!r}", 17))
            raise

    return call


def register(connection: sqlite3.Connection, report: Callable[[SqlError], None]) -> None:
    """Make functions, aggregates and collations known to a connection."""
    for name, (count, function) in DETERMINISTIC.items():
        connection.create_function(name, count, guarded(function, report), deterministic=True)
    for name, (count, function) in OTHERS.items():
        connection.create_function(name, count, guarded(function, report))
    for name, count, aggregate in (("k_single", 1, Single), ("k_string_agg", -1, StringAggregate), ("k_mask", 2, masks.MaskUnion)):
        connection.create_aggregate(name, count, _guarded_class(aggregate, report))
    connection.create_aggregate("k_json_rows", 4, JsonRows)
    connection.create_window_function("k_decimal_sum", 1, _guarded_class(DecimalSum, report))
    connection.create_collation("CI", compare_ci)
    connection.create_collation("CS", compare_cs)
    connection.create_collation("BIN", compare_bin)
    connection.create_collation("INSTANT", compare_instants)


def _guarded_class(base: type, report: Callable[[SqlError], None]) -> type:
    names = [name for name in ("step", "inverse", "value", "finalize") if hasattr(base, name)]
    return type(base.__name__, (base,), {name: guarded(getattr(base, name), report) for name in names})
