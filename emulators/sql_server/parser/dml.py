"""INSERT, UPDATE, DELETE, MERGE."""

from __future__ import annotations

from collections.abc import Callable

from emulators.sql_server.parser.queries import QueryParser
from emulators.sql_server.parser.tree import (
    CommonTable,
    Delete,
    Expression,
    Insert,
    Merge,
    MergeWhen,
    Output,
    SelectItem,
    Source,
    Statement,
    TableSource,
    TableVariableSource,
    Top,
    Update,
)
from emulators.sql_server.values.results import SqlError

ASSIGNMENTS = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=")


_MOST_ROWS = 1000


class DmlParser(QueryParser):
    """Statements that change rows."""

    def _at_line(self, parse: Callable[[], Statement]) -> Statement:
        raise AssertionError("given by StatementParser")

    def _parse_exec(self) -> Statement:
        raise AssertionError("given by StatementParser")

    def _parse_with(self) -> Statement:
        self.expect("WITH")
        context = self._tracking_context()
        if context is not None and not self.accept(","):
            return self._dml([], context)
        ctes = self.common_tables()
        return self._dml(ctes, context)

    def _tracking_context(self) -> Expression | None:
        if not self.accept("CHANGE_TRACKING_CONTEXT"):
            if self.at("XMLNAMESPACES"):
                raise self.not_supported("WITH XMLNAMESPACES")
            return None
        self.expect("(")
        value = self.expression()
        self.expect(")")
        return value

    def _dml(self, ctes: list[CommonTable], context: Expression | None) -> Statement:
        if self.at_any("SELECT") or self.at("("):
            if context is not None:
                raise self.syntax_error()
            return self.statement_query(ctes)
        if not self.at_any("INSERT", "UPDATE", "DELETE", "MERGE"):
            raise self.syntax_error()
        statement = getattr(self, f"_parse_{self.token.upper.lower()}")()
        statement.ctes = ctes
        statement.context = context
        return statement

    def _target(self) -> Source:
        if self.token.kind == "variable":
            return TableVariableSource(self.next().value)
        name = self.name()
        return TableSource(name, "", self.table_hints())

    def _output(self) -> Output | None:
        if not self.accept("OUTPUT"):
            return None
        items: list[SelectItem] = self.select_items()
        into = None
        columns: list[str] = []
        if self.accept("INTO"):
            into = self.next().value if self.token.kind == "variable" else self.name()
            if self.at("("):
                columns = self.identifier_list()
        output = Output(items, into, columns)
        if into is not None and self.at("OUTPUT"):
            raise self.not_supported("two OUTPUT clauses")
        return output

    def _parse_insert(self) -> Statement:
        self.expect("INSERT")
        if self.at("BULK"):
            raise self.not_supported("INSERT BULK")
        top: Top | None = self.top()
        self.accept("INTO")
        target = self._target()
        columns = (
            self.identifier_list()
            if self.at("(") and self.ahead().upper not in ("SELECT", "WITH") and self.ahead().text != "("
            else []
        )
        output = self._output()
        if self.accept("DEFAULT", "VALUES"):
            return Insert(target, columns, None, output, top=top)
        if self.at("VALUES"):
            rows = self.values_rows()
            if len(rows.rows) > _MOST_ROWS:
                raise SqlError(
                    10738,
                    "The number of row value expressions in the INSERT statement exceeds the maximum allowed number of 1000 row "
                    "values.",
                    15,
                    line=self.token.line,
                )
            return Insert(target, columns, rows, output, top=top)
        if self.at_any("EXEC", "EXECUTE"):
            source = self._at_line(self._parse_exec)
            return Insert(target, columns, source, output, top=top)  # type: ignore[arg-type]
        return Insert(target, columns, self.query(), output, top=top)

    def _assignments(self) -> list[tuple[str, str, str, Expression]]:
        assignments = []
        while True:
            variable = column = ""
            if self.token.kind == "variable":
                variable = self.next().value
                op = self.next().text
                if op == "=" and self.at_identifier() and self.ahead().text == "=":
                    column = self.identifier()
                    self.expect("=")
            else:
                column = self.name()[-1]
                if self.at("("):
                    raise self.not_supported("UPDATE … SET column.WRITE")
                op = self.next().text
            if op not in ASSIGNMENTS:
                raise self.syntax_error(self.tokens[self.index - 1])
            assignments.append((column, variable, op, self.expression()))
            if not self.accept(","):
                return assignments

    def _parse_update(self) -> Statement:
        self.expect("UPDATE")
        if self.at("STATISTICS"):
            raise self.not_supported("UPDATE STATISTICS")
        top = self.top()
        target = self._target()
        self.expect("SET")
        update = Update(target, self._assignments(), top=top)
        update.output = self._output()
        if self.accept("FROM"):
            update.source = self.sources()
        update.where = self._where()
        self._option()
        return update

    def _parse_delete(self) -> Statement:
        self.expect("DELETE")
        top = self.top()
        self.accept("FROM")
        delete = Delete(self._target(), top=top)
        delete.output = self._output()
        if self.accept("FROM"):
            delete.source = self.sources()
        delete.where = self._where()
        self._option()
        return delete

    def _option(self) -> None:
        if self.accept("OPTION"):
            self._options()

    def _where(self) -> Expression | None:
        if not self.accept("WHERE"):
            return None
        if self.at("CURRENT", "OF"):
            raise self.not_supported("WHERE CURRENT OF")
        return self.condition()

    def _parse_merge(self) -> Statement:
        self.expect("MERGE")
        top = self.top()
        self.accept("INTO")
        target = self._target()
        alias = ""
        if self.accept("AS") or self.at_identifier() and not self.at("USING"):
            alias = self.identifier()
        if isinstance(target, (TableSource, TableVariableSource)):
            target.alias = alias
        if isinstance(target, TableSource):
            target.hints += self.table_hints()
        self.expect("USING")
        source = self.sources()
        self.expect("ON")
        merge = Merge(target, source, self.condition(), [], top=top)
        while self.accept("WHEN"):
            merge.whens.append(self._merge_when())
        if not merge.whens:
            raise self.syntax_error()
        merge.output = self._output()
        self._option()
        if not self.at(";"):
            raise SqlError(10713, "A MERGE statement must be terminated by a semi-colon (;).", 15, line=self.token.line)
        return merge

    def _merge_when(self) -> MergeWhen:
        matched = "MATCHED"
        if self.accept("NOT"):
            self.expect("MATCHED")
            matched = "NOT MATCHED"
            if self.accept("BY"):
                if self.accept("SOURCE"):
                    matched = "NOT MATCHED BY SOURCE"
                else:
                    self.expect("TARGET")
        else:
            self.expect("MATCHED")
        condition = self.condition() if self.accept("AND") else None
        self.expect("THEN")
        if matched == "NOT MATCHED":
            self.expect("INSERT")
            columns = self.identifier_list() if self.at("(") else []
            if self.accept("DEFAULT", "VALUES"):
                return MergeWhen(matched, condition, "INSERT", columns=columns)
            rows = self.values_rows().rows
            return MergeWhen(matched, condition, "INSERT", columns=columns, values=rows[0])
        if self.accept("DELETE"):
            return MergeWhen(matched, condition, "DELETE")
        self.expect("UPDATE", "SET")
        return MergeWhen(matched, condition, "UPDATE", self._assignments())
