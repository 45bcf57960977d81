"""Statements: control of flow, variables, transactions, DML."""

from __future__ import annotations

from collections.abc import Callable

from emulators.sql_server.parser.dml import ASSIGNMENTS, DmlParser
from emulators.sql_server.parser.names import split_name
from emulators.sql_server.parser.tree import (
    BeginTransaction,
    Block,
    Break,
    CheckIdentity,
    Commit,
    Continue,
    CreateFunction,
    CreateSchema,
    CreateView,
    Declare,
    Default,
    Execute,
    ExecuteString,
    Expression,
    FunctionCall,
    GlobalVariable,
    If,
    Literal,
    Null,
    Print,
    RaiseError,
    Return,
    Rollback,
    SaveTransaction,
    SetOption,
    SetVariable,
    Statement,
    TableDefinition,
    Throw,
    TryCatch,
    Use,
    Variable,
    WaitFor,
    While,
)
from emulators.sql_server.values.datatypes import string_literal_type
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

_FIRST: dict[type[Statement], str] = {CreateView: "VIEW", CreateFunction: "FUNCTION", CreateSchema: "SCHEMA"}
"""Statements that only begin a batch."""


def _ends_with_block(statement: Statement) -> bool:
    while isinstance(statement, (If, While)):
        statement = statement.body if isinstance(statement, While) else statement.otherwise or statement.then
    return isinstance(statement, (Block, TryCatch))


