"""What people order about rows that were not delivered: try them again, replay dead letters, give a change up.

An order is about rows by their keys, rows that a filter names, or all. It is written down in the audit first. Then it is carried
out in chunks, each in a transaction that also counts it there. So after a crash the order may be repeated, and nothing is counted
twice. Recovery does the rest: whoever gives an order wakes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from rowpost.app import App
from rowpost.database.connection import DatabaseError
from rowpost.database.ledger import CHUNK_ROWS
from rowpost.database.table import Table
from rowpost.operations.audit import DONE, Order, instant, keys_for_audit, record_order
from rowpost.operations.keys import whole_key
from rowpost.operations.rows import Refused
from rowpost.relay.claim import numbered_keys
from rowpost.rules.error_class import ErrorClass
from rowpost.rules.json_text import to_json
from rowpost.rules.lifecycle import State

Action = Literal["retry", "replay", "discard"]
Key = dict[str, str | int | float | bool]
KEYS_AT_MOST = 1000
_DISCARD_ROWS = 500  # of one chunk: it holds the trigger's lock


class Filter(Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of the ledger that an order is about; what is left out says nothing.

    Attributes:
        state: in which the rows are.
        error_class: the classes of their last errors.
        since: of their last failures, the first instant.
        until: the instant before which they failed last.
    """

    state: list[State] = []
    error_class: list[ErrorClass] = field(default_factory=list, name="class")
    since: datetime | None = field(default=None, name="from")
    until: datetime | None = field(default=None, name="to")

    def __post_init__(self) -> None:
        """Raises:
        ValueError: a time has an offset that leads out of the calendar.
        """
        try:
            instant(self.since), instant(self.until)
        except OverflowError:
            raise ValueError("`from` or `to` is no time; write ISO 8601, such as 2026-03-01T08:15:00Z") from None


class Selection(Struct, frozen=True):
    """The rows that an order is about: exactly one of the three.

    Attributes:
        keys: of the rows, an object with the columns of the primary key for each.
        filter: what the rows have in common.
        all: every row of the relay.
    """

    keys: list[Key] | None = None
    filter: Filter | None = None
    all: bool = False

    def check(self) -> None:
        """Raises:
        Refused: it names none of the three, or more than one.
        """
        if (self.keys is not None) + (self.filter is not None) + self.all != 1:
            raise Refused("keys", 'name exactly one of `keys`, `filter` and `"all": true`')

    @property
    def for_audit(self) -> dict[str, Any]:
        """The same as the audit keeps it."""
        if self.keys is not None:
            return keys_for_audit(self.keys)
        if self.filter is None:
            return {"all": True}
        found = self.filter
        times = {"from": instant(found.since), "to": instant(found.until)}
        named = {"state": list(found.state), "class": list(found.error_class), **times}
        return {"filter": {name: value for name, value in named.items() if value}}


ALL = Selection(all=True)


class Ordered(Struct, frozen=True):
    """What became of an order.

    Attributes:
        relay: its name.
        action: what was ordered.
        rows: how many rows it has changed; of a dry run, how many it would change now.
        dry_run: whether nothing was changed.
        order: its id in the audit; None of a dry run.
        waiting: those of the rows that were not dead letters.
        busy: rows that were left as they are, since they were being posted.
    """

    relay: str
    action: Action
    rows: int
    dry_run: bool = False
    order: str | None = None
    waiting: int = 0
    busy: int = 0


def order_rows(
    app: App, relay: str, action: Action, selection: Selection, by: str, *, dry_run: bool = False, reason: str | None = None
) -> Ordered:
    """Order something about rows that are in the ledger. The same order twice does no harm.

    - ``retry``: rows that wait are due now. The target is called again, and what it has asked to wait is over. Another instance
      of the app waits on, for at most ``probe`` of the target.
    - ``replay``: dead letters wait again, with a new window that begins now.
    - ``discard``: the present change of each row is given up for good, and its record removed. A later change is sent as usual.

    While the relay is paused, rows wait for its end all the same.

    Args:
        app: the app.
        relay: its name.
        action: what is ordered.
        selection: the rows.
        by: who orders it.
        dry_run: only count the rows.
        reason: for people.

    Raises:
        Refused: the selection is none, or a key is no key of the table.
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; some rows may be changed already, and the order may be repeated.
    """
    selection.check()
    table = app.table(relay)
    chosen = _parameters(app, table, selection)
    if dry_run:
        (((count,),),) = app.database.run(table.statement("count_selected"), action, *chosen)
        return Ordered(table.name, action, int(count), dry_run=True)
    request = {**selection.for_audit, **({"reason": reason[:400]} if reason else {})}
    with record_order(app, Order(action, table.name, by, request)) as order:
        waiting = busy = 0
        if action == "retry":
            _retry(app, table, selection, order, chosen)
        elif action == "replay":
            _in_chunks(app, table.statement("replay", chunk_rows=CHUNK_ROWS), order.token, order.at, *chosen)
        else:
            waiting, busy = _discard(app, table, order, chosen)
        order.result = DONE if not busy else f"{DONE}; {busy} rows were being posted, and are left"
    return Ordered(table.name, action, order.rows or 0, order=order.token, waiting=waiting, busy=busy)


def _retry(app: App, table: Table, selection: Selection, order: Order, chosen: Sequence[Any]) -> None:
    app.database.run(table.statement("call_target_again"))
    if selection.all:
        app.database.run(table.statement("retry_all"), order.token)
    else:
        _in_chunks(app, table.statement("retry_selected", chunk_rows=CHUNK_ROWS), order.token, order.at, *chosen)
    app.deliverers[app.config.target(table.relay.target).name].resume()


def _in_chunks(app: App, sql: str, *parameters: Any) -> None:
    while app.database.run(sql, *parameters)[0][0][0]:
        pass


def _discard(app: App, table: Table, order: Order, chosen: Sequence[Any]) -> tuple[int, int]:
    """Discard chunk by chunk; returns how many of the rows were waiting, and how many were left since they were being posted."""
    sql = table.statement("discard", chunk_rows=_DISCARD_ROWS)
    after: str | None = ""
    waiting = busy = 0
    while after is not None:
        (((after, _, live, left),),) = app.database.run(sql, order.token, order.at, after, *chosen)
        waiting, busy = waiting + live, busy + left
    return waiting, busy


def _parameters(app: App, table: Table, selection: Selection) -> tuple[str | None, ...]:
    """The selection as the statements take it: key hashes, states, classes, two instants."""
    if selection.keys is not None:
        return (to_json(_hashes(app, table, selection.keys)), None, None, None, None)
    found = selection.filter or Filter()
    states = to_json(list(found.state)) if found.state else None
    classes = to_json(list(found.error_class)) if found.error_class else None
    return None, states, classes, instant(found.since), instant(found.until)


def _hashes(app: App, table: Table, keys: Sequence[Mapping[str, Any]]) -> list[str]:
    """The key hashes of the records of rows, whose keys are compared as SQL Server does."""
    if len(keys) > KEYS_AT_MOST:
        raise Refused("keys", f"at most {KEYS_AT_MOST} in one order; use `filter`, or several orders")
    named = to_json(numbered_keys(table, [whole_key(table, key, "keys") for key in keys]))
    try:
        app.database.run(table.statement("read_keys"), named)  # fails also if the ledger is empty
        (rows,) = app.database.run(table.statement("find_records"), named)
    except DatabaseError as error:
        if not error.by_a_row:
            raise
        raise Refused("keys", f"one of them is no key of {table.relay.table}; give each value as the events have it") from None
    return [row[0] for row in rows]
