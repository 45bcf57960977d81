"""Looking a table up: its shape, read from the catalogue once per process, and the checks that make it relayable."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from msgspec import Struct

from rowpost.config.errors import ConfigError
from rowpost.config.filters import condition_of
from rowpost.config.sections import Config, RelayConfig, RetryConfig
from rowpost.database import filters, trigger_limits
from rowpost.database.columns import RELAYED_TYPES, TableColumn
from rowpost.database.connection import Database, DatabaseError, Row
from rowpost.database.names import literal, quote
from rowpost.database.statements import render
from rowpost.database.table import Table, lease_table, quoted_name, trigger_id
from rowpost.rules.json_text import to_json

_log = logging.getLogger("rowpost.config")
SCHEMA_VERSION = 12  # of the app's own tables: the last of infra/sql/migrations/
ALL = "*"  # in `watch`: each update counts
_TRACK_COLUMNS = (
    "when all is delivered, ALTER TABLE it to DISABLE CHANGE_TRACKING, then run infra/sql/30-track-table.sql, which enables it "
    "WITH (TRACK_COLUMNS_UPDATED = ON)"
)
_RETENTION_SECONDS = {1: 60, 2: 3600, 3: 86400}  # sys.change_tracking_databases.retention_period_units


def load_table(database: Database, config: RelayConfig, site: str, app: Config, batch_rows: int = 0) -> Table:
    """Read the shape of a relay's table from the catalogue, check that it can be relayed, and that the relay belongs to this app.

    If the table was renamed, and its relay with it, what is known of the former relay becomes this one's. ``batch_rows`` is
    MaxBatchSize of host.json.

    Raises:
        ConfigError: as :func:`describe_table`; or SQL Server does not take the condition, a security policy can hide rows, or the
            relay belongs to another app.
        DatabaseError: the database cannot be reached.
    """
    table, policies = describe_table(database, config, site, app, batch_rows)
    _try_condition(database, table)
    _check_policies(database, table, policies)
    ((row,),) = database.run(table.statement("register_relay"), to_json([relay.name for relay in app.relays]))
    *owner, former = row
    _check_owner(table, *owner)
    if former is not None:
        _log.warning("%s: its table was renamed; what was known of the relay %s is this one's now", config.name, former)
    return table


def describe_table(
    database: Database, config: RelayConfig, site: str, app: Config, batch_rows: int = 0
) -> tuple[Table, Sequence[Row]]:
    """A relay's table as the catalogue has it, and the policies that filter its rows. Nothing is written.

    Raises:
        ConfigError: the table is missing or may not be read, has no primary key, change tracking is off, a configured column does
            not exist, a column that is sent cannot be relayed, the trigger's extension cannot handle the table, or the app's own
            tables are missing.
        DatabaseError: the database cannot be reached.
    """
    name = config.table
    leases = lease_table(config, site)
    names = {"table_literal": literal(quoted_name(name)), "leases_literal": literal(leases)}
    rows, facts, policies, leased, ((version,),) = database.run(render("describe_table", names))
    _check_table(config, rows, facts[0] if facts else None)
    _check_schema(version)
    columns = [Found(TableColumn(*(*row[:5], bool(row[14]))), *row[5:14]) for row in rows]
    key = tuple(found.column for found in sorted((c for c in columns if c.place), key=lambda c: c.place or 0))
    of_database = trigger_limits.Database(*facts[0][6:])
    texts = [(found.column, found.collation) for found in columns]
    trigger_limits.check_table(config, of_database, texts, [column.name for column in key], batch_rows)
    trigger_limits.check_leases(config, leases, [TableColumn(*row) for row in leased], key)
    lost = [name for what in ("send", "watch") for name in lost_names(config, what, columns)]
    sent = [c for c in columns if c.place or (not c.hidden if config.send is None else c.is_in(config.send))]
    check_sent(config, columns, sent)
    tracks_columns = bool(facts[0][2])
    conditioned = conditioned_columns(config, columns)
    check_filters(config, conditioned, tracks_columns)
    watch, warnings = watched_columns(config, columns, sent, tracks_columns, conditioned)
    warnings += _retention_warnings(facts[0], app.retry)
    wide = tuple(c.column.name for c in columns if trigger_limits.beyond_dotnet(c.column))
    warnings += trigger_limits.wide_warnings(config, wide)
    warnings += trigger_limits.renewal_warnings(config, app.target(config.target), key)
    found = tuple(c.column for c in sent)
    masks = frozenset(c.column.name for c in columns if c.masked)
    return Table(
        config,
        site,
        key,
        found,
        watch,
        trigger_id(site, config.function),
        tuple(warnings),
        wide,
        masks,
        conditioned=tuple(c.column.name for c in conditioned),
        tracked=tuple(c.column.name for c in columns if tracks_columns and not (c.place or c.changes_unseen)),
        mattering=mattering_columns(columns, [*sent, *conditioned], watch),
        unseen=tuple(c.column.name for c in sent if c.changes_unseen),
        lost=tuple(dict.fromkeys(lost)),
    ), policies


class Found(Struct, frozen=True):
    """A column as the catalogue knows it.

    Attributes:
        place: in the primary key; None if it is not in it.
        masked: whether the app's user reads a mask instead of the value.
        generated: whether the server writes it (GENERATED ALWAYS).
        formula: of a computed column; None if the app's user may not know it.
        collation: of text.
    """

    column: TableColumn
    place: int | None
    computed: bool
    masked: bool
    encrypted: bool
    hidden: bool
    generated: bool
    column_set: bool
    formula: str | None
    collation: str | None = None

    def is_in(self, names: Sequence[str]) -> bool:
        return self.column.name.lower() in (name.lower() for name in names)

    def reads(self, other: Found) -> bool:
        """Whether it is computed from another column; in doubt it is."""
        return self.computed and (self.formula is None or quote(other.column.name).lower() in self.formula.lower())

    @property
    def changes_unseen(self) -> bool:
        """Whether it changes though change tracking does not say so: it lists no computed column, and none of the server's own."""
        return self.computed or self.generated or self.column.type == "timestamp"


