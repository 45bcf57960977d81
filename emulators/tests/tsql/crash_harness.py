"""Kill a process of the SQL Server emulator's engine again and again while it commits, and look at what is left each time.

``python -m emulators.tests.tsql.crash_harness FILE KILLS SEED`` prints one JSON line for each kill.

All lives work on the same file; each is a fork, so that it starts in milliseconds. Most die at a random instant, some right before
or right after a commit that nobody was told of. What transaction number n does follows from n alone, so the state after the first n
of them is known exactly: rows, tables, and the version of each row's last change.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulators.clock import Clock
from emulators.sql_server.engine.database import Database, Session
from emulators.sql_server.values.results import ResultSet, SqlError

SETUP = """
ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS);
CREATE TABLE dbo.A (Id int IDENTITY NOT NULL, Batch int NOT NULL, Part int NOT NULL, Value int NOT NULL, PRIMARY KEY (Batch, Part));
CREATE TABLE dbo.S (Id int NOT NULL PRIMARY KEY, N int NOT NULL);
INSERT INTO dbo.S VALUES (1, 0);
ALTER TABLE dbo.A ENABLE CHANGE_TRACKING;
ALTER TABLE dbo.S ENABLE CHANGE_TRACKING;
"""
ANY, BEFORE, AFTER = "any", "before a commit", "after a commit"
_LONGEST_WAIT_SECONDS = 0.006  # after an acknowledgement; a transaction takes one to three milliseconds


def statements(number: int) -> list[str]:
    """What a transaction runs between BEGIN and COMMIT."""
    found = [f"INSERT INTO dbo.A (Batch, Part, Value) VALUES ({number}, 0, {number}), ({number}, 1, {number})"]
    if number % 3 == 2:
        found.append(f"UPDATE dbo.A SET Value = Value + 1000 WHERE Batch = {number - 1}")
    if number % 5 == 4:
        found.append(f"DELETE FROM dbo.A WHERE Batch = {number - 3} AND Part = 0")
    if number % 7 == 6:
        found += [f"CREATE TABLE dbo.D{number} (X int NOT NULL)", f"INSERT INTO dbo.D{number} VALUES ({number})"]
    return [*found, "UPDATE dbo.S SET N = N + 1"]


@dataclass
class Model:
    """The state after the first ``done`` transactions. A version is that of the transaction: its number and one."""

    done: int = 0
    rows: dict[tuple[int, int], int] = field(default_factory=dict)
    changes: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)

    def advance(self) -> None:
        """Do the next transaction."""
        number, self.done = self.done, self.done + 1
        for part in (0, 1):
            self.rows[number, part] = number
            self.changes[number, part] = self.done, "I"
        if number % 3 == 2:
            for key in [(number - 1, part) for part in (0, 1) if (number - 1, part) in self.rows]:
                self.rows[key] += 1000
                self.changes[key] = self.done, "I"  # it is new to whoever asks for all changes
        if number % 5 == 4:
            self.rows.pop((number - 3, 0))
            self.changes[number - 3, 0] = self.done, "D"
        if number % 7 == 6:
            self.tables.add(f"D{number}")

    def state(self) -> dict[str, Any]:
        """As :func:`state_of` gives it."""
        return {
            "rows": sorted([*key, value] for key, value in self.rows.items()),
            "changes": sorted([*key, *change] for key, change in self.changes.items()),
            "tables": sorted(self.tables),
            "sum": self.done,
            "version": self.done,
            "commits": self.done,
        }


def run(session: Session, sql: str) -> list[list[Any]]:
    """The rows of the last result of a batch; raises its errors."""
    found: list[list[Any]] = []
    for event in session.execute(sql):
        if isinstance(event, SqlError):
            raise event
        if isinstance(event, ResultSet):
            found = [list(row) for row in event.rows]
    return found


def state_of(session: Session) -> dict[str, Any]:
    """What the database holds."""
    changes = "SELECT Batch, Part, SYS_CHANGE_VERSION, SYS_CHANGE_OPERATION FROM CHANGETABLE(CHANGES dbo.A, 0) c ORDER BY 1, 2"
    [[version]] = run(session, "SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    [[commits]] = run(session, "SELECT COUNT(*) FROM sys.dm_tran_commit_table")
    [[total]] = run(session, "SELECT N FROM dbo.S")
    return {
        "rows": run(session, "SELECT Batch, Part, Value FROM dbo.A ORDER BY Batch, Part"),
        "changes": run(session, changes),
        "tables": sorted(name for (name,) in run(session, "SELECT name FROM sys.tables WHERE name LIKE 'D%'")),
        "sum": total,
        "version": version,
        "commits": commits,
    }


def _dying_commit(deadly: int, before: bool) -> Callable[[Callable[[], None]], None]:
    """Commits as usual, but the process dies at one of them."""
    left = deadly

    def around(commit: Callable[[], None]) -> None:
        nonlocal left
        left -= 1
        if left == 0 and before:
            os.kill(os.getpid(), signal.SIGKILL)
        commit()
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return around


def _work(file: Path, start: int, acknowledge: int, instant: str, commits: int) -> None:
    """Run transactions for ever; say so after each commit."""
    session = Database(file, Clock()).open_session("sa", "crash", "here", None)
    if instant != ANY:
        session.around_commit = _dying_commit(commits + 1, instant == BEFORE)
    for number in range(start, sys.maxsize):
        if number % 2:
            session.begin()
            for statement in statements(number):
                run(session, statement)
            session.commit()
        else:
            run(session, "; ".join(["BEGIN TRANSACTION", *statements(number), "COMMIT"]))
        os.write(acknowledge, b".")


def _kill_one(file: Path, start: int, instant: str, luck: random.Random) -> int:
    """One life that begins with transaction ``start``; how many it acknowledged before it was killed."""
    commits = luck.randint(0, 4)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(file, start, writing, instant, commits)
    os.close(writing)
    acknowledged = 0
    if instant == ANY:
        for _ in range(commits):
            acknowledged += len(os.read(reading, 1))
        time.sleep(luck.uniform(0, _LONGEST_WAIT_SECONDS))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "it ended by itself"
    while more := os.read(reading, 4096):
        acknowledged += len(more)
    os.close(reading)
    return acknowledged


def main(file: Path, kills: int, seed: int) -> None:
    """Print for each kill: transactions that were acknowledged in all, those found, whether the state is that of so many."""
    luck, model = random.Random(seed), Model()
    database = Database(file, Clock())
    run(database.open_session("sa", "crash", "here", None), SETUP)
    database.close()
    for number in range(kills):
        start, instant = model.done, (ANY, ANY, ANY, BEFORE, ANY, AFTER)[number % 6]
        acknowledged = start + _kill_one(file, start, instant, luck)
        database = Database(file, Clock())
        found = state_of(database.open_session("sa", "crash", "here", None))
        database.close()
        while model.done < min(found["sum"], acknowledged + 1):
            model.advance()
        exact = found == model.state()
        line = {"instant": instant, "start": start, "acknowledged": acknowledged, "found": found["sum"], "exact": exact}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
