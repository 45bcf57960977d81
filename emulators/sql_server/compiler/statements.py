"""INSERT, UPDATE, DELETE, MERGE → plans: one query that gives the rows, and what to do with them."""

from __future__ import annotations

from typing import TypeVar

from emulators.sql_server.catalogue.model import quote
from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.compiler.assignments import AssignmentCompiler, variables_in
from emulators.sql_server.compiler.compiled_query import CompiledQuery
from emulators.sql_server.compiler.functions.aggregates import refuse_aggregates
from emulators.sql_server.compiler.masks import MaskedReads, combined, masked_sql
from emulators.sql_server.compiler.output import alias_of, highest_parameter, output_converters
from emulators.sql_server.compiler.plans import DmlPlan, MergeAction, Plan, SelectPlan
from emulators.sql_server.compiler.queries import shown_type, type_or_int
from emulators.sql_server.compiler.scope import Bound, BoundColumn, BoundCte, Scope, Typed, Unit
from emulators.sql_server.compiler.sequences import refuse_repeated_draws
from emulators.sql_server.parser.tree import (
    CommonTable,
    Default,
    Delete,
    DerivedTable,
    Expression,
    Insert,
    Join,
    Merge,
    MergeWhen,
    Name,
    Query,
    Source,
    TableSource,
    TableVariableSource,
    Top,
    Update,
    ValuesRows,
)
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import Column, SqlError, SqlType

P = TypeVar("P", bound=Plan)


