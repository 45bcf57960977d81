"""``python -m devtools.chaos``: real processes on an accelerated clock, killed at random instants; then comes the reconciliation.

Two hosts on one database, the database itself and the API are the victims, while rows go on changing and the API fails now and
then. What is random comes from the seed, but the instants are real time: a run can be resembled, not repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyodbc
import requests

from devtools.arguments import count, folder
from devtools.scripts import run_script
from devtools.stack import ROOT
from emulators.launch import DownstreamProcess, FunctionsHost, SqlServer
from emulators.odbc import odbc_driver
from emulators.process import Emulator
from infra.prepare_database import prepare
from rowpost.config.loading import load_config

TABLE = "dbo.Orders"
SPEED = 40
_ROWS = 60
_SETTLE_SECONDS = 120.0  # of real time, for everything to arrive after the last kill
_CONFIG = """
[[targets]]
name = "api"
url = "%DOWNSTREAM_URL%"
timeout = "3s"
batch_budget = "20s"
[retry]
first_delay = "30s"
max_delay = "3m"
window = "72h"
[watchdog]
schedule = "0 */2 * * * *"
[[relays]]
table = "dbo.Orders"
"""
_TABLES = (
    "CREATE TABLE dbo.Orders (Id int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Note nvarchar(40) NULL, Total decimal(20, 4) NULL);"
)
_MODES: tuple[dict[str, Any], ...] = (
    {"mode": "up"},
    {"mode": "up"},
    {"mode": "down", "status": 503},
    {"mode": "refuse"},
    {"mode": "flaky", "rate": 0.5, "status": 500},
    {"mode": "up", "answer": "reset_after_accept"},
)


@dataclass
class Outcome:
    """What a run came to. ``lost`` names rows whose state at the API is not that of the database."""

    kills: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    transactions: int = 0
    failed_transactions: int = 0
    posts: int = 0
    lost: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)

    @property
    def reconciled(self) -> bool:
        return not self.lost and not self.left

    def __str__(self) -> str:
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        verdict = "nothing lost" if self.reconciled else f"LOST {self.lost}, LEFT {self.left}"
        return (
            f"{sum(self.kills.values())} kills ({kills}); {self.rows} rows, {self.transactions} transactions "
            f"({self.failed_transactions} failed with the database); API: {self.counters}; {verdict}"
        )


class Chaos:
    """One run; use :meth:`run`."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.outcome = Outcome()
        self.directory = directory
        clock = f"accelerated:{SPEED}:{(directory / 'clock').resolve()}"
        self.sql = SqlServer(directory, clock)
        self.api = DownstreamProcess(directory, clock)
        self._clock = clock
        self.hosts: list[FunctionsHost] = []
        self._ended = threading.Event()
        self._restarting = threading.Lock()

    def run(self, kills: int) -> Outcome:
        """Kill so many times, then let everything arrive, then compare."""
        writer = threading.Thread(target=self._write, args=(random.Random(self.random.random()),))
        try:
            self._start()
            writer.start()
            for _ in range(kills):
                time.sleep(self.random.choice([0.02, 0.2, 0.6, self.random.random() * 1.5]))
                self._kill(self.random.choices([*self.hosts, self.sql, self.api], [4, 4, 1, 1])[0])
                if self.random.random() < 0.4:
                    self._misbehave()
            self._ended.set()
            writer.join()
            self.api.set_mode("up")
            self._settle()
            return self.outcome
        finally:
            self._ended.set()
            if writer.ident is not None:
                writer.join()
            for process in [*self.hosts, self.api, self.sql]:
                process.kill()

    def _start(self) -> None:
        self.sql.start()
        self.api.start()
        config, script = self.directory / "relay.toml", self.directory / "tables.sql"
        config.write_text(_CONFIG)
        script.write_text(_TABLES)
        settings = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "WEBSITE_SITE_NAME": "rowpost-chaos",
            "ODBC_DRIVER": odbc_driver().strip("{}"),
            "ROWPOST_CONFIG": str(config.resolve()),
            "SqlConnectionString": self.sql.ado_net_connection_string,
            "DOWNSTREAM_URL": f"{self.api.url}/rows",
        }
        connection = self.sql.connect()
        run_script(connection, script)
        prepare(connection, load_config(config, settings))
        connection.close()
        self.hosts = [FunctionsHost(ROOT, self.directory, self._clock, settings, name=f"host{i}") for i in range(2)]
        for host in self.hosts:
            host.start()

    def _kill(self, victim: Emulator) -> None:
        victim.kill()
        self.outcome.kills[victim.name] += 1
        time.sleep(self.random.choice([0, 0, 0.3, 1.0]))
        victim.start()

    def _misbehave(self) -> None:
        with contextlib.suppress(requests.RequestException):
            self.api.set_mode(path="/rows", **self.random.choice(_MODES))

    # --- rows change ---

    def _write(self, rng: random.Random) -> None:
        """Changes rows until the end. Whether a transaction that failed was committed does not matter: the table is the truth."""
        connection: pyodbc.Connection | None = None
        stamp = 0
        while not self._ended.is_set():
            stamp += 1
            try:
                if connection is None:
                    connection = self.sql.connect(timeout_seconds=3)
                connection.execute(self._transaction(rng, stamp))
                self.outcome.transactions += 1
            except pyodbc.Error:
                self.outcome.failed_transactions += 1
                with contextlib.suppress(pyodbc.Error):
                    if connection is not None:
                        connection.close()
                connection = None
                self._ended.wait(0.1)
            self._ended.wait(rng.choice([0.01, 0.05, 0.3]))
        if connection is not None:
            connection.close()

    @staticmethod
    def _transaction(rng: random.Random, stamp: int) -> str:
        parts = ["SET XACT_ABORT ON; BEGIN TRANSACTION;"]
        for number in rng.sample(range(1, _ROWS + 1), rng.choice([1, 1, 2, 8])):
            if rng.random() < 0.15:
                parts.append(f"DELETE FROM {TABLE} WHERE Id = {number};")
                continue
            parts.append(f"UPDATE {TABLE} SET Note = N'note {stamp}', Total = {stamp}.25 WHERE Id = {number};")
            parts.append(f"IF @@ROWCOUNT = 0 INSERT INTO {TABLE} (Id, Note, Total) VALUES ({number}, N'note {stamp}', {stamp}.25);")
        return " ".join([*parts, "COMMIT;"])

    # --- the end ---

    def _settle(self) -> None:
        """Wait until database and API are reconciled, at most so long; then write down what is not."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        connection = self.sql.connect()
        while True:
            self._compare(connection)
            if self.outcome.reconciled or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        connection.close()
        self.outcome.counters = self.api.counters()

    def _compare(self, connection: pyodbc.Connection) -> None:
        rows = {row.Id: (row.Note, row.Total) for row in connection.execute(f"SELECT Id, Note, Total FROM {TABLE}").fetchall()}
        known = {state["key"]["Id"]: state["row"] for state in self.api.state(TABLE)}
        there = {number: None if row is None else (row["Note"], Decimal(row["Total"])) for number, row in known.items()}
        tracked = {row[0] for row in connection.execute(f"SELECT Id FROM CHANGETABLE(CHANGES {TABLE}, 0) c").fetchall()}
        self.outcome.rows = len(tracked)
        self.outcome.lost = [
            f"{number}: {there.get(number, 'nothing')} instead of {rows.get(number)}"
            for number in sorted(tracked | set(rows) | set(there))
            if (number not in there) or there[number] != rows.get(number)
        ]
        ledger = connection.execute("SELECT RowKey, State FROM rowpost.Ledger").fetchall()
        self.outcome.left = [f"{json.loads(row[0])}: {row[1]}" for row in ledger]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="chaos", description="Kill the hosts, the database and the API; compare at the end.")
    parser.add_argument("--kills", type=count, default=200)
    parser.add_argument("--seed", type=int, help="of what is random; the instants remain real time")
    parser.add_argument("--directory", type=folder, help="keep data and logs there")
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"chaos: seed {seed}, {options.kills} kills, clock {SPEED} times as fast", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        directory: Path = options.directory or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        outcome = Chaos(directory, seed).run(options.kills)
    print(f"chaos: {outcome}; {time.monotonic() - started:.0f} s")
    return 0 if outcome.reconciled else 1


if __name__ == "__main__":
    sys.exit(main())
