"""Built-in functions: argument checks, result types, SQLite text."""

from __future__ import annotations

from collections.abc import Callable

from . import datetimes
from .compile_expression import ExpressionCompiler
from .compiler import Scope, Typed
from .datatypes import (
    BIGINT,
    BINARIES,
    BIT,
    DATE,
    DATETIME,
    DATETIME2,
    DATETIMEOFFSET,
    DECIMALS,
    FLOAT,
    FLOATS,
    INT,
    INTEGERS,
    NUMBERS,
    NVARCHAR_MAX,
    STRINGS,
    SYSNAME,
    TEMPORALS,
    UNICODE_STRINGS,
    UNIQUEIDENTIFIER,
    VARBINARY_MAX,
    decimal_type,
    display,
)
from .errors import sql_error, unsupported
from .results import SqlType
from .syntax import FunctionCall, Literal, Null, OrderItem, Star, Window

AGGREGATES = frozenset(
    {
        "COUNT",
        "COUNT_BIG",
        "SUM",
        "AVG",
        "MIN",
        "MAX",
        "STRING_AGG",
        "STDEV",
        "STDEVP",
        "VAR",
        "VARP",
        "CHECKSUM_AGG",
        "APPROX_COUNT_DISTINCT",
    }
)
_WINDOW_ONLY = {
    "ROW_NUMBER": BIGINT,
    "RANK": BIGINT,
    "DENSE_RANK": BIGINT,
    "NTILE": BIGINT,
    "PERCENT_RANK": FLOAT,
    "CUME_DIST": FLOAT,
}
_WINDOW_VALUES = frozenset({"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE"})
_NOW = {
    "SYSDATETIME": ("local", DATETIME2),
    "SYSUTCDATETIME": ("utc", DATETIME2),
    "GETDATE": ("local3", DATETIME),
    "GETUTCDATE": ("utc3", DATETIME),
    "CURRENT_TIMESTAMP": ("local3", DATETIME),
    "SYSDATETIMEOFFSET": ("offset", DATETIMEOFFSET),
}
_MATH = frozenset({"SQRT", "EXP", "LOG10", "SIN", "COS", "TAN", "ASIN", "ACOS", "ATAN", "RADIANS", "DEGREES", "LOG", "SQUARE"})

