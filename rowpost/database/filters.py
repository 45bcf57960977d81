"""The fragments of SQL that say which changes of a relay are sent: ``where``, ``operations``, ``ignore_context``, ``watch``.

The alias w is that of the changes since ``@base``, up to which all is delivered. All that these fragments say of a change is
relative to it: so nothing is lost when a change is left out whose row had changed before. In doubt a change counts.

The base may be minutes old. A row that was made, delivered, deleted and made again since then is new to w. So n has the changes
since ``@recent``, the trigger's cursor: a row that was delivered before is not new to it, unless the cursor stands still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rowpost.config.filters import condition_of, context_of, operations_of
from rowpost.config.sections import RelayConfig
from rowpost.database.names import literal, quote

_NEAR = 1000  # versions: a claim that only wants to know which columns changed reads no more changes than those of so many
# An insert that is not the last change may have been sent. A row that was deleted and made anew is an update to change tracking.
_POSSIBLE = {
    "insert": "w.SYS_CHANGE_OPERATION = 'I' OR w.SYS_CHANGE_OPERATION = 'U' AND COALESCE(w.SYS_CHANGE_CREATION_VERSION, 0) > @base",
    "update": "w.SYS_CHANGE_OPERATION = 'U' OR w.SYS_CHANGE_OPERATION = 'I' "
    "AND (w.SYS_CHANGE_VERSION > w.SYS_CHANGE_CREATION_VERSION OR COALESCE(n.SYS_CHANGE_OPERATION, 'U') <> 'I')",
    "delete": "w.SYS_CHANGE_OPERATION = 'D'",
}


def filters_changes(relay: RelayConfig) -> bool:
    """Whether some changes are not sent for what they are, whatever the row holds."""
    return relay.ignore_context is not None or operations_of(relay) is not None


def deletes_what_leaves(relay: RelayConfig) -> bool:
    """Whether a deletion is sent of a row that does not meet the condition."""
    return relay.where is not None and relay.leaving == "delete"


def tells_what_is_new(relay: RelayConfig) -> bool:
    """Whether it makes a difference that the target never had a row."""
    return operations_of(relay) is not None or deletes_what_leaves(relay)


def matching(relay: RelayConfig, columns: Sequence[str]) -> str:
    """Whether the row of t meets the condition of the relay.

    The columns stand in a scope of their own, under the name of the table: no name of another part of the statement is in the way.
    """
    condition = condition_of(relay)
    if condition is None:
        return "1 = 1"
    return f"EXISTS (SELECT 1 FROM (SELECT {_listed(columns, 't.')}) AS {_scope(relay)} WHERE (\n{condition.sql}\n))"


def trial(relay: RelayConfig, table: str, columns: Sequence[str]) -> str:
    """What try_condition.sql selects from: the condition of the relay, in the same scope."""
    condition = condition_of(relay)
    assert condition is not None
    rows = f"(SELECT {_listed(columns, '')} FROM {table}) AS {_scope(relay)}"
    return f"{rows} WHERE (\n{condition.sql}\n)"


def _listed(columns: Sequence[str], alias: str) -> str:
    return ", ".join(f"{alias}{quote(name)} AS {quote(name)}" for name in columns)


def _scope(relay: RelayConfig) -> str:
    return quote(relay.table.split(".")[-1])


def skipped(relay: RelayConfig, watch: Sequence[str] | None, table: str) -> dict[str, str]:
    """Why a change does not count: conditions on w, by filter. None of them is true of a row that w does not have."""
    found = {}
    if watch is not None:
        masks = " OR ".join(_in_mask(table, column) for column in watch) or "1 = 0"
        found["watch"] = f"w.SYS_CHANGE_OPERATION = 'U' AND w.SYS_CHANGE_COLUMNS IS NOT NULL AND NOT ({masks})"
    operations = operations_of(relay)
    if operations is not None:
        possible = " OR ".join(f"({_POSSIBLE[operation]})" for operation in operations)
        found["operations"] = f"NOT ({possible})"
    context = context_of(relay)
    if context is not None:
        whole = "w.SYS_CHANGE_OPERATION = 'D' OR w.SYS_CHANGE_CREATION_VERSION = w.SYS_CHANGE_VERSION"
        found["ignore_context"] = f"w.SYS_CHANGE_CONTEXT = {_bytes(context)} AND ({whole})"
    return found


def skipped_by(table: str, reasons: Mapping[str, str]) -> str:
    """The filter that leaves a change out; NULL if it counts. Changes since a base that is not valid any more may be incomplete."""
    cases = " ".join(f"WHEN {reason} THEN {literal(name)}" for name, reason in reasons.items())
    return f"CASE WHEN @base >= CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({literal(table)})) THEN CASE {cases} END END"


def base(relay: str, table: str) -> str:
    """The base. Before it was first moved it is the version with which the trigger begins: nothing was handed out before."""
    return (
        f"{_known(relay)}\nDECLARE @base bigint = COALESCE(@known, CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({literal(table)})));"
    )


def near_base(relay: str, table: str) -> str:
    """The base if it is not far, else the newest version: then nothing is known. Needs: @current."""
    return f"{_known(relay)}\nIF @known < @current - {_NEAR} SET @known = NULL;\nDECLARE @base bigint = COALESCE(@known, @current);"


def _known(relay: str) -> str:
    return f"DECLARE @known bigint = (SELECT WatchBase FROM rowpost.Relays WHERE Relay = {literal(relay)});"


def mask(table: str) -> str:
    """The mask of the columns that have changed since the base; NULL if that is not known."""
    return (
        f"CASE WHEN @known >= CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({literal(table)})) AND w.SYS_CHANGE_OPERATION = 'U' "
        f"THEN w.SYS_CHANGE_COLUMNS END"
    )


def new(table: str) -> str:
    """1 if the row was made since the base and has not changed since: the target never had it. In doubt 0."""
    return (
        f"CASE WHEN @base >= CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID({literal(table)})) AND w.SYS_CHANGE_OPERATION = 'I' "
        f"AND w.SYS_CHANGE_VERSION = w.SYS_CHANGE_CREATION_VERSION AND n.SYS_CHANGE_OPERATION = 'I' AND @doubt = 0 "
        f"THEN 1 ELSE 0 END"
    )


def echoes(relay: RelayConfig, table: str, columns: Sequence[str]) -> dict[str, object]:
    """What ``echoes.sql`` needs: the context, and the columns of a mask that matter, as a text with a mark for each."""
    context = context_of(relay)
    assert context is not None
    marks = " + ".join(f"CASE WHEN {_in_mask(table, column)} THEN '1' ELSE '0' END" for column in columns) or "''"
    every = f"'{'1' * len(columns)}'"
    of_w = f"CASE WHEN w.SYS_CHANGE_COLUMNS IS NULL THEN {every} ELSE {marks} END"
    return {"context": _bytes(context), "marks_of_w": of_w, "all_marks": every}


def _in_mask(table: str, column: str) -> str:
    return (
        f"CHANGE_TRACKING_IS_COLUMN_IN_MASK(COLUMNPROPERTY(OBJECT_ID({literal(table)}), {literal(column)}, 'ColumnId'), "
        f"w.SYS_CHANGE_COLUMNS) = 1"
    )


def _bytes(data: bytes) -> str:
    return f"0x{data.hex().upper()}"
