"""SELECT, FROM and everything inside."""

from __future__ import annotations

from emulators.sql_server.parser.expressions import ExpressionParser
from emulators.sql_server.parser.tree import (
    ChangesSource,
    CommonTable,
    Comparison,
    DerivedTable,
    Expression,
    ForJson,
    FunctionSource,
    Join,
    Name,
    Node,
    OpenJson,
    Query,
    QueryStatement,
    Select,
    SelectItem,
    SetOperation,
    Source,
    TableSource,
    TableVariableSource,
    Top,
    ValuesRows,
    VersionSource,
)
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

_HINT_WORDS = """
NOLOCK READUNCOMMITTED READCOMMITTED READCOMMITTEDLOCK REPEATABLEREAD SERIALIZABLE HOLDLOCK UPDLOCK XLOCK
ROWLOCK PAGLOCK TABLOCK TABLOCKX READPAST SNAPSHOT FORCESEEK FORCESCAN NOEXPAND NOWAIT KEEPIDENTITY INDEX
"""
_HINTS = frozenset(_HINT_WORDS.split())
_JOIN_HINTS = frozenset({"LOOP", "HASH", "MERGE", "REMOTE"})


def first_select_into(body: Node) -> Name | None:
    """The table that SELECT … INTO makes."""
    while isinstance(body, SetOperation):
        body = body.left
    return body.into if isinstance(body, Select) else None


