"""A plan as the parts need it: configuration, tables, statements; the same over the wire and in process."""

from __future__ import annotations

import json
from typing import Any

from devtools.sim.lane import MAIN, TABLE, Lane
from devtools.sim.plan import COLUMNS, Settings, key_of
from devtools.sim.record import key_text
from rowpost.config.sections import Config, RetryConfig, TargetConfig

APP_USER = """CREATE LOGIN relay WITH PASSWORD = N'Relay!2026'; CREATE USER relay FOR LOGIN relay;
ALTER ROLE rowpost_app ADD MEMBER relay;"""  # who the app is while rights are withdrawn
RECIPIENTS = ("a@example.com", "b@example.com")
OWN = "0x6F776E"  # the context of what the other side writes itself
FILTERS = {  # lines of relay.toml, by what Settings call it
    "where": ['where = "Extra % 2 = 0"'],
    "ignored": ['where = "Extra % 2 = 0"', 'leaving = "ignore"'],
    "own": ['ignore_context = "own"'],
    "kept": ['operations = ["insert", "update"]'],
}
STATEMENTS = {  # the statements of the app, or of the trigger, that a kill can meet: application, pattern
    "claim": ("rowpost", r"-- rowpost: claim\.sql"),
    "settle": ("rowpost", r"-- rowpost: settle\.sql"),
    "survey": ("rowpost", r"-- rowpost: plan\.sql"),
    "redeliver": ("rowpost", r"-- rowpost: lease_for_redelivery\.sql"),
    "order": ("rowpost", r"-- rowpost: order_resync\.sql"),
    "page": ("rowpost", r"-- rowpost: queue_page\.sql"),
    "pause": ("rowpost", r"-- rowpost: (?:pause|resume)\.sql"),
    "orders": ("rowpost", r"-- rowpost: (?:discard|replay|retry_selected|record_order|end_order)\.sql"),
    "release": ("functions-host", r"SELECT @unprocessed = COUNT"),
    "renew": ("functions-host", r"UPDATE l SET \[_az_func_LeaseExpirationTime\] = "),
}


def address_setting(target: str) -> str:
    """The app setting that holds the address of a target."""
    return "DOWNSTREAM_URL" if target == MAIN.target else f"DOWNSTREAM_URL_{target.upper()}"


def api_settings(settings: Settings) -> dict[str, Any]:
    """How the API takes batches."""
    if settings.batch == 1:
        return {}
    manner = {"batch": "per_event", "per_event_status": settings.answers_each} if settings.answers_each else {}
    return {**manner, "batch_events": settings.api_events}


def relay_toml(settings: Settings, lanes: tuple[Lane, ...] = (MAIN,)) -> str:
    """The configuration of a plan, or of one app of it."""
    lines: list[str] = []
    for target in dict.fromkeys(lane.target for lane in lanes):
        lines += ["[[targets]]", f'name = "{target}"', f'url = "%{address_setting(target)}%"', f'timeout = "{settings.timeout}s"']
        lines += ['batch_budget = "30s"']
        lines += [f'probe = "{settings.probe}s"'] if _has(TargetConfig, "probe") else []
        lines += [f"batch = {settings.batch}"] if settings.batch > 1 else []
        lines += [f'rate = "{settings.rate}"'] if settings.rate else []
        lines += [
            f"concurrency = {settings.concurrency}",
            f"breaker_failures = {settings.breaker_failures}",
            "[targets.headers]",
            'X-Api-Key = "%DOWNSTREAM_API_KEY%"',
        ]
    lines += ["[notifications]", f'after = "{settings.notify_after}s"', f"after_rounds = {settings.notify_after_rounds}"]
    lines += ["[[notifications.webhooks]]", 'url = "%ALERT_WEBHOOK_URL%"']
    lines += ["[telemetry]", 'attempts = "all"'] if _has(Config, "telemetry") else []
    if settings.email:
        lines += ["[notifications.email]", 'connection = "%EMAIL_CONNECTION_STRING%"', 'sender = "%EMAIL_SENDER%"']
        lines += [f"recipients = {json.dumps(RECIPIENTS)}"]
    lines += [
        "[retry]",
        f"attempts = {settings.attempts}",
        f'strategy = "{settings.strategy}"',
        f'first_delay = "{settings.first_delay}s"',
    ]
    lines += [f"factor = {settings.factor}", f'max_delay = "{settings.max_delay}s"', f'window = "{settings.window}s"']
    lines += [f'rejected = "{settings.rejected}"']
    lines += [f"detach_after_rounds = {settings.detach_after_rounds}"] if _has(RetryConfig, "detach_after_rounds") else []
    keys = list(settings.key_columns)
    for lane in lanes:
        lines += ["[[relays]]", f'table = "{lane.table}"', f'target = "{lane.target}"']
        lines += [f'name = "{lane.name}"'] if lane.name else []
        lines += [f"send = {json.dumps(keys + list(settings.send))}"] if settings.send is not None else []
        lines += FILTERS.get(settings.filter, [])
        lines += [f"watch = {json.dumps(list(settings.watch))}"] if settings.watch is not None else []
        lines += ['initial = "snapshot"'] if settings.initial else []
    return "\n".join(lines) + "\n"


