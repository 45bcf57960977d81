"""What the simulation gives the app in the place of pyodbc is what pyodbc gives over the wire: values, errors, lost connections."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from devtools.sim.inside.scheduler import Scheduler
from devtools.sim.inside.sql import SqlServer as InsideServer
from devtools.sim.inside.sql import numbered
from devtools.sim.inside.waiting import Condition
from emulators.clock import Clock
from emulators.launch import SqlServer
from emulators.sql_server.engine.database import Database
from emulators.sql_server.wire.faults import Fault

Connect = Callable[[], Any]
Inject = Callable[..., Any]
Sides = tuple[tuple[Connect, Inject], tuple[Connect, Inject]]
_names = itertools.count()


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """The wire and the inside: how to connect, and how to plan a fault."""
    directory: Path = tmp_path_factory.mktemp("sql")
    database = Database(directory / "inside.db", Clock(), "rowpost")
    scheduler = Scheduler(random.Random(0), datetime(2026, 3, 2, tzinfo=UTC))
    inside = InsideServer(database, scheduler, lambda: 0.0, Condition(scheduler))
    pyodbc.pooling = False
    with SqlServer(directory, "real") as wire:
        connect_inside: Connect = lambda: inside.connect("APP=rowpost", autocommit=True)  # noqa: E731
        yield (
            (lambda: wire.connect(application="rowpost"), wire.inject),
            (connect_inside, lambda **fault: inside.faults.add(Fault.from_json(fault))),
        )
    database.close()


def outcome(connection: Any, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
    """Everything that a client sees: the result sets, or the error that ended them."""
    seen: list[Any] = []
    try:
        cursor = connection.cursor()
        cursor.setinputsizes([(pyodbc.SQL_WVARCHAR, 0, 0) if isinstance(each, str) else None for each in parameters])
        cursor.execute(sql, *parameters)
        while True:
            if cursor.description is not None:
                seen.append([tuple(row) for row in cursor.fetchall()])
                seen.append([column[0] for column in cursor.description])
            if not cursor.nextset():
                return seen
    except pyodbc.Error as error:
        return [*seen, type(error).__name__, error.args]


STATEMENTS: list[tuple[str, tuple[Any, ...]]] = [
    ("INSERT INTO dbo.{t} VALUES (1, N'a', 1.5)", ()),
    ("INSERT INTO dbo.{t} VALUES (1, N'a', 1.5)", ()),
    ("INSERT INTO dbo.{t} VALUES (2, NULL, 1.5)", ()),
    ("INSERT INTO dbo.{t} VALUES (2, N'much too long', 1.5)", ()),
    ("SET NOCOUNT ON; INSERT INTO dbo.{t} VALUES (?, ?, CAST(? AS decimal(9, 2))); SELECT * FROM dbo.{t}", (2, "b", "2.25")),
    ("SELECT * FROM dbo.Nowhere", ()),
    ("SELECT Nothing FROM dbo.{t}", ()),
    ("SELEC 1", ()),
    ("SELECT 1 / 0", ()),
    ("SELECT CAST(N'x' AS int)", ()),
    ("SELECT CAST('x' AS datetime2)", ()),
    ("THROW 50001, N'no', 1", ()),
    ("SELECT 1 AS a; THROW 50001, N'no', 1", ()),
    ("SET NOCOUNT ON; SELECT ? AS a, ? AS b, '?' AS c", ("it's", 3)),
    ("SELECT ? AS a", (2**40,)),
    ("SELECT CAST(1 AS bit) AS b, CAST(NULL AS int) AS n, CAST('a' AS char(3)) AS c, CAST('2020-02-29' AS date) AS d", ()),
    ("SELECT CAST('2024-02-03 04:05:06.1234567' AS datetime2(7)) AS t, 0x0102 AS v, CAST(1.25 AS float) AS f", ()),
    ("SELECT CONVERT(nvarchar(40), CAST('2024-02-03T04:05:06.1234567' AS datetime2(7)), 126) AS t", ()),
    (
        "SET NOCOUNT ON; SELECT k.v FROM OPENJSON(?) WITH (v bigint '$.v') k ORDER BY k.v; SELECT @@TRANCOUNT",
        ('[{"v":2},{"v":1}]',),
    ),
]


@pytest.fixture(scope="module")
def open_sides(sides: Sides) -> tuple[Any, Any, str]:
    """A connection on either side, and a table that both have."""
    table = f"T{next(_names)}"
    connections = [connect() for connect, _ in sides]
    for connection in connections:
        connection.execute(
            f"CREATE TABLE dbo.{table} (Id int NOT NULL CONSTRAINT PK_{table} PRIMARY KEY, N nvarchar(5) NOT NULL, D decimal(9, 2))"
        )
    return connections[0], connections[1], table


@pytest.mark.parametrize(("sql", "parameters"), STATEMENTS, ids=[sql[:40] for sql, _ in STATEMENTS])
def test_a_statement_ends_alike(open_sides: tuple[Any, Any, str], sql: str, parameters: tuple[Any, ...]) -> None:
    wire, inside, table = open_sides
    sql = sql.replace("{t}", table)
    assert outcome(inside, sql, parameters) == outcome(wire, sql, parameters)


FAULTS: list[dict[str, Any]] = [
    {"action": "drop_before"},
    {"action": "drop_after"},
    {"action": "error", "number": 1205},
    {"action": "error", "number": 40613},
    {"action": "error", "number": 10928},
    {"action": "error", "number": 40197},
]


@pytest.mark.parametrize("parameters", [(), ("x",)], ids=["batch", "parameters"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: str(fault.get("number", fault["action"])))
def test_a_fault_is_told_alike(sides: Sides, fault: dict[str, Any], parameters: tuple[Any, ...]) -> None:
    seen = []
    for connect, inject in sides:
        connection = connect()
        inject(pattern="SELECT 77", **fault)
        struck = outcome(connection, "SELECT 77" + ", ?" * len(parameters), parameters)
        number = connection.session.spid if hasattr(connection, "session") else None
        if number is None and struck[-1][0] == "40001":  # its text names the session
            number = int(struck[-1][1].split("Process ID ")[1].split(")")[0])
        told = str(struck[-1][1]).replace(f"Process ID {number})", "Process ID)")
        seen.append([struck[:-1], struck[-1][0], told, *(outcome(connection, "SELECT 78", ()) for _ in range(2))])
    assert seen[1] == seen[0]


def test_a_refused_login_is_told_alike(sides: Sides) -> None:
    seen = []
    for connect, inject in sides:
        inject(action="refuse_login", number=40613)
        with pytest.raises(pyodbc.Error) as refused:
            connect()
        seen.append((type(refused.value).__name__, refused.value.args))
    assert seen[1] == seen[0]


def test_a_dropped_answer_leaves_what_was_committed_and_a_lost_request_nothing(sides: Sides) -> None:
    for connect, inject in sides:
        table = f"T{next(_names)}"
        connect().execute(f"CREATE TABLE dbo.{table} (Id int NOT NULL PRIMARY KEY)")
        for number, action in ((1, "drop_before"), (2, "drop_after")):
            inject(action=action, pattern=f"INSERT INTO dbo.{table}")
            with pytest.raises(pyodbc.OperationalError):
                connect().execute(f"INSERT INTO dbo.{table} VALUES ({number})")
        assert [tuple(row) for row in connect().execute(f"SELECT Id FROM dbo.{table}").fetchall()] == [(2,)]


def test_only_question_marks_that_are_parameters_are_numbered() -> None:
    assert numbered("SELECT ?, '?', [?] -- ?\n, ? /* ? */") == "SELECT @P1, '?', [?] -- ?\n, @P2 /* ? */"
