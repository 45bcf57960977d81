"""``python -m devtools.bench``: what a step, a round trip, a batch and an outage of many rows cost on this machine.

Each figure stands next to a baseline that the same run measured on the same machine, so that the ratios can be compared between
machines and days where the milliseconds cannot.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import sqlite3
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from devtools.arguments import count
from devtools.bench_operate import measure_operate, operate_grid
from devtools.bench_outage import HOURS, measure_outage, outage_grid
from devtools.bench_recovery import SIZES, measure_recovery, recovery_grid
from devtools.bench_throughput import SETTINGS, measure_parts, measure_throughput, parts_grid, throughput_grid
from devtools.stack import Stack
from emulators.clock import VirtualTime
from emulators.launch import FunctionsHost, SqlServer

APP = Path(__file__).with_name("bench_app")
BATCH_ROWS, POLLING_SECONDS = 100, 1.0  # host.json: MaxBatchSize, PollingIntervalMs
CHAIN = 400  # activities
PARTS = ("emulators", "recovery", "outage", "throughput", "operate")
_COLUMNS = 110  # of what goes to a file
TABLE = """
CREATE TABLE dbo.Orders (
    OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Customer nvarchar(40) NOT NULL, Total decimal(20, 4) NULL
)
"""
CONFIG = """
[[targets]]
name = "api"
url = "%DOWNSTREAM_URL%"
[targets.headers]
X-Api-Key = "%DOWNSTREAM_API_KEY%"
[[notifications.webhooks]]
url = "%ALERT_WEBHOOK_URL%"
[[relays]]
table = "dbo.Orders"
"""


@dataclass(frozen=True)
class Figure:
    """One line of the table: ``value`` in ``unit``, and what it is compared with."""

    name: str
    value: float
    unit: str = "ms"
    baseline: str = ""
    ratio: float | None = None


def typical(values: list[float]) -> float:
    """The lower quartile: what it costs when nothing else runs on the machine, but no lucky shot."""
    return sorted(values)[len(values) // 4]


def typical_ms(work: Callable[[], Any], times: int) -> float:
    """What one of ``times`` runs typically takes, in milliseconds."""
    took = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return typical(took) * 1000


def commit_ms(directory: Path) -> float:
    """A commit of one row by SQLite, with the durable engine's settings."""
    connection = sqlite3.connect(directory / "commit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE t (a)")
    took = typical_ms(lambda: connection.execute("INSERT INTO t VALUES (1)"), 500)
    connection.close()
    return took


def echo_ms() -> float:
    """A byte there and back over TCP on the loopback, to a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()

        def echo() -> None:
            with server:
                while data := server.recv(16):
                    server.sendall(data)

        threading.Thread(target=echo, daemon=True).start()

        def ask() -> None:
            client.sendall(b".")
            client.recv(16)

        return typical_ms(ask, 1000)


def orchestrate(host: FunctionsHost, name: str, data: Any) -> Any:
    """Run an orchestration to its end; its output."""
    root = "/runtime/webhooks/durabletask"
    instance = host.request("POST", f"{root}/orchestrators/{name}", json=data).json()["id"]
    while (status := host.request("GET", f"{root}/instances/{instance}").json())["runtimeStatus"] in ("Pending", "Running"):
        time.sleep(0.1)
    if status["runtimeStatus"] != "Completed":
        raise RuntimeError(f"{name}: {status}")
    return status["output"]


def durable(directory: Path, commit: float) -> list[Figure]:
    """Steps and activities on the Functions host, and what replay adds as the history grows."""
    with FunctionsHost(APP, directory, "real", {}) as host:
        orchestrate(host, "chain", {"activities": 20})  # warm
        step = orchestrate(host, "generations", {"left": 200}) / 200 * 1000
        instants = orchestrate(host, "chain", {"activities": CHAIN})
    gaps = [(after - before) * 1000 for before, after in itertools.pairwise(instants)]
    figures = [Figure("orchestration step", step, baseline="SQLite commit", ratio=step / commit)]
    first = typical(gaps[:20])
    figures.append(Figure("activity round trip", first, baseline="SQLite commit", ratio=first / commit))
    for length in (50, 100, 200, 400):
        around = typical(gaps[length - 21 : length - 1])
        name = f"… after {length} others"
        figures.append(Figure(name, around, baseline="the first ones", ratio=around / first))
    return figures


def sql(directory: Path, echo: float) -> list[Figure]:
    """Round trips through pyodbc and Microsoft's driver."""
    with SqlServer(directory, "real") as server:
        connection = server.connect()
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE dbo.T (Id int IDENTITY PRIMARY KEY, N nvarchar(40))")
        cursor.execute("INSERT INTO dbo.T (N) VALUES (N'x')")
        select = typical_ms(lambda: cursor.execute("SELECT N FROM dbo.T WHERE Id = ?", 1).fetchall(), 300)
        insert = typical_ms(lambda: cursor.execute("INSERT INTO dbo.T (N) VALUES (?)", "x"), 300)
        connection.close()
    return [
        Figure("SQL: SELECT by key", select, baseline="TCP round trip", ratio=select / echo),
        Figure("SQL: INSERT, committed", insert, baseline="TCP round trip", ratio=insert / echo),
    ]


def scripts(directory: Path, options: str = "") -> tuple[Path, Path]:
    """The app's configuration, with ``options`` of the table, and the script that makes the table."""
    directory.mkdir()
    config, tables = directory / "relay.toml", directory / "tables.sql"
    config.write_text(textwrap.dedent(CONFIG) + options)
    tables.write_text(TABLE)
    return config, tables


