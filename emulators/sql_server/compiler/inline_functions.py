"""Inline table-valued functions, and the filter predicates of security policies that are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from emulators.sql_server.catalogue.objects import InlineFunction, Table
from emulators.sql_server.compiler.compiled_query import CompiledQuery
from emulators.sql_server.compiler.scope import Scope, Typed
from emulators.sql_server.compiler.tables import TableCompiler
from emulators.sql_server.parser.batches import parse_expression, parse_query
from emulators.sql_server.parser.tree import Expression, Name, Query
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError


class InlineCompiler(TableCompiler):
    """What expanding a function needs of the compiler."""

    def compile_query(
        self, query: Query, scope: Scope | None, top_level: bool = False, expose_rowid: bool = False
    ) -> CompiledQuery:
        raise AssertionError("given by QueryCompiler")


def find_function(compiler: TableCompiler, name: Name) -> InlineFunction | None:
    """The function of the database that a name in FROM means; a name without schema is one of the system's."""
    if len(name) < 2 or compiler.unit.is_elsewhere(name):
        return None
    return compiler.unit.catalogue.function(name[-2] or "dbo", name[-1])


def bound_arguments(
    compiler: TableCompiler, function: InlineFunction, arguments: list[Expression], scope: Scope
) -> dict[str, Typed]:
    """What each parameter stands for. Raises SqlError 313, 8144."""
    if len(arguments) < len(function.parameters):
        raise SqlError(
            313, f"An insufficient number of arguments were supplied for the procedure or function {function.full_name}."
        )
    if len(arguments) > len(function.parameters):
        raise sql_error(8144, function.full_name)
    values = {}
    for (name, kind), argument in zip(function.parameters, arguments, strict=True):
        typed = compiler.cast(compiler.value(argument, scope), kind)
        values[name] = Typed(typed.sql, kind, nullable=True)
    return values


@contextmanager
def inside(compiler: TableCompiler, values: Mapping[str, Typed]) -> Iterator[None]:
    """Compile a function's query: its parameters are the only variables."""
    outer, compiler.arguments = compiler.arguments, values
    try:
        yield
    finally:
        compiler.arguments = outer


def filtered_rows(compiler: InlineCompiler, table: Table) -> str:
    """The rows of a table that its filter predicate lets through, as SQLite text; '' without a predicate.

    The predicate reads its own table unfiltered, and goes before all conditions of the statement (LIMIT keeps SQLite from
    mixing them). Whoever may read the table needs no permission on what the predicate reads.
    """
    unit = compiler.unit
    predicate = unit.catalogue.filter_of(table.object_id)
    if predicate is None or table.object_id in compiler.predicates:
        return ""
    if compiler.predicates:
        raise unsupported("a security predicate that reads another table with a security policy")
    function = unit.catalogue.by_id[predicate.function_id]
    assert isinstance(function, InlineFunction)
    permissions, beyond = set(unit.permissions), set(unit.beyond_chains)
    scope, outer = Scope(), compiler.arguments
    compiler.predicates, compiler.arguments = (table.object_id,), None
    try:
        source = compiler.add_table(table, table.name, scope, (table.schema, table.name), False)
        rows = source.rpartition(" AS ")[2]
        values = bound_arguments(compiler, function, [parse_expression(text) for text in predicate.arguments], scope)
        with inside(compiler, values):
            compiled = compiler.compile_query(parse_query(function.text), None)
    finally:
        compiler.predicates, compiler.arguments = (), outer
        unit.permissions, unit.beyond_chains = permissions, beyond
    unit.filtered = True
    return f"(SELECT {rows}.* FROM {source} WHERE EXISTS (SELECT 1 FROM ({compiled.sql()})) LIMIT -1)"
