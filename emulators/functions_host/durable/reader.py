"""The durable state as people look at it: read-only, on a connection of its own, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from emulators.functions_host.durable import history
from emulators.functions_host.durable.history import Event

T = TypeVar("T")
INSTANCES_SHOWN, EVENTS_SHOWN, WAITING_SHOWN, ENTITIES_SHOWN = 200, 500, 100, 100
_CHARACTERS = 300

_BUSIEST = "SELECT {key}, COUNT(*) FROM {table} GROUP BY {key} ORDER BY 2 DESC, 1 LIMIT ?"
_FIELDS = ("Result", "Reason", "Input", "Data", "FireAt", "InstanceId")  # what tells most about an event, the first that is there


def _short(text: str | None) -> str | None:
    """A JSON text to look at: a string without its quotes, and not more than a few lines of it."""
    value = history.decode_json(text)
    shown = value if isinstance(value, str) else text
    return shown if shown is None or len(shown) <= _CHARACTERS else shown[:_CHARACTERS] + "…"


def describe(events: list[Event]) -> list[dict[str, Any]]:
    """Each event with the name of the function or event it belongs to; without the marks of replays."""
    names: dict[int, str] = {}
    shown = []
    for item in events:
        kind = item["EventType"]
        if kind in (history.ORCHESTRATOR_STARTED, history.ORCHESTRATOR_COMPLETED):
            continue
        if kind in history.SCHEDULES and "Name" in item:
            names[item["EventId"]] = item["Name"]
        name = item.get("Name") or names.get(item.get("TaskScheduledId", -1))
        detail = next((str(item[field]) for field in _FIELDS if item.get(field) is not None), None)
        shown.append({"at": item["Timestamp"], "kind": history.event_name(kind), "name": name, "detail": _short(detail)})
    return shown


class DurableReader:
    """Reads what the store has committed.

    Args:
        file: the store's SQLite file; it must be there.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="durable-reader")
        self._db: sqlite3.Connection | None = None

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_thread() -> T:
            if self._db is None:
                self._db = sqlite3.connect(f"{self._file.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._db.execute("BEGIN")  # one state of all tables
            try:
                return work(self._db)
            finally:
                self._db.execute("COMMIT")

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    async def overview(self, status: str, text: str) -> dict[str, Any]:
        """Queues, entities, and the instances of a status (empty: any) whose id or name has ``text``, the latest first.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        return await self._read(
            lambda db: {
                "counts": dict(db.execute("SELECT status, COUNT(*) FROM instances GROUP BY status ORDER BY status")),
                **_instances(db, status, text),
                "queues": _queues(db),
                **_entities(db),
            }
        )

    async def instance(self, instance_id: str) -> dict[str, Any] | None:
        """One instance with its history since it last continued as new; None if unknown.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        return await self._read(lambda db: _instance(db, instance_id))

    def close(self) -> None:
        """Read no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


_INSTANCE = "instance_id, name, status, created_at, updated_at, custom_status, parent_id"


def _summary(row: tuple[Any, ...]) -> dict[str, Any]:
    instance_id, name, status, created, updated, custom, parent = row
    fields = {"id": instance_id, "name": name, "status": status, "created": created, "updated": updated}
    return {**fields, "custom": _short(custom) if custom != "null" else None, "parent": parent}


_WANTED = """
FROM instances
WHERE (:status = '' OR status = :status) AND (:text = '' OR instr(lower(instance_id), :text) OR instr(lower(name), :text))"""


def _instances(db: sqlite3.Connection, status: str, text: str) -> dict[str, Any]:
    values = {"status": status, "text": text.lower(), "limit": INSTANCES_SHOWN}
    rows = db.execute(f"SELECT {_INSTANCE} {_WANTED} ORDER BY updated_at DESC, instance_id LIMIT :limit", values)
    return {
        "instances": [_summary(row) for row in rows],
        "matching": db.execute(f"SELECT COUNT(*) {_WANTED}", values).fetchone()[0],
    }


def _queues(db: sqlite3.Connection) -> dict[str, Any]:
    def count(table: str) -> int:
        return int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])

    def busiest(table: str, key: str) -> list[dict[str, Any]]:
        rows = db.execute(_BUSIEST.format(table=table, key=key), (WAITING_SHOWN,))
        return [{"of": name, "count": number} for name, number in rows]

    timers = db.execute("SELECT instance_id, fire_at FROM timers ORDER BY fire_at LIMIT ?", (WAITING_SHOWN,))
    activities = db.execute("SELECT instance_id, name FROM activities ORDER BY id LIMIT ?", (WAITING_SHOWN,))
    return {
        "messages": {"count": count("inbox"), "waiting": busiest("inbox", "instance_id")},
        "activities": {"count": count("activities"), "waiting": [{"of": of, "name": name} for of, name in activities]},
        "timers": {"count": count("timers"), "waiting": [{"of": of, "due": due} for of, due in timers]},
        "entityRequests": {"count": count("entity_requests"), "waiting": busiest("entity_requests", "entity_id")},
    }


def _entities(db: sqlite3.Connection) -> dict[str, Any]:
    query = "SELECT entity_id, present, state, updated_at FROM entities ORDER BY updated_at DESC, entity_id LIMIT ?"
    rows = db.execute(query, (ENTITIES_SHOWN,))
    entities = [{"id": of, "exists": bool(there), "state": _short(state), "updated": at} for of, there, state, at in rows]
    return {"entities": entities, "entityCount": db.execute("SELECT COUNT(*) FROM entities").fetchone()[0]}


def _instance(db: sqlite3.Connection, instance_id: str) -> dict[str, Any] | None:
    row = db.execute(f"SELECT {_INSTANCE}, input, output FROM instances WHERE instance_id = ?", (instance_id,)).fetchone()
    if row is None:
        return None
    texts = [text for (text,) in db.execute("SELECT event FROM history WHERE instance_id = ? ORDER BY sequence", (instance_id,))]
    events = describe([json.loads(text) for text in texts])
    *summary, given, output = row
    return {
        **_summary(tuple(summary)),
        "input": _short(given),
        "output": _short(output),
        "events": events[-EVENTS_SHOWN:],
        "eventCount": len(events),
    }
