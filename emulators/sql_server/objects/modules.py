"""CREATE, ALTER and DROP of inline table-valued functions and security policies."""

from __future__ import annotations

import copy

from emulators.sql_server.catalogue.objects import InlineFunction, Predicate, Schema, SecurityPolicy, Table
from emulators.sql_server.compiler.inline_functions import bound_arguments, inside
from emulators.sql_server.compiler.scope import Typed, Unit
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.objects import security
from emulators.sql_server.objects.alter_table import TableAlterer
from emulators.sql_server.parser.batches import parse_expression, parse_query
from emulators.sql_server.parser.tree import (
    ColumnRef,
    CreateFunction,
    Expression,
    FunctionCall,
    FunctionSource,
    Literal,
    Name,
    Null,
    PolicyStatement,
    PredicateSyntax,
    SelectItem,
    Star,
    TableSource,
)
from emulators.sql_server.parser.walk import deep_walk
from emulators.sql_server.storage.writer import own_columns_scope
from emulators.sql_server.values.datatypes import STRINGS, UNICODE_STRINGS
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError


def unbindable(kind: str, name: Name, part: Name) -> SqlError:
    """Error 4512."""
    return SqlError(
        4512,
        f"Cannot schema bind {kind} '{'.'.join(name)}' because name '{'.'.join(part)}' is invalid for schema binding. Names must "
        "be in two-part format and an object cannot reference itself.",
    )


