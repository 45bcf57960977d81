"""The result columns of a batch without running it (sp_prepare, sp_describe_first_result_set)."""

from __future__ import annotations

from collections.abc import Mapping

from emulators.sql_server.compiler.scope import Unit
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.objects.ddl import Ddl
from emulators.sql_server.parser.tree import (
    Block,
    Declare,
    Delete,
    If,
    Insert,
    Merge,
    QueryStatement,
    Statement,
    TableDefinition,
    TryCatch,
    Update,
    While,
)
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.results import Column, SqlType


def describe(session: Session, sql: str, parameters: Mapping[str, SqlType]) -> list[Column]:
    """Columns of the first statement that gives rows; [] when there is none. Raises SqlError of parsing and binding."""
    variables = dict(parameters)
    temporary = dict(session.temporary)
    for statement in _flat(session.owner.parse(sql)):
        if isinstance(statement, Declare):
            for name, kind, _ in statement.items:
                if isinstance(kind, TableDefinition):
                    temporary[f"@{name}"] = Ddl(session).table_variable(name, kind)
                else:
                    variables[name] = session.store.catalogue.resolved(kind)[0]
            continue
        compiler = StatementCompiler(
            Unit(session.store.catalogue, temporary, variables, session.owner.name, session.other_database)
        )
        columns = _columns(compiler, statement)
        if columns:
            return columns
    return []


def _columns(compiler: StatementCompiler, statement: Statement) -> list[Column]:
    if isinstance(statement, QueryStatement):
        plan = compiler.select_plan(statement.query, statement.into)
        return [] if plan.assignments or plan.steps or plan.into is not None else plan.columns
    if isinstance(statement, Insert) and statement.output is not None:
        dml = compiler.insert_plan(statement, 0)
    elif isinstance(statement, Update) and statement.output is not None:
        dml = compiler.update_plan(statement)
    elif isinstance(statement, Delete) and statement.output is not None:
        dml = compiler.delete_plan(statement)
    elif isinstance(statement, Merge) and statement.output is not None:
        dml = compiler.merge_plan(statement, 0)
    else:
        return []
    return dml.output.columns if dml.output is not None and dml.output.target is None else []


def _flat(statements: list[Statement]) -> list[Statement]:
    flat: list[Statement] = []
    for statement in statements:
        if isinstance(statement, If):
            flat += _flat([statement.then] + ([statement.otherwise] if statement.otherwise else []))
        elif isinstance(statement, While):
            flat += _flat([statement.body])
        elif isinstance(statement, Block):
            flat += _flat(statement.body)
        elif isinstance(statement, TryCatch):
            flat += _flat(statement.body) + _flat(statement.handler)
        else:
            flat.append(statement)
    return flat
