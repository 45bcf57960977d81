"""Columns of sys.* and INFORMATION_SCHEMA.*."""

from __future__ import annotations

import zlib
from typing import Any

from emulators.sql_server.values.datatypes import BIGINT, BIT, DATETIME, INT, NVARCHAR_MAX, SYSNAME, UNIQUEIDENTIFIER
from emulators.sql_server.values.results import SqlType

TINYINT, SMALLINT = SqlType("tinyint"), SqlType("smallint")
_CHAR1, _CHAR2, _CHAR4 = SqlType("char", 1), SqlType("char", 2), SqlType("char", 4)
_NV60, _SID = SqlType("nvarchar", 60), SqlType("varbinary", 85)
_LSN = SqlType("numeric", 0, 25, 0)
Row = tuple[Any, ...]
Columns = list[tuple[str, SqlType]]


def _columns(text: str, **special: SqlType) -> Columns:
    """``name:code`` words.

    Codes: i int, b bit, n sysname, t tinyint, s smallint, l bigint, d datetime, x nvarchar(max), c char(2),
    v nvarchar(60), y varbinary(85), g uniqueidentifier, m numeric(25,0).
    """
    codes = {
        "i": INT,
        "b": BIT,
        "n": SYSNAME,
        "t": TINYINT,
        "s": SMALLINT,
        "l": BIGINT,
        "d": DATETIME,
        "x": NVARCHAR_MAX,
        "c": _CHAR2,
        "v": _NV60,
        "y": _SID,
        "g": UNIQUEIDENTIFIER,
        "m": _LSN,
    }
    columns = []
    for word in text.split():
        name, _, code = word.partition(":")
        columns.append((name, special.get(name) or codes[code]))
    return columns


_OBJECT = (
    "name:n object_id:i principal_id:i schema_id:i parent_object_id:i type:c type_desc:v create_date:d modify_date:d "
    "is_ms_shipped:b"
)
_COLUMN = (
    "object_id:i name:n column_id:i system_type_id:t user_type_id:i max_length:s precision:t scale:t "
    "collation_name:n is_nullable:b is_ansi_padded:b is_rowguidcol:b is_identity:b is_computed:b is_sparse:b "
    "is_hidden:b default_object_id:i generated_always_type:t generated_always_type_desc:v is_filestream:b is_replicated:b "
    "is_non_sql_subscribed:b is_merge_published:b is_dts_replicated:b is_xml_document:b xml_collection_id:i rule_object_id:i "
    "is_column_set:b encryption_type:i encryption_type_desc:v encryption_algorithm_name:n column_encryption_key_id:i "
    "column_encryption_key_database_name:n is_masked:b graph_type:i graph_type_desc:v"
)

