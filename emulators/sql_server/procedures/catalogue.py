"""The catalog procedures of ODBC: SQLGetTypeInfo, SQLTables, SQLColumns and SQLPrimaryKeys call them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from emulators.sql_server.values.results import Column, Event, Parameter, ResultSet, RowsAffected, SqlError, SqlType

_NAME = SqlType("nvarchar", 128)
_SMALL = SqlType("smallint")
_INT = SqlType("int")

_SQL_DATETIME = 9
# type name: ODBC type, its SQL_DATA_TYPE if that differs, SQL_DATETIME_SUB, column size, literal prefix, suffix, create
# parameters, searchable, unsigned, money, minimum and maximum scale, radix, USERTYPE (the TDS type that DB-Library
# knows)
_TYPES: tuple[tuple[Any, ...], ...] = (
    ("sql_variant", -150, None, None, 8000, None, None, None, 2, None, 0, 0, 0, 10, 39),
    ("uniqueidentifier", -11, None, None, 36, "'", "'", None, 2, None, 0, None, None, None, 37),
    ("ntext", -10, None, None, 1_073_741_823, "N'", "'", None, 1, None, 0, None, None, None, 35),
    ("xml", -152, None, None, 0, "N'", "'", None, 1, None, 0, None, None, None, 0),
    ("nvarchar", -9, None, None, 4000, "N'", "'", "max length", 3, None, 0, None, None, None, 39),
    ("sysname", -9, None, None, 128, "N'", "'", None, 3, None, 0, None, None, None, 18),
    ("nchar", -8, None, None, 4000, "N'", "'", "length", 3, None, 0, None, None, None, 39),
    ("bit", -7, None, None, 1, None, None, None, 2, None, 0, 0, 0, None, 50),
    ("tinyint", -6, None, None, 3, None, None, None, 2, 1, 0, 0, 0, 10, 38),
    ("bigint", -5, None, None, 19, None, None, None, 2, 0, 0, 0, 0, 10, 108),
    ("image", -4, None, None, 2_147_483_647, "0x", None, None, 0, None, 0, None, None, None, 34),
    ("varbinary", -3, None, None, 8000, "0x", None, "max length", 2, None, 0, None, None, None, 37),
    ("binary", -2, None, None, 8000, "0x", None, "length", 2, None, 0, None, None, None, 37),
    ("timestamp", -2, None, None, 8, "0x", None, None, 2, None, 0, None, None, None, 45),
    ("text", -1, None, None, 2_147_483_647, "'", "'", None, 1, None, 0, None, None, None, 35),
    ("char", 1, None, None, 8000, "'", "'", "length", 3, None, 0, None, None, None, 39),
    ("numeric", 2, None, None, 38, None, None, "precision,scale", 2, 0, 0, 0, 38, 10, 108),
    ("decimal", 3, None, None, 38, None, None, "precision,scale", 2, 0, 0, 0, 38, 10, 106),
    ("money", 3, None, None, 19, "$", None, None, 2, 0, 1, 4, 4, 10, 110),
    ("smallmoney", 3, None, None, 10, "$", None, None, 2, 0, 1, 4, 4, 10, 110),
    ("int", 4, None, None, 10, None, None, None, 2, 0, 0, 0, 0, 10, 38),
    ("smallint", 5, None, None, 5, None, None, None, 2, 0, 0, 0, 0, 10, 38),
    ("float", 6, None, None, 53, None, None, None, 2, 0, 0, None, None, 2, 109),
    ("real", 7, None, None, 24, None, None, None, 2, 0, 0, None, None, 2, 109),
    ("varchar", 12, None, None, 8000, "'", "'", "max length", 3, None, 0, None, None, None, 39),
    ("date", 91, _SQL_DATETIME, 1, 10, "'", "'", None, 3, None, 0, None, None, None, 0),
    ("time", -154, None, None, 16, "'", "'", "scale", 3, None, 0, 0, 7, None, 0),
    ("datetime2", 93, _SQL_DATETIME, 3, 27, "'", "'", "scale", 3, None, 0, 0, 7, None, 0),
    ("datetimeoffset", -155, None, None, 34, "'", "'", "scale", 3, None, 0, 0, 7, None, 0),
    ("datetime", 93, _SQL_DATETIME, 3, 23, "'", "'", None, 3, None, 0, 3, 3, None, 111),
    ("smalldatetime", 93, _SQL_DATETIME, 3, 16, "'", "'", None, 3, None, 0, 0, 0, None, 111),
)
_ODBC = {row[0]: row for row in _TYPES}
_TYPE_COLUMNS = (
    ("TYPE_NAME", _NAME),
    ("DATA_TYPE", _SMALL),
    ("PRECISION", _INT),
    ("LITERAL_PREFIX", SqlType("varchar", 32)),
    ("LITERAL_SUFFIX", SqlType("varchar", 32)),
    ("CREATE_PARAMS", SqlType("varchar", 32)),
    ("NULLABLE", _SMALL),
    ("CASE_SENSITIVE", _SMALL),
    ("SEARCHABLE", _SMALL),
    ("UNSIGNED_ATTRIBUTE", _SMALL),
    ("MONEY", _SMALL),
    ("AUTO_INCREMENT", _SMALL),
    ("LOCAL_TYPE_NAME", _NAME),
    ("MINIMUM_SCALE", _SMALL),
    ("MAXIMUM_SCALE", _SMALL),
    ("SQL_DATA_TYPE", _SMALL),
    ("SQL_DATETIME_SUB", _SMALL),
    ("NUM_PREC_RADIX", _INT),
    ("INTERVAL_PRECISION", _SMALL),
    ("USERTYPE", _SMALL),
)
_TABLE_COLUMNS = (
    ("TABLE_QUALIFIER", _NAME),
    ("TABLE_OWNER", _NAME),
    ("TABLE_NAME", _NAME),
    ("TABLE_TYPE", SqlType("varchar", 32)),
    ("REMARKS", SqlType("varchar", 254)),
)
_COLUMN_COLUMNS = (
    ("TABLE_QUALIFIER", _NAME),
    ("TABLE_OWNER", _NAME),
    ("TABLE_NAME", _NAME),
    ("COLUMN_NAME", _NAME),
    ("DATA_TYPE", _SMALL),
    ("TYPE_NAME", _NAME),
    ("PRECISION", _INT),
    ("LENGTH", _INT),
    ("SCALE", _SMALL),
    ("RADIX", _SMALL),
    ("NULLABLE", _SMALL),
    ("REMARKS", SqlType("varchar", 254)),
    ("COLUMN_DEF", SqlType("nvarchar", 4000)),
    ("SQL_DATA_TYPE", _SMALL),
    ("SQL_DATETIME_SUB", _SMALL),
    ("CHAR_OCTET_LENGTH", _INT),
    ("ORDINAL_POSITION", _INT),
    ("IS_NULLABLE", SqlType("varchar", 254)),
    ("SS_IS_SPARSE", _SMALL),
    ("SS_IS_COLUMN_SET", _SMALL),
    ("SS_IS_COMPUTED", _SMALL),
    ("SS_IS_IDENTITY", _SMALL),
    ("SS_UDT_CATALOG_NAME", _NAME),
    ("SS_UDT_SCHEMA_NAME", _NAME),
    ("SS_UDT_ASSEMBLY_TYPE_NAME", _NAME),
    ("SS_XML_SCHEMACOLLECTION_CATALOG_NAME", _NAME),
    ("SS_XML_SCHEMACOLLECTION_SCHEMA_NAME", _NAME),
    ("SS_XML_SCHEMACOLLECTION_NAME", _NAME),
    ("SS_DATA_TYPE", SqlType("tinyint")),
)
_KEY_COLUMNS = (
    ("TABLE_QUALIFIER", _NAME),
    ("TABLE_OWNER", _NAME),
    ("TABLE_NAME", _NAME),
    ("COLUMN_NAME", _NAME),
    ("KEY_SEQ", _SMALL),
    ("PK_NAME", _NAME),
)
_TABLES = (
    "SELECT s.name, o.name, o.type, o.object_id FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id "
    "WHERE o.type IN ('U', 'V')"
)
_COLUMNS = (
    "SELECT c.name, t.name, c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity, c.is_computed, "
    "c.column_id FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id "
    "WHERE c.object_id = @object ORDER BY c.column_id"
)
_PRIMARY_KEYS = (
    "SELECT c.name, ic.key_ordinal, k.name FROM sys.key_constraints k "
    "JOIN sys.index_columns ic ON ic.object_id = k.parent_object_id AND ic.index_id = k.unique_index_id "
    "JOIN sys.columns c ON c.object_id = ic.object_id AND c.column_id = ic.column_id "
    "WHERE k.type = 'PK' AND k.parent_object_id = @object ORDER BY ic.key_ordinal"
)


class BatchSession(Protocol):
    """A session that runs batches."""

    database: str

    def execute(self, sql: str, parameters: Mapping[str, Parameter] = ...) -> Iterator[Event | SqlError]:
        """Run a batch."""


Arguments = Mapping[str, Any]
Rows = list[tuple[Any, ...]]


def catalog_procedure(
    session: BatchSession, procedure: str, arguments: Sequence[tuple[str, Parameter]]
) -> Iterator[Event | SqlError] | None:
    """The events of a catalog procedure; None if ``procedure`` is not one."""
    if procedure not in PROCEDURES:
        return None
    names, columns, produce = PROCEDURES[procedure]
    given = {
        name or (names[index] if index < len(names) else f"argument {index}"): parameter.value
        for index, (name, parameter) in enumerate(arguments)
    }
    unknown = [name for name in given if name not in names]
    if unknown:
        raise SqlError(8145, f"@{unknown[0]} is not a parameter for procedure {procedure}.", 16, 2, procedure=procedure)
    return _events(columns, produce(session, given))


def _events(columns: Sequence[tuple[str, SqlType]], rows: Rows) -> Iterator[Event | SqlError]:
    yield ResultSet([Column(name, sql_type) for name, sql_type in columns], rows)
    yield RowsAffected(len(rows), "SELECT")


def _query(session: BatchSession, sql: str, **parameters: int) -> Rows:
    rows: Rows = []
    bound = {name: Parameter(value, _INT) for name, value in parameters.items()}
    for event in session.execute(sql, bound):
        if isinstance(event, SqlError):
            raise event
        if isinstance(event, ResultSet):
            rows.extend(event.rows)
    return rows


def _type_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    (
        name,
        odbc,
        sql_data_type,
        sub,
        size,
        prefix,
        suffix,
        create,
        searchable,
        unsigned,
        money,
        low,
        high,
        radix,
        user_type,
    ) = row
    increment = 0 if unsigned is not None else None
    sensitive = 0
    return (
        name,
        odbc,
        size,
        prefix,
        suffix,
        create,
        0 if name in ("timestamp", "sysname") else 1,
        sensitive,
        searchable,
        unsigned,
        money,
        increment,
        name,
        low,
        high,
        sql_data_type if sql_data_type is not None else odbc,
        sub,
        radix,
        None,
        user_type,
    )


def _data_types(session: BatchSession, arguments: Arguments) -> Rows:
    wanted = arguments.get("data_type") or 0
    rows = [_type_row(row) for row in _TYPES if wanted in (0, row[1])]
    return sorted(rows, key=lambda row: row[1])


def _matcher(pattern: str | None, use_pattern: bool) -> Callable[[str], bool]:
    """A test whether a name matches a search pattern of ODBC: %, _, [set], backslash before a plain character."""
    if pattern is None or pattern == "%":
        return lambda name: True
    if not use_pattern:
        wanted = pattern.lower()
        return lambda name: name.lower() == wanted
    parts = []
    for match in re.finditer(r"\\(.)|(%)|(_)|\[([^\]]+)\]|(.)", pattern, re.DOTALL):
        escaped, many, one, characters, plain = match.groups()
        if many:
            parts.append(".*")
        elif one:
            parts.append(".")
        elif characters:
            parts.append(f"[{'^' if characters[0] == '^' else ''}{re.escape(characters.lstrip('^'))}]".replace(r"\-", "-"))
        else:
            parts.append(re.escape(escaped or plain))
    regex = re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
    return lambda name: regex.fullmatch(name) is not None


def _found_tables(session: BatchSession, arguments: Arguments) -> Rows:
    """Schema, name, type and object id of the tables and views that the arguments name."""
    use_pattern = arguments.get("fusepattern") not in (0, False)
    qualifier = arguments.get("table_qualifier")
    if qualifier not in (None, "", "%") and qualifier.lower() != session.database.lower():
        return []
    owner = _matcher(arguments.get("table_owner"), use_pattern)
    name = _matcher(arguments.get("table_name"), use_pattern)
    found = [row for row in _query(session, _TABLES) if owner(row[0]) and name(row[1])]
    return sorted(found, key=lambda row: (row[0], row[1]))


def _tables(session: BatchSession, arguments: Arguments) -> Rows:
    kinds = arguments.get("table_type")
    wanted = {kind.strip(" '\"").upper() for kind in kinds.split(",")} if kinds and kinds != "%" else {"TABLE", "VIEW"}
    rows = []
    for schema, name, kind, _ in _found_tables(session, arguments):
        table_type = "TABLE" if kind.strip() == "U" else "VIEW"
        if table_type in wanted:
            rows.append((session.database, schema, name, table_type, None))
    return sorted(rows, key=lambda row: (row[3], row[1], row[2]))


def _columns(session: BatchSession, arguments: Arguments) -> Rows:
    matches = _matcher(arguments.get("column_name"), arguments.get("fusepattern") not in (0, False))
    rows = []
    for schema, table, _, object_id in _found_tables(session, arguments):
        for name, type_name, length, precision, scale, nullable, identity, computed, position in _query(
            session, _COLUMNS, object=object_id
        ):
            if matches(name):
                head = (session.database, schema, table, name)
                rows.append((*head, *_column_facts(type_name, length, precision, scale, nullable, identity, computed, position)))
    return rows


def _column_facts(
    type_name: str, length: int, precision: int, scale: int, nullable: int, identity: int, computed: int, position: int
) -> tuple[Any, ...]:
    _, odbc, sql_data_type, sub, size, *_, low, _, radix, user_type = _ODBC[type_name]
    character = type_name in ("char", "varchar", "nchar", "nvarchar", "sysname")
    wide = type_name in ("nchar", "nvarchar", "sysname")
    octets: int | None = None
    octet_length = {
        "date": 6,
        "time": 12,
        "datetime2": 16,
        "datetimeoffset": 20,
        "datetime": 16,
        "smalldatetime": 16,
    }.get(type_name, length)
    column_size = size
    column_scale: int | None = None if low is None else low
    if character or type_name in ("binary", "varbinary"):
        octets = octet_length = 0 if length < 0 else length
        column_size = 0 if length < 0 else length // 2 if wide else length
    elif type_name in ("decimal", "numeric"):
        column_size, column_scale, octet_length = precision, scale, precision + 2
    elif type_name in ("time", "datetime2", "datetimeoffset"):
        column_size, column_scale = precision, scale
    is_nullable = "YES" if nullable else "NO"
    shown_type = f"{type_name} identity" if identity else type_name
    return (
        odbc,
        shown_type,
        column_size,
        octet_length,
        column_scale,
        radix,
        int(bool(nullable)),
        None,
        None,
        sql_data_type if sql_data_type is not None else odbc,
        sub,
        octets,
        position,
        is_nullable,
        0,
        0,
        int(bool(computed)),
        int(bool(identity)),
        None,
        None,
        None,
        None,
        None,
        None,
        user_type,
    )


def _primary_keys(session: BatchSession, arguments: Arguments) -> Rows:
    rows = []
    for schema, table, _, object_id in _found_tables(session, {**arguments, "fusepattern": 0}):
        for column, ordinal, key in _query(session, _PRIMARY_KEYS, object=object_id):
            rows.append((session.database, schema, table, column, ordinal, key))
    return rows


_Procedure = tuple[tuple[str, ...], Sequence[tuple[str, SqlType]], Callable[[BatchSession, Arguments], Rows]]
_DATA_TYPE_INFO: _Procedure = (("data_type", "odbcver"), _TYPE_COLUMNS, _data_types)
_COLUMN_ARGUMENTS = (
    "table_name",
    "table_owner",
    "table_qualifier",
    "column_name",
    "namescope",
    "odbcver",
    "fusepattern",
)
PROCEDURES: dict[str, _Procedure] = {
    "sp_datatype_info": _DATA_TYPE_INFO,
    "sp_datatype_info_90": _DATA_TYPE_INFO,
    "sp_datatype_info_100": _DATA_TYPE_INFO,
    "sp_tables": (
        ("table_name", "table_owner", "table_qualifier", "table_type", "fusepattern"),
        _TABLE_COLUMNS,
        _tables,
    ),
    "sp_columns": (_COLUMN_ARGUMENTS, _COLUMN_COLUMNS, _columns),
    "sp_columns_90": (_COLUMN_ARGUMENTS, _COLUMN_COLUMNS, _columns),
    "sp_columns_100": (_COLUMN_ARGUMENTS, _COLUMN_COLUMNS, _columns),
    "sp_pkeys": (("table_name", "table_owner", "table_qualifier"), _KEY_COLUMNS, _primary_keys),
}
