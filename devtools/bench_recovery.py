"""What recovery costs with many rows held: round trips, statements, seconds, and how long the trigger's lock is kept.

The app's own functions run against the emulator of SQL Server over the wire. Only the rows are put there by plain SQL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyodbc
from rich.box import SIMPLE_HEAD
from rich.table import Column
from rich.table import Table as Grid

from devtools.bench_database import LOCK_MS, TABLE, BenchDatabase
from emulators.functions_host.sql_trigger.statements import LOCK_RESOURCE
from emulators.sql_server.parser.batches import parse_batch
from emulators.sql_server.parser.tree import Block, Declare, If, SetOption, Statement
from rowpost.operations.orders import ALL, order_rows
from rowpost.operations.resync import PAGE_ROWS, next_resync, order_resync, resync_step, take_on
from rowpost.operations.status import relay_status
from rowpost.recovery.plan import plan
from rowpost.recovery.redeliver import REDELIVER_AT_MOST, redeliver
from rowpost.recovery.survey import survey
from rowpost.relay.claim import claim_keys, numbered_keys
from rowpost.relay.settle import settle
from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.fate import fate_of_answer
from rowpost.rules.row import key_hash, key_text
from rowpost.watchdog.adopt import inspect_table, move_watch_base
from rowpost.watchdog.retention import look_at_retention, record_coverage

SIZES = (1_000, 10_000, 100_000)  # held rows; the ratios are to the first
BATCH_ROWS = 100  # host.json: MaxBatchSize
_WARM_ROWS = 2 * BATCH_ROWS  # for a first run that nobody counts: plans are made, connections opened
_RECORDS = 20_000  # of one statement of the set-up
_LOOK_SECONDS = 0.003  # between two requests for the trigger's lock


@dataclass(frozen=True)
class Cost:
    """What one operation cost.

    Attributes:
        name: of the operation.
        held: rows in the ledger.
        treated: rows that it is about: all of them, or those of a batch.
        round_trips: requests that the app sent.
        statements: T-SQL statements in them, at most (branches that were not taken count).
        seconds: from the first to the last.
        lock_seconds: the longest wait of somebody who asked for the trigger's lock all along.
    """

    name: str
    held: int
    treated: int
    round_trips: int
    statements: int
    seconds: float
    lock_seconds: float


def statement_count(sql: str) -> int:
    """The statements of a batch that do something; the app's batches have no loops."""

    def count(statements: Sequence[Statement]) -> int:
        return sum(count_one(statement) for statement in statements)

    def count_one(statement: Statement) -> int:
        if isinstance(statement, Block):
            return count(statement.body)
        if isinstance(statement, If):
            return 1 + count_one(statement.then) + (count_one(statement.otherwise) if statement.otherwise else 0)
        return 0 if isinstance(statement, Declare | SetOption) else 1

    return count(parse_batch(sql.replace("?", "@parameter")))


class LockWatch(threading.Thread):
    """Asks for the trigger's lock again and again, as the trigger does, and remembers its longest wait."""

    def __init__(self, connection: pyodbc.Connection) -> None:
        super().__init__(name="lock watch", daemon=True)
        self._connection = connection
        self._over = threading.Event()
        self.longest_seconds = 0.0

    def run(self) -> None:
        """Until :meth:`end`."""
        lock = f"@Resource = N'{LOCK_RESOURCE}', @LockOwner = 'Session', @DbPrincipal = N'public'"
        ask = f"EXEC sp_getapplock {lock}, @LockMode = 'Exclusive', @LockTimeout = {LOCK_MS}; EXEC sp_releaseapplock {lock};"
        while not self._over.wait(_LOOK_SECONDS):
            started = time.perf_counter()
            self._connection.execute(ask)
            self.longest_seconds = max(self.longest_seconds, time.perf_counter() - started)

    def end(self) -> float:
        """Stop; the longest wait in seconds."""
        self._over.set()
        self.join()
        return self.longest_seconds


