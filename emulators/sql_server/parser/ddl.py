"""CREATE, ALTER, DROP, TRUNCATE."""

from __future__ import annotations

from emulators.sql_server.parser.databases import DatabaseParser
from emulators.sql_server.parser.lexer import Token
from emulators.sql_server.parser.tree import (
    AlterTable,
    ConstraintSyntax,
    CreateIndex,
    CreateSchema,
    CreateTable,
    CreateView,
    DropObjects,
    Name,
    PrincipalStatement,
    Statement,
    TableColumnSyntax,
    TableDefinition,
    TruncateTable,
)
from emulators.sql_server.values.datatypes import type_from_syntax
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlType

_NEVER_THERE = ("PROC", "PROCEDURE", "TRIGGER", "SYNONYM")
"""Objects that cannot be made here, so that there is never one to drop."""
_STORAGE_OPTIONS = frozenset(
    {
        *("PAD_INDEX", "FILLFACTOR", "IGNORE_DUP_KEY", "DROP_EXISTING", "ONLINE", "RESUMABLE", "MAXDOP", "MAX_DURATION"),
        *("STATISTICS_NORECOMPUTE", "STATISTICS_INCREMENTAL", "SORT_IN_TEMPDB", "ALLOW_ROW_LOCKS", "ALLOW_PAGE_LOCKS"),
        *("OPTIMIZE_FOR_SEQUENTIAL_KEY", "DATA_COMPRESSION", "XML_COMPRESSION"),
    }
)
"""Options of tables and indexes that no result depends on."""
_CONSTRAINT_WORDS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "DEFAULT")


