"""String functions: result types and SQLite text."""

from __future__ import annotations

from emulators.sql_server.compiler.functions.arguments import FunctionArguments
from emulators.sql_server.compiler.scope import Scope, Typed
from emulators.sql_server.parser.tree import FunctionCall
from emulators.sql_server.values.datatypes import (
    BIGINT,
    BINARIES,
    INT,
    NUMBERS,
    NVARCHAR_MAX,
    STRINGS,
    UNICODE_STRINGS,
    VARBINARY_MAX,
    display,
    max_length_bytes,
)
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlType


class StringFunctions(FunctionArguments):
    """Compiles calls of string functions."""

    def _fn_concat(self, node: FunctionCall, scope: Scope) -> Typed:
        if len(node.arguments) < 2:
            raise sql_error(189, "concat", "2 to 254")
        return self._joined("k_concat", [], self._values(node, scope))

    def _fn_concat_ws(self, node: FunctionCall, scope: Scope) -> Typed:
        if len(node.arguments) < 3:
            raise sql_error(189, "concat_ws", "3 to 254")
        values = self._values(node, scope)
        return self._joined("k_concat_ws", [self._text(values[0]).sql], values[1:])

    def _joined(self, target: str, first: list[str], values: list[Typed]) -> Typed:
        texts = [self._text(value) for value in values]
        kinds = [text.type for text in texts if text.type is not None]
        unicode = any(
            kind.name in UNICODE_STRINGS
            for kind, value in zip(kinds, values, strict=True)
            if value.type is not None and value.type.name in STRINGS
        )
        limit = 4000 if unicode else 8000
        length = -1 if any(kind.length < 0 for kind in kinds) else sum(kind.length for kind in kinds) or 1
        call = f"{target}({', '.join(first + [text.sql for text in texts])})"
        if length > limit:
            call, length = f"k_left({call}, {limit})", limit
        collation = self.collation_of(*values, operation="concat")
        return Typed(call, SqlType("nvarchar" if unicode else "varchar", length), collation, nullable=False)

    def _same_string(self, node: FunctionCall, scope: Scope, target: str, extra: str = "") -> Typed:
        operand = self._text(self.value(node.arguments[0], scope))
        assert operand.type is not None
        kind = operand.type
        if kind.name in ("char", "nchar"):
            kind = SqlType("n" * (kind.name == "nchar") + "varchar", kind.length)
        return Typed(f"{target}({operand.sql}{extra})", kind, operand.collation)

    def _fn_upper(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        return self._same_string(node, scope, "k_upper")

    def _fn_lower(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        return self._same_string(node, scope, "k_lower")

    def _fn_reverse(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        return self._same_string(node, scope, "k_reverse")

    def _trimmed(self, node: FunctionCall, scope: Scope, side: str) -> Typed:
        self._count(node, 1, 2)
        characters = "' '"
        if len(node.arguments) == 2:
            if side == "both":
                node = FunctionCall(node.name, [node.arguments[1], node.arguments[0]])
            characters = self._text(self.value(node.arguments[1], scope)).sql
        return self._same_string(node, scope, "k_trim", f", {characters}, '{side}'")

    def _fn_ltrim(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._trimmed(node, scope, "left")

    def _fn_rtrim(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._trimmed(node, scope, "right")

    def _fn_trim(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._trimmed(node, scope, "both")

    def _cut(self, node: FunctionCall, scope: Scope, target: str) -> Typed:
        self._count(node, 2)
        count = self.cast(self.value(node.arguments[1], scope), INT)
        typed = self._same_string(node, scope, target, f", {count.sql}")
        if isinstance(count.constant, int) and typed.type is not None and count.constant > 0:
            limit = count.constant if typed.type.length < 0 else min(count.constant, typed.type.length)
            if limit <= (4000 if typed.type.name in UNICODE_STRINGS else 8000):
                typed.type = SqlType(typed.type.name, limit)
        return typed

    def _fn_left(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._cut(node, scope, "k_left")

    def _fn_right(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._cut(node, scope, "k_right")

    def _fn_substring(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        operand, start, count = self._values(node, scope)
        if operand.type is not None and operand.type.name not in STRINGS | BINARIES:
            raise sql_error(8116, display(operand.type, False), 1, "substring")
        if operand.type is None or operand.type.name not in BINARIES:
            operand = self._text(operand)
        assert operand.type is not None
        kind = SqlType(
            {"char": "varchar", "nchar": "nvarchar", "binary": "varbinary"}.get(operand.type.name, operand.type.name),
            operand.type.length,
        )
        if isinstance(count.constant, int) and 0 < count.constant <= 4000:
            kind = SqlType(kind.name, min(count.constant, kind.length) if kind.length > 0 else count.constant)
        return Typed(
            f"k_substring({operand.sql}, {self.cast(start, INT).sql}, {self.cast(count, INT).sql})", kind, operand.collation
        )

    def _wide(self, *operands: Typed) -> SqlType:
        unicode = any(operand.type is not None and operand.type.name in UNICODE_STRINGS for operand in operands)
        huge = any(operand.type is not None and operand.type.length < 0 for operand in operands)
        return SqlType("nvarchar" if unicode else "varchar", -1 if huge else 4000 if unicode else 8000)

    def _fn_replace(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        values = [self._text(value) for value in self._values(node, scope)]
        for value in values:
            self.require_default_case(value, "REPLACE")
        kind = self._wide(*values)
        call = f"k_replace({', '.join(v.sql for v in values)})"
        return Typed(call if kind.length < 0 else f"k_left({call}, {kind.length})", kind, values[0].collation)

    def _fn_translate(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        values = [self._text(value) for value in self._values(node, scope)]
        for value in values:
            self.require_default_case(value, "TRANSLATE")
        return Typed(f"k_translate({', '.join(v.sql for v in values)})", self._wide(values[0]), values[0].collation)

    def _fn_replicate(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        text, count = self._text(self.value(node.arguments[0], scope)), self.cast(self.value(node.arguments[1], scope), INT)
        kind = self._wide(text)
        return Typed(f"k_replicate({text.sql}, {count.sql}, {kind.length})", kind, text.collation)

    def _fn_space(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        count = self.cast(self.value(node.arguments[0], scope), INT)
        return Typed(f"k_replicate(' ', {count.sql}, 8000)", SqlType("varchar", 8000))

    def _fn_stuff(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 4)
        text, start, count, new = self._values(node, scope)
        text, new = self._text(text), self._text(new)
        kind = self._wide(text, new)
        numbers = f"{self.cast(start, INT).sql}, {self.cast(count, INT).sql}"
        return Typed(f"k_stuff({text.sql}, {numbers}, {new.sql}, {kind.length})", kind, text.collation)

    def _fn_datalength(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        operand = self.value(node.arguments[0], scope)
        kind = operand.type or INT
        width = 2 if kind.name in UNICODE_STRINGS else 1 if kind.name in STRINGS | BINARIES else max_length_bytes(kind)
        value = operand.sql if kind.name in STRINGS | BINARIES else f"CASE WHEN {operand.sql} IS NOT NULL THEN 0 END"
        return Typed(f"k_data_length({value}, {width})", BIGINT if kind.length < 0 else INT)

    def _fn_json_modify(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        text, path, value = self._values(node, scope)
        argument = node.arguments[2]
        kind = "null"
        if value.type is not None:
            json = isinstance(argument, FunctionCall) and argument.name in ("JSON_QUERY", "JSON_MODIFY")
            kind = "json" if json else "bit" if value.type.name == "bit" else "number" if value.type.name in NUMBERS else "string"
        return Typed(
            f"k_json_modify({self._text(text).sql}, {self._text(path).sql}, {self.cast(value, NVARCHAR_MAX).sql}, '{kind}')",
            NVARCHAR_MAX,
        )

    def _fn_hashbytes(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        algorithm, data = self._values(node, scope)
        if data.type is not None and data.type.name not in STRINGS | BINARIES:
            raise sql_error(8116, display(data.type, False), 2, "hashbytes")
        return Typed(f"k_hash({self._text(algorithm).sql}, {self.cast(data, VARBINARY_MAX).sql})", SqlType("varbinary", 8000))

    def _fn_checksum(self, node: FunctionCall, scope: Scope) -> Typed:
        return Typed(f"k_checksum({', '.join(value.sql for value in self._values(node, scope))})", INT)

    _fn_binary_checksum = _fn_checksum
