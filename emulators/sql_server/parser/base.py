"""Token handling shared by all parts of the parser."""

from __future__ import annotations

from typing import Any

from emulators.reserved_words import RESERVED
from emulators.sql_server.parser.lexer import Token, tokenize
from emulators.sql_server.parser.tree import Name
from emulators.sql_server.values.datatypes import alias_named, type_from_syntax
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError, SqlType


class ParserBase:
    """A cursor over the tokens of one batch."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens = tokenize(sql)
        self.index = 0
        self.cases = 0
        """How many CASE are open."""

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def ahead(self, distance: int = 1) -> Token:
        return self.tokens[min(self.index + distance, len(self.tokens) - 1)]

    def next(self) -> Token:
        token = self.tokens[self.index]
        if token.kind != "end":
            self.index += 1
        return token

    def at(self, *words: str) -> bool:
        """Whether the next tokens are these words or operators, in this order."""
        for distance, word in enumerate(words):
            token = self.ahead(distance) if distance else self.token
            if (token.upper if token.kind == "word" else token.text if token.kind == "op" else None) != word:
                return False
        return True

    def at_any(self, *words: str) -> bool:
        token = self.token
        return token.kind == "word" and token.upper in words

    def accept(self, *words: str) -> bool:
        if self.at(*words):
            self.index += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise self.syntax_error()

    def syntax_error(self, token: Token | None = None) -> SqlError:
        """Error 102 or 156 near the present token."""
        token = token or self.token
        if token.kind == "end":
            previous = self.tokens[max(0, self.index - 1)]
            error = sql_error(102, previous.text)
        elif token.kind == "word" and token.upper in RESERVED:
            error = sql_error(156, token.text)
        else:
            error = sql_error(102, token.value if token.kind in ("string", "quoted") else token.text)
        error.line = token.line
        return error

    def not_supported(self, what: str) -> SqlError:
        error = unsupported(what)
        error.line = self.token.line
        return error

    def at_identifier(self) -> bool:
        token = self.token
        return token.kind == "quoted" or (token.kind == "word" and token.upper not in RESERVED)

    def identifier(self) -> str:
        if not self.at_identifier():
            raise self.syntax_error()
        return str(self.next().value)

    def any_word(self) -> str:
        """An identifier or any keyword."""
        if self.token.kind not in ("word", "quoted"):
            raise self.syntax_error()
        return str(self.next().value)

    def name(self) -> Name:
        """A qualified name; an empty part (``db..table``) is the empty string."""
        parts = [self.identifier()]
        while self.at("."):
            self.next()
            if self.at("."):
                parts.append("")
                continue
            parts.append(self.any_word())
        return tuple(parts)

    def string(self) -> str:
        if self.token.kind != "string":
            raise self.syntax_error()
        return str(self.next().value)

    def integer(self) -> int:
        negative = self.accept("-")
        token = self.token
        if token.kind != "number" or not token.text.isdigit():
            raise self.syntax_error()
        self.next()
        return -int(token.text) if negative else int(token.text)

    def identifier_list(self) -> list[str]:
        """``(a, b, …)``."""
        self.expect("(")
        names = [self.identifier()]
        while self.accept(","):
            names.append(self.identifier())
        self.expect(")")
        return names

    def data_type(self) -> SqlType:
        """A type with its length, precision and scale."""
        token = self.token
        start = self.index
        name = self.name_of_type()
        arguments: list[Any] = []
        if self.accept("("):
            while True:
                if self.at("-") or (self.at("MAX") and name.lower() not in ("varchar", "nvarchar", "varbinary")):
                    raise self.syntax_error()
                arguments.append(-1 if self.accept("MAX") else self.integer())
                if not self.accept(","):
                    break
            self.expect(")")
        try:
            return type_from_syntax(name, arguments)
        except SqlError as error:
            error.line = token.line
            if error.number != 2715:
                raise
            words = [str(part.value) for part in self.tokens[start : self.index] if part.kind in ("word", "quoted")]
            if arguments:
                error = sql_error(2716, words[-1])
                error.line = token.line
                raise error from None
            return alias_named(words)

    def name_of_type(self) -> str:
        if self.accept("NATIONAL"):
            return "nvarchar" if self._varying_character() else "nchar"
        if self.at_any("DOUBLE") and self.ahead().upper == "PRECISION":
            self.next(), self.next()
            return "float"
        parts = [self.any_word()]
        while self.accept("."):
            parts.append(self.any_word())
        name = parts[-1].lower()
        if name in ("char", "character", "binary") and self.accept("VARYING"):
            return "varbinary" if name == "binary" else "varchar"
        return name

    def _varying_character(self) -> bool:
        self.any_word()
        return self.accept("VARYING")

    def slice(self, start: Token, stop_index: int) -> str:
        """Source text from ``start`` up to the token before ``stop_index``."""
        return self.sql[start.start : self.tokens[stop_index - 1].end]