NV = NVARCHAR_MAX
# name: SQLite function, argument types, result type, number of optional arguments left out
_SIMPLE: dict[str, tuple[str, list[SqlType], SqlType, list[str]]] = {
    "LEN": ("k_length", [NV], INT, []),
    "CHARINDEX": ("k_char_index", [NV, NV, INT], INT, ["1"]),
    "PATINDEX": ("k_pattern_index", [NV, NV], INT, []),
    "UNICODE": ("k_unicode", [NV], INT, []),
    "ASCII": ("k_ascii", [NV], INT, []),
    "CHAR": ("k_char", [INT], SqlType("char", 1), []),
    "NCHAR": ("k_nchar", [INT], SqlType("nchar", 1), []),
    "QUOTENAME": ("k_quote_name", [NV, NV], SqlType("nvarchar", 258), ["'['"]),
    "ISJSON": ("k_is_json", [NV], INT, []),
    "JSON_QUERY": ("k_json_query", [NV, NV], NV, ["'$'"]),
    "JSON_VALUE": ("k_json_value", [NV, NV], SqlType("nvarchar", 4000), []),
    "ISNUMERIC": ("k_is_numeric", [NV], INT, []),
    "PARSENAME": ("k_parse_name", [NV, INT], SYSNAME, []),
    "NEWID": ("k_new_id", [], UNIQUEIDENTIFIER, []),
    "NEWSEQUENTIALID": ("k_new_id", [], UNIQUEIDENTIFIER, []),
    "RAND": ("k_random", [], FLOAT, []),
    "DB_NAME": ("k_db_name", [INT], SYSNAME, ["NULL"]),
    "DB_ID": ("k_db_id", [NV], INT, ["NULL"]),
    "OBJECT_ID": ("k_object_id", [NV, NV], INT, ["NULL"]),
    "OBJECT_NAME": ("k_object_name", [INT, INT], SYSNAME, ["NULL"]),
    "OBJECT_SCHEMA_NAME": ("k_object_schema_name", [INT, INT], SYSNAME, ["NULL"]),
    "OBJECTPROPERTY": ("k_object_property", [INT, NV], INT, []),
    "OBJECTPROPERTYEX": ("k_object_property", [INT, NV], INT, []),
    "SCHEMA_ID": ("k_schema_id", [NV], INT, ["'dbo'"]),
    "SCHEMA_NAME": ("k_schema_name", [INT], SYSNAME, ["1"]),
    "COLUMNPROPERTY": ("k_column_property", [INT, NV, NV], INT, []),
    "COL_NAME": ("k_column_name", [INT, INT], SYSNAME, []),
    "COL_LENGTH": ("k_column_length", [NV, NV], SqlType("smallint"), []),
    "TYPE_ID": ("k_type_id", [NV], INT, []),
    "TYPE_NAME": ("k_type_name", [INT], SYSNAME, []),
    "INDEXPROPERTY": ("k_index_property", [INT, NV, NV], INT, []),
    "INDEX_COL": ("k_index_column", [NV, INT, INT], SYSNAME, []),
    "DATABASEPROPERTYEX": ("k_database_property", [NV, NV], SqlType("nvarchar", 128), []),
    "SERVERPROPERTY": ("k_server_property", [NV], SqlType("nvarchar", 128), []),
    "HAS_PERMS_BY_NAME": ("k_has_permission", [NV, NV, NV], INT, []),
    "IS_MEMBER": ("k_is_member", [NV], INT, []),
    "IS_ROLEMEMBER": ("k_is_role_member", [NV, NV], INT, ["NULL"]),
    "IS_SRVROLEMEMBER": ("k_is_server_role_member", [NV, NV], INT, ["NULL"]),
    "HAS_DBACCESS": ("k_has_db_access", [NV], INT, []),
    "ORIGINAL_LOGIN": ("k_login", [], SYSNAME, []),
    "SUSER_NAME": ("k_login", [], SYSNAME, []),
    "SYSTEM_USER": ("k_login", [], SYSNAME, []),
    "USER_NAME": ("k_user_name", [INT], SYSNAME, ["NULL"]),
    "CURRENT_USER": ("k_user_name", [INT], SYSNAME, ["NULL"]),
    "SESSION_USER": ("k_user_name", [INT], SYSNAME, ["NULL"]),
    "USER": ("k_user_name", [INT], SYSNAME, ["NULL"]),
    "USER_ID": ("k_user_id", [NV], INT, ["NULL"]),
    "DATABASE_PRINCIPAL_ID": ("k_user_id", [NV], INT, ["NULL"]),
    "APP_NAME": ("k_app_name", [], SYSNAME, []),
    "HOST_NAME": ("k_host_name", [], SYSNAME, []),
    "APPLOCK_MODE": ("k_applock_mode", [NV, NV, NV], SqlType("nvarchar", 32), []),
    "APPLOCK_TEST": ("k_applock_test", [NV, NV, NV, NV], SqlType("smallint"), []),
    "IDENT_CURRENT": ("k_identity_current", [NV], SqlType("numeric", 0, 38, 0), []),
    "IDENT_SEED": ("k_identity_seed", [NV], SqlType("numeric", 0, 38, 0), []),
    "IDENT_INCR": ("k_identity_increment", [NV], SqlType("numeric", 0, 38, 0), []),
    "CHANGE_TRACKING_MIN_VALID_VERSION": ("k_min_valid_version", [INT], BIGINT, []),
    "CHANGE_TRACKING_IS_COLUMN_IN_MASK": ("k_in_mask", [INT, VARBINARY_MAX], BIT, []),
    "XACT_STATE": ("k_xact_state", [], SqlType("smallint"), []),
    "SCOPE_IDENTITY": ("k_scope_identity", [], SqlType("numeric", 0, 38, 0), []),
    "ERROR_NUMBER": ("k_error", [], INT, ["'number'"]),
    "ERROR_SEVERITY": ("k_error", [], INT, ["'severity'"]),
    "ERROR_STATE": ("k_error", [], INT, ["'state'"]),
    "ERROR_LINE": ("k_error", [], INT, ["'line'"]),
    "ERROR_MESSAGE": ("k_error", [], SqlType("nvarchar", 4000), ["'text'"]),
    "ERROR_PROCEDURE": ("k_error", [], SYSNAME, ["'procedure'"]),
    "ROWCOUNT_BIG": ("k_row_count", [], BIGINT, []),
    "CURRENT_TRANSACTION_ID": ("k_transaction_id", [], BIGINT, []),
    "SWITCHOFFSET": ("k_switch_offset", [DATETIMEOFFSET, NV], DATETIMEOFFSET, []),
    "TODATETIMEOFFSET": ("k_to_offset", [DATETIME2, NV], DATETIMEOFFSET, []),
    "PI": ("k_pi", [], FLOAT, []),
    "ATN2": ("k_atan2", [FLOAT, FLOAT], FLOAT, []),
    "CONTEXT_INFO": ("k_context_info", [], SqlType("varbinary", 128), []),
    "SESSION_CONTEXT": ("k_session_context", [NV], SqlType("nvarchar", 4000), []),
    "GET_FILESTREAM_TRANSACTION_CONTEXT": ("k_null", [], VARBINARY_MAX, []),
}