def _has(section: type[Any], name: str) -> bool:
    return name in section.__struct_fields__


def table_sql(settings: Settings, table: str = TABLE) -> str:
    """The script of a table of the user's."""
    region = "Region nvarchar(10) NOT NULL, " if settings.key == "pair" else ""
    computed = "Divisor int NOT NULL DEFAULT 1, Ratio AS 100 / Divisor, " if settings.computed else ""
    return (
        f"CREATE TABLE {table} ({region}Id int NOT NULL, Note nvarchar(40) NULL, Total decimal(20, 4) NULL, Extra int NULL, "
        f"Secret nvarchar(40) NULL, {computed}"
        f"CONSTRAINT PK_{table.partition('.')[2]} PRIMARY KEY ({', '.join(settings.key_columns)}));"
    )


def change_sql(
    settings: Settings, ops: list[dict[str, Any]], table: str = TABLE
) -> tuple[list[tuple[str, list[Any]]], list[tuple[str, bool, bool]]]:
    """One transaction: its statements with their parameters, and for each row that it touches the key, whether it is gone, and
    whether that must be posted."""
    touched: list[tuple[str, bool, bool]] = []
    statements: list[tuple[str, list[Any]]] = [("SET XACT_ABORT ON; BEGIN TRANSACTION;", [])]
    for op in ops:
        key = key_of(settings, op["id"])
        where = " AND ".join(f"{name} = ?" for name in key)
        text = key_text(key)
        under = f"WITH CHANGE_TRACKING_CONTEXT ({OWN}) " if op.get("own") else ""
        if op["do"] == "insert":
            values = {**key, **_values(op["stamp"])}
            statements.append(
                (f"{under}INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(map(_mark, values))});", [*values.values()])
            )
            touched.append((text, False, True))
        elif op["do"] in ("update", "unwatched", "spoil"):
            values = _values(op["stamp"])
            names = ("Extra", "Secret") if op["do"] == "unwatched" else COLUMNS
            assignments = ", ".join(f"{name} = {_mark(name)}" for name in names)
            if settings.computed and op["do"] != "unwatched":
                assignments += f", Divisor = {0 if op['do'] == 'spoil' else 1}"
            parameters = [*(values[name] for name in names), *key.values()]
            statements.append((f"{under}UPDATE {table} SET {assignments} WHERE {where};", parameters))
            touched.append((text, False, op["do"] != "unwatched" or settings.watch is None))
        elif op["do"] == "delete":
            statements.append((f"{under}DELETE FROM {table} WHERE {where};", [*key.values()]))
            touched.append((text, True, True))
        else:
            other = key_of(settings, op["to"])
            assignments = ", ".join(f"{name} = ?" for name in other)
            statements.append((f"UPDATE {table} SET {assignments} WHERE {where};", [*other.values(), *key.values()]))
            touched += [(text, True, True), (key_text(other), False, True)]
    statements.append(("COMMIT;", []))
    return statements, touched


def _values(stamp: int) -> dict[str, Any]:
    return {"Note": f"note {stamp}", "Total": f"{stamp}.2500", "Extra": stamp, "Secret": f"secret {stamp}"}


def _mark(name: str) -> str:
    return "CAST(? AS decimal(20, 4))" if name == "Total" else "?"