class StatementParser(DmlParser):
    """Everything except DDL, which a subclass gives."""

    loops = 0
    """How many WHILE are open."""

    def ddl_statement(self) -> Statement | None:
        raise AssertionError("given by DdlParser")

    def table_definition(self) -> TableDefinition:
        raise AssertionError("given by DdlParser")

    def batch(self) -> list[Statement]:
        """All statements of the batch."""
        statements: list[Statement] = []
        while self.token.kind != "end":
            if self.accept(";"):
                continue
            if statements and isinstance(statements[-1], (CreateView, CreateFunction)):
                raise self.syntax_error()  # a module is all of its batch
            if not statements and self.token.kind in ("word", "quoted") and self._at_procedure_call():
                statements.append(self._at_line(self._execute_call))
                continue
            statement = self.statement()
            kind = _FIRST.get(type(statement)) if statements else None
            if kind is not None:
                error = SqlError(111, f"'CREATE {kind}' must be the first statement in a query batch.", 15)
                error.line = statement.line
                raise error
            statements.append(statement)
        return statements

    def _at_procedure_call(self) -> bool:
        """A batch may start with a procedure's name, without EXEC."""
        return self.token.kind == "quoted" or (
            self.at_identifier() and (self.token.upper.startswith(("SP_", "XP_")) or self.ahead().text == ".")
        )

    def _at_line(self, parse: Callable[[], Statement]) -> Statement:
        line = self.token.line
        statement = parse()
        statement.line = line
        return statement

    def statement(self) -> Statement:
        while self.accept(";"):
            pass
        statement = self._at_line(self._statement)
        if not self.accept(";"):
            self._refuse_unterminated()
        return statement

    def _refuse_unterminated(self) -> None:
        """The statement before THROW must end with a semicolon. Raises SqlError 102."""
        if self.at_any("THROW"):
            raise self.syntax_error()

    def _inner(self) -> Statement:
        """A statement below another. Raises SqlError 102, 156."""
        statement = self.statement()
        kind = _FIRST.get(type(statement))
        if kind is not None:
            error = sql_error(156, kind)
            error.line = statement.line
            raise error
        return statement

    def _body(self) -> Statement:
        """What IF, ELSE and WHILE run: no semicolon may stand before it."""
        if self.at(";"):
            raise self.syntax_error()
        return self._inner()

    def _statement(self) -> Statement:
        token = self.token
        word = token.upper
        method = getattr(self, f"_parse_{word.lower()}", None) if token.kind == "word" else None
        if method is not None:
            return method()
        if word == "SELECT" or self.at("("):
            return self.statement_query([])
        statement = self.ddl_statement()
        if statement is None:
            if word in (
                "OPEN",
                "CLOSE",
                "DEALLOCATE",
                "FETCH",
                "GOTO",
                "BACKUP",
                "RESTORE",
                "BULK",
                "KILL",
                "CHECKPOINT",
                "REVERT",
                "RECONFIGURE",
                "SHUTDOWN",
                "READTEXT",
                "WRITETEXT",
                "UPDATETEXT",
            ):
                raise self.not_supported(word)
            raise self.syntax_error()
        return statement

    # --- control of flow ---

    def _parse_begin(self) -> Statement:
        self.expect("BEGIN")
        if self.accept("TRAN") or self.accept("TRANSACTION"):
            name = ""
            if self.token.kind == "variable" or (self.at_identifier()):
                name = str(self.next().value)
            if self.at("WITH", "MARK"):
                raise self.not_supported("BEGIN TRANSACTION WITH MARK")
            return BeginTransaction(name)
        if self.at_any("DISTRIBUTED", "CONVERSATION", "DIALOG", "ATOMIC"):
            raise self.not_supported(f"BEGIN {self.token.upper}")
        if self.accept("TRY"):
            body = self._statements_until("TRY")
            if not body:
                raise self.syntax_error(self.tokens[self.index - 2])
            self.expect("BEGIN", "CATCH")
            return TryCatch(body, self._statements_until("CATCH"))
        body = []
        while not self.accept("END"):
            if self.accept(";"):
                continue
            body.append(self._inner())
        if not body:
            raise self.syntax_error(self.tokens[self.index - 1])
        return Block(body)

    def _statements_until(self, word: str) -> list[Statement]:
        body = []
        while not (self.at("END") and self.ahead().upper == word):
            if self.accept(";"):
                continue
            body.append(self._inner())
        self.expect("END", word)
        return body

    def _parse_if(self) -> Statement:
        self.expect("IF")
        condition = self.condition()
        if self.at(";"):
            raise self.syntax_error()
        then = self._inner()
        if self.at_any("ELSE"):
            if self.tokens[self.index - 1].text == ";" and _ends_with_block(then):
                raise self.syntax_error()  # the semicolon ends the IF
            self.next()
            return If(condition, then, self._body())
        if self.tokens[self.index - 1].text == ";":
            self.index -= 1  # it ends this statement
        return If(condition, then, None)

    def _parse_while(self) -> Statement:
        self.expect("WHILE")
        condition = self.condition()
        self.loops += 1
        try:
            return While(condition, self._body())
        finally:
            self.loops -= 1

    def _in_loop(self, number: int) -> None:
        """Raises SqlError 135, 136."""
        if not self.loops:
            word = self.token.upper
            error = SqlError(number, f"Cannot use a {word} statement outside the scope of a WHILE statement.", 15)
            error.line = self.token.line
            raise error
        self.next()

    def _parse_break(self) -> Statement:
        self._in_loop(135)
        return Break()

    def _parse_continue(self) -> Statement:
        self._in_loop(136)
        return Continue()

    def _parse_return(self) -> Statement:
        self.next()
        starts = (
            self.token.kind in ("number", "variable", "global", "string")
            or self.at("(")
            or self.at("-")
            or self.at_any("CASE", "NULL")
        )
        if starts:
            error = SqlError(178, "A RETURN statement with a return value cannot be used in this context.", 15)
            error.line = self.tokens[self.index - 1].line
            raise error
        return Return(None)

    def _parse_print(self) -> Statement:
        self.next()
        return Print(self.expression())

    def _parse_throw(self) -> Statement:
        self.next()
        if self.token.kind not in ("number", "variable"):
            return Throw([])
        arguments = [self.expression()]
        for _ in range(2):
            self.expect(",")
            arguments.append(self.expression())
        return Throw(arguments)

    def _parse_raiserror(self) -> Statement:
        self.next()
        self.expect("(")
        message = self.expression()
        self.expect(",")
        severity = self.expression()
        self.expect(",")
        state = self.expression()
        arguments = []
        while self.accept(","):
            arguments.append(self.expression())
        self.expect(")")
        options = []
        if self.accept("WITH"):
            options.append(self.any_word().upper())
            while self.accept(","):
                options.append(self.any_word().upper())
        return RaiseError(message, severity, state, arguments, options)

    def _parse_waitfor(self) -> Statement:
        self.next()
        if not self.at_any("DELAY", "TIME"):
            raise self.syntax_error()
        return WaitFor(self.next().upper, self.expression())

    def _parse_use(self) -> Statement:
        self.next()
        return Use(self.identifier())

    def _parse_dbcc(self) -> Statement:
        self.next()
        if not self.at_any("CHECKIDENT"):
            raise self.not_supported(f"DBCC {self.token.text.upper()}")
        self.next()
        self.expect("(")
        statement = CheckIdentity(split_name(self.string()) if self.token.kind == "string" else self.name())
        if not statement.name:
            raise self.syntax_error()
        if self.accept(","):
            statement.reseed = self.accept("RESEED")
            if not statement.reseed:
                self.expect("NORESEED")
            elif self.accept(","):
                statement.value = self.integer()
        self.expect(")")
        if self.accept("WITH"):
            self.expect("NO_INFOMSGS")
            statement.quiet = True
        return statement

    def _parse_go(self) -> Statement:
        raise self.syntax_error()

    # --- variables and options ---

    def _parse_declare(self) -> Statement:
        self.next()
        items: list[tuple[str, SqlType | TableDefinition, Expression | None]] = []
        while True:
            if self.token.kind != "variable":
                if self.at_identifier() and "CURSOR" in (self.ahead().upper, self.ahead(2).upper):
                    raise self.not_supported("DECLARE CURSOR")
                raise self.syntax_error()
            name = self.next().value
            self.accept("AS")
            if self.accept("TABLE"):
                items.append((name, self.table_definition(), None))
            elif self.at("CURSOR"):
                raise self.not_supported("CURSOR")
            else:
                declared = self.data_type()
                items.append((name, declared, self.expression() if self.accept("=") else None))
            if not self.accept(","):
                return Declare(items)

    def _parse_set(self) -> Statement:
        self.next()
        if self.token.kind == "variable":
            name = self.next().value
            if self.token.text not in ASSIGNMENTS:
                raise self.syntax_error()
            op = self.next().text
            return SetVariable(name, op, self.expression())
        if self.accept("TRANSACTION"):
            self.expect("ISOLATION", "LEVEL")
            words = [self.any_word().upper()]
            if words[0] in ("READ", "REPEATABLE"):
                words.append(self.any_word().upper())
            return SetOption(["TRANSACTION ISOLATION LEVEL"], " ".join(words))
        if self.accept("IDENTITY_INSERT"):
            table = self.name()
            return SetOption(["IDENTITY_INSERT"], self._on_off(), table)
        if self.at_any("OFFSETS", "CONTEXT_INFO"):
            raise self.not_supported(f"SET {self.token.upper}")
        if self.accept("STATISTICS"):
            return SetOption([f"STATISTICS {self.any_word().upper()}"], self._on_off())
        names = [self.any_word().upper()]
        while self.accept(","):
            names.append(self.any_word().upper())
        if self.token.kind in ("number", "string") or self.at("-"):
            value: str | int | Variable = self.string() if self.token.kind == "string" else self.integer()
        elif self.token.kind == "variable":
            value = Variable(self.next().value)
        else:
            value = self.any_word().upper()
        return SetOption(names, value)

    def _on_off(self) -> str:
        word = self.any_word().upper()
        if word not in ("ON", "OFF"):
            raise self.syntax_error(self.tokens[self.index - 1])
        return word

    # --- EXEC ---

    def _parse_exec(self) -> Statement:
        self.next()
        if self.at("("):
            self.expect("(")
            text = self.expression()
            self.expect(")")
            if self.at_any("AS", "AT"):
                raise self.not_supported(f"EXECUTE … {self.token.upper}")
            return ExecuteString(text)
        if self.at_any("AS"):
            raise self.not_supported("EXECUTE AS")
        return self._execute_call()

    _parse_execute = _parse_exec

    def _execute_call(self) -> Statement:
        result = ""
        if self.token.kind == "variable":
            result = self.next().value
            if not self.accept("="):
                raise self.not_supported("EXECUTE of a procedure name in a variable")
        procedure = self.name()
        arguments: list[tuple[str, Expression, bool]] = []
        while self._at_argument():
            name = ""
            if self.token.kind == "variable" and self.ahead().text == "=":
                name = self.next().value
                self.next()
            value = self._argument()
            output = self.accept("OUTPUT") or self.accept("OUT")
            arguments.append((name, value, output))
            if not self.accept(","):
                break
        if self.at("WITH") and self.ahead().upper in ("RECOMPILE", "RESULT"):
            raise self.not_supported(f"EXECUTE … WITH {self.ahead().upper}")
        return Execute(procedure, arguments, result)

    def _at_argument(self) -> bool:
        return (
            self.token.kind in ("variable", "string", "number", "hex", "global")
            or self.at("-")
            or self.at_any("NULL", "DEFAULT")
            or (self.at_identifier() and self.token.upper not in ("THROW",) and self.tokens[self.index - 1].line == self.token.line)
        )

    def _argument(self) -> Expression:
        """Constants, variables and bare words (which are strings)."""
        token = self.token
        if token.kind in ("word", "quoted") and token.upper not in ("NULL", "DEFAULT"):
            self.next()
            return Literal(token.value, string_literal_type(token.value, True))
        value = self.unary()
        if isinstance(value, FunctionCall):
            raise self.syntax_error()
        if not isinstance(value, (Literal, Variable, GlobalVariable, Default, Null)):
            raise self.syntax_error()
        return value

    # --- transactions ---

    def _transaction_word(self) -> bool:
        return self.accept("TRAN") or self.accept("TRANSACTION") or self.accept("WORK")

    def _parse_commit(self) -> Statement:
        self.next()
        named = self._transaction_word()
        name = str(self.next().value) if named and (self.at_identifier() or self.token.kind == "variable") else ""
        return Commit(name)

    def _parse_rollback(self) -> Statement:
        self.next()
        named = self._transaction_word()
        name: str | Variable = ""
        if named and self.token.kind == "variable":
            name = Variable(self.next().value)
        elif named and self.at_identifier():
            name = self.identifier()
        return Rollback(name)

    def _parse_save(self) -> Statement:
        self.next()
        if not self._transaction_word():
            raise self.syntax_error()
        if self.token.kind == "variable":
            return SaveTransaction(Variable(self.next().value))
        return SaveTransaction(self.identifier())