class DdlParser(DatabaseParser):
    """Data definition."""

    def ddl_statement(self) -> Statement | None:
        if self.accept("CREATE"):
            return self._create()
        if self.accept("ALTER"):
            return self._alter()
        if self.accept("DROP"):
            return self._drop()
        if self.accept("TRUNCATE"):
            self.expect("TABLE")
            return TruncateTable(self.name())
        if self.at_any("GRANT", "DENY", "REVOKE"):
            return self._permission()
        return None

    # --- tables ---

    def table_definition(self) -> TableDefinition:
        """``( column … , constraint … )``."""
        definition = TableDefinition([], [])
        self.expect("(")
        while True:
            self._table_element(definition)
            if not self.accept(","):
                break
            if self.at(")"):
                break
        self.expect(")")
        return definition

    def _table_element(self, definition: TableDefinition) -> None:
        if self.at_any("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"):
            definition.constraints.append(self._constraint(""))
        elif self.at_any("INDEX"):
            definition.constraints.append(self._inline_index())
        elif self.at("PERIOD", "FOR"):
            raise self.not_supported("PERIOD FOR SYSTEM_TIME")
        else:
            definition.columns.append(self._column())

    def _inline_index(self) -> ConstraintSyntax:
        self.expect("INDEX")
        constraint = ConstraintSyntax("INDEX", self.identifier())
        constraint.unique = self.accept("UNIQUE")
        constraint.clustered = self._clustered()
        if self.at_any("COLUMNSTORE", "HASH"):
            raise self.not_supported(f"INDEX … {self.token.upper}")
        if self.at("("):
            constraint.columns = self._index_columns()
        constraint.include = self.identifier_list() if self.accept("INCLUDE") else []
        constraint.where = self._filter()
        self._index_options()
        return constraint

    def _filter(self) -> str:
        """WHERE of a filtered index."""
        if not self.accept("WHERE"):
            return ""
        start = self.token
        self.condition()
        return self.slice(start, self.index)

    def _clustered(self) -> bool | None:
        if self.accept("CLUSTERED"):
            return True
        return False if self.accept("NONCLUSTERED") else None

    def _index_columns(self) -> list[tuple[str, bool]]:
        columns = []
        self.expect("(")
        while True:
            name = self.identifier()
            descending = self.accept("DESC")
            if not descending:
                self.accept("ASC")
            columns.append((name, descending))
            if not self.accept(","):
                break
        self.expect(")")
        return columns

    def _index_options(self) -> None:
        """WITH (…) and ON filegroup concern storage: no result depends on them, except IGNORE_DUP_KEY."""
        if self.at("WITH", "("):
            self.next()
            depth = 0
            while True:
                token = self.next()
                if depth == 1 and self.tokens[self.index - 2].text in ("(", ","):
                    self._storage_option(token)
                depth += (token.text == "(") - (token.text == ")")
                if token.kind == "end":
                    raise self.syntax_error(token)
                if depth == 0:
                    break
        if self.at("ON") and (self.ahead().kind == "quoted" or self.ahead().upper in ("PRIMARY", "DEFAULT")):
            self.next(), self.next()
            self._refuse_partitions()
        elif self.at("ON") and self.ahead().kind == "word" and self.ahead().upper not in ("DELETE", "UPDATE"):
            self.next(), self.identifier()
            self._refuse_partitions()
        if self.accept("TEXTIMAGE_ON"):
            self.next()

    def _storage_option(self, token: Token) -> None:
        """An option in brackets, before its value."""
        value = self.ahead().upper if self.at("=") else self.token.upper
        if token.upper not in _STORAGE_OPTIONS:
            raise self.not_supported(f"WITH ({token.text.upper()})")
        if token.upper in ("IGNORE_DUP_KEY", "DROP_EXISTING", "RESUMABLE") and value == "ON":
            raise self.not_supported(f"{token.upper} = ON")

    def _refuse_partitions(self) -> None:
        if self.at("("):
            raise self.not_supported("ON with a partition scheme")

    def _constraint(self, column: str) -> ConstraintSyntax:
        name = self.identifier() if self.accept("CONSTRAINT") else ""
        if self.accept("PRIMARY"):
            self.expect("KEY")
            constraint = ConstraintSyntax("PRIMARY KEY", name)
        elif self.accept("UNIQUE"):
            constraint = ConstraintSyntax("UNIQUE", name)
        elif self.accept("CHECK"):
            self._not_for_replication()
            self.expect("(")
            start = self.token
            self.condition()
            constraint = ConstraintSyntax(
                "CHECK", name, expression=self.slice(start, self.index), columns=[(column, False)] if column else []
            )
            self.expect(")")
            return constraint
        elif self.accept("DEFAULT"):
            constraint = ConstraintSyntax("DEFAULT", name, expression=self._expression_text())
            if self.accept("FOR"):
                constraint.columns = [(self.identifier(), False)]
            elif column:
                constraint.columns = [(column, False)]
            if self.at("WITH", "VALUES"):
                self.next(), self.next()
                constraint.with_values = True
            return constraint
        elif self.accept("FOREIGN"):
            self.expect("KEY")
            columns = [column] if column and self.at("REFERENCES") else self.identifier_list()
            return self._references(ConstraintSyntax("FOREIGN KEY", name, [(c, False) for c in columns]))
        elif self.at("REFERENCES"):
            return self._references(ConstraintSyntax("FOREIGN KEY", name, [(column, False)]))
        else:
            raise self.syntax_error()
        constraint.clustered = self._clustered()
        if self.at("("):
            constraint.columns = self._index_columns()
        elif column:
            constraint.columns = [(column, False)]
        else:
            raise self.syntax_error()
        self._index_options()
        return constraint

    def _not_for_replication(self) -> bool:
        """No replication agent ever comes here, so it changes nothing."""
        return self.accept("NOT", "FOR", "REPLICATION")

    def _references(self, constraint: ConstraintSyntax) -> ConstraintSyntax:
        self.expect("REFERENCES")
        constraint.references = self.name()
        if self.at("("):
            constraint.reference_columns = self.identifier_list()
        while self.accept("ON"):
            deleting = self.accept("DELETE")
            if not deleting:
                self.expect("UPDATE")
            if self.accept("NO"):
                self.expect("ACTION")
                action = "NO ACTION"
            elif self.accept("CASCADE"):
                action = "CASCADE"
            else:
                self.expect("SET")
                action = f"SET {self.any_word().upper()}"
            if deleting:
                constraint.on_delete = action
            else:
                constraint.on_update = action
        self._not_for_replication()
        return constraint

    def _expression_text(self) -> str:
        start = self.token
        self.expression()
        return self.slice(start, self.index)

    def _column(self) -> TableColumnSyntax:
        name = self.identifier()
        if self.accept("AS"):
            column = TableColumnSyntax(name, None, computed=self._expression_text())
            column.persisted = self.accept("PERSISTED")
            if self.accept("NOT"):
                self.expect("NULL")
                column.nullable = False
            return column
        if self.at_any("TIMESTAMP") and self.ahead().text in (",", ")", "NOT"):
            self.next()
            column = TableColumnSyntax(name, self.type_named("rowversion"))
        else:
            is_name = self.at("SYSNAME") or self.at("SYS", ".", "SYSNAME")
            column = TableColumnSyntax(name, self.data_type())
            self.column_options(column)
            if is_name and column.nullable is None:
                column.nullable = False
            return column
        self.column_options(column)
        return column

    def type_named(self, name: str) -> SqlType:
        return type_from_syntax(name, [])

    def column_options(self, column: TableColumnSyntax) -> None:
        """NULL, IDENTITY, DEFAULT, COLLATE and constraints after a column's type."""
        while True:
            if self._not_for_replication():
                pass
            elif self.accept("NOT"):
                self.expect("NULL")
                column.nullable = False
            elif self.accept("NULL"):
                column.nullable = True
            elif self.accept("IDENTITY"):
                column.identity = (1, 1)
                if self.accept("("):
                    seed = self.integer()
                    self.expect(",")
                    column.identity = (seed, self.integer())
                    self.expect(")")
            elif self.accept("COLLATE"):
                column.collation = self.any_word()
            elif self.accept("ROWGUIDCOL"):
                column.rowguid = True
            elif self.accept("MASKED"):
                column.mask = self._mask()
            elif self.at_any("SPARSE", "FILESTREAM", "COLUMN_SET", "ENCRYPTED", "GENERATED", "HIDDEN"):
                raise self.not_supported(f"column option {self.token.upper}")
            elif self.at_any("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "REFERENCES", "DEFAULT", "FOREIGN"):
                if self.at("FOREIGN"):
                    self.next()
                    self.expect("KEY")
                constraint = self._constraint(column.name)
                if constraint.kind == "DEFAULT" and column.default is not None:
                    raise sql_error(8148, column.name, "")
                if constraint.kind == "DEFAULT":
                    column.default = (constraint.name, constraint.expression)
                    column.default_with_values = constraint.with_values
                else:
                    column.constraints.append(constraint)
            else:
                return

    def _mask(self) -> str:
        self.expect("WITH", "(", "FUNCTION", "=")
        text = self.string()
        self.expect(")")
        return text

    # --- CREATE ---

    def _create(self) -> Statement:
        if self.accept("TABLE"):
            name = self.name()
            definition = self.table_definition()
            self._index_options()
            self._index_options()
            if self.at("WITH"):
                raise self.not_supported("CREATE TABLE … WITH")
            return CreateTable(name, definition)
        if self.accept("SCHEMA"):
            if self.at("AUTHORIZATION"):
                raise self.not_supported("CREATE SCHEMA without a name")
            schema = self.identifier()
            return CreateSchema(schema, self.any_word() if self.accept("AUTHORIZATION") else "")
        if self.at_any("OR") and self.ahead().upper == "ALTER":
            self.next(), self.next()
            if self.at("FUNCTION"):
                return self._create_function(self.index - 3, True, False)
            if not self.at("VIEW"):
                raise self.not_supported(f"CREATE OR ALTER {self.token.upper}")
            return self._view(True, False)
        if self.at("VIEW"):
            return self._view(False, False)
        if self.at("FUNCTION"):
            return self._create_function(self.index - 1, False, False)
        if self.at("SECURITY", "POLICY"):
            return self._policy("CREATE")
        if self.at("SEQUENCE"):
            return self._sequence("CREATE")
        if self.at("TYPE"):
            return self._create_type()
        if self.at_any("LOGIN", "USER", "ROLE"):
            return self._create_principal()
        if self.at_any("UNIQUE", "CLUSTERED", "NONCLUSTERED", "INDEX"):
            return self._create_index()
        raise self.not_supported(f"CREATE {self.token.text.upper()}")

    def _view(self, or_alter: bool, alter: bool) -> Statement:
        self.expect("VIEW")
        name = self.name()
        columns = self.identifier_list() if self.at("(") else []
        bound = False
        if self.accept("WITH"):
            if not self.accept("SCHEMABINDING"):
                raise self.not_supported(f"CREATE VIEW … WITH {self.token.text.upper()}")
            bound = True
            if self.at(","):
                raise self.not_supported(f"CREATE VIEW … WITH {self.ahead().text.upper()}")
        self.expect("AS")
        start = self.token
        self.query()
        text = self.slice(start, self.index)
        if self.at("WITH", "CHECK"):
            raise self.not_supported("WITH CHECK OPTION")
        return CreateView(name, columns, text, or_alter, alter, bound, self._module_text())

    def _module_text(self) -> str:
        """The batch that makes a module, with CREATE for ALTER: what sys.sql_modules shows."""
        first = next(token for token in self.tokens if token.text != ";")
        if first.upper != "ALTER":
            return self.sql
        return f"{self.sql[: first.start]}CREATE{self.sql[first.end :]}"

    def _create_index(self) -> Statement:
        unique = self.accept("UNIQUE")
        clustered = bool(self._clustered())
        if self.at_any("COLUMNSTORE", "XML", "SPATIAL", "FULLTEXT"):
            raise self.not_supported(f"CREATE {self.token.upper} INDEX")
        self.expect("INDEX")
        name = self.identifier()
        self.expect("ON")
        table = self.name()
        columns = self._index_columns()
        include = self.identifier_list() if self.accept("INCLUDE") else []
        where = self._filter()
        self._index_options()
        return CreateIndex(name, table, columns, include, unique, clustered, where)

    # --- ALTER ---

    def _alter(self) -> Statement:
        if self.accept("TABLE"):
            return self._alter_table()
        if self.accept("DATABASE"):
            return self._alter_database()
        if self.at("VIEW"):
            return self._view(False, True)
        if self.at("FUNCTION"):
            return self._create_function(self.index - 1, False, True)
        if self.at("SECURITY", "POLICY"):
            return self._policy("ALTER")
        if self.at("SEQUENCE"):
            return self._sequence("ALTER")
        if self.at_any("ROLE", "USER", "LOGIN"):
            return self._alter_principal()
        if self.accept("AUTHORIZATION"):
            return self._change_owner()
        raise self.not_supported(f"ALTER {self.token.text.upper()}")

    def _alter_table(self) -> Statement:
        name = self.name()
        if self.at_any("ENABLE", "DISABLE"):
            enable = self.next().upper == "ENABLE"
            if self.at("TRIGGER"):
                raise self.not_supported("ALTER TABLE … TRIGGER")
            self.expect("CHANGE_TRACKING")
            track: bool | None = None
            if enable and self.accept("WITH"):
                self.expect("(", "TRACK_COLUMNS_UPDATED", "=")
                track = self._on_off() == "ON"
                self.expect(")")
            return AlterTable(name, "CHANGE TRACKING", enable=enable, track_columns=track)
        existing: bool | None = None
        if self.accept("WITH"):
            if not self.at_any("CHECK", "NOCHECK"):
                raise self.syntax_error()
            existing = self.next().upper == "CHECK"
        if self.at_any("CHECK", "NOCHECK"):
            enable = self.next().upper == "CHECK"
            self.expect("CONSTRAINT")
            names = [] if self.accept("ALL") else [self.identifier()]
            while names and self.accept(","):
                names.append(self.identifier())
            return AlterTable(name, "CHECK CONSTRAINT", names=names, enable=enable, check_existing=existing)
        if self.accept("ADD"):
            definition = TableDefinition([], [])
            while True:
                if self.at("DEFAULT"):
                    definition.constraints.append(self._constraint(""))
                else:
                    self._table_element(definition)
                if not self.accept(","):
                    return AlterTable(name, "ADD", definition, check_existing=existing)
        if existing is not None:
            raise self.syntax_error()
        if self.accept("DROP"):
            return self._alter_table_drop(name)
        if self.accept("ALTER"):
            self.expect("COLUMN")
            column_name = self.identifier()
            if self.accept("ADD", "MASKED"):
                return AlterTable(name, "ADD MASKED", names=[column_name], mask=self._mask())
            if self.accept("DROP", "MASKED"):
                return AlterTable(name, "DROP MASKED", names=[column_name])
            column = TableColumnSyntax(column_name, self.data_type())
            start = self.index
            self.column_options(column)
            for token in self.tokens[start : self.index]:
                if token.upper in (*_CONSTRAINT_WORDS, "REFERENCES", "IDENTITY", "ROWGUIDCOL"):
                    raise self.syntax_error(token)
            return AlterTable(name, "ALTER COLUMN", TableDefinition([column], []))
        raise self.not_supported(f"ALTER TABLE … {self.token.text.upper()}")

    def _alter_table_drop(self, name: Name) -> Statement:
        action = "DROP COLUMN" if self.accept("COLUMN") else "DROP CONSTRAINT"
        if action == "DROP CONSTRAINT":
            self.accept("CONSTRAINT")
        if_exists = self.accept("IF", "EXISTS")
        names = [self.identifier()]
        while self.accept(","):
            if self.at_any("COLUMN", "CONSTRAINT"):
                raise self.not_supported("ALTER TABLE … DROP of columns and constraints together")
            names.append(self.identifier())
        return AlterTable(name, action, names=names, if_exists=if_exists)

    # --- DROP, permissions ---

    def _drop(self) -> Statement:
        if self.at("SECURITY", "POLICY"):
            return self._drop_policy()
        if not self.at_any(
            "TABLE", "VIEW", "FUNCTION", "SCHEMA", "INDEX", "SEQUENCE", "TYPE", "LOGIN", "USER", "ROLE", *_NEVER_THERE
        ):
            raise self.not_supported(f"DROP {self.token.text.upper()}")
        kind = self.next().upper
        kind = "PROCEDURE" if kind == "PROC" else kind
        if_exists = self.accept("IF", "EXISTS")
        if kind in ("LOGIN", "USER", "ROLE"):
            return PrincipalStatement("DROP", kind, self.any_word(), {"if_exists": if_exists})
        names = [self.name()]
        on_table: Name = ()
        if kind == "INDEX" and self.accept("ON"):
            on_table = self.name()
        while self.accept(","):
            names.append(self.name())
        return DropObjects(kind, names, if_exists, on_table)
