"""CREATE, ALTER and DROP of inline table-valued functions and security policies."""

from __future__ import annotations

from emulators.sql_server.parser.principals import PrincipalParser
from emulators.sql_server.parser.tree import (
    CreateFunction,
    DropObjects,
    Expression,
    PolicyStatement,
    PredicateSyntax,
    ScalarQuery,
    Statement,
    Variable,
)
from emulators.sql_server.parser.walk import deep_walk
from emulators.sql_server.values.results import SqlError, SqlType


class ModuleParser(PrincipalParser):
    """Functions and the policies that use them."""

    def _create_function(self, start: int, or_alter: bool, alter: bool) -> Statement:
        """``start``: the index of the statement's first token."""
        self.expect("FUNCTION")
        name = self.name()
        parameters = self._parameters()
        self.expect("RETURNS")
        if self.token.kind == "variable" or not self.accept("TABLE"):
            raise self.not_supported("functions that are not inline table-valued")
        bound = False
        if self.accept("WITH"):
            if not self.accept("SCHEMABINDING") or self.at(","):
                raise self.not_supported(f"CREATE FUNCTION … WITH {self.token.text.upper()}")
            bound = True
        self.accept("AS")
        self.expect("RETURN")
        wrapped = self.at("(")
        first = self.index + 1 if wrapped else self.index
        if wrapped:
            self.expect("(")
        self.query()
        text = self.slice(self.tokens[first], self.index)
        if wrapped:
            self.expect(")")
        definition = self.slice(self.tokens[start], self.index)
        return CreateFunction(name, parameters, text, definition, bound, or_alter, alter)

    def _parameters(self) -> list[tuple[str, SqlType]]:
        parameters: list[tuple[str, SqlType]] = []
        self.expect("(")
        while not self.accept(")"):
            if self.token.kind != "variable":
                raise self.syntax_error()
            name = str(self.next().value)
            self.accept("AS")
            parameters.append((name, self.data_type()))
            if self.at("="):
                raise self.not_supported("a default of a function's parameter")
            if self.at_any("READONLY"):
                raise self.not_supported("table-valued parameters")
            if not self.accept(","):
                self.expect(")")
                break
        return parameters

    def _policy(self, action: str) -> Statement:
        self.expect("SECURITY", "POLICY")
        name = self.name()
        statement = PolicyStatement(action, name, [])
        while self.at_any("ADD", "ALTER", "DROP"):
            statement.predicates.append(self._predicate(action))
            if not self.accept(","):
                break
        if self.accept("WITH"):
            self._policy_options(statement)
        if self.at("NOT", "FOR"):
            self.expect("NOT", "FOR", "REPLICATION")
            statement.not_for_replication = True
        return statement

    def _policy_options(self, statement: PolicyStatement) -> None:
        self.expect("(")
        while True:
            if self.at_any("STATE") and statement.enabled is None:
                self.next()
                self.expect("=")
                statement.enabled = self._on_off() == "ON"
            elif statement.action == "CREATE" and self.accept("SCHEMABINDING"):
                self.expect("=")
                if self._on_off() == "OFF":
                    raise self.not_supported("SECURITY POLICY … SCHEMABINDING = OFF")
            elif self.at_any("STATE"):
                error = SqlError(1039, f"Option '{self.token.text}' is specified more than once.", 15)
                raise error
            else:
                raise self.syntax_error()
            if not self.accept(","):
                break
        self.expect(")")

    def _predicate(self, statement: str) -> PredicateSyntax:
        action = self.next().upper
        if statement == "CREATE" and action != "ADD":
            raise self.syntax_error(self.tokens[self.index - 1])
        if self.at_any("BLOCK"):
            raise self.not_supported("BLOCK PREDICATE")
        self.expect("FILTER", "PREDICATE")
        if action == "DROP":
            self.expect("ON")
            return PredicateSyntax(action, self.name())
        function = self.name()
        arguments: list[tuple[Expression, str]] = []
        self.expect("(")
        while not self.at(")"):
            start = self.token
            value = self.expression()
            for part in deep_walk(value):
                if isinstance(part, Variable):
                    raise SqlError(112, f"Variables are not allowed in the {statement} SECURITY POLICY statement.", 15, 4)
                if isinstance(part, ScalarQuery):
                    raise SqlError(1046, "Subqueries are not allowed in this context. Only scalar expressions are allowed.", 15)
            arguments.append((value, self.slice(start, self.index)))
            if not self.accept(","):
                break
        self.expect(")")
        self.expect("ON")
        table = self.name()
        if self.at_any("AFTER", "BEFORE"):
            raise SqlError(102, "Incorrect syntax near 'BEFORE/AFTER'.", 15)
        return PredicateSyntax(action, table, function, arguments)

    def _drop_policy(self) -> Statement:
        self.expect("SECURITY", "POLICY")
        if_exists = self.accept("IF", "EXISTS")
        return DropObjects("SECURITY POLICY", [self.name()], if_exists)
