"""Looking at a running world from outside: the cursor, the ledger, what the API knows; and everything at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from devtools.sim.contents import Contents
from devtools.sim.lane import MAIN
from devtools.sim.record import Look, Record, Wanted, key_text, parsed_key
from devtools.sim.scenario import change_sql
from emulators.downstream.api import Downstream
from emulators.email_service.service import EmailService

Statements = list[tuple[str, list[Any]]]
Execute = Callable[[str], list[tuple[Any, ...]]]
_LEDGER = ["RowKey", "State", "ChangeVersion", "Attempts", "Rounds", "FirstFailure", "NextAttempt", "LastError"]


class Observer:
    """Fills the record of one relay.

    Args:
        record: of the relay.
        execute: runs a statement as an administrator.
        downstream: its target.
        email: the mail service.
        now: seconds since the start.
        alerts: the API that people's webhook leads to; without it, the target.
    """

    def __init__(
        self,
        record: Record,
        execute: Execute,
        downstream: Downstream,
        email: EmailService,
        now: Callable[[], float],
        alerts: Downstream | None = None,
    ) -> None:
        self.record, self.execute, self.downstream, self.email, self.now = record, execute, downstream, email, now
        self.alerts = alerts or downstream
        self.unheard = record.unanswered  # numbers of attempts at ``alerts`` whose answer came too late
        self.settings, self.lane = record.plan.settings, record.lane
        self._mine = "1 = 1" if record.plan.policy == "naive" else f"Relay = N'{self.lane.relay.name}'"
        self.execute_all: Callable[[str], list[list[tuple[Any, ...]]]] = lambda sql: [execute(sql)]
        self._sql: str | None = None
        self._contents = Contents(self.settings)
        record.history = self._contents.history
        self.latest: dict[str, int] = {}  # the version of the last change of each row, watched or not

    def change(self, ops: list[dict[str, Any]], run: Callable[[Statements], Any]) -> None:
        """Change rows in one transaction, which ``run`` runs, and note what the API must know in the end."""
        statements, touched = change_sql(self.settings, ops, self.lane.table)
        run(statements)
        ((version,),) = self.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
        self.note(touched, int(version), ops)

    def note(self, touched: list[tuple[str, bool, bool]], version: int, ops: list[dict[str, Any]]) -> None:
        """Note a transaction: what the API must know of its rows in the end."""
        record, now = self.record, self.now()
        self._contents.apply(ops, version)
        record.own += [(now, *self._contents.written(op), version) for op in ops if op.get("own")]
        for text, deleted, counts in touched:
            record.changes.append((now, text, version, counts))
            self.latest[text] = version
            if counts:
                record.excused.pop(text, None)
                record.unpromised.pop(text, None)
            if counts or text not in record.wanted:
                record.wanted[text] = Wanted(version, deleted, now)

    def cursor(self) -> int | None:
        """The trigger's cursor, None before its first start."""
        ((cursor,),) = self.execute(self._cursor_sql)
        return None if cursor is None else int(cursor)

    @property
    def _cursor_sql(self) -> str:
        table = f"SELECT MIN(LastSyncVersion) FROM az_func.GlobalState WHERE UserTableID = OBJECT_ID(N'{self.lane.table}')"
        return table if self.lane == MAIN and not self.record.others else f"{table} AND UserFunctionID = '{self.lane.function}'"

    def look(self) -> Look:
        """A checkpoint: the cursor and the ledger, and whether the cursor has passed a row that nobody will deliver."""
        cursor = self.cursor()
        rows = self.execute(f"SELECT RowKey, State, ChangeVersion, Attempts, Rounds FROM rowpost.Ledger WHERE {self._mine}")
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
        if self.settings.computed:
            look.errors = {row[0]: row[7] for row in rows if row[7] is not None}
            look.ledger = {text: entry[:6] for text, entry in look.ledger.items()}
        width = len(self.settings.key_columns)
        for row in leases:
            key = key_text(dict(zip(self.settings.key_columns, row[:width], strict=True)))
            version, count, end = row[width:]
            look.leases[key] = (version, count, None if end is None else end / 1e9)
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
{self._cursor_sql};
SELECT RowKey, State, ChangeVersion, Attempts, Rounds, DATEDIFF_BIG(second, SYSUTCDATETIME(), NextAttempt),
       DATEDIFF_BIG(second, SYSUTCDATETIME(), NotBefore){", LastError" if self.settings.computed else ""}
  FROM rowpost.Ledger WHERE {self._mine};
SELECT {keys}, _az_func_ChangeVersion, _az_func_AttemptCount,
       DATEDIFF_BIG(nanosecond, SYSDATETIME(), _az_func_LeaseExpirationTime) FROM az_func.{self.lane.leases};
