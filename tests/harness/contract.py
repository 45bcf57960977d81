"""What a running relay sends is what its schema says: looked at when the test ends, for each request that has arrived."""

from __future__ import annotations

import re
from pathlib import Path

import pyodbc

from devtools.contracts import Contract, broken, contracts_of
from devtools.stack import Stack
from rowpost.config.errors import ConfigError
from rowpost.database.connection import DatabaseError

_CHANGES_TABLES = re.compile(r"\b(?:ALTER|CREATE|DROP)\s+TABLE\b|\bsp_rename\b", re.IGNORECASE)
_known: dict[object, list[Contract]] = {}  # by configuration and tables: many tests have the same


class KeptContract:
    """Follows what the contract of a stack's relays is, while a test changes its tables and its configuration."""

    def __init__(self, stack: Stack, config: Path) -> None:
        self._stack, self._config = stack, config
        self._contracts: list[Contract] = []
        self._noted: str | None = None
        self._changed = False

    def note_tables(self, tables: str) -> None:
        """The tables are there, and nobody has changed them since the script that made them."""
        text = self._config.read_text()
        known = (text, tables, *sorted(self._stack._extra.items()))
        if known not in _known:
            _known[known] = self._read()
        self._contracts, self._noted = list(_known[known]), text

    def note_statement(self, sql: str) -> None:
        """A test has run a statement."""
        self._changed = self._changed or _CHANGES_TABLES.search(sql) is not None

    def check(self) -> None:
        """Raises AssertionError if a request of rows is not as the schema of its relay says."""
        attempts = [each for each in self._stack.downstream.attempts() if not each.path.startswith("/alerts")]
        if not attempts:
            return
        if self._changed or self._noted != self._config.read_text():
            self._contracts += self._read()
        if not self._contracts:
            return  # the database is gone, or its tables cannot be relayed any more
        wrong = list(broken(attempts, self._contracts))
        if wrong and self._columns_were_chosen():
            narrowed = [Contract(each.table, each.shape, narrowed=True) for each in self._contracts]
            wrong = list(broken([attempt for attempt, _ in wrong], narrowed))
        told = [f"{attempt.method} {attempt.path}: {why}" for attempt, why in wrong[:3]]
        assert not told, f"{len(wrong)} of {len(attempts)} requests are not as the schema says: {told}"

    def _read(self) -> list[Contract]:
        """What the catalogue and the configuration say now."""
        try:
            return contracts_of(self._config, self._stack.settings, self._stack.sql.ado_net_connection_string)
        except (ConfigError, DatabaseError):
            return []

    def _columns_were_chosen(self) -> bool:
        """Whether a client has chosen columns, perhaps no more: its events have fewer."""
        try:
            return bool(self._stack.execute("SELECT 1 FROM rowpost.Relays WHERE ChosenAt IS NOT NULL OR ClientColumns IS NOT NULL"))
        except pyodbc.Error:
            return False