def _names(columns: Iterable[Found]) -> str:
    return ", ".join(found.column.name for found in columns)


def lost_names(config: RelayConfig, what: str, columns: Sequence[Found]) -> list[str]:
    """The names of ``send`` or ``watch`` that are no columns. Only some of them may be lost, and only if that is allowed."""
    known = {found.column.name.lower() for found in columns} | ({ALL} if what == "watch" else set())
    named = getattr(config, what) or []
    lost = [name for name in named if name.lower() not in known]
    if lost and (config.lost_columns == "stop" or len(lost) == len(named)):
        raise ConfigError(f"relays.{what} of {config.name}: there is no column {lost[0]!r}; the table has {_names(columns)}")
    return lost


def check_sent(config: RelayConfig, columns: Sequence[Found], sent: Sequence[Found]) -> None:
    """What a plain SELECT does not give as people mean it is refused by name; ``send`` can leave it out."""
    name, leave_out = config.table, "leave them out by `send`"
    hidden_by_mask = [c for c in columns if c.masked]
    masked = [c for c in sent if c.masked or any(c.reads(other) for other in hidden_by_mask)]
    if masked:
        raise ConfigError(
            f"relays.table {name}: the app's user would read, and send, masks instead of the values of {_names(masked)}; "
            f"GRANT UNMASK to it, or {leave_out}"
        )
    if encrypted := [c for c in sent if c.encrypted]:
        raise ConfigError(
            f"relays.table {name}: {_names(encrypted)} are encrypted by Always Encrypted, and the app has no key; {leave_out}"
        )
    if sets := [c for c in sent if c.column_set]:
        raise ConfigError(
            f"relays.table {name}: the column set {_names(sets)} repeats all sparse columns; name the columns in `send`, without it"
        )
    if odd := [c for c in sent if c.column.type not in RELAYED_TYPES]:
        types = ", ".join(dict.fromkeys(c.column.type for c in odd))
        raise ConfigError(f"relays.table {name}: the app cannot relay the type {types} of {_names(odd)}; {leave_out}")
    if keys := [c for c in columns if c.place and c.column.type == "sql_variant"]:
        raise ConfigError(f"relays.table {name}: the app cannot relay a key of the type sql_variant, which {_names(keys)} has")


def conditioned_columns(config: RelayConfig, columns: Sequence[Found]) -> list[Found]:
    """The columns that the condition of the relay may be on, and those of the key."""
    condition = condition_of(config)
    if condition is None:
        return []
    return [c for c in columns if c.place or c.column.name.lower() in condition.names]


def check_filters(config: RelayConfig, conditioned: Sequence[Found], tracks_columns: bool) -> None:
    """Refuse filters that cannot be known to lose nothing."""
    if config.ignore_context is not None and not tracks_columns:
        raise ConfigError(
            f"relays.ignore_context of {config.name}: the table does not track which columns change, so that a change of somebody "
            f"else just before could be lost; {_TRACK_COLUMNS}"
        )
    if encrypted := [c for c in conditioned if c.encrypted]:
        raise ConfigError(
            f"relays.where of {config.name}: {_names(encrypted)} are encrypted by Always Encrypted, and the app has no key; write "
            f"a condition without them"
        )
    if config.watch is not None and ALL not in config.watch and (unseen := [c for c in conditioned if c.changes_unseen]):
        raise ConfigError(
            f"relays.watch of {config.name}: the condition is on {_names(unseen)}, of which change tracking does not say when they "
            f'change; remove watch, or write watch = ["{ALL}"]'
        )


