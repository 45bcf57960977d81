"""The health of the app: what it needs, each with what was found and the remedy. Nothing is written, and no event is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from rowpost.app import App
from rowpost.config.credentials import presented
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig, TargetConfig
from rowpost.database.connection import DatabaseError
from rowpost.database.describe import SCHEMA_VERSION
from rowpost.database.names import literal
from rowpost.database.statements import render
from rowpost.database.table import lease_table, quoted_name
from rowpost.http.reach import why_out_of_reach

_PREPARE = "run infra/prepare_database.py"
REACH_SECONDS = 2.0  # for a connection, and again for TLS
_STARTS_SECONDS = 600  # after which a trigger that has never started is no trigger that is starting
_SEEN_SECONDS = 900  # a look of the watchdog that is older says nothing
_ENDED_SECONDS = 480  # three looks of the watchdog that found the same lie at least so far apart


class Check(Struct):
    """One thing that the app needs.

    Attributes:
        name: ``connection``, ``storage``, ``schema``, ``relay``, ``rights``, ``tracking``, ``retention``, ``trigger``, or one that
            begins with ``target`` or ``channel``.
        healthy: whether it is as it should be.
        detail: what was found, in one sentence.
        relay: that it is about, if it is about one.
        remedy: what to do, if it is not healthy.
        counts: whether the app is unhealthy if this is. A target or a channel that is down is not the app's fault: the rows wait.
    """

    name: str
    healthy: bool
    detail: str
    relay: str | None = None
    remedy: str | None = None
    counts: bool = True


def database_check(app: App) -> Check:
    """Whether the database answers."""
    try:
        app.database.run("SELECT 1;")
    except DatabaseError as error:
        return Check(
            "connection", False, str(error), remedy="check that the database is up, the firewall, and the connection string"
        )
    return Check("connection", True, "the database answers")


def relay_checks(app: App, relay: RelayConfig) -> list[Check]:
    """What the database has to be for a relay, and how its trigger does. The catalogue is read anew."""
    try:
        app.table(relay.name)
        runs = Check("relay", True, "it can run", relay.name)
    except ConfigError as error:
        runs = Check("relay", False, str(error), relay.name, "do what the detail says")
    except DatabaseError as error:
        return [Check("relay", False, str(error), relay.name, "check the database")]
    names = {
        "table_literal": literal(quoted_name(relay.table)),
        "leases_literal": literal(lease_table(relay, app.site)),
        "relay": literal(relay.name),
    }
    try:
        facts, *more = app.database.run(render("check_health", names))
    except DatabaseError as error:
        return [runs, Check("rights", False, str(error), relay.name, _PREPARE)]
    return [runs, *_of_database(app, relay, facts[0], more[0][0] if more else None)]


def _of_database(app: App, relay: RelayConfig, facts: tuple[Any, ...], own: tuple[Any, ...] | None) -> Iterator[Check]:
    _, tracked, may_select, may_track, may_write, minutes, has_leases = facts
    version = None if own is None else own[0]
    if version is None or version < SCHEMA_VERSION:
        yield Check(
            "schema", False, f"the app's own tables have version {version or 0}, not {SCHEMA_VERSION}", relay.name, _PREPARE
        )
    else:
        yield Check("schema", True, f"the app's own tables have version {version}", relay.name)
    missing = [
        f"{right} on {place}"
        for right, place, has in (
            ("SELECT", relay.table, may_select),
            ("VIEW CHANGE TRACKING", relay.table, may_track),
            ("UPDATE", "schema rowpost", may_write),
        )
        if not has
    ]
    if missing:
        yield Check("rights", False, f"the app's user lacks {', '.join(missing)}", relay.name, f"{_PREPARE} with --app-user")
    else:
        yield Check("rights", True, "the app's user has them", relay.name)
    if tracked:
        yield Check("tracking", True, "changes are tracked", relay.name)
    else:
        yield Check("tracking", False, f"change tracking of {relay.table} is off", relay.name, _PREPARE)
    yield _retention(app, relay, minutes)
    yield _trigger(relay, own, bool(has_leases))


def _retention(app: App, relay: RelayConfig, minutes: int | None) -> Check:
    window = app.config.retry.window.seconds
    if minutes is None:
        return Check("retention", False, "change tracking of the database is off", relay.name, _PREPARE)
    if minutes * 60 <= window:
        text = f"changes are kept for {minutes / 60:g} h, and rows are retried for {window / 3600:g} h"
        return Check("retention", False, text, relay.name, f"raise CHANGE_RETENTION: {_PREPARE}", counts=False)
    return Check("retention", True, f"changes are kept for {minutes / 60:g} h", relay.name, counts=False)


def _trigger(relay: RelayConfig, own: tuple[Any, ...] | None, has_leases: bool) -> Check:
    since, stands, age, known = (None, None, None, None) if own is None else own[1:]
    restart = "restart the function app; if it stays so, set the log level Host.Triggers.Sql to Error and look at the log"
    if not has_leases:
        late = known is not None and known > _STARTS_SECONDS
        text = "the trigger has never started" if late else "the trigger has not started yet"
        return Check("trigger", not late, text, relay.name, restart if late else None)
    if stands is not None and stands >= _ENDED_SECONDS and age < _SEEN_SECONDS:
        return Check("trigger", False, f"changes wait, and the trigger hands nothing out since {since}Z", relay.name, restart)
    return Check("trigger", True, "it hands out what waits, as far as the watchdog has seen", relay.name)


def target_check(target: TargetConfig) -> Check:
    """Whether a target can be reached: a connection and TLS. No request is sent, so that no API is called for nothing."""
    problem = why_out_of_reach(target.url, REACH_SECONDS, ca=target.ca, certificate=presented(target))
    if problem is None:
        return Check(f"target {target.name}", True, "it takes connections", counts=False)
    remedy = "check that it is up, its address in relay.toml, and the network; its rows wait meanwhile"
    return Check(f"target {target.name}", False, problem, remedy=remedy, counts=False)


def channel_checks(app: App) -> list[Check]:
    """Whether the channels of notices can be reached. No notice is sent."""
    config = app.config.notifications
    addresses: list[tuple[str, str, str | None]] = [
        (f"channel {name} {number}", hook.url, hook.ca)
        for name, hooks in (
            ("webhook", config.webhooks),
            ("teams", config.teams),
            ("slack", config.slack),
            ("pagerduty", config.pagerduty),
        )
        for number, hook in enumerate(hooks, 1)
    ]
    if config.email is not None:
        addresses.append(("channel email", config.email.service[0], None))
    if (smtp := config.smtp) is not None:  # STARTTLS begins after a greeting: here the connection must do
        scheme = "https" if smtp.security == "tls" else "http"
        host = f"[{smtp.host}]" if ":" in smtp.host else smtp.host
        addresses.append(("channel smtp", f"{scheme}://{host}:{smtp.usual_port}", smtp.ca))
    if not addresses:
        return [Check("channel", True, "none is configured: the log alone tells", counts=False)]
    return [_channel(*address) for address in addresses]


def _channel(name: str, url: str, ca: str | None) -> Check:
    problem = why_out_of_reach(url, REACH_SECONDS, ca=ca)
    if problem is None:
        return Check(name, True, "it takes connections", counts=False)
    return Check(name, False, problem, remedy="check its section in relay.toml, and the network", counts=False)
