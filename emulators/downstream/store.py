"""What the downstream API remembers: the latest state of each row, by change version, and what became of every event.

It behaves as a careful consumer does: a state with a lower epoch than the last accepted one, or with the same epoch and a lower
version, is dropped, and the same event twice counts as a repeat. At the end of a resync it removes each row of the table that is
older than the beginning of the resync, and drops such states from then on. Accepted changes go to a file of JSON lines before the
answer leaves, so a kill loses none of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import simplejson

from emulators.http_server import to_json

ACCEPTED, REPEATED, STALE, NOTED, RESYNCED = "accepted", "repeated", "stale", "noted", "resynced"
_BEGUN, _COMPLETED = "resync-begun", "resync-completed"


@dataclass(frozen=True)
class Change:
    """One event, read tolerantly. ``table`` and ``key`` are None if the document is no row change."""

    event_id: str | None
    source: str | None
    table: str | None
    key: dict[str, Any] | str | None
    version: int | None
    operation: str | None
    row: dict[str, Any] | None
    idempotency_key: str | None
    document: Any
    epoch: int = 0

    @classmethod
    def read(cls, document: Any, idempotency_key: str | None = None) -> Change:
        """A change from a CloudEvent, or from the bare ``data`` of one. Anything else is kept as a document only."""
        event: dict[str, Any] = document if isinstance(document, dict) else {}
        envelope = "specversion" in event
        data = event.get("data") if envelope else event
        data = data if isinstance(data, dict) else {}
        table, key = data.get("table"), data.get("key")
        subject = event.get("subject") if envelope else None
        if isinstance(subject, str):
            name, _, rest = subject.partition("/")
            table, key = table or name, key if key is not None else rest or None
        operation = data.get("operation")
        if operation is None and envelope:
            kinds = {"row.upserted": "upsert", "row.deleted": "delete", "resync.begun": _BEGUN, "resync.completed": _COMPLETED}
            operation = kinds.get(str(event.get("type")).partition(".")[2])
        version = data.get("version", event.get("rowpostversion"))
        event_id = event.get("id") if envelope else data.get("id")
        return cls(
            event_id=event_id,
            source=event.get("source") if envelope else None,
            table=table,
            key=key,
            version=None if version is None else int(version),
            operation=operation,
            row=data.get("row"),
            idempotency_key=idempotency_key or event_id,
            document=document,
            epoch=int(data.get("epoch") or 0),
        )

    @property
    def is_row(self) -> bool:
        return self.table is not None and self.key is not None

    @property
    def place_in_time(self) -> tuple[int, int]:
        """Epoch and version: what is greater is newer. Only of a change that has a version."""
        assert self.version is not None
        return self.epoch, self.version

    @property
    def is_resync(self) -> bool:
        """Whether it tells of the beginning or the end of a resync of a table."""
        return self.table is not None and self.version is not None and self.operation in (_BEGUN, _COMPLETED)

    @property
    def place(self) -> tuple[str, str]:
        """Where the row's state is kept: table, and the key as canonical JSON."""
        return str(self.table), canonical(self.key)


@dataclass
class RowState:
    """The latest accepted state of one row. A deleted row stays, so that older versions are still recognised."""

    table: str
    key: dict[str, Any] | str
    version: int | None
    operation: str | None
    row: dict[str, Any] | None
    event_id: str | None
    at: str
    deliveries: int = 1
    epoch: int = 0


_CANONICAL = simplejson.JSONEncoder(use_decimal=True, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: Any) -> str:
    """JSON text that is equal for equal values, whatever the order of their names."""
    return _CANONICAL.encode(value)