def _try_condition(database: Database, table: Table) -> None:
    """Let the server look at the condition. No row is read, so that its text may be told."""
    config = table.relay
    if config.where is None:
        return
    statement = filters.trial(config, quoted_name(config.table), table.conditioned)
    try:
        database.run(table.statement("try_condition"), statement)
    except DatabaseError as error:
        if not error.by_a_row:
            raise
        raise ConfigError(
            f"relays.where of {config.name}: SQL Server does not take it: {error.said_by_server}; write one condition on columns "
            f"of the table, such as Status = N'open' AND Total > 0"
        ) from None


def watched_columns(
    config: RelayConfig,
    columns: Sequence[Found],
    sent: Sequence[Found],
    tracks_columns: bool,
    conditioned: Sequence[Found] = (),
) -> tuple[tuple[str, ...] | None, list[str]]:
    """The columns of which an update counts, None for all; and what is to be said of it.

    Without ``watch`` they are those that are sent, as far as change tracking lists them: what does not leave posts nothing. Those
    of the condition always count: a row that does not meet it any more is to be known.
    """
    if config.watch is None:
        if config.send is None or any(c.changes_unseen for c in [*sent, *conditioned]):
            return None, []
        if not tracks_columns:
            return None, [
                f"relays.send of {config.name}: the table does not track which columns change, so that an update of a column "
                f"that is not sent posts the row as it was; to mend it, {_TRACK_COLUMNS}"
            ]
        return _without_key(columns, [*sent, *conditioned]), []
    if ALL in config.watch:
        return None, []
    if not tracks_columns:
        raise ConfigError(f"relays.watch of {config.name}: the table does not track which columns change; {_TRACK_COLUMNS}")
    watched = [c for c in columns if c.is_in(config.watch)]
    if computed := [c for c in watched if c.computed]:
        raise ConfigError(
            f"relays.watch of {config.name}: change tracking never lists the computed column {_names(computed)}; watch "
            f"the columns that it is computed from"
        )
    return tuple(c.column.name for c in columns if c in watched or (c in conditioned and not c.place)), []


def mattering_columns(columns: Sequence[Found], needed: Sequence[Found], watch: Sequence[str] | None) -> tuple[str, ...]:
    """The columns whose change must reach the target, of those that change tracking lists: what is sent, tested or watched.

    If one of these is computed, or written by the server, each column may be behind it.
    """
    tracked = [c for c in columns if not (c.place or c.changes_unseen)]
    if any(c.changes_unseen for c in needed):
        return tuple(c.column.name for c in tracked)
    return tuple(c.column.name for c in tracked if c in needed or c.column.name in (watch or ()))


def _without_key(columns: Sequence[Found], counting: Sequence[Found]) -> tuple[str, ...]:
    return tuple(c.column.name for c in columns if c in counting and not c.place)


def _retention_warnings(facts: Row, retry: RetryConfig) -> list[str]:
    hours = facts[0] * _RETENTION_SECONDS[facts[1]] / 3600
    if hours * 3600 > retry.window.seconds:
        return []
    return [
        f"retry.window: {retry.window.seconds / 3600:g} h is not shorter than the database's change retention of {hours:g} h: if "
        f"the app stands still for longer, changes are lost that it would still have tried; raise CHANGE_RETENTION "
        f"(infra/sql/10-change-tracking.sql) or shorten the window"
    ]


def _check_policies(database: Database, table: Table, policies: Sequence[Row]) -> None:
    """Refuse a policy that can hide rows: its predicate must pass the app's user whatever a row holds, as far as can be seen."""
    for policy, predicate in policies:
        if not _passes(database, table, predicate):
            raise ConfigError(
                f"relays.table {table.relay.table}: the security policy {policy} can hide rows from the app's user; let its "
                f"predicate pass that user for each row (and grant it SELECT on the predicate's function), or disable the policy"
            )


def _passes(database: Database, table: Table, predicate: str | None) -> bool:
    if predicate is None:
        return False
    call = predicate.strip()
    while call.startswith("(") and call.endswith(")"):
        call = call[1:-1].strip()
    try:
        return bool(database.run(table.statement("try_policy", predicate=call))[0][0][0])
    except DatabaseError as error:
        if error.number is None:
            raise
        return False  # such as: the user may not call the function


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


def _check_table(config: RelayConfig, columns: Sequence[Row], facts: Row | None) -> None:
    name = config.table
    if not columns or facts is None:
        raise ConfigError(
            f"relays.table {name}: no such table in this database, or no permission to see it; create it, or grant SELECT "
            f"and VIEW CHANGE TRACKING on it to the app's user (infra/sql/40-grant-table.sql)"
        )
    retention, _, tracks_columns, may_select, may_view, may_write = facts[:6]
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
