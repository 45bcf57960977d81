"""Looking a table up: its shape, read from the catalogue once per process, and the checks that make it relayable."""

from __future__ import annotations

from collections.abc import Sequence

from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig, RetryConfig
from rowpost.database.columns import TableColumn
from rowpost.database.connection import Database, Row
from rowpost.database.names import literal
from rowpost.database.statements import render
from rowpost.database.table import Table, quoted_name, trigger_id

SCHEMA_VERSION = 4  # of the app's own tables: the last of infra/sql/migrations/
_RETENTION_SECONDS = {1: 60, 2: 3600, 3: 86400}  # sys.change_tracking_databases.retention_period_units


def load_table(database: Database, config: RelayConfig, site: str, retry: RetryConfig) -> Table:
    """Read the shape of a relay's table from the catalogue, check that it can be relayed, and that the relay belongs to this app.

    Raises:
        ConfigError: the table is missing or may not be read, has no primary key, change tracking is off or kept too short,
            a configured column does not exist, the app's own tables are missing, or the relay belongs to another app.
        DatabaseError: the database cannot be reached.
    """
    name = config.table
    columns, facts, ((version,),) = database.run(render("describe_table", {"table_literal": literal(quoted_name(name))}))
    _check_table(config, columns, facts[0] if facts else None, retry)
    _check_schema(version)
    shapes = [(TableColumn(*row[:5]), row[5]) for row in columns]
    key = tuple(column for column, _ in sorted((s for s in shapes if s[1]), key=lambda s: int(s[1])))
    names = {column.name.lower(): column for column, _ in shapes}
    for what in ("send", "watch"):
        for column in getattr(config, what) or []:
            if column.lower() not in names:
                known = ", ".join(c.name for c, _ in shapes)
                raise ConfigError(f"relays.{what} of {config.name}: there is no column {column!r}; the table has {known}")
    key_names = {column.name for column in key}
    ceiling = {column.lower() for column in config.send} if config.send is not None else set(names)
    sent = tuple(c for c, _ in shapes if c.name.lower() in ceiling or c.name in key_names)
    computed = {row[0].lower() for row in columns if row[6]} & {column.lower() for column in config.watch or []}
    if computed:
        raise ConfigError(
            f"relays.watch of {config.name}: change tracking never lists the computed column {', '.join(sorted(computed))}; watch "
            f"the columns that it is computed from"
        )
    watch = tuple(names[column.lower()].name for column in config.watch) if config.watch is not None else None
    table = Table(config, site, key, sent, watch, trigger_id(site, config.function))
    ((row,),) = database.run(table.statement("register_relay"))
    _check_owner(table, *row)
    return table


def _check_owner(table: Table, owner: str, relayed: str) -> None:
    name = table.relay.name
    if owner.lower() != table.site.lower():
        raise ConfigError(
            f"relays.name {name}: in this database the relay belongs to the app {owner!r}, and this app is {table.site!r}; give "
            f"this relay another name, or hand it over: UPDATE rowpost.Relays SET App = NULL WHERE Relay = {literal(name)}"
        )
    if relayed.lower() != table.relay.table.lower():
        raise ConfigError(
            f"relays.table of {name}: in this database the relay {name} is of the table {relayed}; give the relay of "
            f"{table.relay.table} a name of its own"
        )


def _check_table(config: RelayConfig, columns: Sequence[Row], facts: Row | None, retry: RetryConfig) -> None:
    name = config.table
    if not columns or facts is None:
        raise ConfigError(
            f"relays.table {name}: no such table in this database, or no permission to see it; create it, or grant SELECT "
            f"and VIEW CHANGE TRACKING on it to the app's user (infra/sql/40-grant-table.sql)"
        )
    retention, unit, tracks_columns, may_select, may_view, may_write = facts
    if not may_select or not may_view:
        missing = "SELECT" if not may_select else "VIEW CHANGE TRACKING"
        raise ConfigError(
            f"relays.table {name}: the app's user lacks the permission {missing}; run infra/sql/40-grant-table.sql for it"
        )
    odd = [row[0] for row in columns if row[1] is None]
    if odd:
        raise ConfigError(
            f"relays.table {name}: the SQL trigger does not support the CLR types (geography, geometry, hierarchyid) of the "
            f"columns {', '.join(odd)}; relay a table without them"
        )
    if not any(row[5] for row in columns):
        raise ConfigError(f"relays.table {name}: the table has no primary key, which change tracking needs; add one")
    if retention is None or tracks_columns is None:
        what = "database" if retention is None else "table"
        script = "10-change-tracking.sql" if retention is None else "30-track-table.sql"
        raise ConfigError(f"relays.table {name}: change tracking is off for the {what}; run infra/sql/{script}")
    if config.watch is not None and not tracks_columns:
        raise ConfigError(
            f"relays.watch of {config.name}: the table does not track which columns change; when all is delivered, ALTER TABLE it "
            f"to DISABLE CHANGE_TRACKING, then run infra/sql/30-track-table.sql, which enables it WITH (TRACK_COLUMNS_UPDATED = ON)"
        )
    if retention * _RETENTION_SECONDS[unit] <= retry.window.seconds:
        hours = retention * _RETENTION_SECONDS[unit] / 3600
        raise ConfigError(
            f"retry.window: {retry.window.seconds / 3600:g} h is not shorter than the database's change retention of {hours:g} h; "
            f"raise CHANGE_RETENTION (infra/sql/10-change-tracking.sql) or shorten the window"
        )
    if may_write == 0:
        raise ConfigError("rowpost.Ledger: the app's user may not write to schema rowpost; run infra/sql/20-rowpost.sql")


def _check_schema(version: int) -> None:
    if version == 0:
        raise ConfigError(
            "rowpost.Ledger: the app's own tables are missing or not visible to it; run python infra/prepare_database.py"
        )
    if version < SCHEMA_VERSION:
        raise ConfigError(
            f"rowpost.SchemaVersion: the app's own tables have version {version}, and this app needs {SCHEMA_VERSION}; run "
            f"python infra/prepare_database.py, which keeps what is in them"
        )
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"rowpost.SchemaVersion: the app's own tables have version {version}, and this app knows {SCHEMA_VERSION} only: a "
            f"newer app has been here; deploy that one"
        )
