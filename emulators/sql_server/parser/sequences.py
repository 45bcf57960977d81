"""CREATE, ALTER and DROP of sequences and alias types."""

from __future__ import annotations

from emulators.sql_server.parser.modules import ModuleParser
from emulators.sql_server.parser.tree import CreateType, SequenceStatement, Statement


class SequenceParser(ModuleParser):
    """Sequences and alias types."""

    def _sequence(self, action: str) -> Statement:
        self.expect("SEQUENCE")
        statement = SequenceStatement(action, self.name())
        if action == "CREATE" and self.accept("AS"):
            statement.type = self.data_type()
        while True:
            option = self._sequence_option(action)
            if option is None:
                return statement
            name, value = option
            if name in statement.options:
                raise self.syntax_error(self.tokens[self.index - 1])
            statement.options[name] = value

    def _sequence_option(self, action: str) -> tuple[str, int | bool | None] | None:
        """An option and its value; None means NO, or the default."""
        if action == "CREATE" and self.accept("START"):
            self.expect("WITH")
            return "START", self.integer()
        if action == "ALTER" and self.accept("RESTART"):
            return "RESTART", self.integer() if self.accept("WITH") else None
        if self.accept("INCREMENT"):
            self.expect("BY")
            return "INCREMENT", self.integer()
        negated = self.accept("NO")
        for word in ("MINVALUE", "MAXVALUE"):
            if self.accept(word):
                return word, None if negated else self.integer()
        if self.accept("CYCLE"):
            return "CYCLE", not negated
        if self.accept("CACHE"):
            return "CACHE", 0 if negated else self.integer() if self.token.kind == "number" else None
        if negated:
            raise self.syntax_error()
        return None

    def _create_type(self) -> Statement:
        self.expect("TYPE")
        name = self.name()
        if not self.accept("FROM"):
            raise self.not_supported("CREATE TYPE … AS")
        base = self.data_type()
        nullable = True
        if self.accept("NOT"):
            self.expect("NULL")
            nullable = False
        else:
            self.accept("NULL")
        return CreateType(name, base, nullable)
