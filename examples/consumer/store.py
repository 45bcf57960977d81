"""A copy of the source's tables that grows from events: in SQLite, PostgreSQL or SQL Server, by the statements in sql/."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from changes import Change

_SQL = Path(__file__).resolve().parent / "sql"
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")


class Store:
    """The copy. Each call of :meth:`apply` is one transaction; safe to use from several threads.

    Args:
        connect: opens a connection by DB-API, on which no transaction begins by itself.
        dialect: the name of the file with the statements.
        style: how the driver writes parameters: ``:`` for ``:name``, ``%`` for ``%(name)s``, or ``?``.
    """

    def __init__(self, connect: Callable[[], Any], dialect: str, style: str) -> None:
        self._connect, self._style = connect, style
        self._connection: Any = None
        self._statements = _read(_SQL / f"{dialect}.sql")
        self._lock = threading.Lock()
        with self._lock:
            self._run("create_copy")
            self._run("create_sources")

    def apply(self, changes: Iterable[Change]) -> None:
        """Take all of it, or nothing if the database fails. The same again, or an older state, changes nothing.

        Events of one table are put in the order of their keys, so that two transactions do not wait for each other in a circle.
        """
        ordered = sorted(changes, key=lambda change: (change.source, change.row_key))
        with self._lock:
            try:
                self._run("begin")
                floors: dict[str, str] = {}
                for change in ordered:
                    if change.operation in ("upsert", "delete"):
                        self._put(change, floors)
                    elif change.operation == "resync-completed":
                        self._complete(change)
                        floors.pop(change.source, None)
                self._run("commit")
            except BaseException:
                self._give_up()
                raise

    def rows(self, source: str) -> dict[str, str]:
        """The rows of a table that exist: JSON by key."""
        with self._lock:
            return dict(self._run("rows", source=source))

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _give_up(self) -> None:
        """Undo the transaction. A connection that cannot even do that is replaced by the next request."""
        try:
            self._run("rollback")
        except Exception:
            with contextlib.suppress(Exception):
                self.close()

    def _put(self, change: Change, floors: dict[str, str]) -> None:
        if change.source not in floors:
            self._run("know_source", source=change.source)
            ((floors[change.source],),) = self._run("floor", source=change.source)
        if change.sequence >= floors[change.source]:  # else it is late: a resync was completed without it
            values = {"row_key": change.row_key, "sequence": change.sequence, "data": change.data}
            self._run("put", source=change.source, **values)

    def _complete(self, change: Change) -> None:
        """The end of a resync: what is older than its beginning was not sent, since it does not exist."""
        self._run("know_source", source=change.source)
        for name in ("raise_floor", "remove_older"):
            self._run(name, source=change.source, sequence=change.sequence)

    def _run(self, name: str, **values: Any) -> list[Any]:
        sql = self._statements[name]
        if self._connection is None:
            self._connection = self._connect()
        cursor = self._connection.cursor()
        try:
            if self._style == "?":
                order = _PARAMETER.findall(sql)
                cursor.execute(_PARAMETER.sub("?", sql), [values[each] for each in order])
            elif self._style == "%":
                cursor.execute(_PARAMETER.sub(r"%(\1)s", sql), values)
            else:
                cursor.execute(sql, values)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            cursor.close()


def open_store(database: str) -> Store:
    """A store in a file of SQLite, or in PostgreSQL: ``postgresql://user@host/database``."""
    if not database.startswith(("postgres://", "postgresql://")):
        return Store(partial(sqlite3.connect, database, isolation_level=None, check_same_thread=False), "sqlite", ":")
    import psycopg  # only who uses it needs it

    return Store(partial(psycopg.connect, database, autocommit=True), "postgresql", "%")


def _read(file: Path) -> dict[str, str]:
    """The statements of a file by name, without comments: a comment could hold what looks like a parameter."""
    text = file.read_text(encoding="utf-8")
    parts = re.split(r"(?m)^-- name: (\w+)$", text)
    return {name: re.sub(r"--[^\n]*", "", sql).strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}
