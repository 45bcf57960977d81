"""Running batches: control of flow, variables, errors, transactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.compiler.plans import DmlPlan, Plan, SelectPlan
from emulators.sql_server.compiler.scope import Unit
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.engine.declarations import declarations_in, widened
from emulators.sql_server.engine.flow import BreakLoop, ContinueLoop, FlowStatements, ReturnFromBatch
from emulators.sql_server.engine.options import set_option
from emulators.sql_server.engine.other_databases import refuse_elsewhere
from emulators.sql_server.engine.statement_errors import is_terminated, with_named_limits
from emulators.sql_server.objects.ddl import Ddl
from emulators.sql_server.parser.tree import (
    AlterAuthorization,
    AlterDatabase,
    AlterTable,
    BeginTransaction,
    Binary,
    Block,
    Break,
    CheckIdentity,
    Commit,
    Continue,
    CreateFunction,
    CreateIndex,
    CreateSchema,
    CreateTable,
    CreateType,
    CreateView,
    Declare,
    Default,
    Delete,
    DropObjects,
    Execute,
    ExecuteString,
    Expression,
    If,
    Insert,
    Literal,
    Merge,
    Null,
    PermissionStatement,
    PolicyStatement,
    PrincipalStatement,
    Print,
    QueryStatement,
    RaiseError,
    Return,
    Rollback,
    SaveTransaction,
    SequenceStatement,
    SetOption,
    SetVariable,
    Statement,
    TableColumnSyntax,
    TableDefinition,
    Throw,
    TruncateTable,
    TryCatch,
    Update,
    Use,
    Variable,
    WaitFor,
    While,
)
from emulators.sql_server.procedures.system import call
from emulators.sql_server.runtime.for_json import pieces
from emulators.sql_server.storage.dml import DmlRunner, convert_rows
from emulators.sql_server.storage.frame import Frame
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values import errors
from emulators.sql_server.values.conversions import converter
from emulators.sql_server.values.datatypes import INT, NVARCHAR_MAX, STRINGS, to_internal
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.legality import require_implicit
from emulators.sql_server.values.results import Event, Message, Parameter, ResultSet, RowsAffected, SqlError, SqlType
from emulators.sql_server.values.xml_text import xml_text

Events = Iterator[Event | SqlError]
_MAX_NESTING = 32
_MAX_PLANS = 32


class Interpreter(FlowStatements):
    """Runs statements for one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.store = session.store
        self.dml = DmlRunner(session)
        self.ddl = Ddl(session)
        self.frame = Frame()
        self.handled_error: SqlError | None = None
        self.last_error = 0
        self.try_depth = 0
        self.nesting = 0
        self.return_value = 0
        self._handlers: dict[type[Statement], Any] = {
            QueryStatement: self._query,
            Insert: self._insert,
            Update: self._dml,
            Delete: self._dml,
            Merge: self._dml,
            Declare: self._declare,
            SetVariable: self._set_variable,
            SetOption: self._set_option,
            If: self._if,
            While: self._while,
            Block: self._block,
            TryCatch: self._try,
            Break: self._break,
            Continue: self._continue,
            Return: self._return,
            Print: self._print,
            Throw: self._throw,
            RaiseError: self._raise_error,
            Execute: self._execute,
            ExecuteString: self._execute_string,
            BeginTransaction: self._begin,
            Commit: self._commit,
            Rollback: self._rollback,
            SaveTransaction: self._save,
            WaitFor: self._wait_for,
            Use: self._use,
            CreateTable: self._create_table,
            DropObjects: self._drop,
            TruncateTable: self._truncate,
            CheckIdentity: self._check_identity,
            CreateIndex: self._create_index,
            AlterTable: self._alter_table,
            AlterDatabase: self._alter_database,
            AlterAuthorization: self._change_owner,
            CreateSchema: self._create_schema,
            CreateView: self._create_view,
            CreateFunction: self._create_function,
            SequenceStatement: self._sequence,
            CreateType: self._create_type,
            PolicyStatement: self._policy,
            PrincipalStatement: self._principal,
            PermissionStatement: self._permission,
        }

    # --- batches ---

    def batch(self, sql: str, parameters: dict[str, Parameter], dynamic: bool = False) -> Events:
        """Run a batch with its own variables."""
        try:
            statements = self.session.owner.parse(sql)
        except RecursionError:
            raise sql_error(191) from None
        outer, self.frame = self.frame, Frame(dynamic=dynamic)
        hidden = self.session.hide_table_variables() if dynamic else {}
        options = self.session.settings() if dynamic else None
        for name, parameter in parameters.items():
            kind = widened(parameter.type)
            value = to_internal(parameter.value, kind)
            self.frame.declare(name, kind, xml_text(value) if kind.name == "xml" and value is not None else value)
        self.nesting += 1
        try:
            if self.nesting > _MAX_NESTING:
                raise SqlError(217, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit 32).")
            self._declare_all(statements)
            yield from self._statements(statements)
        except ReturnFromBatch:
            pass
        except (GeneratorExit, SqlError) as error:  # given up: before the options of dynamic SQL end, XACT_ABORT among them
            if dynamic and self.session.xact_abort and getattr(error, "number", 3617) == 3617:
                self.store.abandon()
            raise
        except (BreakLoop, ContinueLoop):
            raise SqlError(135, "Cannot use a BREAK statement outside the scope of a WHILE statement.", 15) from None
        finally:
            self.nesting -= 1
            self.session.drop_table_variables(self.frame.tables, hidden)
            if options is not None:
                self.session.restore(options)
            finished, self.frame = self.frame, outer
            self.session.finished_frame = finished

    def _declare_all(self, statements: list[Statement]) -> None:
        """Variables exist from the start of their batch, whatever branch declares them."""
        for declaration in declarations_in(statements):
            for name, kind, _ in declaration.items:
                if isinstance(kind, TableDefinition):
                    continue
                if name in self.frame.types:
                    error = sql_error(134, f"@{name}")
                    error.line = declaration.line
                    raise error
                self.frame.declare(name, self.store.catalogue.resolved(kind)[0], None)

    def _statements(self, statements: list[Statement]) -> Events:
        for statement in statements:
            yield from self.run(statement)

    def run(self, statement: Statement) -> Events:
        """One statement; decides what an error does."""
        if self.session.cancelled:
            raise sql_error(3617)
        handler = self._handlers.get(type(statement))
        if handler is None:
            raise unsupported(type(statement).__name__)
        self.session.redacting = False
        try:
            refuse_elsewhere(self.session, statement)
            yield from with_named_limits(handler(statement))
        except SqlError as error:
            if self.session.redacting:
                errors.redact(error)
            if error.line <= 1:
                error.line = statement.line
            if getattr(error, "settled", False) or isinstance(statement, (If, While, Block, TryCatch)):
                raise
            if self._settle(error, statement):
                raise
            yield error
            if is_terminated(statement, error):
                yield Message(3621, "The statement has been terminated.", 0, 0)
        else:
            if not isinstance(statement, (If, While, Block, TryCatch, Declare)):
                self.last_error = 0

    def _settle(self, error: SqlError, statement: Statement) -> bool:
        """Roll back as the error demands; True when the batch ends (or a TRY catches it)."""
        self.last_error = error.number
        self.session.row_count = 0
        raised = isinstance(statement, RaiseError)
        # a compile error in the very batch of the TRY is not caught by it, only one in dynamic SQL below it
        error.uncatchable = errors.is_compile_error(error) and not self.frame.dynamic  # type: ignore[attr-defined]
        fatal = errors.aborts_batch(error) or (self.session.xact_abort and not raised) or isinstance(statement, Throw)
        undo = errors.rolls_back(error) or (self.session.xact_abort and not raised and error.number != 3617)
        caught = self.try_depth > 0 and not error.uncatchable and error.number != 3617  # type: ignore[attr-defined]
        if caught and not (raised and error.severity <= 10):
            if undo and self.store.count:
                if error.number in (1205, 3960):
                    self.store.abandon()
                else:
                    self.store.doomed = True
            error.settled = True  # type: ignore[attr-defined]
            return True
        if undo and (self.store.count or self.store.sqlite_state):
            self.store.abandon()
        if fatal:
            error.settled = True  # type: ignore[attr-defined]
        return fatal

    # --- plans ---

    def unit(self) -> Unit:
        """What a statement may see now."""
        return Unit(
            self.store.catalogue, self.session.temporary, self.frame.types, self.store.database.name, self.session.other_database
        )

    def _plan(self, statement: Statement, make: Any, part: str = "") -> Any:
        session = self.session
        seen = (session.temporary_key, self.frame.types_key, session.identity_insert, session.other_database)
        key = (part, self.store.catalogue.version, *seen)
        plan = statement.plans.get(key)
        if plan is None:
            if len(statement.plans) > _MAX_PLANS:
                for old in [k for k in list(statement.plans) if isinstance(k, tuple)]:
                    statement.plans.pop(old, None)
            plan = make(StatementCompiler(self.unit()))
            statement.plans[key] = plan
        return plan

    def evaluate(
        self, statement: Statement, node: Expression, target: SqlType | None = None, part: str = ""
    ) -> tuple[Any, SqlType]:
        """The value of an expression in its inner form."""
        if isinstance(node, Literal) and (target is None or target == node.type):
            return to_internal(node.value, node.type), node.type
        if isinstance(node, Null):
            return None, target or INT
        if (
            isinstance(node, Variable)
            and node.name in self.frame.values
            and (target is None or target == self.frame.types[node.name])
        ):
            return self.frame.values[node.name], self.frame.types[node.name]
        plan, kind = self._plan(statement, lambda compiler: compiler.scalar_plan(node, target), part or str(id(node)))
        self.session.prepare(plan)
        rows = self.drawn_rows(plan)
        if plan.masks:
            rows = self.session.masked_rows(plan, rows)
        return rows[0][0], kind

    def drawn_rows(self, plan: Plan) -> list[tuple[Any, ...]]:
        """The rows of a query; one that draws from sequences writes."""
        if not plan.sequences:
            return self.store.rows(plan.sql, self.session.parameters(plan.bindings))
        with self.store.writing(), self.session.drawing(plan.sequences):
            return self.store.rows(plan.sql, self.session.parameters(plan.bindings))

    def text(self, statement: Statement, node: Expression) -> str | None:
        """The value of an expression as a string."""
        return self.evaluate(statement, node, NVARCHAR_MAX)[0]

    def integer(self, statement: Statement, node: Expression) -> int | None:
        return self.evaluate(statement, node, INT)[0]

    def _true(self, statement: Statement, node: Expression) -> bool:
        plan = self._plan(statement, lambda compiler: compiler.condition_plan(node), "condition")
        self.session.prepare(plan)
        return self.store.rows(plan.sql, self.session.parameters(plan.bindings))[0][0] == 1

    def _done(self, count: int | None, command: str) -> Events:
        if count is not None:
            self.session.row_count = count
        yield RowsAffected(None if self.session.nocount else count, command)

    # --- queries and DML ---

    def _query(self, statement: QueryStatement) -> Events:
        plan: SelectPlan = self._plan(statement, lambda compiler: compiler.select_plan(statement.query, statement.into))
        self.session.prepare(plan)
        if plan.into is not None:
            yield from self._select_into(plan)
            return
        rows = self.drawn_rows(plan)
        if plan.masks:
            rows = self.session.masked_rows(plan, rows)
        if plan.steps:
            self._step_through(plan, rows)
            return
        if plan.assignments:
            if rows:
                for name, value in zip(plan.assignments, rows[-1], strict=True):
                    self.frame.values[name] = value
            self.session.row_count = len(rows)
            return
        if plan.pieces:
            rows = pieces(rows[0][0])
        yield ResultSet(plan.columns, convert_rows(rows, plan.converters))
        yield from self._done(len(rows), "SELECT")

    def _step_through(self, plan: SelectPlan, rows: list[tuple[Any, ...]]) -> None:
        """Assignments that use each other's results, or those of the row before."""
        for row in rows:
            for step in plan.steps:
                values = [row[value] if kind == "source" else self.session.parameter(kind, value) for kind, value in step.bindings]
                self.frame.values[step.variable] = self.store.rows(step.sql, values)[0][0]
        self.session.row_count = len(rows)

    def _select_into(self, plan: SelectPlan) -> Events:
        assert plan.into is not None
        for number, column in enumerate(plan.columns, 1):
            if not column.name:
                raise SqlError(
                    1038, f"An object or column name is missing or empty. Column {number} of SELECT INTO needs a name.", 15
                )
        definition = TableDefinition(
            [
                TableColumnSyntax(
                    column.name,
                    column.type if column.type.name != "rowversion" else SqlType("binary", 8),
                    column.nullable,
                    (1, 1) if column.identity else None,
                )
                for column in plan.columns
            ],
            [],
        )
        rows = self.drawn_rows(plan)
        if plan.masks:
            rows = self.session.masked_rows(plan, rows)
        self.ddl.create_table(CreateTable(plan.into, definition))
        table = self.session.temporary.get(plan.into[-1].lower()) or self.store.catalogue.table(
            (plan.into[-2] if len(plan.into) > 1 else "") or "dbo", plan.into[-1]
        )
        assert table is not None
        target = DmlPlan("", [], table=table, kind="INSERT", layout=list(range(len(table.stored))), explicit_identity=True)
        yield from self._done(self.dml.insert_values(target, rows), "SELECT INTO")

    def _dml(self, statement: Update | Delete | Merge) -> Events:
        if isinstance(statement, Update):
            plan: DmlPlan = self._plan(statement, lambda compiler: compiler.update_plan(statement))
        elif isinstance(statement, Delete):
            plan = self._plan(statement, lambda compiler: compiler.delete_plan(statement))
        else:
            plan = self._plan(statement, lambda compiler: compiler.merge_plan(statement, self.session.identity_insert))
        yield from self._run_dml(plan)

    def _run_dml(self, plan: DmlPlan) -> Events:
        count, output = self.dml.run(plan)
        if output is not None:
            yield output
        yield from self._done(count, plan.kind)

    def _insert(self, statement: Insert) -> Events:
        if isinstance(statement.source, (Execute, ExecuteString)):
            yield from self._insert_executed(statement, statement.source)
            return
        plan: DmlPlan = self._plan(statement, lambda compiler: compiler.insert_plan(statement, self.session.identity_insert))
        yield from self._run_dml(plan)

    def _insert_executed(self, statement: Insert, source: Execute | ExecuteString) -> Events:
        def make(compiler: StatementCompiler) -> tuple[Table, list[int]]:
            table = compiler.target_table(statement.target)
            return table, compiler.insert_columns(table, statement.columns, False)[0]

        table, given = self._plan(statement, make)
        if statement.output is not None:
            raise unsupported("OUTPUT with INSERT … EXECUTE")
        self.session.prepare_permissions([("INSERT", table.object_id)] if not table.temporary else [])
        rows: list[tuple[Any, ...]] = []
        for event in self.run(source):
            if isinstance(event, ResultSet):
                if len(event.columns) != len(given):
                    raise sql_error(213)
                if any(column.type.name == "sql_variant" for column in event.columns):
                    raise unsupported("INSERT … EXECUTE of a sql_variant")
                for column, place in zip(event.columns, given, strict=True):
                    require_implicit(column.type, table.stored[place].type)
                converters = [
                    converter(column.type, table.stored[place].type, None, False)
                    for column, place in zip(event.columns, given, strict=True)
                ]
                for row in event.rows:
                    inner = [
                        value if isinstance(value, str) and column.type.name in STRINGS else to_internal(value, column.type)
                        for value, column in zip(row, event.columns, strict=True)
                    ]
                    rows.append(
                        tuple(None if value is None else convert(value) for value, convert in zip(inner, converters, strict=True))
                    )
            elif not isinstance(event, RowsAffected):
                yield event
        layout = [given.index(place) if place in given else -1 for place in range(len(table.stored))]
        target = DmlPlan("", [], table=table, kind="INSERT", layout=layout)
        yield from self._done(self.dml.insert_values(target, rows), "INSERT")

    # --- variables and options ---

    def _declare(self, statement: Declare) -> Events:
        for position, (name, kind, value) in enumerate(statement.items):
            if isinstance(kind, TableDefinition):
                if f"@{name}" in self.frame.tables:
                    continue  # in a loop: it exists already
                table = statement.plans.get(f"table{position}")
                if table is None:
                    table = statement.plans[f"table{position}"] = self.ddl.table_variable(name, kind)
                self.session.put_temporary(table)
                self.frame.tables.append(f"@{name}")
                continue
            if value is not None:
                self.frame.values[name] = self.evaluate(statement, value, self.frame.types[name])[0]
                self.session.row_count = 1
        return
        yield

    def _set_variable(self, statement: SetVariable) -> Events:
        kind = self.frame.types.get(statement.name)
        if kind is None:
            raise sql_error(137, f"@{statement.name}")
        if statement.op == "=":
            self.frame.values[statement.name] = self.evaluate(statement, statement.value, kind)[0]
        else:
            node = statement.plans.get("node")
            if node is None:
                node = statement.plans["node"] = Binary(statement.op[0], Variable(statement.name), statement.value)
            self.frame.values[statement.name] = self.evaluate(statement, node, kind)[0]
        self.session.row_count = 1
        return
        yield

    def _set_option(self, statement: SetOption) -> Events:
        set_option(self.session, statement)
        self.session.row_count = 0
        return
        yield

    # --- EXEC ---

    def _execute(self, statement: Execute) -> Events:
        name = statement.procedure[-1].lower()
        arguments: list[tuple[str, Any, SqlType, str]] = []
        for given, node, output in statement.arguments:
            if isinstance(node, Default):
                continue
            value, kind = self.evaluate(statement, node)
            target = node.name if output and isinstance(node, Variable) else ""
            arguments.append((given, value, kind, target))
        self.return_value = 0
        yield from call(self, name, ".".join(statement.procedure), arguments)
        if statement.result:
            declared = self.frame.types.get(statement.result)
            if declared is None:
                raise sql_error(137, f"@{statement.result}")
            self.frame.values[statement.result] = converter(INT, declared)(self.return_value)

    def _execute_string(self, statement: ExecuteString) -> Events:
        text = self.text(statement, statement.text)
        if text:
            yield from self.batch(text, {}, dynamic=True)