class QueryParser(ExpressionParser):
    """Query expressions and table sources."""

    def common_tables(self) -> list[CommonTable]:
        """After WITH."""
        tables = []
        while True:
            name = self.identifier()
            columns = self.identifier_list() if self.at("(") else []
            self.expect("AS")
            self.expect("(")
            tables.append(CommonTable(name, columns, self.query()))
            self.expect(")")
            if not self.accept(","):
                return tables

    def query(self) -> Query:
        """A query expression with its common tables, ORDER BY, OFFSET and FOR JSON."""
        start = self.token
        ctes = self.common_tables() if self.accept("WITH") else []
        query = self.query_body(ctes)
        if first_select_into(query.body) is not None:
            error = sql_error(156, "INTO")
            error.line = start.line
            raise error
        return query

    def statement_query(self, ctes: list[CommonTable]) -> QueryStatement:
        """A query that is a statement of its own: only there INTO may stand."""
        query = self.query_body(ctes)
        return QueryStatement(query, first_select_into(query.body))

    def query_body(self, ctes: list[CommonTable]) -> Query:
        query = Query(self._union(), ctes)
        if self.accept("ORDER"):
            self.expect("BY")
            query.order = self.order_items()
            if self.accept("OFFSET"):
                query.offset = self.expression()
                if not (self.accept("ROWS") or self.accept("ROW")):
                    raise self.syntax_error()
                if self.accept("FETCH"):
                    if not (self.accept("NEXT") or self.accept("FIRST")):
                        raise self.syntax_error()
                    query.fetch = self.expression()
                    if not (self.accept("ROWS") or self.accept("ROW")):
                        raise self.syntax_error()
                    self.expect("ONLY")
        if self.accept("FOR"):
            query.for_json = self._for_clause()
        if self.accept("OPTION"):
            query.max_recursion = self._options()
        return query

    def _for_clause(self) -> ForJson:
        if not self.accept("JSON"):
            raise self.not_supported(f"FOR {self.token.text}")
        if not self.at_any("PATH", "AUTO"):
            raise self.syntax_error()
        clause = ForJson(self.next().upper, None, False, False)
        while self.accept(","):
            if self.accept("ROOT"):
                clause.root = "root"
                if self.accept("("):
                    clause.root = self.string()
                    self.expect(")")
            elif self.accept("INCLUDE_NULL_VALUES"):
                clause.include_nulls = True
            elif self.accept("WITHOUT_ARRAY_WRAPPER"):
                clause.without_array = True
            else:
                raise self.syntax_error()
        return clause

    def _options(self) -> int:
        """OPTION (…): hints for the optimizer change no result, except MAXRECURSION."""
        limit = 100
        self.expect("(")
        while True:
            if self.accept("MAXRECURSION"):
                limit = self.integer()
            elif self.at_any(
                "RECOMPILE", "MAXDOP", "FAST", "LOOP", "HASH", "MERGE", "FORCE", "KEEP", "KEEPFIXED", "ORDER", "CONCAT", "OPTIMIZE"
            ):
                self._skip_hint()
            else:
                raise self.not_supported(f"OPTION ({self.token.text})")
            if not self.accept(","):
                break
        self.expect(")")
        return limit

    def _skip_hint(self) -> None:
        while not self.at(",") and not self.at(")"):
            if self.at("("):
                self._skip_parentheses()
            elif self.token.kind == "end":
                raise self.syntax_error()
            else:
                self.next()

    def _skip_parentheses(self) -> None:
        self.expect("(")
        while not self.accept(")"):
            if self.at("("):
                self._skip_parentheses()
            elif self.next().kind == "end":
                raise self.syntax_error()

    def _union(self) -> Node:
        left = self._intersect()
        while self.at_any("UNION", "EXCEPT"):
            op = self.next().upper
            every = op == "UNION" and self.accept("ALL")
            left = SetOperation(op, every, left, self._later(self._intersect()))
        return left

    def _intersect(self) -> Node:
        left = self._query_primary()
        while self.accept("INTERSECT"):
            left = SetOperation("INTERSECT", False, left, self._later(self._query_primary()))
        return left

    def _later(self, body: Node) -> Node:
        """Raises SqlError 196."""
        if first_select_into(body) is not None:
            raise SqlError(
                196,
                "SELECT INTO must be the first query in a statement containing a UNION, INTERSECT or EXCEPT operator.",
                15,
                line=self.token.line,
            )
        return body

    def _query_primary(self) -> Node:
        if self.accept("("):
            inner = self.query()
            self.expect(")")
            return inner if inner.order or inner.ctes else inner.body
        return self._select()

    def values_rows(self) -> ValuesRows:
        self.expect("VALUES")
        rows = []
        while True:
            self.expect("(")
            row = [self.expression()]
            while self.accept(","):
                row.append(self.expression())
            self.expect(")")
            rows.append(row)
            if not self.accept(","):
                return ValuesRows(rows)

    def top(self) -> Top | None:
        if not self.accept("TOP"):
            return None
        if self.at("(", "SELECT"):
            count = self.primary()
        elif self.accept("("):
            count = self.expression()
            self.expect(")")
        else:
            count = self.primary()
        top = Top(count, self.accept("PERCENT"))
        if self.at("WITH", "TIES"):
            self.next(), self.next()
            top.ties = True
        return top

    def _select(self) -> Select:
        self.expect("SELECT")
        distinct = self.accept("DISTINCT")
        if not distinct:
            self.accept("ALL")
        top = self.top()
        select = Select(self.select_items(), distinct, top)
        if self.accept("INTO"):
            select.into = self.name()
        if self.accept("FROM"):
            select.source = self.sources()
        if self.accept("WHERE"):
            select.where = self.condition()
        if self.accept("GROUP"):
            self.expect("BY")
            if self.at_any("ROLLUP", "CUBE", "GROUPING", "ALL"):
                raise self.not_supported(f"GROUP BY {self.token.upper}")
            if self.at("(", ")"):
                raise self.not_supported("GROUP BY ()")
            select.group.append(self.expression())
            while self.accept(","):
                select.group.append(self.expression())
            if self.at("WITH") and self.ahead().upper in ("ROLLUP", "CUBE"):
                raise self.not_supported(f"WITH {self.ahead().upper}")
        if self.accept("HAVING"):
            select.having = self.condition()
        if self.at("WINDOW"):
            raise self.not_supported("WINDOW")
        return select

    def select_items(self) -> list[SelectItem]:
        items = [self._select_item()]
        while self.accept(","):
            items.append(self._select_item())
        return items

    def _select_item(self) -> SelectItem:
        token = self.token
        if token.kind == "variable" and self.ahead().text in ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="):
            self.next()
            op = self.next().text
            return SelectItem(self.expression(), variable=token.value, op=op)
        if self.at_identifier() and self.ahead().text == "=" and self.ahead().kind == "op":
            alias = self.identifier()
            self.expect("=")
            return SelectItem(self.expression(), alias)
        value = self.expression()
        if isinstance(value, Comparison):
            raise self.syntax_error()
        return SelectItem(value, self._alias())

    def _alias(self) -> str:
        if self.accept("AS"):
            if self.token.kind == "string":
                return self.string()
            return self.identifier()
        if self.at_identifier() and not self._at_join_word():
            return self.identifier()
        if self.token.kind == "string":
            return self.string()
        return ""

    def _at_join_word(self) -> bool:
        """Words that end an item though they are not reserved."""
        if self.token.kind != "word":
            return False
        word = self.token.upper
        return word in ("OFFSET", "OUTPUT", "USING", "THROW") or (word == "WINDOW" and self.ahead(2).upper == "AS")

    # --- FROM ---

    def sources(self) -> Source:
        left = self._joined()
        while self.accept(","):
            left = Join("CROSS", left, self._joined())
        return left

    def _joined(self) -> Source:
        left = self.table_source()
        while True:
            kind = self._join_kind()
            if kind is None:
                return left
            if kind in ("CROSS", "CROSS APPLY", "OUTER APPLY"):
                left = Join(kind, left, self.table_source())
                continue
            right = self._nested_join(self.table_source())
            self.expect("ON")
            left = Join(kind, left, right, self.condition())

    def _nested_join(self, left: Source) -> Source:
        """``a JOIN b JOIN c ON … ON …``: the inner join binds to its own ON first."""
        while True:
            start = self.index
            kind = self._join_kind()
            if kind is None:
                return left
            if kind in ("CROSS", "CROSS APPLY", "OUTER APPLY"):
                left = Join(kind, left, self.table_source())
                continue
            right = self._nested_join(self.table_source())
            if not self.accept("ON"):
                self.index = start
                return left
            left = Join(kind, left, right, self.condition())

    def _join_kind(self) -> str | None:
        if self.at("CROSS", "APPLY") or self.at("OUTER", "APPLY"):
            kind = f"{self.next().upper} APPLY"
            self.next()
            return kind
        if self.accept("CROSS", "JOIN"):
            return "CROSS"
        if self.accept("JOIN"):
            return "INNER"
        if self.at_any("INNER", "LEFT", "RIGHT", "FULL"):
            start = self.index
            kind = self.next().upper
            self.accept("OUTER")
            if self.at_any(*_JOIN_HINTS):
                self.next()
            if self.accept("JOIN"):
                return kind
            self.index = start
        return None

    def table_source(self) -> Source:
        token = self.token
        if token.kind == "variable":
            self.next()
            return TableVariableSource(token.value, self._source_alias()[0])
        if self.at("("):
            return self._parenthesized_source()
        if self.at_any("OPENJSON") and self.ahead().text == "(":
            return self._open_json()
        if self.at_any("CHANGETABLE") and self.ahead().text == "(":
            return self._change_table()
        if self.at_any("OPENROWSET", "OPENQUERY", "OPENXML", "CONTAINSTABLE", "FREETEXTTABLE", "PIVOT", "UNPIVOT"):
            raise self.not_supported(self.token.upper)
        name = self.name()
        if self.at("(") and not self._at_old_hints():
            self.expect("(")
            arguments = [] if self.at(")") else [self.expression()]
            while self.accept(","):
                arguments.append(self.expression())
            self.expect(")")
            if self.accept("WITH"):
                raise self.syntax_error()
            alias, columns = self._source_alias()
            return FunctionSource(name, arguments, alias, columns)
        hints = self.table_hints()
        if self.at_any("FOR") and self.ahead().upper == "SYSTEM_TIME":
            raise self.not_supported("FOR SYSTEM_TIME")
        if self.at_any("TABLESAMPLE"):
            raise self.not_supported("TABLESAMPLE")
        alias, columns = self._source_alias()
        if columns:
            raise self.syntax_error()
        hints += self.table_hints()
        if self.at_any("PIVOT", "UNPIVOT"):
            raise self.not_supported(self.token.upper)
        return TableSource(name, alias, hints)

    def _at_old_hints(self) -> bool:
        """``T (NOLOCK)``."""
        return self.ahead().upper in _HINTS and self.ahead(2).text in (")", ",")

    def table_hints(self) -> list[str]:
        if self.at("WITH", "("):
            self.next()
        elif not (self.at("(") and self._at_old_hints()):
            return []
        self.expect("(")
        hints = []
        while True:
            token = self.next()
            if token.upper not in _HINTS:
                raise self.syntax_error(token)
            hints.append(token.upper)
            if token.upper == "INDEX":
                self._skip_hint()
            self.accept(",")
            if self.accept(")"):
                return hints

    def _source_alias(self) -> tuple[str, list[str]]:
        alias = ""
        if self.accept("AS") or (self.at_identifier() and not self._at_join_word()):
            alias = self.identifier()
        columns = self.identifier_list() if alias and self.at("(") and not self._at_old_hints() else []
        return alias, columns

    def _parenthesized_source(self) -> Source:
        if self.ahead().upper in ("SELECT", "WITH", "VALUES") or self.ahead().text == "(" and self._is_query_ahead():
            self.expect("(")
            query = Query(self.values_rows()) if self.at("VALUES") else self.query()
            self.expect(")")
            alias, columns = self._source_alias()
            if self.at_any("PIVOT", "UNPIVOT"):
                raise self.not_supported(self.token.upper)
            if not alias:
                raise self.syntax_error()
            return DerivedTable(query, alias, columns)
        self.expect("(")
        inner = self.sources()
        self.expect(")")
        return inner

    def _is_query_ahead(self) -> bool:
        distance = 1
        while self.ahead(distance).text == "(":
            distance += 1
        return self.ahead(distance).upper in ("SELECT", "WITH", "VALUES")

    def _open_json(self) -> Source:
        self.next()
        self.expect("(")
        document = self.expression()
        path = self.expression() if self.accept(",") else None
        self.expect(")")
        columns = None
        if self.at("WITH", "("):
            self.next(), self.next()
            columns = [self._json_column()]
            while self.accept(","):
                columns.append(self._json_column())
            self.expect(")")
        return OpenJson(document, path, columns, self._source_alias()[0])

    def _json_column(self) -> tuple[str, SqlType, str | None, bool]:
        name = self.identifier()
        declared = self.data_type()
        path = self.string() if self.token.kind == "string" else None
        as_json = self.accept("AS", "JSON")
        return name, declared, path, as_json

    def _change_table(self) -> Source:
        self.next()
        self.expect("(")
        if self.accept("CHANGES"):
            table = self.name()
            self.expect(",")
            since = self.expression()
            if self.accept(","):
                raise self.not_supported("CHANGETABLE FORCESEEK")
            self.expect(")")
            alias, columns = self._change_alias()
            return ChangesSource(table, since, alias, columns)
        self.expect("VERSION")
        table = self.name()
        self.expect(",")
        keys = self.identifier_list()
        self.expect(",")
        self.expect("(")
        values: list[Expression] = [self.expression()]
        while self.accept(","):
            values.append(self.expression())
        self.expect(")")
        self.expect(")")
        alias, columns = self._change_alias()
        return VersionSource(table, keys, values, alias, columns)

    def _change_alias(self) -> tuple[str, list[str]]:
        alias, columns = self._source_alias()
        if not alias:
            raise SqlError(22104, "A table returned by the CHANGETABLE function must be aliased.", 16, line=self.token.line)
        return alias, columns
