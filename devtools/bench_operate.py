"""How long the API takes to answer while a hundred thousand rows wait: some in the ledger, the rest in change tracking.

The app runs on the emulators as it is. Only the rows are put there by plain SQL, and the trigger is disabled, so that they stay.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyodbc
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table

from devtools.stack import Stack
from emulators.launch import FunctionsHost
from rowpost.rules.error_class import error_class
from rowpost.rules.json_text import to_json
from rowpost.rules.row import key_hash, key_text

ROWS = 100_000
TARGET_MS = 300  # for each answer
_IN_LEDGER = 5  # one row of so many
_TIMES = 5
_CHUNK = 20_000
_RELAY = "dbo.Orders"
_ERRORS = ((503, "HTTP 503"), (422, "HTTP 422"), (None, "no answer in time"), (429, "HTTP 429"))
_DISABLED = {"AzureWebJobs.relay_dbo_Orders.Disabled": "true"}
PATHS = (
    "/api/health",
    "/api/relays",
    f"/api/relays/{_RELAY}",
    f"/api/relays/{_RELAY}/rows",
    f"/api/relays/{_RELAY}/rows?limit=200",
    f"/api/relays/{_RELAY}/rows?state=dead",
    f"/api/relays/{_RELAY}/rows?class=throttled&limit=100",
    f"/api/relays/{_RELAY}/rows/1",
    f"/api/relays/{_RELAY}/rows/{ROWS}",
    f"/api/relays/{_RELAY}/groups",
    f"/api/relays/{_RELAY}/timeline",
    f"/api/preview/{_RELAY}",
)


@dataclass(frozen=True)
class Answered:
    """An answer of the API: the first one, and the median of those that follow, in milliseconds."""

    path: str
    first: float
    median: float


def _fill(stack: Stack, rows: int) -> None:
    """Rows of the table, and records for some of them: a part failing in several ways, a part dead."""

    def many(sql: str, items: Sequence[object]) -> None:
        with stack.connection.cursor() as cursor:
            cursor.setinputsizes([(pyodbc.SQL_WVARCHAR, 0, 0)])
            cursor.execute(sql, to_json(items))

    for first in range(1, rows + 1, _CHUNK):
        ids = range(first, min(first + _CHUNK, rows + 1))
        many("INSERT INTO dbo.Orders SELECT i, N'customer', 10.5 FROM OPENJSON(?) WITH (i int '$.i')", [{"i": i} for i in ids])
        records = []
        for i in ids:
            if i % _IN_LEDGER == 0:
                text = key_text({"OrderId": i})
                status, error = _ERRORS[i // _IN_LEDGER % len(_ERRORS)]
                state = "held" if i % 2 else "detached"
                records.append(
                    {"h": key_hash(text), "k": text, "i": i, "s": state, "a": status, "e": error, "c": error_class(status, error)}
                )
        many(
            "INSERT INTO rowpost.Ledger (Relay, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds, FirstFailure, "
            "LastFailure, LastTried, NextAttempt, LastStatus, LastError, ErrorClass, Noticed) "
            f"SELECT N'{_RELAY}', h, k, CHANGE_TRACKING_CURRENT_VERSION(), 'U', s, 8, 3, DATEADD(minute, -30, SYSUTCDATETIME()), "
            "SYSUTCDATETIME(), SYSUTCDATETIME(), DATEADD(second, 3600 + i, SYSUTCDATETIME()), a, e, c, 0 "
            "FROM OPENJSON(?) WITH (h char(64) '$.h', k nvarchar(max) '$.k', i int '$.i', s varchar(10) '$.s', a int '$.a', "
            "e nvarchar(400) '$.e', c varchar(20) '$.c')",
            records,
        )


def measure_operate(directory: Path, config: Path, tables: Path, rows: int, say: Callable[[str], None]) -> list[Answered]:
    """The time of each answer with so many rows waiting."""
    with Stack(directory, "real", config=config, tables_sql=tables) as stack:
        assert stack.host is not None
        # The lease table is made by the listener: it starts once before it is disabled.
        while stack.host.request("GET", f"/api/relays/{_RELAY}").json().get("problem") or not _has_leases(stack):
            time.sleep(0.2)
        stack.host.stop()
        stack.change_settings(_DISABLED)
        say(f"{rows:,} rows …")
        _fill(stack, rows)
        stack.start_host()
        while not stack.execute("SELECT COUNT(*) FROM rowpost.Samples WHERE Waiting > 0")[0][0]:
            time.sleep(0.2)  # the first look of the watchdog, which is at the start of the host
        say("the answers …")
        return [_time(stack.host, path.replace(str(ROWS), str(rows))) for path in PATHS]


def _has_leases(stack: Stack) -> bool:
    return bool(stack.execute("SELECT COUNT(*) FROM sys.tables WHERE name LIKE N'Leases[_]%'")[0][0])


def _time(host: FunctionsHost, path: str) -> Answered:
    took = []
    for _ in range(_TIMES + 1):
        began = time.perf_counter()
        answer = host.request("GET", path)
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:200]}")
    return Answered(path, took[0], statistics.median(took[1:]))


def operate_grid(found: Sequence[Answered], rows: int) -> Table:
    """The times as a table."""
    caption = f"{rows:,} rows wait. Milliseconds; median of {_TIMES} after the first. Wanted: at most {TARGET_MS}."
    grid = Table(Column("answer", no_wrap=True), box=SIMPLE_HEAD, caption=caption, caption_justify="left")
    for heading in ("first", "median", ""):
        grid.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        grid.add_row(each.path, f"{each.first:.0f}", f"{each.median:.0f}", "" if each.median <= TARGET_MS else "too long")
    return grid
