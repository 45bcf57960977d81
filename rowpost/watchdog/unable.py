"""Relays that cannot run: not loadable, refused by the database, or gone from the configuration while rows of them wait."""

from __future__ import annotations

import hashlib

from msgspec import Struct

from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig, mark_of
from rowpost.database.connection import DatabaseError
from rowpost.database.statements import render
from rowpost.notices.message import Notice
from rowpost.rules.json_text import to_json
from rowpost.watchdog.adopt import inspect_table
from rowpost.watchdog.altered import Altered, altered

# What the database says for good, and what mends it. All else may be over in a moment: two looks must find it.
_REMEDIES = {
    207: "a column that the app read at its start is gone: put it back, restart the function app, or let the relay go on by "
    'lost_columns = "continue"',
    208: "a table that the app read at its start is gone: put it back, or run python infra/prepare_database.py",
    229: "the app's user lacks a permission: run infra/sql/40-grant-table.sql for the table, or python infra/prepare_database.py",
    230: "the app's user lacks a permission on a column: run infra/sql/40-grant-table.sql for the table",
    916: "the app's user may not enter the database: run python infra/prepare_database.py with --app-user",
    1105: "the database's files are full: make room, or let them grow",
    1132: "the elastic pool has reached its storage limit: raise it, or make room",
    3906: "the database is read-only: make it writable, or point the connection string at the primary",
    4060: "the database cannot be opened: check its name in the connection string, and that the app's user may enter it",
    9002: "the transaction log is full: make room for it",
    18456: "the login failed: check the connection string, or the user that infra/sql/50-app-user.sql makes",
    40544: "the database has reached its size quota: raise its maximum size, or make room",
    40615: "the server's firewall refuses the app: let the app's addresses in",
}
_UNREACHABLE = "the database cannot be reached, or refuses the app: check that it is up, the firewall, and the connection string"


class Problem(Struct, frozen=True):
    """Why a relay cannot run.

    Attributes:
        text: the reason and the remedy, in one sentence.
        sort: what it is, for the notice's id: another problem of the same day is told as well.
        lasts: whether it does not go away by itself; else it may be over in a moment.
        reachable: whether the database answered.
    """

    text: str
    sort: str
    lasts: bool
    reachable: bool


class Unconfigured(Struct, frozen=True):
    """A relay that is not in the configuration any more, though rows of it wait."""

    relay: str
    rows: int
    since: str
    error: str | None


def check_relay(app: App, relay: RelayConfig) -> Problem | Altered | None:
    """Try what every batch needs; None if the relay can run.

    The catalogue is read anew: it may have changed since the start. A table that cannot be relayed any more is relayed no longer.
    One that has changed is taken as it is now. If people are to know of that, it is not taken yet: see :func:`take_altered`.
    """
    try:
        found = app.look_up(relay.name)
        before = app.table(relay.name)
        changed = altered(before, found)
        if changed is None or (changed.lost and relay.lost_columns == "stop"):
            app.database.run(before.statement("check_relay"))
            app.take(found)
            return None
        app.database.run(found.statement("check_relay"))
        return changed
    except ConfigError as error:
        app.forget(relay.name)
        return problem(error)
    except DatabaseError as error:
        return problem(error)


def take_altered(app: App, relay: RelayConfig, changed: Altered) -> None:
    """Go on with a table as it is now. First rows that failed meanwhile are adopted: a success of others must not sweep them away.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the next look tries again.
    """
    inspect_table(app, relay.name)
    app.take(changed.table)


def problem(error: ConfigError | DatabaseError) -> Problem:
    """What an error says of the relay."""
    if isinstance(error, ConfigError):
        # A retention that is too short hinders nothing yet, and may be somebody's work of a moment.
        lasts = not str(error).startswith("retry.window")
        return Problem(str(error), hashlib.sha256(str(error).encode()).hexdigest()[:8], lasts=lasts, reachable=True)
    remedy = _REMEDIES.get(error.number or 0)
    return Problem(f"{error}; {remedy or _UNREACHABLE}", "database", lasts=remedy is not None, reachable=error.number is not None)


def unable_notice(site: str, relay: RelayConfig, found: Problem, at: str) -> Notice:
    """What people are to be told, once a day; ``at`` is the time of the look, ISO 8601, UTC.

    The id has the app: another one may have a relay of the same name, which is refused, and people of its own.
    """
    return {
        "id": f"notice-unable-{mark_of(site)}-{relay.slug}-{found.sort}-{at[:10]}",
        "kind": "unable",
        "relay": relay.name,
        "rows": 0,
        "round": 0,
        "since": None,
        "at": at,
        "last_error": found.text,
    }


def unconfigured(app: App) -> list[Unconfigured]:
    """Relays of this app that are not in its configuration, while rows of them wait.

    Raises:
        DatabaseError: the database failed.
    """
    known = to_json([relay.name for relay in app.config.relays])
    (rows,) = app.database.run(render("unconfigured", {}), app.site, known)
    return [Unconfigured(*row) for row in rows]


def unconfigured_notice(found: Unconfigured, at: str) -> Notice:
    """What people are to be told, once a day."""
    slug = RelayConfig(table=found.relay).slug
    return {
        "id": f"notice-unconfigured-{slug}-{at[:10]}",
        "kind": "unconfigured",
        "relay": found.relay,
        "rows": found.rows,
        "round": 0,
        "since": found.since,
        "at": at,
        "last_error": found.error,
    }
