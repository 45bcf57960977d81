"""The reconciliation: what the database has against what the API has, row by row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from devtools.data import KEYS
from devtools.stack import Stack


@dataclass
class Reconciliation:
    """What the database has against what the API has, for one table."""

    table: str
    changed: int = 0
    delivered: int = 0
    dead: int = 0
    lost: list[str] = field(default_factory=list)


def reconcile(stack: Stack) -> list[Reconciliation]:
    """Each row's state in the database against its latest accepted state at the API."""
    return [_reconcile(stack, table, key) for table, key in KEYS.items()]


def _reconcile(stack: Stack, table: str, key: tuple[str, ...]) -> Reconciliation:
    config = stack.config.relay(table)
    assert config is not None
    cursor = stack.connection.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in cursor.description]
    sent = {name.lower() for name in config.send or names} | {name.lower() for name in key}
    wanted: dict[str, dict[str, Any] | None] = {}
    for row in cursor.fetchall():
        values = {name: _comparable(value) for name, value in zip(names, row, strict=True)}
        wanted[_key_text(values, key)] = {name: value for name, value in values.items() if name.lower() in sent}
    have = {_key_text(state.key, key): state for state in stack.downstream.state(table) if isinstance(state.key, dict)}
    dead = {_key_text(letter["key"], key) for letter in _dead_letters(stack, table)}
    result = Reconciliation(table, dead=len(dead))
    for text in wanted.keys() | have.keys():
        result.changed += 1
        state = have.get(text)
        row_there = None if state is None or state.operation == "delete" else state.row
        row_here = wanted.get(text)
        same = row_here == (None if row_there is None else {n: _as_here((row_here or {}).get(n), v) for n, v in row_there.items()})
        if same and (state is not None):
            result.delivered += 1
        elif text not in dead:
            result.lost.append(text)
    return result


def _dead_letters(stack: Stack, table: str) -> list[dict[str, Any]]:
    assert stack.host is not None
    letters: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        cursor = {"cursor": page["next"]} if page["next"] else {}
        answer = stack.host.request("GET", f"/api/relays/{table}/rows", params={"state": "dead", "limit": "200", **cursor})
        answer.raise_for_status()
        page = answer.json()
        letters += page["rows"]
    return letters


def _as_here(here: Any, there: Any) -> Any:
    """The API's value, as the database has it: decimals travel as texts."""
    return _comparable(Decimal(there) if isinstance(here, Decimal) and isinstance(there, str) else there)


def _comparable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return value.normalize()
    return Decimal(value).normalize() if isinstance(value, int | float) and not isinstance(value, bool) else value


def _key_text(values: dict[str, Any], key: tuple[str, ...]) -> str:
    return ", ".join(f"{name}={_comparable(values[name])}" for name in key)