def relayed_seconds(directory: Path, rows: int, virtual: bool) -> float:
    """Real seconds from the commit of ``rows`` rows to the delivery of the last one."""
    config, tables = scripts(directory)
    clock = VirtualTime(directory, datetime.now(UTC)) if virtual else None
    with Stack(directory, clock.spec if clock else "real", config=config, tables_sql=tables) as stack:

        def pass_time(accepted: int) -> None:
            def done() -> bool:
                return stack.downstream.counters()["accepted"] >= accepted

            if clock and not clock.advance_to(clock.now() + timedelta(hours=1), until=done):
                raise RuntimeError("the rows did not arrive")
            while not done():
                time.sleep(0.02)

        def insert(first: int, count: int) -> None:
            values = ", ".join(f"({number}, N'customer {number}', 10.5)" for number in range(first, first + count))
            stack.execute(f"INSERT INTO dbo.Orders (OrderId, Customer, Total) VALUES {values}")

        insert(0, 1)
        pass_time(1)  # everything has started and is warm
        for first in range(1, rows + 1, BATCH_ROWS):
            insert(first, BATCH_ROWS)
        started = time.perf_counter()
        pass_time(rows + 1)
        took = time.perf_counter() - started
    if clock:
        clock.close()
    return took


def relay(directory: Path, batches: int) -> list[Figure]:
    """Rows per second of a healthy relay, against what a loop of batches and pauses can do at best."""
    rows = batches * BATCH_ROWS
    busy = relayed_seconds(directory / "virtual", rows, virtual=True) / batches  # pauses cost nothing in virtual time
    measured = rows / relayed_seconds(directory / "real", rows, virtual=False)
    law = BATCH_ROWS / (POLLING_SECONDS + busy)
    return [
        Figure(f"relay: a batch of {BATCH_ROWS} rows", busy * 1000),
        Figure(
            "relay: rows a second",
            measured,
            "/s",
            f"{BATCH_ROWS} / ({POLLING_SECONDS:.0f} s + batch) = {law:.0f} /s",
            measured / law,
        ),
    ]


def emulators(directory: Path, batches: int) -> Table:
    """The figures of the emulators, and of a healthy relay."""
    commit, echo = commit_ms(directory), echo_ms()
    figures = [Figure("SQLite commit", commit), Figure("TCP round trip", echo)]
    figures += durable(directory, commit) + sql(directory, echo) + relay(directory, batches)
    table = Table("", "measured", "baseline", "ratio")
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}", figure.baseline, ratio)
    return table


def throughput(directory: Path, config: Path, tables: Path, loops: int, say: Callable[[str], None]) -> Table:
    """The throughput of each setting."""
    found = []
    for setting in SETTINGS:
        say(f"batch = {setting.batch:,}, MaxBatchSize = {setting.rows:,}, PollingIntervalMs = {setting.pause_ms:,} …")
        where = directory / f"{setting.batch}-{setting.rows}-{setting.pause_ms}"
        found.append(measure_throughput(where, config, tables, setting, loops))
    return throughput_grid(found)


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m devtools.bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("only", nargs="?", choices=PARTS, help="one part alone (without: emulators and recovery)")
    parser.add_argument("--batches", type=count, default=5, help="batches of the relay to time (5)")
    parser.add_argument("--rows", type=count, default=SIZES[-1], help=f"rows that are held, or wait ({SIZES[-1]})")
    parser.add_argument(
        "--outage", type=count, nargs="?", const=20_000, metavar="ROWS", help="also play an outage of so many rows (20000)"
    )
    parser.add_argument("--hours", type=count, default=HOURS, help=f"how long the target is down in it ({HOURS})")
    parser.add_argument("--loops", type=count, default=10, help="batches of each run of throughput (10)")
    given = parser.parse_args(arguments)
    console = console or Console(width=None if sys.stdout.isatty() else _COLUMNS)

    def say(text: str) -> None:
        console.print(text, highlight=False)

    if given.only == "outage" and given.outage is None:
        given.outage = 20_000
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if given.only in (None, "emulators"):
            say("emulators and a healthy relay …")
            console.print(emulators(directory, given.batches))
        if given.only in (None, "recovery"):
            say("recovery …")
            sizes = [size for size in SIZES if size < given.rows] + [given.rows]
            config, tables = scripts(directory / "recovery", 'watch = ["Total"]\n')
            console.print(recovery_grid(measure_recovery(directory / "ledger", config, tables, sizes, say)))
        if given.outage is not None and given.only in (None, "outage"):
            say("an outage …")
            config, tables = scripts(directory / "outage")
            periods = measure_outage(directory / "world", config, tables, given.outage, given.hours, say)
            console.print(outage_grid(periods, given.outage))
        if given.only == "operate":
            say("the API while rows wait …")
            config, tables = scripts(directory / "operate")
            console.print(operate_grid(measure_operate(directory / "world", config, tables, given.rows, say), given.rows))
        if given.only == "throughput":
            config, tables = scripts(directory / "throughput")
            console.print(throughput(directory, config, tables, given.loops, say))
            say("CPU time of the app …")
            sizes = ((1, 100), (100, 100), (1000, 1000))
            parts = [measure_parts(directory / f"parts-{b}-{rows}", config, tables, b, rows, 12) for b, rows in sizes]
            console.print(parts_grid(parts))


if __name__ == "__main__":
    main()
