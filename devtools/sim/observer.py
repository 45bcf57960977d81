"""Looking at a running world from outside: the cursor, the ledger, what the API knows; and everything at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from devtools.sim.plan import COLUMNS, TABLE
from devtools.sim.record import Look, Record, Wanted, key_text
from devtools.sim.scenario import LEASES, change_sql
from emulators.downstream.api import Downstream
from emulators.email_service.service import EmailService

Statements = list[tuple[str, list[Any]]]
Execute = Callable[[str], list[tuple[Any, ...]]]
_LEDGER = ["RowKey", "State", "ChangeVersion", "Attempts", "Rounds", "FirstFailure", "NextAttempt", "LastError"]


class Observer:
    """Fills a record.

    Args:
        record: of the run.
        execute: runs a statement as an administrator.
        downstream, email: the emulators.
        now: seconds since the start.
    """

    def __init__(
        self, record: Record, execute: Execute, downstream: Downstream, email: EmailService, now: Callable[[], float]
    ) -> None:
        self.record, self.execute, self.downstream, self.email, self.now = record, execute, downstream, email, now
        self.settings = record.plan.settings
        self.execute_all: Callable[[str], list[list[tuple[Any, ...]]]] = lambda sql: [execute(sql)]
        self._sql: str | None = None
        self.latest: dict[str, int] = {}  # the version of the last change of each row, watched or not

    def change(self, ops: list[dict[str, Any]], run: Callable[[Statements], Any]) -> None:
        """Change rows in one transaction, which ``run`` runs, and note what the API must know in the end."""
        statements, touched = change_sql(self.settings, ops)
        run(statements)
        ((version,),) = self.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
        record, now = self.record, self.now()
        for text, deleted, counts in touched:
            record.changes.append((now, text, int(version), counts))
            self.latest[text] = int(version)
            if counts:
                record.excused.pop(text, None)
            if counts or text not in record.wanted:
                record.wanted[text] = Wanted(int(version), deleted, now)

    def cursor(self) -> int | None:
        """The trigger's cursor, None before its first start."""
        ((cursor,),) = self.execute(
            f"SELECT MIN(LastSyncVersion) FROM az_func.GlobalState WHERE UserTableID = OBJECT_ID(N'{TABLE}')"
        )
        return None if cursor is None else int(cursor)

    def look(self) -> Look:
        """A checkpoint: the cursor and the ledger, and whether the cursor has passed a row that nobody will deliver."""
        cursor = self.cursor()
        rows = self.execute("SELECT RowKey, State, ChangeVersion, Attempts, Rounds FROM rowpost.Ledger")
        ledger = {row[0]: (row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows}
        look = Look(self.now(), cursor, ledger)
        self._note_missed(look)
        self.record.looks.append(look)
        return look

    def look_closely(self) -> Look:
        """The same with leases, plans and the table's state, for an observer who costs little."""
        parts = self.execute_all(self._close_look())
        rows, leases, state = parts[1:]
        look = Look(self.now(), parts[0][0][0], {row[0]: tuple(row[1:]) for row in rows})
        width = len(self.settings.key_columns)
        for row in leases:
            key = key_text(dict(zip(self.settings.key_columns, row[:width], strict=True)))
            version, count, end = row[width:]
            look.leases[key] = (version, count, None if end is None else end / 1000)
        if state:
            look.base = state[0][0]
            look.openings = state[0][2]
            look.worked_at = None if state[0][3] is None else look.at - state[0][3] / 1000
            look.open_seconds = state[0][1] / 1000 if state[0][1] is not None and state[0][1] > 0 else None
        self._note_missed(look)
        self.record.looks.append(look)
        return look

    def _close_look(self) -> str:
        if self._sql is None:
            columns = self.execute("SELECT name FROM sys.columns WHERE object_id = OBJECT_ID(N'rowpost.Targets')")
            known = ("OpenUntil",) in columns
            open_for = "DATEDIFF_BIG(millisecond, SYSUTCDATETIME(), OpenUntil)" if known else "NULL"
            openings = "Openings" if known else "0"
            keys = ", ".join(self.settings.key_columns)
            self._sql = f"""
SELECT MIN(LastSyncVersion) FROM az_func.GlobalState WHERE UserTableID = OBJECT_ID(N'{TABLE}');
SELECT RowKey, State, ChangeVersion, Attempts, Rounds, DATEDIFF_BIG(second, SYSUTCDATETIME(), NextAttempt),
       DATEDIFF_BIG(second, SYSUTCDATETIME(), NotBefore)
  FROM rowpost.Ledger;
SELECT {keys}, _az_func_ChangeVersion, _az_func_AttemptCount,
       DATEDIFF_BIG(millisecond, SYSDATETIME(), _az_func_LeaseExpirationTime) FROM az_func.{LEASES};
SELECT WatchBase, {open_for}, {openings}, DATEDIFF_BIG(millisecond, ClosedAt, SYSUTCDATETIME())
  FROM rowpost.Relays CROSS JOIN rowpost.Targets;"""
        return self._sql

    def excuse(self, version: int) -> None:
        """Note the rows whose changes up to a version are forgotten: nobody knows of them any more."""
        look = self.look_closely()
        for text, wanted in self.record.wanted.items():
            known = self.downstream.find(TABLE, json.loads(text))
            entry = look.ledger.get(text)
            arrived = known is not None and (known.version or 0) >= wanted.version
            if self.latest[text] <= version and not arrived and (entry is None or entry[1] < wanted.version):
                self.record.excused[text] = self.latest[text]

    def _note_missed(self, look: Look) -> None:
        cursor, ledger = look.cursor, look.ledger
        for text, wanted in self.record.wanted.items():
            if cursor is None or self.latest[text] > cursor or text in self.record.excused:
                continue  # the trigger will hand out its latest change, or nobody knows of it any more
            known = self.downstream.find(TABLE, json.loads(text))
            entry = ledger.get(text)
            if known is not None and (known.version or 0) >= wanted.version:
                continue
            if known is not None and self.record.plan.policy == "naive" and self.record.at(known.at) >= wanted.since:
                continue
            if entry is None or (entry[0] == "dead" and entry[1] < wanted.version):
                look.missed.append(text)

    def live(self) -> int:
        """How many records of the ledger are still to be worked on."""
        ((live,),) = self.execute("SELECT COUNT(*) FROM rowpost.Ledger WHERE State <> 'dead' OR Noticed = 0")
        return int(live)

    def open_changes(self) -> list[tuple[str, int]]:
        """Tracked changes beyond the cursor that the trigger has not released."""
        names = self.settings.key_columns
        keys = ", ".join(f"c.{name}" for name in names)
        match = " AND ".join(f"l.{name} = c.{name}" for name in names)
        rows = self.execute(
            f"""DECLARE @last bigint =
              (SELECT MIN(LastSyncVersion) FROM az_func.GlobalState WHERE UserTableID = OBJECT_ID(N'{TABLE}'));
            SELECT {keys}, c.SYS_CHANGE_VERSION FROM CHANGETABLE(CHANGES {TABLE}, @last) c
            LEFT JOIN az_func.{LEASES} l ON {match}
            WHERE l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion <> c.SYS_CHANGE_VERSION
               OR l._az_func_LeaseExpirationTime IS NOT NULL OR l._az_func_AttemptCount <> 0"""
        )
        return [(key_text(dict(zip(names, row[:-1], strict=True))), int(row[-1])) for row in rows]

    def collect(self, instances: list[dict[str, Any]]) -> None:
        """Everything that the checks need at the end; ``instances`` are the orchestrations."""
        record, api = self.record, self.downstream
        for attempt in api.attempts():
            if attempt.path == "/rows":
                record.attempts.append(attempt)
            elif attempt.path == "/alerts" and attempt.outcome in ("noted", "accepted", "repeated"):
                record.alerts.append((record.at(attempt.at), attempt.body))
                record.unheard[str(attempt.event_id)] += attempt.status is None or attempt.number in record.unanswered
        for message in self.email.messages():
            for address in message.recipients:
                record.mails.append((record.at(message.at), address, message.plain_text or ""))
        record.counters = api.counters()
        record.state = {key_text(state.key): state for state in api.state(TABLE) if isinstance(state.key, dict)}
        names = [*self.settings.key_columns, *COLUMNS]
        for row in self.execute(f"SELECT {', '.join(names)} FROM {TABLE}"):
            values = dict(zip(names, row, strict=True))
            record.rows[key_text({name: values[name] for name in self.settings.key_columns})] = values
        for row in self.execute(f"SELECT {', '.join(_LEDGER)} FROM rowpost.Ledger"):
            record.ledger.append(dict(zip(_LEDGER, row, strict=True)))
        record.leases = [tuple(row) for row in self.execute(f"SELECT * FROM az_func.{LEASES}")]
        record.open_changes = self.open_changes()
        record.cursor = self.cursor()
        record.instances = instances