class FunctionCompiler(ExpressionCompiler):
    """Compiles calls of built-in functions."""

    def function(self, node: FunctionCall, scope: Scope) -> Typed:
        """Raises SqlError 174, 189, 195 and others of binding."""
        name = node.name
        if node.schema:
            raise unsupported(f"function {node.schema}.{name}")
        if name in AGGREGATES:
            return self._aggregate(node, scope)
        if name in _WINDOW_ONLY or name in _WINDOW_VALUES:
            return self._window_function(node, scope)
        if node.over is not None or node.order:
            raise sql_error(102, "OVER")
        if name in _NOW:
            self._count(node, 0)
            kind, declared = _NOW[name]
            return Typed(self.unit.bind("now", kind), declared, nullable=False)
        if name in _SIMPLE:
            return self._simple(node, scope)
        method: Callable[[FunctionCall, Scope], Typed] | None = getattr(self, f"_fn_{name.lower()}", None)
        if method is not None:
            return method(node, scope)
        if name in _MATH:
            return self._math(node, scope)
        raise sql_error(195, node.name)

    def _count(self, node: FunctionCall, low: int, high: int | None = None) -> None:
        count = len(node.arguments)
        if count < low or count > (low if high is None else high):
            raise (
                sql_error(174, node.name.lower(), low)
                if high is None or high == low
                else sql_error(189, node.name.lower(), f"{low} to {high}")
            )

    def _values(self, node: FunctionCall, scope: Scope) -> list[Typed]:
        return [self.value(argument, scope) for argument in node.arguments]

    def _text(self, operand: Typed) -> Typed:
        """As a string, keeping a string's own type."""
        if operand.type is not None and operand.type.name in STRINGS:
            return operand
        return self.cast(
            operand,
            SqlType("nvarchar", 4000) if operand.type is None or operand.type.name not in NUMBERS else SqlType("nvarchar", 50),
        )

    def _simple(self, node: FunctionCall, scope: Scope) -> Typed:
        target, kinds, result, defaults = _SIMPLE[node.name]
        if target == "k_error":
            self._count(node, 0)
            return Typed(f"k_error({defaults[0]})", result)
        self._count(node, len(kinds) - len(defaults), len(kinds))
        if node.name in ("CHANGE_TRACKING_MIN_VALID_VERSION", "CHANGE_TRACKING_IS_COLUMN_IN_MASK") and isinstance(
            node.arguments[0], Null
        ):
            raise sql_error(8116, "NULL", 1, node.name.lower())
        values = [self.cast(self.value(argument, scope), kind).sql for argument, kind in zip(node.arguments, kinds, strict=False)]
        values += defaults[len(defaults) - (len(kinds) - len(values)) :] if len(values) < len(kinds) else []
        return Typed(f"{target}({', '.join(values)})", result)

    def _math(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1, 2 if node.name == "LOG" else 1)
        values = [self.cast(value, FLOAT).sql for value in self._values(node, scope)]
        return Typed(f"k_math('{node.name.lower()}', {values[0]}, {values[1] if len(values) > 1 else 'NULL'})", FLOAT)

    # --- aggregates and windows ---

    def _aggregate(self, node: FunctionCall, scope: Scope) -> Typed:
        scope.free += 1
        try:
            typed = self._aggregate_call(node, scope)
        finally:
            scope.free -= 1
        if node.over is not None:
            if node.distinct:
                raise sql_error(102, "distinct")
            typed.sql = self._wrap_over(typed.sql, node.over, scope)
        return typed

    def _wrap_over(self, sql: str, window: Window, scope: Scope) -> str:
        over = self._over(window, scope)
        start = sql.find("\x02")
        if start < 0:
            return f"{sql} OVER ({over})"
        return sql.replace("\x02", f" OVER ({over})")

    def _aggregate_call(self, node: FunctionCall, scope: Scope) -> Typed:
        name, distinct = node.name, "DISTINCT " if node.distinct else ""
        windowed = node.over is not None
        mark = "\x02" if windowed else ""
        if name in ("COUNT", "COUNT_BIG"):
            self._count(node, 1)
            result = INT if name == "COUNT" else BIGINT
            if isinstance(node.arguments[0], Star):
                return Typed(f"COUNT(*){mark}", result, nullable=False)
            operand = self.value(node.arguments[0], scope)
            return Typed(f"COUNT({distinct}{self.sort_key(operand) if distinct else operand.sql}){mark}", result, nullable=False)
        if name == "STRING_AGG":
            return self._string_agg(node, scope)
        if name not in ("SUM", "AVG", "MIN", "MAX"):
            raise unsupported(name)
        self._count(node, 1)
        operand = self.value(node.arguments[0], scope)
        kind = operand.type or INT
        if name in ("MIN", "MAX"):
            if kind.name == "bit":
                raise sql_error(8117, "bit", name.lower())
            key = self.sort_key(operand) if kind.name != "datetimeoffset" else operand.sql
            return Typed(f"{name}({key}){mark}", kind, operand.collation)
        if kind.name not in NUMBERS or kind.name == "bit":
            raise sql_error(8117, display(kind, False), name.lower())
        return self._sum_or_average(name, operand, kind, distinct, mark)

    def _sum_or_average(self, name: str, operand: Typed, kind: SqlType, distinct: str, mark: str) -> Typed:
        if kind.name in FLOATS:
            return Typed(f"{name}({distinct}{operand.sql}){mark}", FLOAT)
        if kind.name in DECIMALS:
            money = kind.name in ("money", "smallmoney")
            total = SqlType("money", 0, 19, 4) if money else decimal_type(38, kind.scale)
            text = f"k_decimal_sum({distinct}{operand.sql}){mark}"
            if name == "SUM":
                return Typed(text, total)
            count = self.cast(Typed(f"COUNT({distinct}{operand.sql}){mark}", BIGINT), decimal_type(19, 0)).sql
            result = total if money else decimal_type(38, max(6, kind.scale))
            return Typed(f"k_decimal('/', {text}, NULLIF({count}, 'P00.'), {result.precision}, {result.scale})", result)
        result = BIGINT if kind.name == "bigint" else INT
        total_sql = f"SUM({distinct}{operand.sql}){mark}"
        if name == "SUM":
            return Typed(f"k_int({total_sql}, '{result.name}')", result)
        return Typed(f"({total_sql} / COUNT({distinct}{operand.sql}){mark})", result)

    def _string_agg(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        if node.distinct or node.over is not None:
            raise sql_error(102, "STRING_AGG")
        value, separator = self._values(node, scope)
        text = self._text(value)
        order = []
        for item in node.order:
            key = self.value(item.expression, scope)
            order += [
                key.sql if key.type is None or key.type.name != "datetimeoffset" else self.sort_key(key),
                str(int(item.descending)),
            ]
        assert text.type is not None
        unicode = text.type.name in UNICODE_STRINGS
        result = SqlType("nvarchar" if unicode else "varchar", -1 if text.type.length < 0 else 4000 if unicode else 8000)
        return Typed(f"k_string_agg({', '.join([self._text(separator).sql, text.sql, *order])})", result, value.collation)

    def _over(self, window: Window, scope: Scope) -> str:
        parts = []
        if window.partition:
            parts.append("PARTITION BY " + ", ".join(self.sort_key(self.value(item, scope)) for item in window.partition))
        if window.order:
            parts.append("ORDER BY " + ", ".join(self._window_key(item, scope) for item in window.order))
        if window.frame:
            parts.append(window.frame)
        return " ".join(parts)

    def _window_key(self, item: OrderItem, scope: Scope) -> str:
        if isinstance(item.expression, Literal):
            from .results import SqlError

            raise SqlError(
                5308,
                "Windowed functions, aggregates and NEXT VALUE FOR functions do not support integer indices as ORDER BY clause "
                "expressions.",
            )
        return self.sort_key(self.value(item.expression, scope)) + (" DESC" if item.descending else "")

    def _window_function(self, node: FunctionCall, scope: Scope) -> Typed:
        if node.over is None or (not node.over.order):
            raise sql_error(4112, node.name)
        if node.name in _WINDOW_ONLY:
            self._count(node, 1 if node.name == "NTILE" else 0)
            arguments = ", ".join(value.sql for value in self._values(node, scope))
            return Typed(f"{node.name}({arguments}) OVER ({self._over(node.over, scope)})", _WINDOW_ONLY[node.name], nullable=False)
        self._count(node, 1, 3 if node.name in ("LAG", "LEAD") else 1)
        values = self._values(node, scope)
        kind = values[0].type or INT
        if len(values) == 3:
            values[2] = self.cast(values[2], kind)
        return Typed(
            f"{node.name}({', '.join(v.sql for v in values)}) OVER ({self._over(node.over, scope)})", kind, values[0].collation
        )

    # --- conditionals ---

    def _fn_isnull(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        first, second = self._values(node, scope)
        kind = first.type or second.type or INT
        return Typed(
            f"IFNULL({first.sql}, {self.cast(second, kind).sql})",
            kind,
            first.collation,
            nullable=first.nullable and second.nullable,
        )

    def _fn_coalesce(self, node: FunctionCall, scope: Scope) -> Typed:
        if len(node.arguments) < 2:
            raise sql_error(189, "coalesce", "2 to N")
        values = self._values(node, scope)
        common = self.unify(*values)
        return Typed(
            f"COALESCE({', '.join(self.cast(value, common).sql for value in values)})",
            common,
            self.collation_of(*values),
            nullable=all(value.nullable for value in values),
        )

    def _fn_nullif(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        first, second = self._values(node, scope)
        return Typed(
            f"(CASE WHEN {self.comparison('=', first, second)} THEN NULL ELSE {first.sql} END)", first.type or INT, first.collation
        )

    def _fn_iif(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        test = self.condition(node.arguments[0], scope)
        return self.choose([test], [self.value(node.arguments[1], scope)], self.value(node.arguments[2], scope))

    def _fn_choose(self, node: FunctionCall, scope: Scope) -> Typed:
        if len(node.arguments) < 2:
            raise sql_error(189, "choose", "2 to N")
        index = self.cast(self.value(node.arguments[0], scope), INT).sql
        values = [self.value(argument, scope) for argument in node.arguments[1:]]
        return self.choose([f"{index} = {number}" for number in range(1, len(values) + 1)], values, Typed("NULL", None))

    def _extreme(self, node: FunctionCall, scope: Scope, op: str) -> Typed:
        values = self._values(node, scope)
        common = self.unify(*values)
        best = self.cast(values[0], common)
        for value in values[1:]:
            other = self.cast(value, common)
            better = f"{best.sql} IS NULL OR {self.comparison(op, other, best)}"
            best = Typed(
                f"(CASE WHEN {other.sql} IS NOT NULL AND ({better}) THEN {other.sql} ELSE {best.sql} END)", common, best.collation
            )
        return best

    def _fn_greatest(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._extreme(node, scope, ">")

    def _fn_least(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._extreme(node, scope, "<")

    # --- strings ---

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
        length = -1 if any(kind.length < 0 for kind in kinds) else min(limit, sum(kind.length for kind in kinds) or 1)
        return Typed(
            f"{target}({', '.join(first + [text.sql for text in texts])})",
            SqlType("nvarchar" if unicode else "varchar", length),
            nullable=False,
        )

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
        return Typed(f"k_replace({', '.join(v.sql for v in values)})", self._wide(*values), values[0].collation)

    def _fn_translate(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        values = [self._text(value) for value in self._values(node, scope)]
        return Typed(f"k_translate({', '.join(v.sql for v in values)})", self._wide(values[0]), values[0].collation)

    def _fn_replicate(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        text, count = self._text(self.value(node.arguments[0], scope)), self.cast(self.value(node.arguments[1], scope), INT)
        return Typed(f"k_replicate({text.sql}, {count.sql})", self._wide(text), text.collation)

    def _fn_space(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        return Typed(f"k_replicate(' ', {self.cast(self.value(node.arguments[0], scope), INT).sql})", SqlType("varchar", 8000))

    def _fn_stuff(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 4)
        text, start, count, new = self._values(node, scope)
        text, new = self._text(text), self._text(new)
        return Typed(
            f"k_stuff({text.sql}, {self.cast(start, INT).sql}, {self.cast(count, INT).sql}, {new.sql})",
            self._wide(text, new),
            text.collation,
        )

    def _fn_datalength(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        operand = self.value(node.arguments[0], scope)
        kind = operand.type or INT
        from .datatypes import max_length_bytes

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

    def _fn_format(self, node: FunctionCall, scope: Scope) -> Typed:
        raise unsupported("FORMAT")

    # --- numbers ---

    def _number(self, operand: Typed) -> tuple[Typed, str]:
        """The operand as a number, and which implementation fits."""
        if operand.type is None or operand.type.name in STRINGS:
            operand = self.cast(operand, FLOAT)
        assert operand.type is not None
        name = operand.type.name
        if name not in NUMBERS:
            raise sql_error(8116, name, 1, "numeric")
        return operand, "int" if name in INTEGERS else "decimal" if name in DECIMALS else "float"

    def _fn_round(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2, 3)
        values = self._values(node, scope)
        operand, kind = self._number(values[0])
        cut = self.cast(values[2], INT).sql if len(values) == 3 else "0"
        return Typed(f"k_round({operand.sql}, {self.cast(values[1], INT).sql}, {cut}, '{kind}')", operand.type)

    def _rounded(self, node: FunctionCall, scope: Scope, up: int) -> Typed:
        self._count(node, 1)
        operand, kind = self._number(self.value(node.arguments[0], scope))
        assert operand.type is not None
        result = decimal_type(operand.type.precision, 0) if operand.type.name in ("decimal", "numeric") else operand.type
        return Typed(f"k_floor({operand.sql}, '{kind}', {up})", result)

    def _fn_floor(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._rounded(node, scope, 0)

    def _fn_ceiling(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._rounded(node, scope, 1)

    def _fn_abs(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        operand, kind = self._number(self.value(node.arguments[0], scope))
        text = f"k_absolute({operand.sql}, '{kind}')"
        return Typed(f"k_int({text}, '{operand.type.name}')" if kind == "int" and operand.type else text, operand.type)

    def _fn_sign(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        operand, kind = self._number(self.value(node.arguments[0], scope))
        return Typed(f"k_sign({operand.sql}, '{kind}')", operand.type)

    def _fn_power(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        base, exponent = self._values(node, scope)
        base, _ = self._number(base)
        power = Typed(f"k_power({self.cast(base, FLOAT).sql}, {self.cast(exponent, FLOAT).sql})", FLOAT)
        return self.cast(power, base.type or FLOAT)

    # --- dates ---

    def _part(self, node: FunctionCall) -> str:
        argument = node.arguments[0]
        given = argument.value if isinstance(argument, Literal) else ""
        part = datetimes.PARTS.get(str(given).lower())
        if part is None:
            from .results import SqlError

            raise SqlError(155, f"'{given}' is not a recognized {node.name.lower()} option.", 15)
        return part

    def _moment(self, operand: Typed) -> Typed:
        """A date or time; a string becomes datetime2."""
        if operand.type is None or operand.type.name in STRINGS:
            return self.cast(operand, DATETIME2)
        if operand.type.name in INTEGERS:
            return self.cast(operand, DATETIME)
        if operand.type.name not in TEMPORALS:
            raise sql_error(8116, display(operand.type, False), 3, "dateadd")
        return operand

    def _fn_dateadd(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        part = self._part(node)
        number = self.cast(self.value(node.arguments[1], scope), BIGINT)
        operand = self.value(node.arguments[2], scope)
        literal = operand.type is None or operand.type.name in STRINGS
        moment = self.cast(operand, DATETIME) if literal else self._moment(operand)
        assert moment.type is not None
        kind = moment.type
        if kind.name == "date" and part in ("hour", "minute", "second", "millisecond", "microsecond", "nanosecond"):
            from .results import SqlError

            raise SqlError(9810, f"The datepart {part} is not supported by date function dateadd for data type date.")
        return Typed(f"k_date_add('{part}', {number.sql}, {moment.sql}, '{kind.name}', {kind.scale})", kind)

    def _difference(self, node: FunctionCall, scope: Scope, big: bool) -> Typed:
        self._count(node, 3)
        part = self._part(node)
        start, end = (self._moment(self.value(argument, scope)) for argument in node.arguments[1:])
        pair = []
        for moment in (start, end):
            if moment.type is not None and moment.type.name == "time" and (start.type != end.type):
                moment = self.cast(moment, DATETIME2)
            pair.append(moment.sql)
        return Typed(f"k_date_diff('{part}', {pair[0]}, {pair[1]}, {int(big)})", BIGINT if big else INT)

    def _fn_datediff(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._difference(node, scope, False)

    def _fn_datediff_big(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._difference(node, scope, True)

    def _fn_datepart(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        return Typed(f"k_date_part('{self._part(node)}', {self._moment(self.value(node.arguments[1], scope)).sql})", INT)

    def _fn_datename(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        return Typed(
            f"k_date_name('{self._part(node)}', {self._moment(self.value(node.arguments[1], scope)).sql})", SqlType("nvarchar", 30)
        )

    def _named_part(self, node: FunctionCall, scope: Scope, part: str) -> Typed:
        self._count(node, 1)
        return Typed(f"k_date_part('{part}', {self._moment(self.value(node.arguments[0], scope)).sql})", INT)

    def _fn_year(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._named_part(node, scope, "year")

    def _fn_month(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._named_part(node, scope, "month")

    def _fn_day(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._named_part(node, scope, "day")

    def _fn_eomonth(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1, 2)
        values = self._values(node, scope)
        months = self.cast(values[1], INT).sql if len(values) == 2 else "0"
        return Typed(f"k_end_of_month({self.cast(values[0], DATE).sql}, {months})", DATE)

    def _fn_datetrunc(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        moment = self._moment(self.value(node.arguments[1], scope))
        assert moment.type is not None
        return Typed(f"k_truncate_date('{self._part(node)}', {moment.sql}, '{moment.type.name}', {moment.type.scale})", moment.type)

    def _from_parts(self, node: FunctionCall, scope: Scope, count: int, text: str, target: SqlType) -> Typed:
        self._count(node, count)
        values = ", ".join(self.cast(value, INT).sql for value in self._values(node, scope))
        return self.cast(Typed(f"printf('{text}', {values})", SqlType("varchar", 40)), target)

    def _fn_datefromparts(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._from_parts(node, scope, 3, "%04d-%02d-%02d", DATE)

    def _fn_datetimefromparts(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._from_parts(node, scope, 7, "%04d-%02d-%02d %02d:%02d:%02d.%03d", DATETIME)

    def _fn_isdate(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        attempt = self.cast(self.value(node.arguments[0], scope), DATETIME, lenient=True)
        return Typed(f"({attempt.sql} IS NOT NULL)", INT)

    # --- the session and the database ---

    def _fn_change_tracking_current_version(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 0)
        if not self.unit.catalogue.options.change_tracking:
            return Typed("NULL", BIGINT)
        return Typed("(SELECT value FROM \"$state\" WHERE key = 'version')", BIGINT)

    def _fn_suser_sname(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 0, 1)
        return Typed("k_login()", SYSNAME)

    def _fn_suser_id(self, node: FunctionCall, scope: Scope) -> Typed:
        return Typed("1", INT)

    def _fn_formatmessage(self, node: FunctionCall, scope: Scope) -> Typed:
        values = self._values(node, scope)
        return Typed(
            f"k_format_message({', '.join(self._text(v).sql if v.type and v.type.name in STRINGS else v.sql for v in values)})",
            SqlType("nvarchar", 2048),
        )