SYSTEM_VIEWS: dict[str, Columns] = {
    "sys.schemas": _columns("name:n schema_id:i principal_id:i"),
    "sys.objects": _columns(_OBJECT),
    "sys.all_objects": _columns(_OBJECT),
    "sys.tables": _columns(
        _OBJECT + " is_published:b max_column_id_used:i temporal_type:t temporal_type_desc:v is_memory_optimized:b "
        "is_filetable:b is_external:b lock_escalation:t uses_ansi_nulls:b history_table_id:i"
    ),
    "sys.views": _columns(_OBJECT + " is_replicated:b with_check_option:b is_date_correlation_view:b"),
    "sys.procedures": _columns(_OBJECT),
    "sys.security_policies": _columns(
        _OBJECT + " is_enabled:b is_not_for_replication:b uses_database_collation:b is_schema_bound:b"
    ),
    "sys.security_predicates": _columns(
        "object_id:i security_predicate_id:i target_object_id:i predicate_definition:x predicate_type:i predicate_type_desc:v "
        "operation:i operation_desc:v"
    ),
    "sys.parameters": _columns(
        "object_id:i name:n parameter_id:i system_type_id:t user_type_id:i max_length:s precision:t scale:t is_output:b"
    ),
    "sys.triggers": _columns("name:n object_id:i parent_id:i type:c is_disabled:b"),
    "sys.columns": _columns(_COLUMN),
    "sys.masked_columns": _columns(_COLUMN + " masking_function:x"),
    "sys.all_columns": _columns(
        "object_id:i name:n column_id:i system_type_id:t user_type_id:i max_length:s precision:t scale:t "
        "collation_name:n is_nullable:b is_identity:b is_computed:b"
    ),
    "sys.column_encryption_keys": _columns("name:n column_encryption_key_id:i create_date:d modify_date:d"),
    "sys.column_master_keys": _columns(
        "name:n column_master_key_id:i create_date:d modify_date:d key_store_provider_name:n key_path:x"
    ),
    "sys.types": _columns(
        "name:n system_type_id:t user_type_id:i schema_id:i principal_id:i max_length:s precision:t scale:t collation_name:n "
        "is_nullable:b is_user_defined:b is_assembly_type:b default_object_id:i is_table_type:b"
    ),
    "sys.assembly_types": _columns("name:n system_type_id:t user_type_id:i schema_id:i"),
    "sys.indexes": _columns(
        "object_id:i name:n index_id:i type:t type_desc:v is_unique:b data_space_id:i ignore_dup_key:b is_primary_key:b "
        "is_unique_constraint:b fill_factor:t is_padded:b is_disabled:b is_hypothetical:b has_filter:b filter_definition:x"
    ),
    "sys.index_columns": _columns(
        "object_id:i index_id:i index_column_id:i column_id:i key_ordinal:t partition_ordinal:t is_descending_key:b "
        "is_included_column:b"
    ),
    "sys.key_constraints": _columns(_OBJECT + " unique_index_id:i is_system_named:b"),
    "sys.check_constraints": _columns(
        _OBJECT + " is_disabled:b is_not_trusted:b parent_column_id:i definition:x is_system_named:b"
    ),
    "sys.default_constraints": _columns(_OBJECT + " parent_column_id:i definition:x is_system_named:b"),
    "sys.foreign_keys": _columns(
        _OBJECT + " referenced_object_id:i key_index_id:i is_disabled:b is_not_trusted:b delete_referential_action:t "
        "delete_referential_action_desc:v update_referential_action:t update_referential_action_desc:v"
    ),
    "sys.foreign_key_columns": _columns(
        "constraint_object_id:i constraint_column_id:i parent_object_id:i parent_column_id:i "
        "referenced_object_id:i referenced_column_id:i"
    ),
    "sys.identity_columns": _columns(_COLUMN + " seed_value:l increment_value:l last_value:l is_not_for_replication:b"),
    "sys.computed_columns": _columns("object_id:i name:n column_id:i definition:x is_persisted:b"),
    "sys.partitions": _columns("partition_id:l object_id:i index_id:i partition_number:i hobt_id:l rows:l"),
    "sys.sql_modules": _columns("object_id:i definition:x uses_ansi_nulls:b uses_quoted_identifier:b is_schema_bound:b"),
    "sys.databases": _columns(
        "name:n database_id:i create_date:d compatibility_level:t collation_name:n user_access:t state:t state_desc:v "
        "is_read_only:b snapshot_isolation_state:t snapshot_isolation_state_desc:v is_read_committed_snapshot_on:b "
        "recovery_model:t recovery_model_desc:v is_auto_close_on:b is_encrypted:b is_broker_enabled:b service_broker_guid:g"
    ),
    "sys.database_recovery_status": _columns(
        "database_id:i database_guid:g family_guid:g last_log_backup_lsn:m recovery_fork_guid:g first_recovery_fork_guid:g "
        "fork_point_lsn:m"
    ),
    "sys.change_tracking_databases": _columns(
        "database_id:i is_auto_cleanup_on:b retention_period:i retention_period_units:t "
        "retention_period_units_desc:v max_cleanup_version:l"
    ),
    "sys.change_tracking_tables": _columns(
        "object_id:i is_track_columns_updated_on:b min_valid_version:l begin_version:l cleanup_version:l"
    ),
    "sys.internal_tables": _columns(f"{_OBJECT} internal_type:t internal_type_desc:v parent_id:i parent_minor_id:i"),
    "sys.dm_tran_commit_table": _columns("commit_ts:l xdes_id:l commit_lbn:l commit_csn:l commit_time:d"),
    "sys.database_principals": _columns(
        "name:n principal_id:i type:c type_desc:v default_schema_name:n create_date:d modify_date:d "
        "owning_principal_id:i sid:y is_fixed_role:b authentication_type:i authentication_type_desc:v",
        type=_CHAR1,
    ),
    "sys.database_role_members": _columns("role_principal_id:i member_principal_id:i"),
    "sys.database_permissions": _columns(
        "class:t class_desc:v major_id:i minor_id:i grantee_principal_id:i grantor_principal_id:i type:c "
        "permission_name:n state:c state_desc:v",
        type=_CHAR4,
        state=_CHAR1,
    ),
    "sys.server_principals": _columns("name:n principal_id:i sid:y type:c type_desc:v is_disabled:b create_date:d", type=_CHAR1),
    "sys.sql_logins": _columns("name:n principal_id:i sid:y type:c type_desc:v is_disabled:b", type=_CHAR1),
    "sys.dm_exec_sessions": _columns(
        "session_id:s login_name:n host_name:n program_name:n status:v open_transaction_count:i database_id:s is_user_process:b "
        "transaction_isolation_level:s"
    ),
    "sys.dm_exec_connections": _columns("session_id:i net_transport:v encrypt_option:v"),
    "sys.dm_tran_locks": _columns(
        "resource_type:v resource_description:v request_mode:v request_status:v request_session_id:i resource_database_id:i"
    ),
    "sys.dm_db_partition_stats": _columns("object_id:i index_id:i row_count:l used_page_count:l"),
    "sys.configurations": _columns("configuration_id:i name:n value:i value_in_use:i"),
    "sys.extended_properties": _columns("class:t class_desc:v major_id:i minor_id:i name:n value:x"),
    "sys.system_views": _columns(_OBJECT),
    "sys.sequences": _columns(
        _OBJECT + " is_published:b is_schema_published:b start_value:l increment:l minimum_value:l maximum_value:l is_cycling:b "
        "is_cached:b cache_size:i system_type_id:t user_type_id:i precision:t scale:t current_value:l is_exhausted:b"
    ),
    "sys.synonyms": _columns(_OBJECT + " base_object_name:x"),
    "sys.stats": _columns(
        "object_id:i name:n stats_id:i auto_created:b user_created:b no_recompute:b has_filter:b filter_definition:x"
    ),
    "sys.sysobjects": _columns("name:n id:i xtype:c uid:s parent_obj:i crdate:d type:c sysstat:s category:i"),
    "information_schema.tables": _columns("TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n TABLE_TYPE:n"),
    "information_schema.views": _columns("TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n VIEW_DEFINITION:x"),
    "information_schema.schemata": _columns("CATALOG_NAME:n SCHEMA_NAME:n SCHEMA_OWNER:n"),
    "information_schema.columns": _columns(
        "TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n COLUMN_NAME:n ORDINAL_POSITION:i COLUMN_DEFAULT:x IS_NULLABLE:n "
        "DATA_TYPE:n CHARACTER_MAXIMUM_LENGTH:i CHARACTER_OCTET_LENGTH:i NUMERIC_PRECISION:t "
        "NUMERIC_PRECISION_RADIX:s NUMERIC_SCALE:i DATETIME_PRECISION:s CHARACTER_SET_NAME:n COLLATION_NAME:n"
    ),
    "information_schema.table_constraints": _columns(
        "CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n CONSTRAINT_TYPE:n"
    ),
    "information_schema.key_column_usage": _columns(
        "CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n TABLE_CATALOG:n TABLE_SCHEMA:n "
        "TABLE_NAME:n COLUMN_NAME:n ORDINAL_POSITION:i"
    ),
    "information_schema.referential_constraints": _columns(
        "CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n UNIQUE_CONSTRAINT_CATALOG:n UNIQUE_CONSTRAINT_SCHEMA:n "
        "UNIQUE_CONSTRAINT_NAME:n MATCH_OPTION:v UPDATE_RULE:v DELETE_RULE:v"
    ),
    "information_schema.check_constraints": _columns("CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n CHECK_CLAUSE:x"),
    "information_schema.constraint_column_usage": _columns(
        "TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n COLUMN_NAME:n CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n"
    ),
    "information_schema.constraint_table_usage": _columns(
        "TABLE_CATALOG:n TABLE_SCHEMA:n TABLE_NAME:n CONSTRAINT_CATALOG:n CONSTRAINT_SCHEMA:n CONSTRAINT_NAME:n"
    ),
    "information_schema.routines": _columns("ROUTINE_CATALOG:n ROUTINE_SCHEMA:n ROUTINE_NAME:n ROUTINE_TYPE:v DATA_TYPE:n"),
    "information_schema.parameters": _columns(
        "SPECIFIC_CATALOG:n SPECIFIC_SCHEMA:n SPECIFIC_NAME:n ORDINAL_POSITION:i PARAMETER_MODE:v PARAMETER_NAME:n DATA_TYPE:n"
    ),
    "information_schema.sequences": _columns("SEQUENCE_CATALOG:n SEQUENCE_SCHEMA:n SEQUENCE_NAME:n DATA_TYPE:n"),
}


SERVER_VIEWS = frozenset(
    {
        "sys.configurations",
        "sys.databases",
        "sys.dm_exec_connections",
        "sys.dm_exec_sessions",
        "sys.dm_tran_locks",
        "sys.server_principals",
        "sys.sql_logins",
    }
)
"""Views that show the same in every database."""


def system_view_id(key: str) -> int:
    """A negative object_id, as system views have."""
    return -(zlib.crc32(key.encode()) % 1_000_000) - 1