class ModuleDdl(TableAlterer):
    """Functions and security policies of one session."""

    def schema_of(self, name: Name) -> Schema:
        raise AssertionError("given by Ddl")

    # --- functions ---

    def create_function(self, node: CreateFunction) -> None:
        """Raises SqlError 208, 262, 2714, 2760, 3701, 3729, 4512, 4514 and those of the query."""
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            wanted = (node.name[-2] if len(node.name) > 1 else "") or self.session.default_schema
            existing = catalogue.function(wanted, node.name[-1])
            if existing is not None and (node.or_alter or node.alter):
                security.require_alter_by_name(self.session, "function", existing)
                schema = catalogue.schemas[existing.schema.lower()]
                holder = catalogue.binding(existing.object_id)
                if holder is not None:
                    raise sql_error(3729, "ALTER", ".".join(node.name), holder.name)
            elif node.alter:
                raise sql_error(208, ".".join(node.name))
            else:
                security.require_database(self.session, "CREATE FUNCTION")
                schema = self.schema_of(node.name)
                if catalogue.object_named(schema.name, node.name[-1]) is not None:
                    raise sql_error(2714, node.name[-1])
            parameters = [(name, catalogue.resolved(kind)[0]) for name, kind in node.parameters]
            unit = Unit(catalogue, {}, {}, self.store.database.name)
            compiler = StatementCompiler(unit)
            with inside(compiler, {name: Typed("NULL", kind) for name, kind in parameters}):
                columns = compiler.compile_query(parse_query(node.text), None).columns
            for number, (column, _) in enumerate(columns, 1):
                if not column:
                    raise SqlError(4514, f"CREATE FUNCTION failed because a column name is not specified for column {number}.")
            now = self.session.owner.local_text()
            catalogue.put_function(
                InlineFunction(
                    existing.object_id if existing else catalogue.new_id(),
                    schema.name,
                    node.name[-1],
                    parameters,
                    node.text,
                    node.definition,
                    existing.created if existing else now,
                    now,
                    node.bound,
                    self._bound_objects("function", node.name, node.text, unit) if node.bound else [],
                )
            )
            self.store.save_catalogue()

    def _bound_objects(self, kind: str, name: Name, text: str, unit: Unit) -> list[int]:
        """Raises SqlError 1054, 4512, 4513."""
        found = set(unit.reads)
        for part in deep_walk(parse_query(text)):
            if isinstance(part, SelectItem) and isinstance(part.expression, Star):
                raise SqlError(1054, "Syntax '*' is not allowed in schema-bound objects.", 15)
            if isinstance(part, TableSource) and len(part.name) != 2:
                raise unbindable(kind, name, part.name)
            if isinstance(part, FunctionSource) and len(part.name) == 2:
                function = unit.catalogue.function(*part.name)
                if function is not None:
                    if not function.schema_bound:
                        raise _not_bound(kind, name, function)
                    found.add(function.object_id)
        return sorted(found)

    # --- security policies ---

    def policy(self, node: PolicyStatement) -> None:
        """CREATE and ALTER SECURITY POLICY. Raises SqlError 166, 207, 2714, 33261 to 33270, 4512, 4513."""
        security.require_database(self.session, "ALTER ANY SECURITY POLICY")
        if len(node.name) > 2:
            text = f"'{node.action} SECURITY POLICY' does not allow specifying the database name as a prefix to the object name."
            raise SqlError(166, text, 15)
        shown = ".".join(node.name)
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            now = self.session.owner.local_text()
            if node.action == "CREATE":
                schema = self.schema_of(node.name)
                if catalogue.object_named(schema.name, node.name[-1]) is not None:
                    raise sql_error(2714, node.name[-1])
                policy = SecurityPolicy(catalogue.new_id(), schema.name, node.name[-1], created=now)
            else:
                found = catalogue.policy((node.name[-2] if len(node.name) > 1 else "") or "dbo", node.name[-1])
                if found is None:
                    raise sql_error(33268, shown, state=2)
                policy = copy.deepcopy(found)
            policy.modified = now
            before = {predicate.table_id for predicate in policy.predicates}
            for syntax in node.predicates:
                self._change_predicate(policy, syntax, before)
            if node.enabled is not None:
                policy.enabled = node.enabled
            if node.not_for_replication is not None:
                policy.not_for_replication = node.not_for_replication
            self._refuse_second(policy)
            catalogue.put_policy(policy)
            self.store.save_catalogue()

    def _refuse_second(self, policy: SecurityPolicy) -> None:
        """One enabled policy for a table. Raises SqlError 33264."""
        catalogue = self.store.change_catalogue()
        for other in catalogue.policies.values() if policy.enabled else ():
            if other.object_id == policy.object_id or not other.enabled:
                continue
            for table_id in {p.table_id for p in policy.predicates} & {p.table_id for p in other.predicates}:
                table = catalogue.by_id[table_id].full_name
                raise sql_error(33264, policy.full_name, table, other.full_name)

    def _change_predicate(self, policy: SecurityPolicy, syntax: PredicateSyntax, before: set[int]) -> None:
        table = self._target(policy, syntax)
        own = next((p for p in policy.predicates if p.table_id == table.object_id), None)
        if syntax.action == "ADD":
            if own is not None:
                state = 2 if table.object_id in before else 1
                raise sql_error(33262, "FILTER", table.full_name, policy.full_name, state=state)
            policy.last_predicate += 1
            policy.predicates.append(self._predicate(policy, syntax, table, policy.last_predicate))
            return
        if own is None:
            raise sql_error(33261, policy.full_name, table.full_name)
        place = policy.predicates.index(own)
        if syntax.action == "DROP":
            del policy.predicates[place]
        else:
            policy.predicates[place] = self._predicate(policy, syntax, table, own.predicate_id)

    def _target(self, policy: SecurityPolicy, syntax: PredicateSyntax) -> Table:
        name = syntax.table
        if name[-1].startswith("#"):
            raise SqlError(
                33269,
                "Security predicates are not allowed on temporary objects. Object names that begin with '#' denote temporary "
                "objects.",
                15,
            )
        if len(name) > 2:
            text = f"'{syntax.action} FILTER PREDICATE' does not allow specifying the database name as a prefix to the object name."
            raise SqlError(166, text, 15)
        if len(name) < 2:
            raise unbindable("security policy", (policy.schema, policy.name), name)
        catalogue = self.store.change_catalogue()
        if catalogue.view(*name) is not None:
            raise unsupported("a security predicate on a view")
        table = catalogue.table(*name)
        if table is None:
            raise sql_error(33268, ".".join(name))
        return table

    def _predicate(self, policy: SecurityPolicy, syntax: PredicateSyntax, table: Table, number: int) -> Predicate:
        catalogue = self.store.change_catalogue()
        name = syntax.function
        if len(name) != 2:
            raise unbindable("security policy", (policy.schema, policy.name), name)
        function = catalogue.function(*name)
        if function is None:
            raise sql_error(33270, ".".join(name))
        needed = [("SELECT", function.object_id), ("REFERENCES", function.object_id), ("REFERENCES", table.object_id)]
        security.require(self.session, needed)
        if not function.schema_bound:
            raise _not_bound("security policy", (policy.schema, policy.name), function)
        texts = [text for _, text in syntax.arguments]
        shown = ",".join(canonical(table, value) for value, _ in syntax.arguments)
        compiler = StatementCompiler(Unit(catalogue, {}, {}, self.store.database.name))
        bound_arguments(compiler, function, [parse_expression(text) for text in texts], own_columns_scope(table))
        definition = f"([{function.schema}].[{function.name}]({shown}))"
        return Predicate(number, table.object_id, function.object_id, texts, definition)

    def drop_policy(self, name: Name, if_exists: bool) -> None:
        """Raises SqlError 262, 3701."""
        catalogue = self.store.change_catalogue()
        found = catalogue.policy((name[-2] if len(name) > 1 else "") or "dbo", name[-1])
        if found is None:
            if if_exists:
                return
            raise sql_error(3701, "security policy", ".".join(name), state=5)
        security.require_database(self.session, "ALTER ANY SECURITY POLICY")
        security.require_drop(self.session, "security policy", found)
        catalogue.remove(found)


def _not_bound(kind: str, name: Name, function: InlineFunction) -> SqlError:
    return SqlError(4513, f"Cannot schema bind {kind} '{'.'.join(name)}'. '{function.full_name}' is not schema bound.")


def canonical(table: Table, node: Expression) -> str:
    """An argument as sys.security_predicates shows it. Raises SqlError 207, 40517."""
    if isinstance(node, ColumnRef) and len(node.parts) == 1:
        column = table.column(node.parts[0])
        if column is None:
            raise sql_error(207, node.parts[0])
        return f"[{column.name}]"
    if isinstance(node, Null):
        return "NULL"
    if isinstance(node, Literal) and node.type.name in STRINGS:
        quoted = str(node.value).replace("'", "''")
        return f"{'N' if node.type.name in UNICODE_STRINGS else ''}'{quoted}'"
    if isinstance(node, Literal) and node.type.name == "int":
        return f"({node.value})"
    if isinstance(node, FunctionCall) and not node.schema and node.over is None and not node.order:
        return f"{node.name.lower()}({','.join(canonical(table, argument) for argument in node.arguments)})"
    raise unsupported("an argument of a security predicate other than columns, constants and calls of functions")
