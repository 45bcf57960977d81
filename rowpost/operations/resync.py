"""Resync: an operator's order to send the present state of a whole table, in pages, through the ledger.

It repairs what nothing else can: changes that the change retention took away before they were handed out. A page of keys goes into
the ledger as detached rows that are due, and recovery delivers them like any other: under a lease, at the target's pace, with
rounds and dead letters.
"""

from __future__ import annotations

from typing import Any

from rowpost.app import App
from rowpost.rules.json_text import to_json
from rowpost.rules.row import key_hash, key_text

PAGE_ROWS = 500
BACKLOG_ROWS = 1000  # no further page while more rows than these are to be delivered


def order_resync(app: App, relay_name: str, reason: str) -> None:
    """Order that all rows of a relay are sent again; the watchdog starts it. An order that stands already stays.

    Raises:
        DatabaseError: nothing was ordered.
    """
    order = "UPDATE rowpost.Relays SET ResyncOrdered = ? WHERE Relay = ?;"
    app.database.run(order, reason, relay_name)


def ordered_resync(app: App, relay_name: str) -> bool:
    """Whether a resync was ordered that was not started yet.

    Raises:
        DatabaseError: the database failed.
    """
    orders = "SELECT COUNT(*) FROM rowpost.Relays WHERE Relay = ? AND ResyncOrdered IS NOT NULL;"
    (((count,),),) = app.database.run(orders, relay_name)
    return bool(count)


def resync_started(app: App, relay_name: str) -> None:
    """Write down that what was ordered is under way.

    Raises:
        DatabaseError: the database failed; it is started once more, which does no harm.
    """
    app.database.run("UPDATE rowpost.Relays SET ResyncOrdered = NULL WHERE Relay = ?;", relay_name)


def resync_page(app: App, relay: str, after: str | None, since: int | None) -> dict[str, Any]:
    """Put the keys of the next page into the ledger, unless enough rows wait there already. The same page twice does no harm.

    Args:
        app: the app.
        relay: its name.
        after: the last key of the page before, as canonical JSON; None for the first page.
        since: the version of the first page; None for the first page.

    Returns:
        ``rows``: how many; ``after`` and ``since``: for the next page; ``wait``: whether the backlog was too large, and no page was
        taken; ``done``.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the page is taken again.
    """
    page: dict[str, Any] = {"rows": 0, "after": after, "since": since, "wait": False, "done": False}
    if app.config.relay(relay) is None:  # no longer configured
        return page | {"done": True}
    table = app.table(relay)
    name, parameters = ("resync_first_page", ()) if after is None else ("resync_next_page", (after,))
    (((live, current),), rows) = app.database.run(table.statement(name, page_rows=PAGE_ROWS), *parameters)
    if live > BACKLOG_ROWS:
        return page | {"wait": True}
    if not rows:
        app.database.run(table.statement("close_gap"), current if since is None else since)  # a later gap is not repaired by this
        return page | {"done": True}
    texts = [key_text(table.key_of(row)) for row in rows]
    keys = [{"keyHash": key_hash(text), "rowKey": text} for text in texts]
    app.database.run(table.statement("resync_insert"), to_json(keys), current)
    return page | {"rows": len(keys), "after": texts[-1], "since": current if since is None else since}
