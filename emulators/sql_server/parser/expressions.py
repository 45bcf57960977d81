"""Expressions and conditions."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from emulators.sql_server.parser.base import ParserBase
from emulators.sql_server.parser.keywords import REFUSED_FUNCTIONS
from emulators.sql_server.parser.tree import (
    AtTimeZone,
    Between,
    Binary,
    Case,
    Cast,
    Collate,
    ColumnRef,
    Comparison,
    Default,
    Exists,
    Expression,
    FunctionCall,
    GlobalVariable,
    InList,
    InQuery,
    IsDistinct,
    IsNull,
    Like,
    Literal,
    Logical,
    NextValue,
    Not,
    Null,
    OrderItem,
    Quantified,
    Query,
    ScalarQuery,
    Star,
    Unary,
    Variable,
    Window,
)
from emulators.sql_server.values.codepage import narrow
from emulators.sql_server.values.datatypes import (
    FLOAT,
    INT,
    alias_parts,
    decimal_type,
    string_literal_type,
    type_from_syntax,
    type_of_binary,
)
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

_COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!<": ">=", "!>": "<="}
_FUNCTION_KEYWORDS = frozenset({"LEFT", "RIGHT", "COALESCE", "NULLIF", "CONVERT", "TRY_CONVERT", "USER", "CONTAINS", "UPDATE"})
_NILADIC = frozenset({"CURRENT_TIMESTAMP", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "USER"})
_DATE_PART_FUNCTIONS = frozenset({"DATEADD", "DATEDIFF", "DATEDIFF_BIG", "DATEPART", "DATENAME", "DATETRUNC"})
_CASE_LEVELS = 10


class ExpressionParser(ParserBase):
    """Precedence climbing: OR, AND, NOT, comparison, additive, multiplicative, unary, primary."""

    def query(self) -> Query:
        raise AssertionError("given by QueryParser")

    def condition(self) -> Expression:
        return self.expression_or()

    def expression(self) -> Expression:
        """A scalar expression; the compiler refuses a condition in its place."""
        return self.additive()

    def expression_or(self) -> Expression:
        operands = [self.expression_and()]
        while self.accept("OR"):
            operands.append(self.expression_and())
        return operands[0] if len(operands) == 1 else Logical("OR", operands)

    def expression_and(self) -> Expression:
        operands = [self.expression_not()]
        while self.accept("AND"):
            operands.append(self.expression_not())
        return operands[0] if len(operands) == 1 else Logical("AND", operands)

    def expression_not(self) -> Expression:
        if self.accept("NOT"):
            return Not(self.expression_not())
        return self.predicate()

    def predicate(self) -> Expression:
        left = self.additive()
        while True:
            token = self.token
            if token.kind == "op" and token.text in _COMPARISONS:
                self.next()
                left = self._comparison(_COMPARISONS[token.text], left)
                continue
            if token.kind != "word":
                return left
            if self.accept("IS"):
                negated = self.accept("NOT")
                if self.accept("DISTINCT"):
                    self.expect("FROM")
                    left = IsDistinct(left, self.additive(), negated)
                else:
                    self.expect("NULL")
                    left = IsNull(left, negated)
                continue
            negated = self.at("NOT") and self.ahead().upper in ("IN", "LIKE", "BETWEEN")
            if negated:
                self.next()
            if self.accept("IN"):
                left = self._in(left, negated)
            elif self.accept("LIKE"):
                pattern = self.additive()
                left = Like(left, pattern, self.additive() if self.accept("ESCAPE") else None, negated)
            elif self.accept("BETWEEN"):
                low = self.additive()
                self.expect("AND")
                left = Between(left, low, self.additive(), negated)
            else:
                return left

    def _comparison(self, op: str, left: Expression) -> Expression:
        if self.at_any("ALL", "ANY", "SOME") and self.ahead().text == "(":
            every = self.next().upper == "ALL"
            self.expect("(")
            query = self.query()
            self.expect(")")
            return Quantified(op, left, every, query)
        return Comparison(op, left, self.additive())

    def _in(self, left: Expression, negated: bool) -> Expression:
        self.expect("(")
        if self.at_any("SELECT", "WITH"):
            query = self.query()
            self.expect(")")
            return InQuery(left, query, negated)
        items = [self.expression()]
        while self.accept(","):
            items.append(self.expression())
        self.expect(")")
        return InList(left, items, negated)

    def _refuse_shift(self) -> None:
        for text in ("<", ">"):
            if self.at(text, text) and self.token.end == self.ahead().start:
                raise self.not_supported(text * 2)

    def additive(self) -> Expression:
        left = self.multiplicative()
        self._refuse_shift()
        while self.token.kind == "op" and self.token.text in ("+", "-", "&", "|", "^"):
            op = self.next().text
            left = Binary(op, left, self.multiplicative())
            self._refuse_shift()
        return left

    def multiplicative(self) -> Expression:
        left = self.unary()
        while self.token.kind == "op" and self.token.text in ("*", "/", "%"):
            op = self.next().text
            left = Binary(op, left, self.unary())
        return left

    def unary(self) -> Expression:
        if self.token.kind == "op" and self.token.text in ("-", "+", "~"):
            op = self.next().text
            operand = self.unary() if op == "~" else self.multiplicative()  # a sign binds less than * and /
            if op == "-" and isinstance(operand, Literal) and isinstance(operand.value, (int, float, Decimal)):
                return Literal(operand.value.copy_negate() if isinstance(operand.value, Decimal) else -operand.value, operand.type)
            return operand if op == "+" else Unary(op, operand)
        return self.postfix(self.primary())

    def postfix(self, value: Expression) -> Expression:
        while True:
            if self.accept("COLLATE"):
                value = Collate(value, self.any_word())
            elif self.at("AT", "TIME"):
                self.next(), self.next()
                self.expect("ZONE")
                value = AtTimeZone(value, self.primary())
            else:
                return value

    def primary(self) -> Expression:
        token = self.token
        kind = token.kind
        if kind == "number":
            self.next()
            return _number(token.text)
        if kind == "string":
            self.next()
            national = token.text[0] in "nN"
            value = token.value if national else narrow(token.value)
            return Literal(value, string_literal_type(value, national))
        if kind == "hex":
            self.next()
            return Literal(token.value, type_of_binary(len(token.value)))
        if kind == "money":
            self.next()
            return _money(token.value)
        if kind == "variable":
            self.next()
            return Variable(token.value)
        if kind == "global":
            self.next()
            return GlobalVariable(token.value)
        if kind == "op":
            return self._operator_primary()
        if kind == "quoted":
            return self._column_or_function()
        if kind == "word":
            return self._word_primary()
        raise self.syntax_error()

    def _operator_primary(self) -> Expression:
        if self.accept("*"):
            return Star()
        if not self.accept("("):
            raise self.syntax_error()
        if self.at_any("SELECT", "WITH"):
            query = self.query()
            self.expect(")")
            return ScalarQuery(query)
        inner = self.condition()
        self.expect(")")
        return inner

    def _word_primary(self) -> Expression:
        word = self.token.upper
        if word == "NULL":
            self.next()
            return Null()
        if word == "DEFAULT":
            self.next()
            return Default()
        if word == "CASE":
            return self._case()
        if word == "EXISTS":
            self.next()
            self.expect("(")
            query = self.query()
            self.expect(")")
            return Exists(query)
        called = self.ahead().text == "(" and self.ahead().kind == "op"
        if called and word in ("CAST", "TRY_CAST"):
            return self._cast(word == "TRY_CAST")
        if called and word in ("CONVERT", "TRY_CONVERT"):
            return self._convert(word == "TRY_CONVERT")
        if called and word in REFUSED_FUNCTIONS:
            raise self.not_supported(word)
        if word == "NEXT" and self.at("NEXT", "VALUE", "FOR"):
            self.expect("NEXT", "VALUE", "FOR")
            value = NextValue(self.name())
            if self.at_any("OVER"):
                raise self.not_supported("NEXT VALUE FOR … OVER")
            return value
        if word in _NILADIC and not called:
            self.next()
            return FunctionCall(word, [])
        if self.at_identifier() or (called and word in _FUNCTION_KEYWORDS):
            return self._column_or_function()
        raise self.syntax_error()

    def _column_or_function(self) -> Expression:
        parts = [str(self.next().value)]
        while self.at("."):
            self.next()
            if self.accept("*"):
                return Star(tuple(parts))
            if self.at("."):
                parts.append("")
                continue
            parts.append(self.any_word())
        if self.at("(") and self.tokens[self.index - 1].kind != "end":
            return self._function(parts)
        return ColumnRef(tuple(parts))

    def _function(self, parts: list[str]) -> Expression:
        name = parts[-1].upper()
        schema = parts[-2] if len(parts) > 1 else ""
        self.expect("(")
        distinct = False
        arguments: list[Expression] = []
        if not self.at(")"):
            distinct = self.accept("DISTINCT")
            if not distinct:
                self.accept("ALL")
            if name in _DATE_PART_FUNCTIONS:
                part = self.any_word() if self.token.kind != "string" else self.string()
                arguments.append(Literal(part.lower(), string_literal_type(part, False)))
            elif name == "TRIM" and self.at_any("LEADING", "TRAILING", "BOTH"):
                return self._trim_side({"LEADING": "LTRIM", "TRAILING": "RTRIM", "BOTH": "TRIM"}[self.next().upper])
            elif name == "IIF":
                arguments.append(self.condition())
            else:
                arguments.append(self.expression())
            if name == "TRIM" and self.accept("FROM"):
                arguments.append(self.expression())
            while self.accept(","):
                if name == "ISJSON":
                    raise self.not_supported("ISJSON with a type")
                arguments.append(self.expression())
        self.expect(")")
        call = FunctionCall(name, arguments, schema, distinct)
        if self.at("WITHIN", "GROUP"):
            self.next(), self.next()
            self.expect("(")
            self.expect("ORDER", "BY")
            call.order = self.order_items()
            self.expect(")")
        if self.at_any("IGNORE", "RESPECT") and self.ahead().upper == "NULLS":
            raise self.not_supported(f"{self.token.upper} NULLS")
        if self.accept("OVER"):
            if not self.at("("):
                raise self.not_supported("OVER with the name of a window")
            call.over = self._window()
        return call

    def _trim_side(self, name: str) -> Expression:
        """TRIM(LEADING characters FROM text) is LTRIM(text, characters)."""
        characters = self.expression()
        self.expect("FROM")
        text = self.expression()
        self.expect(")")
        return FunctionCall(name, [characters, text] if name == "TRIM" else [text, characters])

    def _window(self) -> Window:
        self.expect("(")
        partition: list[Expression] = []
        order: list[OrderItem] = []
        frame = ""
        if self.accept("PARTITION"):
            self.expect("BY")
            partition.append(self.expression())
            while self.accept(","):
                partition.append(self.expression())
        if self.accept("ORDER"):
            self.expect("BY")
            order = self.order_items()
        if self.at_any("ROWS", "RANGE"):
            frame = self._frame()
        self.expect(")")
        return Window(partition, order, frame)

    def _frame(self) -> str:
        words = [self.next().upper]
        between = self.accept("BETWEEN")
        words += ["BETWEEN"] if between else []
        for turn in range(2 if between else 1):
            if turn:
                self.expect("AND")
                words.append("AND")
            if self.accept("UNBOUNDED"):
                words.append("UNBOUNDED")
            elif self.accept("CURRENT"):
                self.expect("ROW")
                words.append("CURRENT ROW")
                continue
            else:
                if words[0] == "RANGE":
                    text = "RANGE is only supported with UNBOUNDED and CURRENT ROW window frame delimiters."
                    raise SqlError(4194, text, line=self.token.line)
                words.append(str(self.integer()))
            if not self.at_any("PRECEDING", "FOLLOWING"):
                raise self.syntax_error()
            words.append(self.next().upper)
        return " ".join(words)

    def _case(self) -> Expression:
        self.expect("CASE")
        self.cases += 1
        if self.cases > _CASE_LEVELS:
            raise SqlError(125, f"Case expressions may only be nested to level {_CASE_LEVELS}.", 15, line=self.token.line)
        try:
            return self._case_parts()
        finally:
            self.cases -= 1

    def _case_parts(self) -> Expression:
        operand = None if self.at("WHEN") else self.expression()
        whens = []
        while self.accept("WHEN"):
            test = self.expression() if operand is not None else self.condition()
            self.expect("THEN")
            whens.append((test, self.expression()))
        if not whens:
            raise self.syntax_error()
        otherwise = self.expression() if self.accept("ELSE") else None
        self.expect("END")
        return Case(operand, whens, otherwise)

    def _cast(self, lenient: bool) -> Expression:
        self.next()
        self.expect("(")
        operand = self.expression()
        self.expect("AS")
        target = self.cast_type()
        self.expect(")")
        return Cast(operand, target, None, lenient)

    def _convert(self, lenient: bool) -> Expression:
        self.next()
        self.expect("(")
        target = self.cast_type()
        self.expect(",")
        operand = self.expression()
        style = self.expression() if self.accept(",") else None
        self.expect(")")
        return Cast(operand, target, style, lenient)

    def cast_type(self) -> SqlType:
        """In CAST and CONVERT a string or binary type without length has 30, not 1."""
        start = self.index
        target = self.data_type()
        if parts := alias_parts(target):
            error = SqlError(243, f"Type {'.'.join(parts)} is not a defined system type.")
            error.line = self.tokens[start].line
            raise error
        given = any(t.text == "(" for t in self.tokens[start : self.index])
        if not given and target.name in ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary"):
            return type(target)(target.name, 30)
        return target

    def order_items(self) -> list[OrderItem]:
        items = []
        while True:
            value = self.expression()
            descending = self.accept("DESC")
            if not descending:
                self.accept("ASC")
            items.append(OrderItem(value, descending))
            if not self.accept(","):
                return items


def _money(text: str) -> Literal:
    value = Decimal("0" if text in ("+", "-", ".", "+.", "-.") else text)
    if abs(value) >= 2**63 // 10**4:
        raise sql_error(8115, "numeric", "money")
    return Literal(value.quantize(Decimal("0.0001"), ROUND_HALF_UP), type_from_syntax("money", []))


def _number(text: str) -> Literal:
    if "e" in text.lower():
        value = float(text)
        if math.isinf(value) or value == 0 and any(digit in "123456789" for digit in text.lower().partition("e")[0]):
            raise SqlError(168, f"The floating point value '{text}' is out of the range of computer representation (8 bytes).", 15)
        return Literal(value, FLOAT)
    if len(text.replace(".", "").lstrip("0")) > 38:
        raise SqlError(1007, f"The number '{text}' is out of the range for numeric representation (maximum precision 38).", 15)
    if text.isdigit():
        if int(text) < 2**31:
            return Literal(int(text), INT)
        return Literal(Decimal(text), SqlType("numeric", 0, len(text.lstrip("0")), 0))
    whole, _, fraction = text.partition(".")
    whole = whole.lstrip("0")
    return Literal(Decimal(text), decimal_type(max(1, len(whole) + len(fraction)), len(fraction)))
