"""Control of flow, errors, transactions and DDL statements of a batch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from emulators.sql_server.objects.ddl import Ddl
from emulators.sql_server.objects.grants import change_owner, run_permission
from emulators.sql_server.objects.principals import run_principal
from emulators.sql_server.parser.tree import (
    AlterAuthorization,
    AlterDatabase,
    AlterTable,
    BeginTransaction,
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
    DropObjects,
    Expression,
    If,
    PermissionStatement,
    PolicyStatement,
    PrincipalStatement,
    Print,
    RaiseError,
    Return,
    Rollback,
    SaveTransaction,
    SequenceStatement,
    Statement,
    Throw,
    TruncateTable,
    TryCatch,
    Use,
    Variable,
    WaitFor,
    While,
)
from emulators.sql_server.storage.frame import Frame
from emulators.sql_server.storage.session import Session
from emulators.sql_server.storage.store import Store
from emulators.sql_server.values.datatypes import STRINGS
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.messages import format_message
from emulators.sql_server.values.results import Event, Message, SqlError, SqlType

Events = Iterator[Event | SqlError]


class BreakLoop(Exception):
    pass


class ContinueLoop(Exception):
    pass


class ReturnFromBatch(Exception):
    pass


class FlowStatements:
    """Handlers of the statements that are neither queries nor DML."""

    session: Session
    store: Store
    ddl: Ddl
    frame: Frame
    handled_error: SqlError | None
    last_error: int
    return_value: int
    try_depth: int

    def run(self, statement: Statement) -> Events:
        raise AssertionError("given by Interpreter")

    def _statements(self, statements: list[Statement]) -> Events:
        raise AssertionError("given by Interpreter")

    def _settle(self, error: SqlError, statement: Statement) -> bool:
        raise AssertionError("given by Interpreter")

    def _true(self, statement: Statement, node: Expression) -> bool:
        raise AssertionError("given by Interpreter")

    def evaluate(
        self, statement: Statement, node: Expression, target: SqlType | None = None, part: str = ""
    ) -> tuple[Any, SqlType]:
        raise AssertionError("given by Interpreter")

    def text(self, statement: Statement, node: Expression) -> str | None:
        raise AssertionError("given by Interpreter")

    def integer(self, statement: Statement, node: Expression) -> int | None:
        raise AssertionError("given by Interpreter")

    def _done(self, count: int | None, command: str) -> Events:
        raise AssertionError("given by Interpreter")

    # --- control of flow ---

    def _if(self, statement: If) -> Events:
        try:
            true = self._true(statement, statement.condition)
        except SqlError as error:
            if self._settle(error, statement):
                raise
            yield error
            return
        self._condition_read()
        if true:
            yield from self.run(statement.then)
        elif statement.otherwise is not None:
            yield from self.run(statement.otherwise)

    def _condition_read(self) -> None:
        """A condition is a statement that affects no row: @@ROWCOUNT and @@ERROR are 0 behind it."""
        self.session.row_count = 0
        self.last_error = 0

    def _while(self, statement: While) -> Events:
        while True:
            if self.session.cancelled:
                raise sql_error(3617)
            try:
                true = self._true(statement, statement.condition)
            except SqlError as error:
                if self._settle(error, statement):
                    raise
                yield error
                return
            self._condition_read()
            if not true:
                return
            try:
                yield from self.run(statement.body)
            except BreakLoop:
                return
            except ContinueLoop:
                continue

    def _block(self, statement: Block) -> Events:
        yield from self._statements(statement.body)

    def _try(self, statement: TryCatch) -> Events:
        self.try_depth += 1
        depth = self.try_depth
        try:
            yield from self._statements(statement.body)
            return
        except SqlError as error:
            if getattr(error, "uncatchable", False) or error.number == 3617 or error.severity >= 20:
                raise
            caught = error
        finally:
            self.try_depth = depth - 1
        outer, self.handled_error = self.handled_error, caught
        caught.settled = False  # type: ignore[attr-defined]
        try:
            yield from self._statements(statement.handler)
        finally:
            self.handled_error = outer

    def _break(self, statement: Break) -> Events:
        raise BreakLoop
        yield

    def _continue(self, statement: Continue) -> Events:
        raise ContinueLoop
        yield

    def _return(self, statement: Return) -> Events:
        if statement.value is not None:
            self.return_value = self.integer(statement, statement.value) or 0
        raise ReturnFromBatch
        yield

    def _print(self, statement: Print) -> Events:
        text = self.text(statement, statement.value)
        self.session.row_count = 0
        yield Message(0, (text if text is not None else "")[:8000])

    def _throw(self, statement: Throw) -> Events:
        if not statement.arguments:
            if self.handled_error is None:
                raise SqlError(
                    10704,
                    "To rethrow an error, a THROW statement must be used inside a CATCH block. Insert the THROW statement inside a "
                    "CATCH block, or add error parameters to the THROW statement.",
                    15,
                )
            again = self.handled_error
            raise SqlError(again.number, again.text, again.severity, again.state, again.line, again.procedure)
        number, state = self.integer(statement, statement.arguments[0]), self.integer(statement, statement.arguments[2])
        text = self.text(statement, statement.arguments[1])
        if number is None or number < 50000:
            raise SqlError(
                35100,
                f"Error number {number} in the THROW statement is outside the valid range. Specify an error number in the valid "
                "range of 50000 to 2147483647.",
            )
        raise SqlError(number, text or "", 16, state or 1)
        yield

    def _raise_error(self, statement: RaiseError) -> Events:
        for option in statement.options:
            if option not in ("NOWAIT", "SETERROR", "LOG"):
                raise sql_error(102, option)
        value, kind = self.evaluate(statement, statement.message)
        severity = min(max(self.integer(statement, statement.severity) or 0, 0), 25)
        at_once = "NOWAIT" in statement.options
        logged = "LOG" in statement.options
        if logged and not self.session.is_administrator:
            raise SqlError(2778, "Only System Administrator can specify WITH LOG option for RAISERROR command.")
        if severity > 18 and not logged:
            raise SqlError(
                2754,
                "Error severity levels greater than 18 can only be specified by members of the sysadmin role, using the WITH LOG "
                "option.",
            )
        state = self.integer(statement, statement.state) or 1
        if kind.name not in STRINGS:
            raise SqlError(
                18054,
                f"Error {value}, severity {severity}, state {state} was raised, but no message with that error number was found in "
                "sys.messages.",
            )
        arguments = [self.evaluate(statement, node)[0] for node in statement.arguments]
        text = format_message(value or "", arguments)
        if severity > 10:
            error = SqlError(50000, text, severity, state)
            error.at_once = at_once
            raise error
        yield Message(50000 if severity > 0 else 0, text, severity, state, at_once)

    # --- transactions ---

    def _begin(self, statement: BeginTransaction) -> Events:
        self.store.begin(statement.name)
        self.session.row_count = 0
        return
        yield

    def _commit(self, statement: Commit) -> Events:
        self.store.commit()
        self.session.row_count = 0
        return
        yield

    def _named(self, statement: Statement, name: str | Variable) -> str:
        if isinstance(name, Variable):
            return self.text(statement, name) or ""
        return name

    def _rollback(self, statement: Rollback) -> Events:
        name = self._named(statement, statement.name)
        if name and self.store.count and self.store.rollback_to(name):
            return
        self.session.rollback(name or None)
        return
        yield

    def _save(self, statement: SaveTransaction) -> Events:
        self.store.save(self._named(statement, statement.name))
        return
        yield

    def _wait_for(self, statement: WaitFor) -> Events:
        if statement.kind == "TIME":
            raise unsupported("WAITFOR TIME")
        text = self.text(statement, statement.value) or ""
        try:
            parts = [float(part) for part in text.split(":")]
        except ValueError:
            raise SqlError(148, f"Incorrect time syntax in time string '{text}' used with WAITFOR.", 15) from None
        seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.session.cancel_event.wait(left):
                raise sql_error(3617)
        return
        yield

    def _use(self, statement: Use) -> Events:
        name = self.session.owner.database_named(statement.database)
        if name is None:
            raise sql_error(911, statement.database)
        self.session.database = name
        yield Message(5701, f"Changed database context to '{name}'.", 0, 2)

    # --- DDL ---

    def _create_table(self, statement: CreateTable) -> Events:
        self.ddl.create_table(statement)
        yield from self._done(None, "CREATE TABLE")

    def _drop(self, statement: DropObjects) -> Events:
        self.ddl.drop(statement)
        yield from self._done(None, f"DROP {statement.kind}")

    def _truncate(self, statement: TruncateTable) -> Events:
        self.ddl.truncate(statement)
        yield from self._done(None, "TRUNCATE TABLE")

    def _check_identity(self, statement: CheckIdentity) -> Events:
        for number, text in self.ddl.check_identity(statement):
            if not statement.quiet:
                yield Message(number, text)
        yield from self._done(None, "DBCC")

    def _create_index(self, statement: CreateIndex) -> Events:
        self.ddl.create_index(statement)
        yield from self._done(None, "CREATE INDEX")

    def _alter_table(self, statement: AlterTable) -> Events:
        self.ddl.alter_table(statement)
        yield from self._done(None, "ALTER TABLE")

    def _alter_database(self, statement: AlterDatabase) -> Events:
        self.ddl.alter_database(statement)
        yield from self._done(None, "ALTER DATABASE")

    def _create_schema(self, statement: CreateSchema) -> Events:
        self.ddl.create_schema(statement)
        yield from self._done(None, "CREATE SCHEMA")

    def _create_view(self, statement: CreateView) -> Events:
        self.ddl.create_view(statement)
        yield from self._done(None, "CREATE VIEW")

    def _create_function(self, statement: CreateFunction) -> Events:
        self.ddl.create_function(statement)
        yield from self._done(None, "CREATE FUNCTION")

    def _sequence(self, statement: SequenceStatement) -> Events:
        self.ddl.sequence(statement)
        yield from self._done(None, f"{statement.action} SEQUENCE")

    def _create_type(self, statement: CreateType) -> Events:
        self.ddl.create_type(statement)
        yield from self._done(None, "CREATE TYPE")

    def _policy(self, statement: PolicyStatement) -> Events:
        self.ddl.policy(statement)
        yield from self._done(None, f"{statement.action} SECURITY POLICY")

    def _principal(self, statement: PrincipalStatement) -> Events:
        run_principal(self.session, statement)
        yield from self._done(None, f"{statement.action} {statement.kind}")

    def _permission(self, statement: PermissionStatement) -> Events:
        run_permission(self.session, statement)
        yield from self._done(None, statement.action)

    def _change_owner(self, statement: AlterAuthorization) -> Events:
        change_owner(self.session, statement)
        yield from self._done(None, "ALTER AUTHORIZATION")
