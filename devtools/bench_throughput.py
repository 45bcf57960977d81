"""Throughput of a healthy relay: rows a second from the commit to the target, against the law of its loop, and the app's CPU time.

The trigger hands out B rows, the app relays them in t seconds, and the trigger sleeps for P. So a relay makes B / (P + t) rows a
second at most. That t is measured in virtual time, in which pauses cost nothing. Everything runs on this machine: the emulated
database and trigger are part of t.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.table import Column
from rich.table import Table as Grid

from devtools.bench_database import BenchDatabase
from devtools.stack import Stack
from emulators.clock import VirtualTime
from emulators.launch import DownstreamProcess
from rowpost.relay.batch import post, relay_batch
from rowpost.relay.claim import claim
from rowpost.target.event import build_event

_INSERT_ROWS = 1000  # of one INSERT
_URL = 'url = "%DOWNSTREAM_URL%"\n'
_STACK_SECONDS = 300  # a run that takes longer has failed


@dataclass(frozen=True)
class Setting:
    """What a relay is run with: ``batch`` of the target; MaxBatchSize and PollingIntervalMs of the trigger."""

    batch: int
    rows: int
    pause_ms: int


SETTINGS = (  # the defaults first
    Setting(1, 100, 1000),
    Setting(1, 1000, 1000),
    Setting(1, 1000, 100),
    Setting(100, 100, 1000),
    Setting(100, 100, 100),
    Setting(100, 1000, 100),
    Setting(1000, 1000, 1000),
    Setting(1000, 1000, 100),
)


@dataclass(frozen=True)
class Throughput:
    """What came of it.

    Attributes:
        setting: of the run.
        busy_seconds: of one loop without its pause.
        rate: rows a second.
    """

    setting: Setting
    busy_seconds: float
    rate: float

    @property
    def law(self) -> float:
        """Rows a second at most."""
        return self.setting.rows / (self.setting.pause_ms / 1000 + self.busy_seconds)


def with_batch(config: Path, batch: int, directory: Path) -> Path:
    """The configuration with ``batch`` of the target."""
    changed = directory / f"relay-{batch}.toml"
    changed.write_text(config.read_text().replace(_URL, f"{_URL}batch = {batch}\n" if batch > 1 else _URL))
    return changed


def _seconds(directory: Path, config: Path, tables: Path, setting: Setting, loops: int, virtual: bool) -> float:
    """Real seconds from the commit of the rows of so many loops to the delivery of the last one."""
    directory.mkdir()
    clock = VirtualTime(directory, datetime.now(UTC)) if virtual else None
    trigger = {"Sql_Trigger_MaxBatchSize": str(setting.rows), "Sql_Trigger_PollingIntervalMs": str(setting.pause_ms)}
    rows = loops * setting.rows
    with Stack(directory, clock.spec if clock else "real", config=config, tables_sql=tables, settings=trigger) as stack:

        def accepted() -> int:
            return stack.downstream.counters()["accepted"]

        def pass_time(wanted: int) -> None:
            if clock and not clock.advance_to(clock.now() + timedelta(hours=1), until=lambda: accepted() >= wanted):
                raise RuntimeError("the rows did not arrive")
            late = time.monotonic() + _STACK_SECONDS
            while accepted() < wanted:
                if time.monotonic() > late:
                    raise RuntimeError("the rows did not arrive")
                time.sleep(0.01)

        def insert(first: int, count: int) -> None:
            values = ", ".join(f"({number}, N'customer {number}', 10.5)" for number in range(first, first + count))
            stack.execute(f"INSERT INTO dbo.Orders (OrderId, Customer, Total) VALUES {values}")

        insert(0, 1)
        pass_time(1)  # everything has started and is warm
        stack.execute("BEGIN TRANSACTION")
        for first in range(1, rows + 1, _INSERT_ROWS):
            insert(first, min(_INSERT_ROWS, rows + 1 - first))
        stack.execute("COMMIT")
        started = time.perf_counter()
        pass_time(rows + 1)
        took = time.perf_counter() - started
    if clock:
        clock.close()
    return took


def measure_throughput(directory: Path, config: Path, tables: Path, setting: Setting, loops: int) -> Throughput:
    """Run a relay twice: without pauses and with them. The first loop finds its rows at once, so it has no pause."""
    directory.mkdir(parents=True)
    config = with_batch(config, setting.batch, directory)
    busy = _seconds(directory / "virtual", config, tables, setting, loops, virtual=True) / loops
    took = _seconds(directory / "real", config, tables, setting, loops, virtual=False)
    return Throughput(setting, busy, loops * setting.rows / took)


@dataclass(frozen=True)
class Parts:
    """CPU time of the app per row, in microseconds.

    Attributes:
        batch_rows: rows of a batch.
        claim: reading the rows.
        encode: making their events.
        rest: choosing, posting and settling.
    """

    batch_rows: int
    claim: float
    encode: float
    rest: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.claim + self.encode + self.rest


def measure_parts(directory: Path, config: Path, tables: Path, batch: int, batch_rows: int, times: int) -> Parts:
    """The CPU time of this process while the app relays batches in it; database and target are other processes."""
    directory.mkdir(parents=True)
    config = with_batch(config, batch, directory)
    with DownstreamProcess(directory, "real") as target:
        with BenchDatabase(directory / "database", config, tables, f"{target.url}/rows") as bench:
            bench.insert_orders(batch_rows)
            found = [_parts(bench, batch_rows) for _ in range(times)]
    return Parts(batch_rows, *(median(values[place] for values in found[1:]) for place in range(3)))


def _parts(bench: BenchDatabase, batch_rows: int) -> tuple[float, float, float]:
    changes = json.dumps([{"Operation": 1, "Item": {"OrderId": order}} for order in bench.hand_out(batch_rows)])
    app, relay = bench.app, bench.table.relay
    gc.collect()

    def cpu(work: Callable[[], object]) -> float:
        started = time.process_time()
        work()
        return (time.process_time() - started) * 1e6 / batch_rows

    claimed = claim(bench.database, bench.table, changes)
    reading = cpu(lambda: claim(bench.database, bench.table, changes))
    shape = app.shape(relay)
    encoding = cpu(lambda: [build_event(shape, row, claimed.epoch, claimed.client_columns, claimed.now) for row in claimed.rows])
    whole = cpu(lambda: relay_batch(app, relay.name, changes))
    fates, _ = post(app, bench.table, claim(bench.database, bench.table, changes))
    if len(fates) != batch_rows or not all(fate.delivered for fate in fates):
        raise RuntimeError("not all rows were delivered")
    bench.release()
    return reading, encoding, whole - reading - encoding


def throughput_grid(found: list[Throughput]) -> Grid:
    """The throughput as a table."""
    explained = "B: MaxBatchSize. P: PollingIntervalMs. t: one loop without its pause. law: B / (P + t)."
    grid = Grid(Column("batch", justify="right"), box=SIMPLE_HEAD, caption=explained, caption_justify="left")
    for heading in ("B", "P, ms", "t, ms", "law, rows/s", "rows/s", "of the law"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        setting = each.setting
        cells = (f"{setting.rows:,}", f"{setting.pause_ms:,}", f"{each.busy_seconds * 1000:,.0f}", f"{each.law:,.0f}")
        grid.add_row(f"{setting.batch:,}", *cells, f"{each.rate:,.0f}", f"{each.rate / each.law:.0%}")
    return grid


def parts_grid(found: list[Parts]) -> Grid:
    """The CPU time as a table."""
    explained = "The app's own CPU time, in microseconds per row, without the emulators. rest: choosing, posting, settling."
    grid = Grid(Column("rows of a batch", justify="right"), box=SIMPLE_HEAD, caption=explained, caption_justify="left")
    for heading in ("claim", "encode", "rest", "all"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        grid.add_row(f"{each.batch_rows:,}", *(f"{value:.1f}" for value in (each.claim, each.encode, each.rest, each.total)))
    return grid
