"""FROM: tables, joins, APPLY, OPENJSON and other table-valued sources."""

from __future__ import annotations

import json

from emulators.sql_server.catalogue.collations import Collation
from emulators.sql_server.catalogue.model import quote, quote_text
from emulators.sql_server.catalogue.objects import InlineFunction, Table
from emulators.sql_server.catalogue.view_columns import SERVER_VIEWS, SYSTEM_VIEWS
from emulators.sql_server.compiler.compiled_query import CompiledQuery
from emulators.sql_server.compiler.conversion import refuse_large_object
from emulators.sql_server.compiler.inline_functions import (
    InlineCompiler,
    bound_arguments,
    filtered_rows,
    find_function,
    inside,
)
from emulators.sql_server.compiler.scope import Bound, BoundColumn, BoundCte, Scope, Typed
from emulators.sql_server.compiler.tracking import apply_version, changes_source, version_source
from emulators.sql_server.parser.batches import parse_query
from emulators.sql_server.parser.tree import (
    ChangesSource,
    Default,
    DerivedTable,
    FunctionSource,
    Join,
    Name,
    Null,
    OpenJson,
    Query,
    Source,
    TableSource,
    TableVariableSource,
    ValuesRows,
    VersionSource,
)
from emulators.sql_server.values.datatypes import BIGINT, BINARIES, FLOATS, INT, NVARCHAR_MAX, STRINGS, SYSNAME, VARBINARY_MAX
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError, SqlType

_SERIES = frozenset({"tinyint", "smallint", "int", "bigint", "numeric"})
_LOCKING_HINTS = frozenset({"UPDLOCK", "XLOCK", "HOLDLOCK", "SERIALIZABLE", "TABLOCKX"})


