"""The durable state in one SQLite file: instances, histories, message queues, entities. One transaction per step of the engine.

All access is from the thread of the event loop. Write-ahead logging with ``synchronous=NORMAL`` loses nothing when the process is
killed (only when the machine fails), and a commit costs microseconds.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from emulators.functions_host.durable.history import Event, format_instant

_SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    instance_id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, input TEXT,
    status TEXT NOT NULL, output TEXT, custom_status TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    parent_id TEXT, parent_execution TEXT, parent_name TEXT, parent_task INTEGER, waiting TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
    instance_id TEXT NOT NULL, sequence INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (instance_id, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, instance_id TEXT NOT NULL, execution_id TEXT, event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS inbox_by_instance ON inbox (instance_id, id);
CREATE TABLE IF NOT EXISTS activities (
    id INTEGER PRIMARY KEY AUTOINCREMENT, instance_id TEXT NOT NULL, execution_id TEXT NOT NULL, task_id INTEGER NOT NULL,
    name TEXT NOT NULL, input TEXT
);
CREATE INDEX IF NOT EXISTS activities_by_instance ON activities (instance_id);
CREATE TABLE IF NOT EXISTS timers (
    instance_id TEXT NOT NULL, timer_id INTEGER NOT NULL, execution_id TEXT NOT NULL, fire_at TEXT NOT NULL,
    PRIMARY KEY (instance_id, timer_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entities (
    entity_id TEXT PRIMARY KEY, present INTEGER NOT NULL, state TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entity_requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, entity_id TEXT NOT NULL, request TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entity_requests_by_entity ON entity_requests (entity_id, id);
PRAGMA user_version = 1;
"""


@dataclass
class Instance:
    """One orchestration instance, as its row says. ``input``, ``output`` and ``custom_status`` are JSON texts, or None.

    ``waiting`` counts, by event name, the external events that the orchestrator awaits.
    """

    instance_id: str
    execution_id: str
    name: str
    version: str
    input: str | None
    status: str
    created_at: str
    updated_at: str
    output: str | None = None
    custom_status: str | None = None
    parent_id: str | None = None
    parent_execution: str | None = None
    parent_name: str | None = None
    parent_task: int | None = None
    waiting: dict[str, int] = field(default_factory=dict)


_COLUMNS = (
    "instance_id, execution_id, name, version, input, status, created_at, updated_at, output, custom_status, "
    "parent_id, parent_execution, parent_name, parent_task, waiting"
)
_COLUMN_NAMES = tuple(_COLUMNS.split(", "))


@dataclass(frozen=True)
class Message:
    """An event that waits to be delivered to an instance (of one execution, or of any if None)."""

    id: int
    execution_id: str | None
    event: Event


@dataclass(frozen=True)
class ActivityItem:
    """An activity that waits to be run."""

    id: int
    instance_id: str
    execution_id: str
    task_id: int
    name: str
    input: str | None


@dataclass(frozen=True)
class TimerItem:
    """A durable timer that waits to fire."""

    instance_id: str
    timer_id: int
    execution_id: str
    fire_at: str


@dataclass(frozen=True)
class EntityRow:
    """An entity: whether it exists, its state as JSON text, instants as ISO text."""

    entity_id: str
    present: bool
    state: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class InstanceFilter:
    """Conditions of a list or purge; None does not restrict."""

    created_from: datetime | None = None
    created_to: datetime | None = None
    statuses: frozenset[str] | None = None
    prefix: str | None = None


def _instance(row: tuple[Any, ...]) -> Instance:
    fields = dict(zip(_COLUMN_NAMES, row, strict=True))
    return Instance(**{**fields, "waiting": json.loads(fields["waiting"])})


