"""What SQLAlchemy's dialect suite may try: what SQL Server has."""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

_HAS = (
    "bound_limit_offset",
    "comment_reflection",
    "ctes",
    "datetime_historic",
    "datetime_timezone",
    "delete_from",
    "fetch_expression",
    "fetch_first",
    "fetch_percent",
    "fetch_ties",
    "foreign_key_constraint_option_reflection_ondelete",
    "identity_columns",
    "index_reflects_included_columns",
    "insert_executemany_returning",
    "insert_from_select",
    "isolation_level",
    "json_type",
    "order_by_col_from_union",
    "parens_in_union_contained_select_w_limit_offset",
    "parens_in_union_contained_select_wo_limit_offset",
    "precision_numerics_enotation_large",
    "precision_numerics_enotation_small",
    "precision_numerics_general",
    "precision_numerics_many_significant_digits",
    "precision_numerics_retains_significant_digits",
    "reflects_pk_names",
    "sane_rowcount_w_returning",
    "schemas",
    "sql_expression_limit_offset",
    "standalone_binds",
    "time_microseconds",
    "unbounded_varchar",
    "unicode_ddl",
    "unique_constraints_reflect_as_index",
    "update_from",
    "views",
    "window_functions",
)
_HAS_NOT = (
    "array_type",
    "boolean_col_expressions",
    "date_historic",
    "datetime_literals",
    "datetime_microseconds",
    "empty_inserts_executemany",
    "except_all",
    "fetch_no_order_by",
    "fetch_offset_with_options",
    "identity_columns_standard",
    "intersect_all",
    "nullable_booleans",
    "reflect_tables_no_columns",
    "regexp_match",
    "supports_distinct_on",
    "temp_table_reflection",
    "tuple_in",
    "unique_constraint_reflection",
    "uuid_data_type",
)


class Requirements(SuiteRequirements):
    """SQL Server's, for a part of the suite."""

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        """The levels that the server knows."""
        supported = list(config.db.dialect.get_isolation_level_values(None))
        return {"default": "READ COMMITTED", "supported": supported}


for _name in _HAS:
    setattr(Requirements, _name, property(lambda _: exclusions.open()))
for _name in _HAS_NOT:
    setattr(Requirements, _name, property(lambda _: exclusions.closed()))
