"""SELECT @a = …, @b = … where an expression uses a variable that the same statement sets: worked out row by row, in order."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.compiler.output import OutputCompiler
from emulators.sql_server.compiler.plans import AssignmentStep, SelectPlan
from emulators.sql_server.compiler.scope import Bound, BoundColumn, Scope, Typed
from emulators.sql_server.parser.tree import Query, Select, SelectItem, Variable
from emulators.sql_server.parser.walk import deep_walk
from emulators.sql_server.values.errors import unsupported


def variables_in(node: Any) -> set[str]:
    """Names of the variables in an expression, also inside its subqueries."""
    return {part.name for part in deep_walk(node) if isinstance(part, Variable)}


def depends_on_itself(items: list[SelectItem]) -> bool:
    """Whether an item uses a variable that the list assigns."""
    assigned = {item.variable for item in items if item.variable}
    return any((item.op != "=" and item.variable) or variables_in(item.expression) & assigned for item in items)


class AssignmentCompiler(OutputCompiler):
    """Compiles assignments that depend on each other or on the row before."""

    def row_assignments(self, query: Query) -> SelectPlan | None:
        """A plan with steps for each row, or None where the plain plan gives the same. Raises SqlError 40517 with grouping."""
        body = query.body
        if not isinstance(body, Select) or not all(item.variable for item in body.items) or not depends_on_itself(body.items):
            return None
        if body.distinct or self._is_aggregated(body, query):
            self._check_aggregated(body)
            return None
        scope = Scope(None, self.bind_common_tables(query.ctes))
        text = f" FROM {self.source(body.source, scope)}" if body.source is not None else ""
        conditions = ([self.condition(body.where, scope)] if body.where is not None else []) + scope.extra_conditions
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = self._order_by(query.order, body, scope, [], []) if query.order else ""
        limit = self._limit(body, query, scope)
        bindings = list(self.unit.bindings)  # those of the rows; the steps bring their own
        extras: list[str] = []
        steps = [self._step(item, scope, extras) for item in body.items]
        sql = self.with_recursive(f"SELECT {', '.join(extras) or '1'}{text}{where}{order}{limit}")
        return SelectPlan(sql, bindings, assignments=[item.variable for item in body.items], steps=steps)

    def _check_aggregated(self, body: Select) -> None:
        """One row: each item may use the old value of a variable, but not one that an item before it has set."""
        seen: set[str] = set()
        for item in body.items:
            if body.group or body.distinct or variables_in(item.expression) & seen or (item.op != "=" and item.variable in seen):
                raise unsupported("SELECT @variable = … of a variable that the same grouped SELECT assigns")
            seen.add(item.variable)

    def _step(self, item: SelectItem, scope: Scope, extras: list[str]) -> AssignmentStep:
        proxies = Scope(None, scope.ctes)
        for source in scope.sources:
            columns = [
                BoundColumn(c.name, c.type, f"\x03source:{c.sql}\x04", c.nullable, c.identity, c.collation, c.mask)
                for c in source.columns
            ]
            proxies.sources.append(
                Bound(source.alias, columns, source.names, explicit_alias=source.explicit_alias, hidden=source.hidden)
            )
            source.used.update(column.name.lower() for column in source.columns)
        declared = self.unit.variable_type(item.variable)
        typed = self.value(item.expression, proxies)
        if item.op != "=":
            typed = self.binary(item.op[0], Typed(self.unit.bind("variable", item.variable), declared), typed)
        bindings: list[tuple[str, Any]] = []
        sql = self._resolve_tokens(self.assigned_as(typed, declared, cut=True).sql, bindings, [], extras)
        return AssignmentStep(item.variable, f"SELECT {self.unit.finish(sql)}", bindings)
