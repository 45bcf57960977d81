"""An outage from its first minute to the last delivered row, in virtual time: what it costs the target, the host and the database.

The whole app runs on the emulators. Work takes no virtual time, so the time to recover is what the app waits, not what it works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

from rich.box import SIMPLE_HEAD
from rich.table import Column
from rich.table import Table as Grid

from devtools.host_lines import parse
from devtools.stack import Stack
from emulators.clock import VirtualTime

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
HOURS = 24
_VALUES_AT_MOST = 1000  # rows of one INSERT … VALUES
_PATIENCE_SECONDS = 600.0  # of real time for one step of virtual time: many rows are planned in one
_RECOVERS_WITHIN = timedelta(hours=24)


@dataclass(frozen=True)
class Period:
    """A part of the outage.

    Attributes:
        name: of the part.
        length: of virtual time.
        posts: requests that the target got.
        batches: hand-outs of the SQL trigger.
        invocations: of all functions but orchestrators, batches included.
        steps: generations of orchestrations, and activities.
        app_trips, trigger_trips: SQL round trips of the app, and of the SQL trigger.
        seconds: of real time.
    """

    name: str
    length: timedelta
    posts: int
    batches: int
    invocations: int
    steps: int
    app_trips: int
    trigger_trips: int
    seconds: float


class OutageBench:
    """A running app whose target is about to fail.

    Args:
        directory: for data and logs.
        config, tables_sql: the app's configuration, and the script that makes dbo.Orders (OrderId, Customer, Total).
        say: is told of each part.
    """

    def __init__(self, directory: Path, config: Path, tables_sql: Path, say: Callable[[str], None]) -> None:
        directory.mkdir(parents=True)
        self._time = VirtualTime(directory, START)
        self._stack = Stack(directory, self._time.spec, config=config, tables_sql=tables_sql)
        self._say = say
        self._log_read = 0
        self._periods: list[Period] = []

    def run(self, rows: int, hours: int) -> list[Period]:
        """``rows`` rows change, and the target is down for ``hours`` hours.

        Raises:
            RuntimeError: rows did not arrive, or were left in the ledger, within a day after the target was back.
        """
        try:
            with self._stack as stack:
                self._time.advance(60)
                self._count("the start", timedelta())
                self._periods.clear()
                stack.downstream.set_mode("down", path="/rows")
                for first in range(1, rows + 1, _VALUES_AT_MOST):
                    ids = range(first, min(first + _VALUES_AT_MOST, rows + 1))
                    stack.execute("INSERT INTO dbo.Orders VALUES " + ", ".join(f"({i}, N'customer', 10.5)" for i in ids))
                for hour in range(1, hours + 1):
                    self._pass(f"hour {hour}", timedelta(hours=1))
                stack.downstream.set_mode("up")
                self._pass("back, until all arrived", _RECOVERS_WITHIN, lambda: self._accepted() >= rows)
                self._pass("the hour after", timedelta(hours=1))
                left = stack.execute("SELECT COUNT(*) FROM rowpost.Ledger")[0][0]
                if left:
                    raise RuntimeError(f"{left} rows are still in the ledger")
        finally:
            self._time.close()
        return self._periods

    def _accepted(self) -> int:
        return int(self._stack.downstream.counters()["accepted"])

    def _pass(self, name: str, longest: timedelta, until: Callable[[], bool] | None = None) -> None:
        before, started = self._time.now(), perf_counter()
        if not self._time.advance_to(before + longest, until=until, patience_seconds=_PATIENCE_SECONDS):
            raise RuntimeError(f"{name}: not within {longest}")
        self._count(name, self._time.now() - before, perf_counter() - started)

    def _count(self, name: str, length: timedelta, seconds: float = 0.0) -> None:
        stack = self._stack
        assert stack.host is not None
        with stack.host.log_file.open("rb") as log:
            log.seek(self._log_read)
            text = log.read()
            self._log_read = log.tell()
        lines = [line for raw in text.decode(errors="replace").splitlines() if (line := parse(raw)) is not None]
        invoked = Counter(line.speaker for line in lines if line.text.startswith("Executing ("))
        activities = sum("Executing (orchestration " in line.text for line in lines)
        generations = sum(line.text.startswith("orchestration ") and line.text.endswith(" started") for line in lines)
        trips = {application: counts["requests"] for application, counts in stack.sql.stats()["applications"].items()}
        stack.sql.reset_stats()
        posts = sum(attempt.path == "/rows" for attempt in stack.downstream.attempts()) - sum(p.posts for p in self._periods)
        self._periods.append(
            Period(
                name,
                length,
                posts,
                invoked["relay_dbo_Orders"],
                sum(invoked.values()),
                activities + generations,
                trips.get("rowpost", 0),
                trips.get("functions-host", 0),
                seconds,
            )
        )
        self._say(f"  {name}: {length}, {posts} posts, {seconds:.0f} s")


def outage_grid(periods: Sequence[Period], rows: int) -> Grid:
    """The periods as a table; hours that cost the target as much as the one before are told together, with their mean."""
    grid = Grid(Column(f"{rows:,} rows wait", no_wrap=True), box=SIMPLE_HEAD)
    for heading in ("time", "posts", "batches", "invocations", "durable steps", "SQL: app", "SQL: trigger"):
        grid.add_column(heading, justify="right")
    hours = [period for period in periods if period.name.startswith("hour ")]
    quiet = next((n for n in range(len(hours)) if not any(hour.batches for hour in hours[n:])), len(hours))
    shown = [*hours[:quiet]]
    if hours[quiet:]:
        shown.append(mean(hours[quiet:]))
    for period in [*shown, *(period for period in periods if period not in hours)]:
        numbers = (period.posts, period.batches, period.invocations, period.steps, period.app_trips, period.trigger_trips)
        grid.add_row(period.name, str(period.length).partition(".")[0], *(f"{number:,}" for number in numbers))
    return grid


def mean(hours: Sequence[Period]) -> Period:
    """What one of several hours costs."""

    def average(field: str) -> int:
        values: list[int] = [getattr(hour, field) for hour in hours]
        return round(sum(values) / len(values))

    first, last = (hour.name.removeprefix("hour ") for hour in (hours[0], hours[-1]))
    name = f"hour {first}" if len(hours) == 1 else f"hours {first} to {last}, each"
    counts = {f: average(f) for f in ("posts", "batches", "invocations", "steps", "app_trips", "trigger_trips")}
    return Period(name, hours[0].length, **counts, seconds=sum(hour.seconds for hour in hours) / len(hours))


def measure_outage(
    directory: Path, config: Path, tables_sql: Path, rows: int, hours: int, say: Callable[[str], None]
) -> list[Period]:
    """The periods of an outage of ``hours`` hours that ``rows`` changed rows wait for."""
    return OutageBench(directory, config, tables_sql, say).run(rows, hours)
