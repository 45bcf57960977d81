"""FOR JSON: how a row becomes a JSON object."""

from __future__ import annotations

import json

from emulators.sql_server.catalogue.model import quote_text
from emulators.sql_server.compiler.expressions import ExpressionCompiler
from emulators.sql_server.compiler.scope import Typed
from emulators.sql_server.values.datatypes import BINARIES, DECIMALS, FLOATS, INTEGERS, NVARCHAR_MAX, TEMPORALS
from emulators.sql_server.values.errors import unsupported
from emulators.sql_server.values.results import SqlError


def refuse_conflicts(names: list[str]) -> None:
    """Every property has one value, and the columns of an object stand together. Raises SqlError 13601."""
    taken: set[tuple[str, ...]] = set()
    opened: tuple[str, ...] = ()
    for name in names:
        *parents, last = name.split(".")
        path = tuple(parents)
        opens = [path[:depth] for depth in range(1, len(path) + 1) if opened[:depth] != path[:depth]]
        if (*path, last) in taken or any(parent in taken for parent in opens):
            raise SqlError(
                13601,
                f"Property '{name}' cannot be generated in JSON output due to a conflict with another column name or alias. "
                "Use different names and aliases for each column in SELECT list.",
            )
        taken.update([*opens, (*path, last)])
        opened = path


def json_object(compiler: ExpressionCompiler, columns: list[tuple[str, Typed]], include_nulls: bool) -> str:
    """A call of k_json_row with the names, and for each value whether it is raw JSON (r) or text (t)."""
    names, kinds, values = [], [], []
    for number, (name, typed) in enumerate(columns, 1):
        kind = typed.type.name if typed.type else "int"
        value = Typed(f"_{number}", typed.type)
        if kind == "sql_variant":
            raise unsupported("sql_variant in FOR JSON")
        if kind == "bit":
            values.append(f"CASE _{number} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END")
        elif kind in INTEGERS | DECIMALS:
            values.append(compiler.cast(value, NVARCHAR_MAX).sql)
        elif kind in FLOATS:
            values.append(compiler.cast(value, NVARCHAR_MAX, 126).sql)
        elif kind in TEMPORALS:
            values.append(compiler.cast(value, NVARCHAR_MAX, 127 if kind == "datetimeoffset" else 126).sql)
        elif kind in BINARIES:
            values.append(f"k_base64({value.sql})")
        else:
            values.append(value.sql)
        kinds.append("r" if kind in INTEGERS | DECIMALS | FLOATS or typed.json else "t")
        names.append(name)
    arguments = ", ".join([quote_text(json.dumps(names)), quote_text("".join(kinds)), str(int(include_nulls)), *values])
    return f"k_json_row({arguments})"