SELECT WatchBase, {open_for}, {openings}, DATEDIFF_BIG(millisecond, ClosedAt, SYSUTCDATETIME())
  FROM rowpost.Relays r JOIN rowpost.Targets t ON t.App = N'{self.lane.site}' AND t.Target = N'{self.lane.target}'
 WHERE {self._mine};"""
        return self._sql

    def excuse(self, version: int) -> None:
        """Note the rows whose changes up to a version are forgotten: nobody knows of them any more."""
        look = self.look_closely()
        begun = bool(self.execute(f"SELECT 1 FROM rowpost.Relays WHERE {self._mine}"))
        for text, wanted in self.record.wanted.items():
            known = self.downstream.find(self.lane.table, parsed_key(text))
            entry = look.ledger.get(text)
            arrived = known is not None and (known.version or 0) >= wanted.version
            if self.latest[text] <= version and not arrived and (entry is None or entry[1] < wanted.version):
                self.record.excused[text] = self.latest[text]
                if not begun:
                    self.record.unpromised[text] = self.latest[text]

    def note_order(self, sql: str) -> None:
        """Note what a statement of an order has just done to the relay: a pause, its end, rows that were changed."""
        name = sql.partition(".sql")[0].removeprefix("-- rowpost: ")
        if name not in ("pause", "resume", "discard", "replay") or f"Relay = N'{self.lane.relay.name}'" not in sql:
            return
        record, now = self.record, self.now()
        if name in ("pause", "resume"):
            ((at,),) = self.execute(f"SELECT PausedAt FROM rowpost.Relays WHERE {self._mine}")
            lasts = bool(record.paused) and record.paused[-1][1] == math.inf
            if at is not None and not lasts:
                record.paused.append([now, math.inf])
            elif at is None and lasts:
                record.paused[-1][1] = now
                record.took["a pause that rows waited for"] += bool(self.waiting())
            return
        before = record.looks[-1].ledger if record.looks else {}
        rows = {row[0]: row[1] for row in self.execute(f"SELECT RowKey, State FROM rowpost.Ledger WHERE {self._mine}")}
        changed = [text for text, entry in before.items() if rows.get(text) != entry[0]]
        if name == "discard":
            record.discarded |= {text: max(before[text][1], record.discarded.get(text, 0)) for text in changed}
        if changed:
            record.ordered[name] += len(changed)
            record.took[f"rows of an order: {name}"] += len(changed)

    def given_up(self, text: str) -> bool:
        """Whether an order has given up the last change of a row that counts."""
        return self.record.discarded.get(text, 0) >= self.record.wanted[text].version

    def _note_missed(self, look: Look) -> None:
        cursor, ledger = look.cursor, look.ledger
        for text, wanted in self.record.wanted.items():
            if cursor is None or self.latest[text] > cursor or text in self.record.excused or self.given_up(text):
                continue  # the trigger will hand out its latest change, or nobody knows of it any more
            known = self.downstream.find(self.lane.table, parsed_key(text))
            entry = ledger.get(text)
            if known is not None and (known.version or 0) >= wanted.version:
                continue
            if known is not None and self.record.plan.policy == "naive" and self.record.at(known.at) >= wanted.since:
                continue
            if entry is None or (entry[0] == "dead" and entry[1] < wanted.version):
                look.missed.append(text)

    def live(self) -> int:
        """How many records of the ledger are still to be worked on."""
        ((live,),) = self.execute(f"SELECT COUNT(*) FROM rowpost.Ledger WHERE {self._mine} AND (State <> 'dead' OR Noticed = 0)")
        return int(live)

    def waiting(self) -> int:
        """How many rows are not delivered and have failed."""
        ((rows,),) = self.execute(f"SELECT COUNT(*) FROM rowpost.Ledger WHERE {self._mine} AND State <> 'dead'")
        return int(rows)

    def open_changes(self) -> list[tuple[str, int]]:
        """Tracked changes beyond the cursor that the trigger has not released."""
        names = self.settings.key_columns
        keys = ", ".join(f"c.{name}" for name in names)
        match = " AND ".join(f"l.{name} = c.{name}" for name in names)
        rows = self.execute(
            f"""DECLARE @last bigint = ({self._cursor_sql});
            SELECT {keys}, c.SYS_CHANGE_VERSION FROM CHANGETABLE(CHANGES {self.lane.table}, @last) c
            LEFT JOIN az_func.{self.lane.leases} l ON {match}
            WHERE l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion <> c.SYS_CHANGE_VERSION
               OR l._az_func_LeaseExpirationTime IS NOT NULL OR l._az_func_AttemptCount <> 0"""
        )
        return [(key_text(dict(zip(names, row[:-1], strict=True))), int(row[-1])) for row in rows]

    def collect(self, instances: list[dict[str, Any]]) -> None:
        """Everything that the checks need at the end; ``instances`` are the orchestrations."""
        record, api = self.record, self.downstream
        for attempt in api.attempts():
            if attempt.path == "/rows" and attempt.table in (self.lane.table, None):
                record.attempts.append(attempt)
        for attempt in self.alerts.attempts():
            told = attempt.body.get("relay", self.lane.relay.name) if isinstance(attempt.body, dict) else self.lane.relay.name
            heard = attempt.path == "/alerts" and attempt.outcome in ("noted", "accepted", "repeated")
            if heard and told == self.lane.relay.name:
                record.alerts.append((record.at(attempt.at), attempt.body))
                record.unheard[str(attempt.event_id)] += attempt.status is None or attempt.number in self.unheard
        for message in self.email.messages():
            for address in message.recipients:
                record.mails.append((record.at(message.at), address, message.plain_text or ""))
        record.counters = api.counters()
        record.state = {key_text(state.key): state for state in api.state(self.lane.table) if isinstance(state.key, dict)}
        names = [*self.settings.key_columns, *self.settings.columns]
        for row in self.execute(f"SELECT {', '.join(names)} FROM {self.lane.table}"):
            values = dict(zip(names, row, strict=True))
            record.rows[key_text({name: values[name] for name in self.settings.key_columns})] = values
        for row in self.execute(f"SELECT {', '.join(_LEDGER)} FROM rowpost.Ledger WHERE {self._mine}"):
            record.ledger.append(dict(zip(_LEDGER, row, strict=True)))
        orders = f"SELECT Action, Rows FROM rowpost.Audit WHERE {self._mine} AND Rows > 0"
        for action, count in self.execute(orders) if record.plan.policy == "rowpost" else ():
            if action in ("discard", "replay"):
                record.audit[action] += int(count)
        record.leases = [tuple(row) for row in self.execute(f"SELECT * FROM az_func.{self.lane.leases}")]
        record.open_changes = self.open_changes()
        record.cursor = self.cursor()
        record.instances = instances
