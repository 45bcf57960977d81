"""What the extension of the SQL trigger cannot do with a table: it would hand out nothing, and say so in its own log alone.

Facts from the extension's source (Azure/azure-functions-sql-extension, SqlTriggerListener and SqlTableChangeMonitor).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig, TargetConfig
from rowpost.database.columns import TableColumn
from rowpost.rules.lease import LEASE_SECONDS

_RESERVED = ("_az_func_ChangeVersion", "_az_func_AttemptCount", "_az_func_LeaseExpirationTime")
_OF_ITS_QUERIES = ("SYS_CHANGE_VERSION", "SYS_CHANGE_OPERATION")
# CHANGETABLE gives the key beside columns of these names: with a key column of such a name each query fails, error 8156.
_BESIDE_THE_KEY = ("SYS_CHANGE_CREATION_VERSION", "SYS_CHANGE_COLUMNS", "SYS_CHANGE_CONTEXT")
_LEAST_LEVEL = 130  # of OPENJSON
_PARAMETERS = 2100  # of a statement, error 8003
_DOTNET_DIGITS = 28  # System.Decimal has 96 bits, https://learn.microsoft.com/dotnet/api/system.decimal
_UNRENEWED = frozenset({"date", "datetime2"})  # a renewal sends them as datetime: other fractions, none before 1753
_AROUND_POSTS_SECONDS = 10  # claim and settlement
_LEAST_SECONDS = 5


class Database(Struct, frozen=True):
    """The facts of a database that matter here."""

    compatibility_level: int
    collation: str | None


def check_table(
    relay: RelayConfig, database: Database, columns: Sequence[tuple[TableColumn, str | None]], key: Sequence[str], batch_rows: int
) -> None:
    """Refuse a table of which the trigger would hand out nothing, or whose leases it could never renew.

    So are names that no path in JSON is known to lead to: Microsoft says nothing of control characters in a path.

    Args:
        relay: that has the table.
        database: that has it.
        columns: all columns, each with its collation, if it is text.
        key: the names of the key columns.
        batch_rows: MaxBatchSize of host.json.

    Raises:
        ConfigError: with the field and the remedy.
    """
    field, names = f"relays.table {relay.table}", [column.name for column, _ in columns]
    if database.compatibility_level < _LEAST_LEVEL:
        raise ConfigError(
            f"{field}: the database's compatibility level is {database.compatibility_level}, and the SQL trigger needs "
            f"{_LEAST_LEVEL}; ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = {_LEAST_LEVEL} (or higher)"
        )
    reserved = {word.lower() for word in _RESERVED + _OF_ITS_QUERIES}
    beside = {word.lower() for word in _BESIDE_THE_KEY}
    if taken := [name for name in names if name.lower() in reserved or (name in key and name.lower() in beside)]:
        raise ConfigError(f"{field}: the SQL trigger uses the column names {', '.join(taken)} itself; rename the columns")
    if odd := [repr(name) for name in key if any(character < " " for character in name)]:
        raise ConfigError(f"{field}: key columns have control characters in their names: {', '.join(odd)}; rename the columns")
    if twins := sorted({name for name in names if sum(name.lower() == other.lower() for other in names) > 1}):
        raise ConfigError(f"{field}: the SQL trigger cannot tell the columns {', '.join(twins)} apart by case alone; rename one")
    if foreign := [(c.name, text) for c, text in columns if c.name in key and text is not None and text != database.collation]:
        told = ", ".join(f"{name} ({collation})" for name, collation in foreign)
        raise ConfigError(
            f"{field}: key columns have another collation than the database ({database.collation}): {told}; the SQL trigger "
            f"cannot compare such keys with those of its leases (error 468): make the key anew with COLLATE DATABASE_DEFAULT"
        )
    if batch_rows * len(key) >= _PARAMETERS:
        raise ConfigError(
            f"host.json: extensions.Sql.MaxBatchSize: {batch_rows} rows of {len(key)} key columns are more than "
            f"the {_PARAMETERS - 1} parameters that a renewal of leases may have; set it to at most "
            f"{(_PARAMETERS - 1) // len(key)} for {relay.table}"
        )


def check_leases(relay: RelayConfig, leases: str, leased: Sequence[TableColumn], key: Sequence[TableColumn]) -> None:
    """Refuse a lease table of another key: the trigger keeps the one that it finds, and fails at each look.

    Args:
        relay: that has the table.
        leases: the lease table's name.
        leased: its key columns; none if there is no lease table yet.
        key: of the table.

    Raises:
        ConfigError: with the remedy.
    """
    known = {column.name.lower(): column for column in leased}
    if leased and (len(leased) != len(key) or not all(_holds(known.get(column.name.lower()), column) for column in key)):
        raise ConfigError(
            f"relays.table {relay.table}: the trigger's lease table {leases} has another key than the table, which was made anew "
            f"or altered; DROP TABLE {leases}, then restart the function app, which makes it again"
        )


def _holds(lease: TableColumn | None, column: TableColumn) -> bool:
    """Whether a column of the lease table can hold the values of a key column. It may be longer, and has the finest fractions."""
    if lease is None or lease.type != column.type:
        return False
    longer = lease.max_length < 0 or 0 < column.max_length <= lease.max_length
    exact = column.type not in ("decimal", "numeric") or (lease.precision, lease.scale) == (column.precision, column.scale)
    return exact and longer


def beyond_dotnet(column: TableColumn) -> bool:
    """Whether a value of the column can be more than the System.Decimal of the trigger's extension holds: 28 digits are safe."""
    return column.type in ("decimal", "numeric") and column.precision > _DOTNET_DIGITS


def wide_warnings(relay: RelayConfig, wide: Sequence[str]) -> list[str]:
    """What is to be said of columns that can hold such numbers."""
    if not wide:
        return []
    return [
        f"relays.table {relay.table}: {', '.join(wide)} can hold numbers of more than {_DOTNET_DIGITS} digits, which the SQL "
        f"trigger cannot read, sent or not: while a change of such a row waits, recovery delivers the table's rows, some minutes "
        f"late; declare the columns with at most {_DOTNET_DIGITS} digits"
    ]


def seconds_to_post(target: TargetConfig, key: Sequence[TableColumn]) -> float:
    """The time budget of a batch's posts in seconds. Where leases cannot be renewed, a batch is to end within one."""
    budget = target.batch_budget.seconds
    if not _cannot_be_renewed(key):
        return budget
    return min(budget, max(_LEAST_SECONDS, LEASE_SECONDS - _AROUND_POSTS_SECONDS - 2 * target.timeout.seconds))


def renewal_warnings(relay: RelayConfig, target: TargetConfig, key: Sequence[TableColumn]) -> list[str]:
    """What is to be said of keys whose leases cannot be renewed, if a batch may not end within one."""
    longest = (LEASE_SECONDS - _AROUND_POSTS_SECONDS - _LEAST_SECONDS) / 2
    found = _cannot_be_renewed(key)
    if not found or target.timeout.seconds <= longest:
        return []
    return [
        f"targets.timeout of {target.name}: the SQL trigger cannot renew the leases of {relay.table}, since {', '.join(found)} is "
        f"a date or datetime2: with {target.timeout.seconds:g} s a post may outlast its lease, and the row is sent twice; use at "
        f"most {longest:g} s"
    ]


def _cannot_be_renewed(key: Sequence[TableColumn]) -> list[str]:
    return [column.name for column in key if column.type in _UNRENEWED]
