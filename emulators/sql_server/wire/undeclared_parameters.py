"""sp_describe_undeclared_parameters: the type of a parameter, deduced from where it stands.

Drivers ask before they send a NULL whose type the program did not say. Deduced are: values of an INSERT, comparisons
with and assignments to a column or constant, IN, BETWEEN, LIKE, ISNULL and COALESCE next to a column, CAST, CONVERT,
TOP, OFFSET and OPENJSON. Anything else is error 11502, as with the real server for what it cannot deduce; drivers then
send a varchar.
"""

from __future__ import annotations

from typing import Any

from emulators.sql_server.parser.lexer import Token, tokenize
from emulators.sql_server.tds.types import write_type_info
from emulators.sql_server.values.datatypes import (
    BIGINT,
    FLOAT,
    INT,
    NVARCHAR_MAX,
    decimal_type,
    display,
    max_length_bytes,
    precision_scale,
    string_literal_type,
    system_type_id,
)
from emulators.sql_server.values.results import Column, ResultSet, SqlError, SqlType
from emulators.sql_server.wire.contract import EngineSession
from emulators.sql_server.wire.declarations import parse_declarations

_OPERATORS = frozenset({"=", "<>", "!=", "<", ">", "<=", ">=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "+", "-", "*", "/", "%"})
_BEFORE_TABLE = frozenset({"FROM", "JOIN", "INTO", "UPDATE", "USING", "MERGE"})
_NOT_AN_ALIAS = frozenset(
    {
        "SET",
        "WHERE",
        "ON",
        "INNER",
        "LEFT",
        "RIGHT",
        "FULL",
        "CROSS",
        "OUTER",
        "JOIN",
        "VALUES",
        "SELECT",
        "ORDER",
        "GROUP",
        "HAVING",
        "WITH",
        "OUTPUT",
        "UNION",
        "DEFAULT",
        "USING",
        "WHEN",
        "FROM",
        "OPTION",
        "EXEC",
        "EXECUTE",
        "AS",
    }
)
_JSON_FUNCTIONS = frozenset({"OPENJSON", "JSON_VALUE", "JSON_QUERY", "ISJSON"})

_TEXT = SqlType("nvarchar", 128)
_NULLS = 9
_NAMES = (
    ("parameter_ordinal", SqlType("int")),
    ("name", _TEXT),
    ("suggested_system_type_id", SqlType("int")),
    ("suggested_system_type_name", SqlType("nvarchar", 256)),
    ("suggested_max_length", SqlType("smallint")),
    ("suggested_precision", SqlType("tinyint")),
    ("suggested_scale", SqlType("tinyint")),
    ("suggested_user_type_id", SqlType("int")),
    ("suggested_user_type_database", _TEXT),
    ("suggested_user_type_schema", _TEXT),
    ("suggested_user_type_name", _TEXT),
    ("suggested_assembly_qualified_type_name", SqlType("nvarchar", 4000)),
    ("suggested_xml_collection_id", SqlType("int")),
    ("suggested_xml_collection_database", _TEXT),
    ("suggested_xml_collection_schema", _TEXT),
    ("suggested_xml_collection_name", _TEXT),
    ("suggested_is_xml_document", SqlType("bit")),
    ("suggested_is_case_sensitive", SqlType("bit")),
    ("suggested_is_fixed_length_clr_type", SqlType("bit")),
    ("suggested_is_input", SqlType("bit")),
    ("suggested_is_output", SqlType("bit")),
    ("formal_parameter_name", _TEXT),
    ("suggested_tds_type_id", SqlType("int")),
    ("suggested_tds_length", SqlType("int")),
)
_COLUMNS = [Column(name, sql_type) for name, sql_type in _NAMES]


def describe_undeclared_parameters(session: EngineSession, sql: str, declarations: str | None) -> ResultSet:
    """The procedure's result set.

    Raises:
        SqlError: 11502, a type cannot be deduced.
    """
    declared = {declaration.name for declaration in parse_declarations(declarations or "")}
    deduction = _Deduction(session, tokenize(sql))
    rows: list[tuple[Any, ...]] = []
    seen = set(declared)
    for index, token in enumerate(deduction.tokens):
        if token.kind == "variable" and token.value not in seen:
            seen.add(token.value)
            rows.append(_row(len(rows) + 1, token.text, deduction.type_at(index)))
    return ResultSet(_COLUMNS, rows)


def _row(ordinal: int, name: str, declared: SqlType) -> tuple[Any, ...]:
    size = max_length_bytes(declared)
    head = (ordinal, name, system_type_id(declared.name), display(declared), size, *precision_scale(declared))
    wire = write_type_info(declared)[0]
    return (*head, *(None,) * _NULLS, 0, 0, 0, 1, 0, None, wire, 65_535 if size < 0 else size)


class _Deduction:
    """The tokens of a batch, and the tables that it names."""

    def __init__(self, session: EngineSession, tokens: list[Token]) -> None:
        self.tokens = tokens
        self._session = session
        self._tables: dict[str, str] = {}  # alias or last part of the name, lower case: table as written
        self._columns: dict[str, dict[str, SqlType]] = {}
        for index, token in enumerate(tokens):
            if token.upper in _BEFORE_TABLE:
                self._note_table(index + 1)
            if token.upper == "MERGE" and tokens[index + 1].upper == "INTO":
                self._note_table(index + 2)

    def _name(self, index: int) -> tuple[list[str], int]:
        """The parts of the qualified name that begins at ``index``, and the index after it."""
        parts: list[str] = []
        while self.tokens[index].kind in ("word", "quoted"):
            parts.append(self.tokens[index].text)
            index += 1
            if self.tokens[index].text != ".":
                break
            index += 1
        return parts, index

    def _name_before(self, index: int) -> list[str]:
        """The parts of the qualified name that ends right before ``index``."""
        parts: list[str] = []
        while index > 0 and self.tokens[index - 1].kind in ("word", "quoted"):
            parts.insert(0, self.tokens[index - 1].text)
            if index < 2 or self.tokens[index - 2].text != ".":
                break
            index -= 2
        return parts

    def _note_table(self, index: int) -> None:
        parts, after = self._name(index)
        if not parts or (self.tokens[after].text == "(" and self.tokens[index - 1].upper != "INTO"):
            return
        table = ".".join(parts)
        self._tables.setdefault(_plain(parts[-1]), table)
        if self.tokens[after].upper == "AS":
            after += 1
        alias = self.tokens[after]
        if alias.kind == "quoted" or (alias.kind == "word" and alias.upper not in _NOT_AN_ALIAS):
            self._tables[_plain(alias.text)] = table

    def _columns_of(self, table: str) -> dict[str, SqlType]:
        if table not in self._columns:
            try:
                described = self._session.describe(f"SELECT * FROM {table}", {})
            except SqlError:  # not a table: a CTE, an alias of something derived
                described = []
            self._columns[table] = {column.name.lower(): column.type for column in described}
        return self._columns[table]

    def _column_type(self, parts: list[str]) -> SqlType | None:
        if not parts:
            return None
        name = _plain(parts[-1])
        if len(parts) > 1:
            table = self._tables.get(_plain(parts[-2]))
            return self._columns_of(table).get(name) if table else None
        for table in dict.fromkeys(self._tables.values()):
            found = self._columns_of(table).get(name)
            if found is not None:
                return found
        return None

    def _operand_after(self, index: int) -> SqlType | None:
        token = self.tokens[index]
        return _constant_type(token) or self._column_type(self._name(index)[0])

    def _operand_before(self, index: int) -> SqlType | None:
        if index <= 0:
            return None
        return _constant_type(self.tokens[index - 1]) or self._column_type(self._name_before(index))

    def type_at(self, index: int) -> SqlType:
        """The type of the parameter at ``index``."""
        before, after = self.tokens[index - 1], self.tokens[index + 1]
        found = None
        if before.text in _OPERATORS:
            found = self._operand_before(index - 1)
        if found is None and after.text in _OPERATORS:
            found = self._operand_after(index + 2)
        if found is None and before.upper in ("LIKE", "BETWEEN"):
            found = self._operand_before(index - 2 if self.tokens[index - 2].upper == "NOT" else index - 1)
        if found is None and before.upper == "AND" and self.tokens[index - 3].upper == "BETWEEN":
            found = self._operand_before(index - 3)
        if found is None and before.upper in ("TOP", "OFFSET", "NEXT", "FIRST"):
            found = BIGINT
        if found is None and after.upper == "AS":
            found = self._cast_type(index + 2)
        if found is None:
            found = self._type_in_parentheses(index)
        if found is None:
            raise SqlError(11502, f"The type for parameter '{self.tokens[index].text}' cannot be deduced in this context.")
        return found

    def _cast_type(self, index: int) -> SqlType | None:
        depth, end = 0, index
        while self.tokens[end].kind != "end" and not (depth == 0 and self.tokens[end].text in (")", ",")):
            depth += {"(": 1, ")": -1}.get(self.tokens[end].text, 0)
            end += 1
        declared = " ".join(token.text for token in self.tokens[index:end])
        try:
            return parse_declarations(f"@x {declared}")[0].type
        except SqlError:
            return None

    def _type_in_parentheses(self, index: int) -> SqlType | None:
        """The parameter stands in a list: of VALUES, of IN, or of a function's arguments."""
        opening, position = self._opening(index)
        if opening is None:
            return None
        head = self.tokens[opening - 1]
        if head.upper == "TOP":
            return BIGINT
        if head.upper in _JSON_FUNCTIONS:
            return NVARCHAR_MAX
        if head.upper == "IN":
            return self._operand_before(opening - 2 if self.tokens[opening - 2].upper == "NOT" else opening - 1)
        if head.upper == "CONVERT" and position == 1:
            return self._cast_type(opening + 1)
        if head.upper in ("ISNULL", "COALESCE", "NULLIF"):
            return self._neighbour(opening)
        return self._inserted_column(opening, position)

    def _opening(self, index: int) -> tuple[int | None, int]:
        """The parenthesis around ``index``, and the number of commas in between."""
        depth, commas = 0, 0
        for scan in range(index - 1, -1, -1):
            text = self.tokens[scan].text
            if text == ")":
                depth += 1
            elif text == "(":
                if depth == 0:
                    return scan, commas
                depth -= 1
            elif text == "," and depth == 0:
                commas += 1
        return None, 0

    def _neighbour(self, opening: int) -> SqlType | None:
        scan = opening + 1
        while self.tokens[scan].text not in (")", "") and self.tokens[scan].kind != "end":
            found = self._operand_after(scan)
            if found is not None:
                return found
            scan += 1
        return None

    def _inserted_column(self, opening: int, position: int) -> SqlType | None:
        """The column for the value number ``position`` of the VALUES list that begins at ``opening``."""
        scan = opening - 1
        while scan > 0 and self.tokens[scan].text in (",", ")"):  # earlier rows of the same VALUES
            if self.tokens[scan].text == ",":
                scan -= 1
                continue
            previous, _ = self._opening(scan)
            if previous is None:
                return None
            scan = previous - 1
        if self.tokens[scan].upper != "VALUES":
            return None
        while scan > 0 and self.tokens[scan].upper != "INSERT":
            scan -= 1
        start = scan + 1 + (self.tokens[scan + 1].upper == "INTO")
        if self.tokens[scan - 1].upper == "THEN":  # INSERT of a MERGE: the column list follows at once
            names = self._list(start)
            return self._column_type([names[position]]) if position < len(names) else None
        parts, after = self._name(start)
        if not parts:
            return None
        columns = self._columns_of(".".join(parts))
        if self.tokens[after].text != "(":
            types = list(columns.values())
            return types[position] if position < len(types) else None
        names = self._list(after)
        return columns.get(_plain(names[position])) if position < len(names) else None

    def _list(self, index: int) -> list[str]:
        """The names in the parentheses that open at ``index``."""
        names: list[str] = []
        while self.tokens[index].text != ")" and self.tokens[index].kind != "end":
            if self.tokens[index].kind in ("word", "quoted"):
                names.append(self.tokens[index].text)
            index += 1
        return names


def _plain(name: str) -> str:
    if name[:1] == "[":
        name = name[1:-1].replace("]]", "]")
    elif name[:1] == '"':
        name = name[1:-1].replace('""', '"')
    return name.lower()


def _constant_type(token: Token) -> SqlType | None:
    if token.kind == "string":
        return string_literal_type(token.value, token.text[0] in "nN")
    if token.kind == "number":
        text = token.text.lower()
        if "e" in text:
            return FLOAT
        if "." in text:
            digits = text.replace(".", "").lstrip("0")
            return decimal_type(max(1, len(digits)), len(text.partition(".")[2]))
        return INT if int(text) < 2**31 else decimal_type(len(text), 0)
    return None