class StatementCompiler(AssignmentCompiler):
    """Compiles whole statements."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.reads = MaskedReads()

    # --- SELECT and scalars ---

    def select_plan(self, query: Query, into: Name | None = None) -> SelectPlan:
        stepwise = self.row_assignments(query)
        if stepwise is not None:
            stepwise.sql = self.unit.finish(stepwise.sql)
            return self._needs(stepwise)
        compiled = self.compile_query(query, None, top_level=True)
        columns = [
            Column(name, shown_type(typed), typed.nullable, typed.identity, typed.origin) for name, typed in compiled.columns
        ]
        masks = [(place, typed.mask, type_or_int(typed)) for place, (_, typed) in enumerate(compiled.columns) if typed.mask]
        plan = SelectPlan(
            self.unit.finish(compiled.sql()),
            self.unit.bindings,
            columns=columns,
            converters=output_converters([column.type for column in columns]) if into is None else [],
            assignments=[name for name, _ in compiled.assignments],
            into=into,
            pieces=query.for_json is not None,
            types=[column.type for column in columns],
            masks=masks,
        )
        return self._needs(plan)

    def scalar_plan(self, node: Expression, target: SqlType | None = None) -> tuple[Plan, SqlType]:
        """``SELECT expression``."""
        with self.drawing():
            typed = self.value(node, Scope())
        read = self.reads.taken(0)
        doubt = "a variable set from a masked column of its own type" if target is None or typed.type == target else ""
        if target is not None:
            typed = self.assigned_as(typed, target, cut=True)
        plan = Plan(self.unit.finish(f"SELECT {typed.sql}"), self.unit.bindings)
        if (mask := combined(read, doubt)) is not None:
            plan.masks.append((0, mask, type_or_int(typed)))
        return self._needs(plan), type_or_int(typed)

    def condition_plan(self, node: Expression) -> Plan:
        text = f"SELECT CASE WHEN {self.condition(node, Scope())} THEN 1 ELSE 0 END"
        return self._needs(Plan(self.unit.finish(text), self.unit.bindings))

    def _needs(self, plan: P) -> P:
        plan.bindings = plan.bindings[: highest_parameter(plan.sql)]
        plan.views, plan.reads = sorted(self.unit.views), self.unit.reads
        plan.permissions, plan.locking = sorted(self.unit.permissions | self.unit.beyond_chains), self.unit.locking
        plan.filtered, plan.sequences = self.unit.filtered, sorted(set(self.unit.sequences))
        refuse_repeated_draws(plan.sql)
        rest = combined(self.reads.values, "this use of a masked column")
        plan.doubts = [*self.unit.doubts, *(mask for _, mask, _ in plan.masks if mask.doubt), *([rest] if rest else [])]
        return plan

    def _finish(self, plan: DmlPlan, action: str, context: Expression | None) -> DmlPlan:
        plan.sql = self.with_recursive(self.unit.finish(plan.sql))
        if plan.output is not None:
            plan.output.sql = self.unit.finish(plan.output.sql)
        assert plan.table is not None
        if not plan.table.temporary:
            self.unit.permissions.add((action, plan.table.object_id))
        self._needs(plan)
        if context is not None:
            unit = Unit(self.unit.catalogue, self.unit.temporary, self.unit.variables, self.unit.database)
            typed = StatementCompiler(unit).value(context, Scope())
            if typed.type is None or typed.type.name not in ("binary", "varbinary") or not 0 < typed.type.length <= 128:
                raise SqlError(
                    22109, "The argument of WITH CHANGE_TRACKING_CONTEXT must be of type varbinary, with a maximum length of 128."
                )
            plan.context, plan.context_bindings = f"SELECT {typed.sql}", unit.bindings
        return plan

    # --- INSERT ---

    def insert_plan(self, node: Insert, identity_insert: int) -> DmlPlan:
        """Raises SqlError 109, 110, 120, 121, 207, 213, 264 and others of binding."""
        ctes = self.bind_common_tables(node.ctes, getattr(node.source, "max_recursion", 100))
        table = self.target_table(node.target)
        explicit = table.object_id == identity_insert
        if self.unit.catalogue.policies and self.unit.catalogue.filter_of(table.object_id) is not None:
            self.unit.filtered = True  # it hinders no row, but errors name no values
        given, named = self.insert_columns(table, node.columns, explicit)
        if node.top is not None and not isinstance(node.source, Query):
            raise unsupported("INSERT TOP with VALUES or EXECUTE")
        if node.source is None:
            rows: list[list[Expression]] = [[Default() for _ in given]]
            text, places = self._insert_values(table, given, rows, True)
        elif isinstance(node.source, ValuesRows):
            text, places = self._insert_values(table, given, node.source.rows, named)
        else:
            assert isinstance(node.source, Query)
            text, places = self._insert_query(table, given, node, ctes, named)
        self._refuse_identity(table, given, explicit)
        plan = DmlPlan(text, self.unit.bindings, table=table, kind="INSERT", layout=places)
        plan.explicit_identity = explicit and table.identity is not None and table.stored.index(table.identity) in given
        if node.output is not None:
            plan.output = self.output_plan(node.output, table, [], [], ("inserted",))
        return self._finish(plan, "INSERT", node.context)

    def _insert_values(self, table: Table, given: list[int], rows: list[list[Expression]], named: bool) -> tuple[str, list[int]]:
        places: list[int] = []
        if len(rows) > 1 and any(table.stored[place].type.name == "sql_variant" for place in given):
            raise unsupported("several rows of VALUES for a sql_variant")  # they would get one type first
        texts = []
        for row in rows:
            if len(row) != len(given):
                raise (sql_error(110 if len(row) > len(given) else 109) if named else sql_error(213))
            with self.drawing():
                values = [self.assigned(item, table.stored[place], Scope()) for item, place in zip(row, given, strict=True)]
                places, defaults = self._missing(table, given)
            texts.append(", ".join(values + defaults) or "NULL")
        text = f"SELECT {texts[0]}" if len(texts) == 1 else "VALUES " + ", ".join(f"({text})" for text in texts)
        return text, self._layout(table, given + places)

    def _insert_query(
        self, table: Table, given: list[int], node: Insert, ctes: dict[str, BoundCte], named: bool
    ) -> tuple[str, list[int]]:
        assert isinstance(node.source, Query)
        compiled = self.compile_query(node.source, Scope(None, ctes), top_level=True)
        if len(compiled.columns) != len(given):
            raise (sql_error(120 if len(compiled.columns) < len(given) else 121) if named else sql_error(213))
        with self.drawing():
            places, defaults = self._missing(table, given)
        for _, typed in compiled.columns:
            if typed.mask is not None and typed.mask.doubt:
                self.unit.doubts.append(typed.mask)
        values = [
            self.assigned_as(Typed(masked_sql(f"q._{number}", typed), typed.type, typed.collation), table.stored[place].type).sql
            for number, ((_, typed), place) in enumerate(zip(compiled.columns, given, strict=True), 1)
        ]
        top = f" LIMIT {self.top_count(node.top)}" if node.top else ""
        return f"SELECT {', '.join(values + defaults)} FROM ({compiled.sql()}) AS q{top}", self._layout(table, given + places)

    # --- UPDATE and DELETE ---

    def _bind_target(
        self, target: Source, source: Source | None, ctes: list[CommonTable], scope: Scope
    ) -> tuple[str, Bound, Table, dict[str, str]]:
        """FROM text, the source whose rows are changed, its table, and base names of renamed columns."""
        scope.ctes = self.bind_common_tables(ctes)
        if source is None:
            if isinstance(target, TableSource) and len(target.name) == 1 and target.name[0].lower() in scope.ctes:
                return self._common_table_target(scope.ctes[target.name[0].lower()], target.name[0], scope)
            table = self.target_table(target)
            if isinstance(target, TableVariableSource):
                text = self.add_table(table, f"@{target.name}", scope, ())
            else:
                assert isinstance(target, TableSource)
                text = self.source(target, scope)
            return text, scope.sources[-1], table, {}
        text = self.source(source, scope)
        wanted = f"@{target.name}" if isinstance(target, TableVariableSource) else ".".join(getattr(target, "name", ()))
        by_alias = [bound for bound in scope.sources if bound.alias.lower() == wanted.lower()]
        if not by_alias:
            table = self.target_table(target)
            by_alias = [bound for bound in scope.sources if bound.table is table]
            if not by_alias:
                joined = self.source(target, scope)
                return f"{text} JOIN {joined}", scope.sources[-1], table, {}
        if len(by_alias) > 1:
            raise SqlError(8154, f"The table '{wanted}' is ambiguous.")
        if by_alias[0].table is None:
            raise unsupported("changes of a derived table")
        return text, by_alias[0], by_alias[0].table, {}

    def _common_table_target(self, cte: BoundCte, name: str, scope: Scope) -> tuple[str, Bound, Table, dict[str, str]]:
        compiled: CompiledQuery = self.compile_query(cte.common.query, Scope(None, cte.visible), expose_rowid=True)
        inner = self.unit.alias()
        names = cte.common.columns or [column for column, _ in compiled.columns]
        base = self._base_table(cte.common.query)
        bound = Bound(
            name,
            [
                BoundColumn(
                    column, typed.type or SqlType("int"), f"{inner}._{number}", typed.nullable, False, typed.collation, typed.mask
                )
                for number, (column, (_, typed)) in enumerate(zip(names, compiled.columns, strict=True), 1)
            ],
        )
        scope.sources.append(bound)
        text = f"({compiled.sql()}) AS {inner} JOIN "
        text += self.add_table(base, "\x05base", scope, (), filtered=False)
        scope.sources[-1].hidden = True
        text += f" ON {scope.sources[-1].rowid} = {inner}.__rid"
        renamed = {column.lower(): origin for column, origin in zip(names, compiled.base_columns, strict=True)}
        return text, scope.sources[-1], base, renamed

    def _base_table(self, query: Query) -> Table:
        source = getattr(query.body, "source", None)
        while isinstance(source, (Join, DerivedTable)):
            source = source.left if isinstance(source, Join) else getattr(source.query.body, "source", None)
        if not isinstance(source, (TableSource, TableVariableSource)):
            raise unsupported("UPDATE or DELETE of this common table expression")
        return self.target_table(source)

    def update_plan(self, node: Update) -> DmlPlan:
        """Columns of the query: rowid, old values, new values of the columns set, variables, extra columns for OUTPUT."""
        self.outermost = True
        scope = Scope()
        text, target, table, renames = self._bind_target(node.target, node.source, node.ctes, scope)
        with self.drawing():
            changed, values, variables = self._assignments(node.assignments, table, scope, target, renames)
        old = [f"{alias_of(target)}.{quote(column.name)}" for column in table.stored]
        items = [target.rowid, *old, *values]
        plan = DmlPlan("", self.unit.bindings, table=table, kind="UPDATE", changed=changed, extra_at=len(items))
        plan.variables = [(name, 1 + len(old) + position) for name, position in variables]
        if node.output is not None:
            extras: list[str] = []
            plan.output = self.output_plan(node.output, table, scope.sources, extras, ("inserted", "deleted"))
            items += extras
        plan.sql = self._row_query(items, text, node.where, scope, node.top)
        return self._finish(plan, "UPDATE", node.context)

    def _row_query(self, items: list[str], text: str, where: Expression | None, scope: Scope, top: Top | None) -> str:
        if where is not None:
            refuse_aggregates(where, 147)
        conditions = ([self.condition(where, scope)] if where is not None else []) + scope.extra_conditions
        limit = f" LIMIT {self.top_count(top)}" if top is not None else ""
        return f"SELECT {', '.join(items)} FROM {text}{' WHERE ' + ' AND '.join(conditions) if conditions else ''}{limit}"

    def top_count(self, top: Top) -> str:
        """Raises SqlError 40517 for PERCENT and 102 for WITH TIES, which only SELECT has."""
        if top.percent:
            raise unsupported("TOP PERCENT")
        if top.ties:
            raise sql_error(102, "TIES")
        return self.row_count(top.count, Scope())

    def _assignments(
        self,
        assignments: list[tuple[str, str, str, Expression]],
        table: Table,
        scope: Scope,
        target: Bound,
        renames: dict[str, str],
    ) -> tuple[list[int], list[str], list[tuple[str, int]]]:
        changed: list[int] = []
        values: list[str] = []
        variables: list[tuple[str, int]] = []
        assigned = {variable for _, variable, _, _ in assignments if variable}
        if any(variables_in(node) & assigned or (op != "=" and not name) for name, _, op, node in assignments):
            raise unsupported("UPDATE … SET of a variable that the same statement uses")
        for name, variable, op, node in assignments:
            refuse_aggregates(node, 157)
            if not name:
                declared = self.unit.variable_type(variable)
                typed = self.value(node, scope)
                if op != "=":
                    typed = self.binary(op[0], Typed(self.unit.bind("variable", variable), declared), typed)
                variables.append((variable, len(values)))
                changed.append(-1)
                values.append(self.assigned_as(typed, declared, cut=True).sql)
                continue
            name = renames.get(name.lower(), name)
            place = self._stored_place(table, name)
            column = table.stored[place]
            if column.identity is not None:
                raise sql_error(8102, column.name)
            if column.type.name == "rowversion":
                raise sql_error(272)
            if place in changed:
                raise sql_error(264, column.name)
            if op != "=":
                own = Typed(f"{alias_of(target)}.{quote(column.name)}", column.type, column.sqlite_collation)
                value = self.assigned_as(self.binary(op[0], own, self.value(node, scope)), column.type).sql
            else:
                value = self.assigned(node, column, scope)
            if variable:
                variables.append((variable, len(values)))
            changed.append(place)
            values.append(value)
        return changed, values, variables

    def delete_plan(self, node: Delete) -> DmlPlan:
        """Columns of the query: rowid, old values, extra columns for OUTPUT."""
        self.outermost = True
        scope = Scope()
        text, target, table, _ = self._bind_target(node.target, node.source, node.ctes, scope)
        items = [target.rowid, *(f"{alias_of(target)}.{quote(column.name)}" for column in table.stored)]
        plan = DmlPlan("", self.unit.bindings, table=table, kind="DELETE", extra_at=len(items))
        if node.output is not None:
            extras: list[str] = []
            plan.output = self.output_plan(node.output, table, scope.sources, extras, ("deleted",))
            items += extras
        plan.sql = self._row_query(items, text, node.where, scope, node.top)
        return self._finish(plan, "DELETE", node.context)

    # --- MERGE ---

    def merge_plan(self, node: Merge, identity_insert: int) -> DmlPlan:
        """Columns of the query: action number, rowid, old values, values of each action, extra columns for OUTPUT."""
        self.outermost = True
        scope = Scope(None, self.bind_common_tables(node.ctes))
        table = self.target_table(node.target)
        source_text = self.source(node.source, scope)
        alias = getattr(node.target, "alias", "")
        if isinstance(node.target, TableVariableSource):
            target_text = self.add_table(table, alias or f"@{node.target.name}", scope, ())
        else:
            assert isinstance(node.target, TableSource)
            target_text = self.source(node.target, scope)
        target = scope.sources[-1]
        on = self.condition(node.on, scope)
        old = [f"{alias_of(target)}.{quote(column.name)}" for column in table.stored]
        plan = DmlPlan("", self.unit.bindings, table=table, kind="MERGE")
        items: list[str] = ["", target.rowid, *old]
        tests: dict[str, list[str]] = {"MATCHED": [], "NOT MATCHED": [], "NOT MATCHED BY SOURCE": []}
        for number, when in enumerate(node.whens, 1):
            condition = f" AND {self.condition(when.condition, scope)}" if when.condition is not None else ""
            tests[when.matched].append(f"WHEN 1{condition} THEN {number}")
            values, action = self._merge_action(when, table, scope, target, len(items), identity_insert)
            items += values
            plan.actions.append(action)
        plan.extra_at = len(items)
        if node.output is not None:
            extras: list[str] = []
            plan.output = self.output_plan(node.output, table, scope.sources, extras, ("inserted", "deleted"), True)
            items += extras
        plan.sql = self._merge_query(items, tests, source_text, target_text, on, target)
        if node.top is not None:
            plan.sql = f"SELECT * FROM ({plan.sql}) WHERE action IS NOT NULL LIMIT {self.top_count(node.top)}"
        for when in node.whens:
            if not table.temporary:
                self.unit.permissions.add((when.action, table.object_id))
        return self._finish(plan, "SELECT", node.context)

    def _merge_query(
        self,
        items: list[str],
        tests: dict[str, list[str]],
        source: str,
        target_text: str,
        on: str,
        target: Bound,
    ) -> str:
        def pick(kind: str) -> str:
            return f"CASE {' '.join(tests[kind])} END" if tests[kind] else "NULL"

        matched = f"CASE WHEN {target.rowid} IS NOT NULL THEN {pick('MATCHED')} ELSE {pick('NOT MATCHED')} END"
        join = "LEFT JOIN" if tests["NOT MATCHED"] else "JOIN"
        text = f"SELECT {', '.join([f'{matched} AS action', *items[1:]])} FROM {source} {join} {target_text} ON {on}"
        if tests["NOT MATCHED BY SOURCE"]:
            marker = f"(SELECT 1 AS _m) AS {self.unit.alias()}m"
            name = marker.rpartition(" ")[2]
            items2 = [pick("NOT MATCHED BY SOURCE"), *items[1:]]
            text += (
                f" UNION ALL SELECT {', '.join(items2)} FROM {target_text} LEFT JOIN (({source}) JOIN {marker}) ON {on} "
                f"WHERE {name}._m IS NULL"
            )
        return f"SELECT * FROM ({text})"

    def _merge_action(
        self, when: MergeWhen, table: Table, scope: Scope, target: Bound, start: int, identity_insert: int
    ) -> tuple[list[str], MergeAction]:
        if when.action == "DELETE":
            return [], MergeAction("DELETE", start, [], [])
        if when.action == "UPDATE":
            changed, values, variables = self._assignments(when.assignments, table, scope, target, {})
            if variables:
                raise unsupported("variables in MERGE … UPDATE SET")
            guarded = [f"CASE WHEN {target.rowid} IS NOT NULL THEN {value} END" for value in values]
            return guarded, MergeAction("UPDATE", start, [], changed)
        explicit = table.object_id == identity_insert
        given, named = self.insert_columns(table, when.columns, explicit)
        row = when.values if when.values is not None else [Default() for _ in given]
        if len(row) != len(given):
            raise (sql_error(110 if len(row) > len(given) else 109) if named else sql_error(213))
        self._refuse_identity(table, given, explicit)
        with self.drawing():
            places, defaults = self._missing(table, given)
        values = [self.assigned(item, table.stored[place], scope) for item, place in zip(row, given, strict=True)] + defaults
        guarded = [f"CASE WHEN {target.rowid} IS NULL THEN {value} END" for value in values]
        return guarded, MergeAction("INSERT", start, self._layout(table, given + places), [], explicit)