class Store:
    """The tables.

    Args:
        file: the SQLite file; made if missing.

    Raises:
        sqlite3.Error: the file is damaged or not a database.
    """

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Instances

    def instance(self, instance_id: str) -> Instance | None:
        """The row of an instance, None if unknown."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM instances WHERE instance_id = ?", (instance_id,)).fetchone()
        return _instance(row) if row else None

    def save_instance(self, instance: Instance) -> None:
        """Insert or replace the row of an instance."""
        values = [*(getattr(instance, name) for name in _COLUMN_NAMES[:-1]), json.dumps(instance.waiting)]
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT OR REPLACE INTO instances ({_COLUMNS}) VALUES ({marks})", values)

    def erase_work(self, instance_id: str, *, keep_events: bool) -> None:
        """Delete history, activities, timers and messages; ``keep_events`` spares messages that are for any execution."""
        for table in ("history", "activities", "timers"):
            self._db.execute(f"DELETE FROM {table} WHERE instance_id = ?", (instance_id,))
        condition = " AND execution_id IS NOT NULL" if keep_events else ""
        self._db.execute(f"DELETE FROM inbox WHERE instance_id = ?{condition}", (instance_id,))

    def delete_pending(self, instance_id: str) -> None:
        """Delete activities, timers and messages of an instance that has finished; its history stays."""
        for table in ("activities", "timers", "inbox"):
            self._db.execute(f"DELETE FROM {table} WHERE instance_id = ?", (instance_id,))

    def delete_instance(self, instance_id: str) -> None:
        """Delete an instance and all that belongs to it."""
        self.erase_work(instance_id, keep_events=False)
        self._db.execute("DELETE FROM instances WHERE instance_id = ?", (instance_id,))

    def instances(self, wanted: InstanceFilter) -> list[Instance]:
        """The instances that meet the conditions, by instance id."""
        conditions: list[str] = ["1"]
        values: list[str] = []
        if wanted.created_from is not None:
            conditions.append("created_at >= ?")
            values.append(format_instant(wanted.created_from))
        if wanted.created_to is not None:
            conditions.append("created_at <= ?")
            values.append(format_instant(wanted.created_to))
        if wanted.statuses is not None:
            conditions.append(f"status IN ({', '.join('?' * len(wanted.statuses))})")
            values.extend(sorted(wanted.statuses))
        if wanted.prefix:
            conditions.append("substr(instance_id, 1, length(?)) = ?")
            values.extend([wanted.prefix, wanted.prefix])
        query = f"SELECT {_COLUMNS} FROM instances WHERE {' AND '.join(conditions)} ORDER BY instance_id"
        return [_instance(row) for row in self._db.execute(query, values)]

    # Histories

    def history(self, instance_id: str) -> list[str]:
        """The JSON texts of the events, in order."""
        rows = self._db.execute("SELECT event FROM history WHERE instance_id = ? ORDER BY sequence", (instance_id,))
        return [text for (text,) in rows]

    def append_history(self, instance_id: str, first_sequence: int, texts: Iterable[str]) -> None:
        """Add events from position ``first_sequence`` on."""
        rows = ((instance_id, first_sequence + offset, text) for offset, text in enumerate(texts))
        self._db.executemany("INSERT INTO history (instance_id, sequence, event) VALUES (?, ?, ?)", rows)

    # Messages to instances

    def post(self, instance_id: str, execution_id: str | None, event: Event) -> None:
        """Queue an event for an instance."""
        self._db.execute(
            "INSERT INTO inbox (instance_id, execution_id, event) VALUES (?, ?, ?)", (instance_id, execution_id, json.dumps(event))
        )

    def inbox(self, instance_id: str) -> list[Message]:
        """The queued events of an instance, oldest first."""
        rows = self._db.execute("SELECT id, execution_id, event FROM inbox WHERE instance_id = ? ORDER BY id", (instance_id,))
        return [Message(number, execution, json.loads(text)) for number, execution, text in rows]

    def delete_messages(self, numbers: Iterable[int]) -> None:
        """Delete queued events by id."""
        self._db.executemany("DELETE FROM inbox WHERE id = ?", ((number,) for number in numbers))

    def instances_with_messages(self) -> list[str]:
        """The ids of all instances that have queued events."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT instance_id FROM inbox ORDER BY instance_id")]

    # Activities

    def add_activity(self, instance_id: str, execution_id: str, task_id: int, name: str, text: str | None) -> ActivityItem:
        """Queue an activity."""
        cursor = self._db.execute(
            "INSERT INTO activities (instance_id, execution_id, task_id, name, input) VALUES (?, ?, ?, ?, ?)",
            (instance_id, execution_id, task_id, name, text),
        )
        assert cursor.lastrowid is not None
        return ActivityItem(cursor.lastrowid, instance_id, execution_id, task_id, name, text)

    def activities(self) -> list[ActivityItem]:
        """All queued activities, oldest first."""
        query = "SELECT id, instance_id, execution_id, task_id, name, input FROM activities ORDER BY id"
        return [ActivityItem(*row) for row in self._db.execute(query)]

    def delete_activity(self, number: int) -> bool:
        """Delete an activity; False if it was no longer there."""
        return self._db.execute("DELETE FROM activities WHERE id = ?", (number,)).rowcount == 1

    # Timers

    def add_timer(self, timer: TimerItem) -> None:
        """Keep a timer until it fires."""
        self._db.execute(
            "INSERT INTO timers (instance_id, timer_id, execution_id, fire_at) VALUES (?, ?, ?, ?)",
            (timer.instance_id, timer.timer_id, timer.execution_id, timer.fire_at),
        )

    def timers(self) -> list[TimerItem]:
        """All timers, by instant."""
        rows = self._db.execute("SELECT instance_id, timer_id, execution_id, fire_at FROM timers ORDER BY fire_at")
        return [TimerItem(*row) for row in rows]

    def delete_timer(self, instance_id: str, execution_id: str, timer_id: int) -> bool:
        """Delete a timer; False if it was no longer there."""
        cursor = self._db.execute(
            "DELETE FROM timers WHERE instance_id = ? AND execution_id = ? AND timer_id = ?", (instance_id, execution_id, timer_id)
        )
        return cursor.rowcount == 1

    # Entities

    def entity(self, entity_id: str) -> EntityRow | None:
        """The row of an entity, None if it never was."""
        query = "SELECT entity_id, present, state, created_at, updated_at FROM entities WHERE entity_id = ?"
        row = self._db.execute(query, (entity_id,)).fetchone()
        return EntityRow(row[0], bool(row[1]), *row[2:]) if row else None

    def save_entity(self, entity: EntityRow) -> None:
        """Insert or replace the row of an entity."""
        self._db.execute(
            "INSERT OR REPLACE INTO entities (entity_id, present, state, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
            (entity.entity_id, entity.present, entity.state, entity.created_at, entity.updated_at),
        )

    def entities(self, prefix: str = "@") -> list[EntityRow]:
        """The entities whose id begins with ``prefix``, by id."""
        query = "SELECT entity_id, present, state, created_at, updated_at FROM entities WHERE substr(entity_id, 1, length(?)) = ?"
        rows = self._db.execute(query + " ORDER BY entity_id", (prefix, prefix))
        return [EntityRow(row[0], bool(row[1]), *row[2:]) for row in rows]

    def delete_entity(self, entity_id: str) -> bool:
        """Delete the row of an entity; False if it never was."""
        return self._db.execute("DELETE FROM entities WHERE entity_id = ?", (entity_id,)).rowcount == 1

    def add_entity_request(self, entity_id: str, request: dict[str, Any]) -> None:
        """Queue an operation on an entity."""
        self._db.execute("INSERT INTO entity_requests (entity_id, request) VALUES (?, ?)", (entity_id, json.dumps(request)))

    def entity_requests(self, entity_id: str, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The oldest queued operations of an entity, with their ids."""
        query = "SELECT id, request FROM entity_requests WHERE entity_id = ? ORDER BY id LIMIT ?"
        return [(number, json.loads(text)) for number, text in self._db.execute(query, (entity_id, limit))]

    def entity_queue_length(self, entity_id: str) -> int:
        """How many operations are queued."""
        return int(self._db.execute("SELECT count(*) FROM entity_requests WHERE entity_id = ?", (entity_id,)).fetchone()[0])

    def delete_entity_requests(self, numbers: Iterable[int]) -> None:
        """Delete queued operations by id."""
        self._db.executemany("DELETE FROM entity_requests WHERE id = ?", ((number,) for number in numbers))

    def entities_with_requests(self) -> list[str]:
        """The ids of all entities that have queued operations."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT entity_id FROM entity_requests ORDER BY entity_id")]