class RecoveryBench(BenchDatabase):
    """A database with as many held rows as wanted.

    Args:
        directory, config, tables_sql: as of :class:`BenchDatabase`.
        say: is told of each step.
    """

    def __init__(self, directory: Path, config: Path, tables_sql: Path, say: Callable[[str], None]) -> None:
        super().__init__(directory, config, tables_sql)
        self.say = say
        self.costs: list[Cost] = []

    # --- set-up, by plain SQL ---

    def fill(self, count: int) -> None:
        """Let ``count`` rows be exhausted, their leases held."""
        self.say(f"{count:,} rows …")
        self.stack.execute(f"DELETE FROM rowpost.Ledger; DELETE FROM {self.leases};")
        self.insert_orders(count)
        records = """
INSERT INTO rowpost.Ledger (Relay, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds, FirstFailure,
                            LastFailure, NextAttempt, LastStatus, LastError, Noticed)
SELECT N'dbo.Orders', h, k, v.Newest, 'U', 'exhausted', 5, 0, SYSUTCDATETIME(), SYSUTCDATETIME(), SYSUTCDATETIME(),
       503, N'HTTP 503', 0
  FROM OPENJSON(?) WITH (h char(64) '$.h', k nvarchar(max) '$.k')
  CROSS JOIN (SELECT CHANGE_TRACKING_CURRENT_VERSION() AS Newest) v"""
        for first in range(1, count + 1, _RECORDS):
            texts = [key_text({"OrderId": i}) for i in range(first, min(first + _RECORDS, count + 1))]
            self.many(records, [{"h": key_hash(text), "k": text} for text in texts])
        self.stack.execute(f"""
INSERT INTO {self.leases}
SELECT OrderId, CHANGE_TRACKING_CURRENT_VERSION(), 0, DATEADD(hour, 1, SYSDATETIME()) FROM dbo.Orders WHERE OrderId <= {count};""")
        self.stack.execute("UPDATE rowpost.Relays SET RetryOrdered = NULL")
        self.stack.execute("UPDATE rowpost.Targets SET Openings = 0, OpenUntil = NULL, ClosedAt = NULL")

    def change(self, ledger: str, leases: str | None = None) -> None:
        """Put all rows in another state."""
        self.stack.execute(f"UPDATE rowpost.Ledger SET {ledger}")
        if leases is not None:
            self.stack.execute(f"UPDATE {self.leases} SET {leases}")

    # --- measuring ---

    def measure(self, name: str, held: int, work: Callable[[], Any], treated: int | None = None, expect: Any = None) -> None:
        """Run ``work`` once and note its cost; ``treated`` is the number of rows that it is about, if not all of them.

        Raises:
            RuntimeError: it did not give what was expected.
        """
        self.database.sent.clear()
        connection = self.stack.sql.connect(application="lock watch", timeout_seconds=60)
        watch = LockWatch(connection)
        watch.start()
        started = time.perf_counter()
        result = work()
        took = time.perf_counter() - started
        lock = watch.end()
        connection.close()
        if expect is not None and result != expect:
            raise RuntimeError(f"{name} with {held} rows held: {result!r}, expected {expect!r}")
        sent = list(self.database.sent)
        counts = {sql: statement_count(sql) for sql in set(sent)}
        cost = Cost(name, held, treated or held, len(sent), sum(counts[sql] for sql in sent), took, lock)
        self.costs.append(cost)
        self.say(f"  {name}: {took:.2f} s, {cost.round_trips} round trips, lock {lock * 1000:.0f} ms")

    def run(self, count: int) -> None:
        """All operations with ``count`` rows held."""
        self.fill(count)
        self._outage(count)
        self._looks(count)
        self._batches(count)
        self._operator(count)
        self._endings(count)

    def plan(self, name: str, held: int, state: str, expect: int) -> None:
        """Plan until nothing is left, and note the cost; then ``expect`` rows must be in that ``state``, a condition of SQL."""

        def work() -> None:
            while plan(self.app, TABLE).more:
                pass

        self.measure(name, held, work)
        self._check(name, held, "rowpost.Ledger", state, expect)

    def _check(self, name: str, held: int, table: str, state: str, expect: int) -> None:
        ((found,),) = self.stack.execute(f"SELECT COUNT(*) FROM {table} WHERE {state}")
        if found != expect:
            raise RuntimeError(f"{name} with {held} rows held: {found} rows are {state}, expected {expect}")

    def _outage(self, count: int) -> None:
        self.plan("hold: plan exhausted rows", count, "State = 'held' AND Rounds = 1", count)
        self.measure("trigger's own look, all held", count, partial(self.poll, BATCH_ROWS))
        self.change(
            "State = 'exhausted', Rounds = 5, NextAttempt = SYSUTCDATETIME()",
            "_az_func_LeaseExpirationTime = DATEADD(hour, 1, SYSDATETIME())",
        )
        self.plan("release: plan for redelivery", count, "State = 'detached'", count)
        self.measure("trigger's own look, all freed", count, partial(self.poll, BATCH_ROWS), expect=0)

    def _looks(self, count: int) -> None:
        app = self.app
        self.measure("survey, nothing to plan", count, lambda: survey(app, TABLE)["live"], expect=count)
        self.measure("relay_status", count, lambda: relay_status(app, TABLE)["detached"], expect=count)
        self.measure("inspect_table", count, lambda: inspect_table(app, TABLE))
        self.measure("move_watch_base", count, lambda: move_watch_base(app, TABLE))

        def retention() -> None:
            coverage = look_at_retention(app, TABLE)
            assert coverage is not None
            record_coverage(app, TABLE, coverage, told=True)

        self.measure("retention: look and record", count, retention)

    def _batches(self, count: int) -> None:
        keys = numbered_keys(self.table, [{"OrderId": i} for i in self.hand_out(BATCH_ROWS)])
        self.measure(
            f"claim of {BATCH_ROWS}", count, lambda: len(claim_keys(self.database, self.table, keys).rows), BATCH_ROWS, BATCH_ROWS
        )
        claimed = claim_keys(self.database, self.table, keys)
        refused = Answer(Verdict.TRANSIENT, status=503, error="HTTP 503")
        fates = [fate_of_answer(row, refused, self.app.config.retry.policy) for row in claimed.rows]
        name = f"settle of {BATCH_ROWS}"
        self.measure(name, count, lambda: settle(self.database, self.table, fates, claimed.epoch), BATCH_ROWS)
        self._check(name, count, "rowpost.Ledger", "State = 'exhausted'", BATCH_ROWS)
        settled = "_az_func_AttemptCount = 0 AND _az_func_LeaseExpirationTime > SYSDATETIME()"
        self._check(name, count, self.leases, settled, BATCH_ROWS)

    def _operator(self, count: int) -> None:
        app = self.app
        plan(app, TABLE)  # the batch that was just settled
        self.change(
            "State = 'detached', NextAttempt = DATEADD(hour, 6, SYSUTCDATETIME()), LastFailure = SYSUTCDATETIME()",
            "_az_func_LeaseExpirationTime = NULL",
        )
        self.measure("retry", count, lambda: order_rows(app, TABLE, "retry", ALL, "bench").rows, expect=count)
        self.plan("reset: plan ordered rows", count, "NextAttempt <= SYSUTCDATETIME()", count)
        many = min(count, REDELIVER_AT_MOST)
        self.measure(f"redeliver {many}, all due", count, lambda: redeliver(app, TABLE).delivered, many, many)

    def _endings(self, count: int) -> None:
        app = self.app
        left = count - min(count, REDELIVER_AT_MOST)
        self.change("FirstFailure = DATEADD(day, -30, SYSUTCDATETIME())")
        self.plan("dead letters: plan", count, "State = 'dead'", left)
        self.change("NextAttempt = DATEADD(minute, -1, SYSUTCDATETIME())")
        self.measure("dead letters: tell", count, lambda: survey(app, TABLE)["unnoticed_dead"], expect=0)
        self.measure("replay", count, lambda: order_rows(app, TABLE, "replay", ALL, "bench").rows, expect=left)
        self.stack.execute("DELETE FROM rowpost.Ledger")
        after = key_text({"OrderId": count // 2})
        page = min(PAGE_ROWS, self._orders - count // 2)
        order_resync(app, TABLE, "measured")
        order = next_resync(app, TABLE)
        assert order is not None and take_on(app, TABLE, order)
        resync_step(app, TABLE, order.resync, order.starts + 1)  # it begins; what the target says to that is not waited for
        self.stack.execute("UPDATE rowpost.Resyncs SET State = 'paging', EventsTaken = 0, Position = ?", after)
        step = partial(resync_step, app, TABLE, order.resync, order.starts + 1)
        self.measure("resync: a page in the middle", count, lambda: step().queued, page, page)


def measure_recovery(
    directory: Path, config: Path, tables_sql: Path, sizes: Sequence[int], say: Callable[[str], None]
) -> list[Cost]:
    """The costs of all operations with each number of held rows."""
    with RecoveryBench(directory, config, tables_sql, say) as bench:
        bench.run(_WARM_ROWS)
        bench.costs.clear()
        for count in sizes:
            bench.run(count)
    return bench.costs


def recovery_grid(costs: Sequence[Cost]) -> Grid:
    """The costs as a table."""
    first = costs[0].held
    base = {cost.name: cost.seconds / cost.treated for cost in costs if cost.held == first}
    explained = (
        f"trips: SQL round trips. lock: longest wait for the trigger's lock. per row: time per row treated, against {first:,} held."
    )
    grid = Grid(Column("operation", no_wrap=True), box=SIMPLE_HEAD, caption=explained, caption_justify="left")
    for heading in ("held", "trips", "statements", "seconds", "lock, ms", "per row"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for name in dict.fromkeys(cost.name for cost in costs):
        for cost in (cost for cost in costs if cost.name == name):
            ratio = cost.seconds / cost.treated / base[name]
            cells = (f"{cost.round_trips}", f"{cost.statements}", f"{cost.seconds:.3f}", f"{cost.lock_seconds * 1000:.0f}")
            grid.add_row(name if cost.held == first else "", f"{cost.held:,}", *cells, f"{ratio:.2f}")
    return grid