class Store:
    """Thread-safe. Counters: accepted, repeated (same idempotency key again), stale (lower epoch, or the same and a lower version:
    dropped), noted (documents that are no row change), resynced (beginnings and ends of resyncs), conflicting (same epoch and
    version of a row, other content).

    Args:
        file: JSON lines of what was accepted; None: memory only. An incomplete last line (a kill) is dropped.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.counters: Counter[str] = Counter()
        self._rows: dict[tuple[str, str], RowState] = {}
        self._seen: set[str] = set()
        self._floors: dict[str, tuple[int, int]] = {}  # by table: what is older was removed by a resync
        self._path = file
        self._file: TextIO | None = None
        if file is not None:
            self._load(file)
            self._open()

    def _load(self, file: Path) -> None:
        whole = file.read_bytes() if file.exists() else b""
        complete = whole[: whole.rfind(b"\n") + 1]
        for line in complete.decode().splitlines():
            record = simplejson.loads(line, use_decimal=True)
            self._apply(Change(**record["change"], document=None), record["at"])
        if complete != whole:
            file.write_bytes(complete)

    def _open(self) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8", newline="\n")

    def apply(self, change: Change, at: str) -> str:
        """Accept one change at the ISO 8601 instant ``at``; returns accepted, repeated, stale, resynced or noted."""
        with self.lock:
            if self._file is not None and (change.is_row or change.is_resync):
                kept = {name: value for name, value in asdict(change).items() if name != "document"}
                self._file.write(to_json({"at": at, "change": kept}) + "\n")
                self._file.flush()
            return self._apply(change, at)

    def _apply(self, change: Change, at: str) -> str:
        outcome = self._outcome(change)
        self.counters[outcome] += 1
        if outcome == RESYNCED and change.operation == _COMPLETED:
            self._remove_older(change, at)
        if not change.is_row:
            return outcome
        if change.idempotency_key is not None:
            self._seen.add(change.idempotency_key)
        known = self._rows.get(change.place)
        if known is not None:
            known.deliveries += 1
            same_version = change.version is not None and (change.epoch, change.version) == (known.epoch, known.version)
            if same_version and (known.operation, known.row) != (change.operation, change.row):
                self.counters["conflicting"] += 1
        if outcome == STALE and known is None:
            self._note_removed(change, at)
        if outcome == ACCEPTED:
            assert change.table is not None and change.key is not None
            self._rows[change.place] = RowState(
                table=change.table,
                key=change.key,
                version=change.version,
                operation=change.operation,
                row=change.row,
                event_id=change.event_id,
                at=at,
                deliveries=known.deliveries if known else 1,
                epoch=change.epoch,
            )
        return outcome

    def _note_removed(self, change: Change, at: str) -> None:
        """A row that never came, and that does not exist: a resync was completed without it."""
        assert change.table is not None and change.key is not None
        epoch, version = self._floors[change.table]
        self._rows[change.place] = RowState(
            table=change.table,
            key=change.key,
            version=version,
            operation="delete",
            row=None,
            event_id=change.event_id,
            at=at,
            deliveries=1,
            epoch=epoch,
        )

    def _remove_older(self, change: Change, at: str) -> None:
        """The end of a resync: what it has not sent does not exist."""
        assert change.table is not None
        floor = change.place_in_time
        self._floors[change.table] = max(floor, self._floors.get(change.table, floor))
        for state in self._rows.values():
            if state.table == change.table and state.version is not None and (state.epoch, state.version) < floor:
                state.operation, state.row, state.at = "delete", None, at
                state.epoch, state.version = floor

    def _outcome(self, change: Change) -> str:
        if change.is_resync:
            return RESYNCED
        if not change.is_row:
            return NOTED
        known = self._rows.get(change.place)
        if change.version is not None:
            former = [self._floors.get(str(change.table), (0, 0))]
            former += [(known.epoch, known.version)] if known is not None and known.version is not None else []
            if change.place_in_time < max(former):
                return STALE
        if change.idempotency_key is not None and change.idempotency_key in self._seen:
            return REPEATED
        return ACCEPTED

    def rows(self, table: str | None = None) -> list[RowState]:
        """The latest states, deleted rows included; of one table, or of all."""
        with self.lock:
            return [RowState(**asdict(state)) for state in self._rows.values() if table in (None, state.table)]

    def find(self, table: str, key: dict[str, Any] | str) -> RowState | None:
        """The latest state of one row, or None if it never came."""
        with self.lock:
            return self._rows.get((table, canonical(key)))

    def tables(self) -> list[str]:
        with self.lock:
            return sorted({table for table, _ in self._rows})

    def count(self, names: Iterable[str]) -> dict[str, int]:
        with self.lock:
            return {name: self.counters[name] for name in names}

    def reset(self) -> None:
        """Forget everything, in the file too."""
        with self.lock:
            self.close()
            self.counters.clear()
            self._rows.clear()
            self._floors.clear()
            self._seen.clear()
            if self._path is not None:
                self._path.unlink(missing_ok=True)
                self._open()

    def close(self) -> None:
        with self.lock:
            if self._file is not None:
                self._file.close()
                self._file = None