class SourceCompiler(InlineCompiler):
    """Compiles table sources into a scope and returns their SQLite text."""

    def compile_query(
        self, query: Query, scope: Scope | None, top_level: bool = False, expose_rowid: bool = False
    ) -> CompiledQuery:
        raise AssertionError("given by QueryCompiler")

    def source(self, node: Source, scope: Scope, lateral: bool = False) -> str:
        """Bring a source into ``scope``. Raises SqlError 208, 1013, 1087, 22105."""
        if isinstance(node, Join):
            return self._join(node, scope)
        if isinstance(node, TableSource):
            return self._table_source(node, scope)
        if isinstance(node, TableVariableSource):
            return self.add_table(self.table_variable(node.name), node.alias or f"@{node.name}", scope, ())
        if isinstance(node, DerivedTable):
            return self._derived(node, scope, lateral)
        if isinstance(node, OpenJson):
            return self._open_json(node, scope)
        if isinstance(node, FunctionSource):
            function = find_function(self, node.name)
            if function is not None:
                return self._inline_function(function, node, scope, lateral)
            return self._function_source(node, scope)
        if isinstance(node, ChangesSource):
            return self.changes_source(node, scope)
        if isinstance(node, VersionSource):
            return self.version_source(node, scope)
        raise unsupported(type(node).__name__)

    def changes_source(self, node: ChangesSource, scope: Scope) -> str:
        return changes_source(self, node, scope)

    def version_source(self, node: VersionSource, scope: Scope) -> str:
        return version_source(self, node, scope)

    # --- tables ---

    def _table_source(self, node: TableSource, scope: Scope) -> str:
        name = node.name
        if any(hint in _LOCKING_HINTS for hint in node.hints):
            self.unit.locking = True
        if len(name) == 1 and name[0].lower() in scope.ctes:
            return self._common_table(scope.ctes[name[0].lower()], node.alias or name[0], scope)
        if len(name) > 1 and name[-2].lower() in ("sys", "information_schema"):
            return self._system_view(node, scope)
        found = self.lookup(name)
        if isinstance(found, Table):
            names = (found.schema, found.name)
            return self.add_table(found, node.alias or found.name, scope, names, bool(node.alias))
        if isinstance(found, str):
            return self._view(node, found, scope)
        if name[-1].lower() == "sysobjects" and name[-2:-1] in ((), ("dbo",), ("",)):
            return self._system_view(TableSource((*name[:-2], "sys", name[-1]), node.alias, node.hints), scope)
        raise sql_error(208, ".".join(name))

    def _system_view(self, node: TableSource, scope: Scope) -> str:
        schema, name = node.name[-2].lower(), node.name[-1].lower()
        key = f"{schema}.{name}"
        columns = SYSTEM_VIEWS.get(key)
        if columns is None:
            raise sql_error(208, ".".join(node.name))
        if self.unit.is_elsewhere(node.name) and key not in SERVER_VIEWS:
            raise unsupported(f"{key} of {(node.name[-3] if len(node.name) > 2 else '') or self.unit.elsewhere}")
        self.unit.views.add(key)
        inner = self.unit.alias()
        bound = Bound(
            node.alias or node.name[-1],
            [
                BoundColumn(column, kind, f"{inner}.{quote(column)}", collation=Collation.named("") if kind == SYSNAME else "CI")
                for column, kind in columns
            ],
            (node.name[-2], node.name[-1]),
            explicit_alias=bool(node.alias),
        )
        self.register(bound, scope)
        return f"temp.{quote(key)} AS {inner}"

    def _view(self, node: TableSource, text: str, scope: Scope) -> str:
        view = self.unit.catalogue.view((node.name[-2] if len(node.name) > 1 else "") or "dbo", node.name[-1])
        assert view is not None
        with self.unit.module(view.object_id):
            compiled = self.compile_query(parse_query(text), None)
        return self._add_query(
            compiled, node.alias or node.name[-1], view.columns, scope, (view.schema, view.name), bool(node.alias)
        )

    def _common_table(self, cte: BoundCte, alias: str, scope: Scope) -> str:
        if cte.recursive_columns is not None:
            inner = self.unit.alias()
            self.register(
                Bound(
                    alias,
                    [BoundColumn(c.name, c.type, f"{inner}.{c.sql}", True, False, c.collation) for c in cte.recursive_columns],
                ),
                scope,
            )
            return f"{cte.recursive_name} AS {inner}"
        compiled = self.compile_query(cte.common.query, Scope(None, cte.visible))
        return self._add_query(compiled, alias, cte.common.columns, scope)

    def _add_query(
        self,
        compiled: CompiledQuery,
        alias: str,
        names: list[str],
        scope: Scope,
        qualified: Name = (),
        explicit: bool = True,
    ) -> str:
        inner = self.unit.alias()
        columns = self.named_columns(compiled, alias, names)
        bound = Bound(
            alias,
            [
                BoundColumn(
                    name,
                    typed.type or INT,
                    f"{inner}._{number}",
                    typed.nullable,
                    typed.identity,
                    typed.collation,
                    typed.mask,
                    typed.origin,
                )
                for number, (name, typed) in enumerate(columns, 1)
            ],
            qualified,
            explicit_alias=explicit,
        )
        self.register(bound, scope)
        return f"({compiled.sql()}) AS {inner}"

    def named_columns(self, compiled: CompiledQuery, alias: str, names: list[str]) -> list[tuple[str, Typed]]:
        if names:
            if len(names) < len(compiled.columns):
                raise sql_error(8158, alias)
            if len(names) > len(compiled.columns):
                raise sql_error(8159, alias)
            return [(name, typed) for name, (_, typed) in zip(names, compiled.columns, strict=True)]
        seen: set[str] = set()
        for number, (name, _) in enumerate(compiled.columns, 1):
            if not name:
                raise sql_error(8155, number, alias)
            if name.lower() in seen:
                raise sql_error(8156, name, alias)
            seen.add(name.lower())
        return compiled.columns

    # --- joins and APPLY ---

    def _join(self, node: Join, scope: Scope) -> str:
        start = len(scope.sources)
        left = self.source(node.left, scope)
        middle = len(scope.sources)
        if node.kind in ("CROSS APPLY", "OUTER APPLY"):
            return self._apply(node, left, scope)
        right = self.source(node.right, scope)
        if isinstance(node.right, Join):
            right = f"({right})"
        if node.kind in ("LEFT", "FULL"):
            _make_nullable(scope.sources[middle:])
        if node.kind in ("RIGHT", "FULL"):
            _make_nullable(scope.sources[start:middle])
        if node.kind == "CROSS":
            return f"{left} JOIN {right}"
        assert node.on is not None
        keyword = "JOIN" if node.kind == "INNER" else f"{node.kind} JOIN"
        if node.kind == "INNER" and isinstance(node.left, TableVariableSource):
            keyword = "CROSS JOIN"  # SQLite keeps its order: a table variable is taken to be small, as by the real optimizer
        return f"{left} {keyword} {right} ON {self.condition(node.on, scope)}"

    def _apply(self, node: Join, left: str, scope: Scope) -> str:
        outer = node.kind == "OUTER APPLY"
        if isinstance(node.right, VersionSource):
            apply_version(self, node.right, scope, outer)
            return left
        middle = len(scope.sources)
        right = self.source(node.right, scope, lateral=True)
        if outer:
            _make_nullable(scope.sources[middle:])
        return f"{left} LEFT JOIN {right} ON 1" if outer else f"{left} JOIN {right}"

    def _derived(self, node: DerivedTable, scope: Scope, lateral: bool) -> str:
        if not lateral:
            outer = Scope(scope.parent, scope.ctes)
            compiled = self.compile_query(node.query, outer)
            if isinstance(node.query.body, ValuesRows) and not node.columns:
                raise sql_error(8155, 1, node.alias)
            return self._add_query(compiled, node.alias, node.columns, scope)
        touched = scope.touched
        compiled = self.compile_query(node.query, scope)
        if scope.touched == touched:
            return self._add_query(compiled, node.alias, node.columns, scope)
        return self._correlated(compiled, node, scope)

    def _correlated(self, compiled: CompiledQuery, node: DerivedTable, scope: Scope) -> str:
        """SQLite has no LATERAL: the rows of the subquery travel as a JSON array."""
        inner = self.unit.alias()
        packed, columns = [], []
        for number, (name, typed) in enumerate(self.named_columns(compiled, node.alias, node.columns)):
            kind = typed.type or INT
            value, element = f"_{number + 1}", f"json_extract({inner}.value, '$[{number}]')"
            if kind.name in BINARIES:
                value, element = f"CASE WHEN {value} IS NOT NULL THEN hex({value}) END", f"k_unhex({element})"
            elif kind.name in FLOATS:
                value, element = f"k_real_text({value})", f"CAST({element} AS REAL)"
            packed.append(value)
            columns.append(BoundColumn(name, kind, element, typed.nullable, False, typed.collation, typed.mask))
        self.register(Bound(node.alias, columns), scope)
        rows = f"SELECT json_group_array(json_array({', '.join(packed)})) FROM ({compiled.sql()})"
        return f"json_each(({rows})) AS {inner}"

    # --- table-valued functions ---

    def _open_json(self, node: OpenJson, scope: Scope) -> str:
        touched = scope.touched
        source = self.value(node.document, scope)
        refuse_large_object(source, 1, "OPENJSON")
        document = self.cast(source, NVARCHAR_MAX).sql
        path = self.cast(self.value(node.path, scope), NVARCHAR_MAX).sql if node.path is not None else "'$'"
        correlated = scope.touched != touched
        if node.columns is None:
            columns = [("key", SqlType("nvarchar", 4000)), ("value", NVARCHAR_MAX), ("type", SqlType("tinyint"))]
            return self._json_rows(
                f"k_open_json({document}, {path})", columns, node.alias or "OPENJSON", scope, correlated, raw={2}
            )
        specification = []
        for name, kind, given, as_json in node.columns:
            if as_json and kind.name not in ("nvarchar", "nchar"):
                raise sql_error(102, name)
            specification.append(
                [given if given is not None else f'$."{name}"' if not name.isidentifier() else f"$.{name}", as_json]
            )
        call = f"k_open_json_with({document}, {path}, {quote_text(json.dumps(specification))})"
        return self._json_rows(
            call, [(name, kind) for name, kind, _, _ in node.columns], node.alias or "OPENJSON", scope, correlated
        )

    def _json_rows(
        self, call: str, columns: list[tuple[str, SqlType]], alias: str, scope: Scope, correlated: bool, raw: set[int] | None = None
    ) -> str:
        """Rows that a function gives as a JSON array of arrays of text (``raw`` columns: as they are)."""
        inner = self.unit.alias()
        elements = []
        for number, (_, kind) in enumerate(columns):
            element = f"json_extract({inner}j.value, '$[{number}]')"
            if kind.name in BINARIES:
                element = self.cast(Typed(f"k_from_base64({element})", VARBINARY_MAX), kind).sql
            elif kind != NVARCHAR_MAX and (raw is None or number not in raw):
                element = self.cast(Typed(element, NVARCHAR_MAX), kind).sql
            elements.append(element)
        if correlated:
            bound = [BoundColumn(name, kind, element) for (name, kind), element in zip(columns, elements, strict=True)]
            self.register(Bound(alias, bound), scope)
            return f"json_each({call}) AS {inner}j"
        self.register(Bound(alias, [BoundColumn(name, kind, f"{inner}._{n}") for n, (name, kind) in enumerate(columns, 1)]), scope)
        listed = ", ".join(
            f"{element}{' COLLATE CI' if columns[n - 1][1].name in STRINGS else ''} AS _{n}"
            for n, element in enumerate(elements, 1)
        )
        return f"(SELECT {listed} FROM json_each({call}) AS {inner}j LIMIT -1) AS {inner}"

    def _function_source(self, node: FunctionSource, scope: Scope) -> str:
        name = node.name[-1].upper()
        touched = scope.touched
        defaults = (Null() if isinstance(argument, Default) else argument for argument in node.arguments)
        values = [self.value(argument, scope) for argument in defaults]
        correlated = scope.touched != touched
        if name == "STRING_SPLIT" and len(values) in (2, 3):
            for value in values[:2]:
                self.require_default_case(value, "STRING_SPLIT")
            columns = [("value", NVARCHAR_MAX)]
            if len(values) == 3 and values[2].constant == 1:
                columns.append(("ordinal", BIGINT))
            call = f"k_string_split({self.cast(values[0], NVARCHAR_MAX).sql}, {self.cast(values[1], NVARCHAR_MAX).sql})"
            return self._json_rows(call, self._renamed(columns, node), node.alias or name, scope, correlated, raw={1})
        if name == "GENERATE_SERIES" and len(values) in (2, 3):
            kinds = {"numeric" if value.type.name == "decimal" else value.type.name for value in values if value.type is not None}
            if len(kinds) > 1 or not kinds <= _SERIES:
                raise SqlError(
                    5373,
                    "All the input parameters should be of the same type. Supported types are tinyint, "
                    "smallint, int, bigint, decimal and numeric.",
                )
            kind = self.unify(*values)
            texts = [self.cast(value, NVARCHAR_MAX).sql for value in values]
            call = f"k_generate_series({', '.join([*texts, quote_text('')][:3])})"
            return self._json_rows(call, self._renamed([("value", kind)], node), node.alias or name, scope, correlated)
        if name == "FN_LISTEXTENDEDPROPERTY" and len(values) == 7:
            columns = [("objtype", SYSNAME), ("objname", SYSNAME), ("name", SYSNAME), ("value", NVARCHAR_MAX)]
            call = f"k_list_properties({', '.join(self.cast(value, NVARCHAR_MAX).sql for value in values)})"
            return self._json_rows(call, self._renamed(columns, node), node.alias or name, scope, correlated)
        raise sql_error(208, ".".join(node.name))

    def _inline_function(self, function: InlineFunction, node: FunctionSource, scope: Scope, lateral: bool) -> str:
        """A function of the database stands for its query. Raises SqlError 313, 8144."""
        touched = scope.touched
        own = scope if lateral else Scope(scope.parent, scope.ctes)
        values = bound_arguments(self, function, node.arguments, own)
        with self.unit.module(function.object_id), inside(self, values):
            compiled = self.compile_query(parse_query(function.text), None)
        shown = DerivedTable(parse_query(function.text), node.alias or function.name, node.columns)
        if lateral and scope.touched != touched:
            return self._correlated(compiled, shown, scope)
        return self._add_query(compiled, shown.alias, node.columns, scope, (function.schema, function.name), bool(node.alias))

    def row_filter(self, table: Table) -> str:
        return filtered_rows(self, table)

    def _renamed(self, columns: list[tuple[str, SqlType]], node: FunctionSource) -> list[tuple[str, SqlType]]:
        if not node.columns:
            return columns
        if len(node.columns) != len(columns):
            raise sql_error(8158 if len(node.columns) < len(columns) else 8159, node.alias)
        return [(name, kind) for name, (_, kind) in zip(node.columns, columns, strict=True)]


def _make_nullable(sources: list[Bound]) -> None:
    """Columns on the outer side of a join may be NULL."""
    for source in sources:
        for column in source.columns:
            column.nullable = True
