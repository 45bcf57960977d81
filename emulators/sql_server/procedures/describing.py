"""sp_describe_first_result_set called from a batch: the shape of a result, without running what gives it.

A statement that cannot be parsed or bound fails with its own error; the real server adds error 11501 behind it. Columns that say
where a value comes from are NULL.
"""

from __future__ import annotations

from emulators.sql_server.values.datatypes import STRINGS, display, max_length_bytes, precision_scale, system_type_id
from emulators.sql_server.values.results import Column, ResultSet, SqlType

_BIT, _INT, _NAME = SqlType("bit"), SqlType("int"), SqlType("nvarchar", 128)
_COLUMNS = [
    *(("is_hidden", _BIT), ("column_ordinal", _INT), ("name", _NAME), ("is_nullable", _BIT), ("system_type_id", _INT)),
    *(("system_type_name", SqlType("nvarchar", 256)), ("max_length", SqlType("smallint")), ("precision", SqlType("tinyint"))),
    *(("scale", SqlType("tinyint")), ("collation_name", _NAME), ("user_type_id", _INT), ("user_type_database", _NAME)),
    *(("user_type_schema", _NAME), ("user_type_name", _NAME), ("assembly_qualified_type_name", SqlType("nvarchar", 4000))),
    *(("xml_collection_id", _INT), ("xml_collection_database", _NAME), ("xml_collection_schema", _NAME)),
    *(("xml_collection_name", _NAME), ("is_xml_document", _BIT), ("is_case_sensitive", _BIT)),
    *(("is_fixed_length_clr_type", _BIT), ("source_server", _NAME), ("source_database", _NAME), ("source_schema", _NAME)),
    *(("source_table", _NAME), ("source_column", _NAME), ("is_identity_column", _BIT), ("is_part_of_unique_key", _BIT)),
    *(("is_updateable", _BIT), ("is_computed_column", _BIT), ("is_sparse_column_set", _BIT)),
    *((name, SqlType("smallint")) for name in ("ordinal_in_order_by_list", "order_by_list_length", "order_by_is_descending")),
    *(("tds_type_id", _INT), ("tds_length", _INT), ("tds_collation_id", _INT), ("tds_collation_sort_id", SqlType("tinyint"))),
]


def described(columns: list[Column], collation: str) -> ResultSet:
    """The result set of the procedure."""
    rows = []
    for number, column in enumerate(columns, 1):
        kind = column.type
        row: list[object] = [0, number, column.name or None, int(column.nullable), system_type_id(kind.name), display(kind)]
        row += [max_length_bytes(kind), *precision_scale(kind), collation if kind.name in STRINGS else None]
        rows.append(tuple(row + [None] * (len(_COLUMNS) - len(row))))
    return ResultSet([Column(name, kind) for name, kind in _COLUMNS], rows)
