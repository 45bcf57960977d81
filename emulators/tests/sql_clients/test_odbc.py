"""The SQL Server emulator as a whole, through pyodbc and Microsoft's driver: values, catalog, bulk inserts, transactions."""

from __future__ import annotations

import contextlib
import datetime
import json
import threading
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyodbc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.launch import SqlServer

SQL_SS_TIMESTAMPOFFSET = -155
SQL_TXN_SERIALIZABLE = 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    pyodbc.pooling = False
    with SqlServer(tmp_path_factory.mktemp("odbc"), "real") as running:
        yield running


@pytest.fixture(scope="module")
def connection(server: SqlServer) -> Iterator[pyodbc.Connection]:
    with contextlib.closing(server.connect()) as opened:
        opened.execute(
            """CREATE TABLE dbo.Everything (
                Id int IDENTITY NOT NULL CONSTRAINT PK_Everything PRIMARY KEY,
                B bit, T tinyint, S smallint, L bigint,
                D decimal(38, 10), M money, F float, R real, C char(5), V varchar(20), N nvarchar(20), X nvarchar(max),
                Bi varbinary(max), G uniqueidentifier,
                Da date, Ti time(7), D2 datetime2(7), D0 datetime2(0), Dt datetime, Sd smalldatetime, O datetimeoffset(7))"""
        )
        yield opened


@pytest.fixture
def second(server: SqlServer) -> Iterator[pyodbc.Connection]:
    with contextlib.closing(server.connect()) as opened:
        yield opened


relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def decimals() -> st.SearchStrategy[Decimal]:
    return st.integers(0, 38).flatmap(
        lambda scale: st.integers(-(10**38) + 1, 10**38 - 1).map(lambda unscaled: Decimal(f"{unscaled}e-{scale}"))
    )


VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    decimals(),
    st.text(),
    st.text(min_size=2001, max_size=2100),
    st.binary(),
    st.booleans(),
    st.dates(),
    st.datetimes(),
    st.none(),
)


@relaxed
@given(value=VALUES)
def test_a_parameter_comes_back_as_it_went(connection: pyodbc.Connection, value: Any) -> None:
    returned = connection.execute("SELECT ? AS value", value).fetchval()
    assert returned == value
    assert type(returned) is type(value)


@relaxed
@given(
    row=st.fixed_dictionaries(
        {
            "B": st.booleans(),
            "T": st.integers(0, 255),
            "S": st.integers(-(2**15), 2**15 - 1),
            "L": st.integers(-(2**63), 2**63 - 1),
            "D": st.integers(-(10**38) + 1, 10**38 - 1).map(lambda unscaled: Decimal(f"{unscaled}e-10")),
            "M": st.integers(-(2**63), 2**63 - 1).map(lambda unscaled: Decimal(f"{unscaled}e-4")),
            "F": st.floats(allow_nan=False, allow_infinity=False),
            "V": st.text(st.characters(codec="cp1252"), max_size=20),
            "N": st.text(st.characters(codec="utf-16-le", max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=20),
            "X": st.text(max_size=5000),
            "Bi": st.binary(max_size=9000),
            "G": st.uuids().map(lambda value: str(value).upper()),
            "Da": st.dates(),
            "D2": st.datetimes(),
            "D0": st.datetimes().map(lambda value: value.replace(microsecond=0)),
            "Sd": st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2079, 6, 5)).map(
                lambda value: value.replace(second=0, microsecond=0)
            ),
        }
    )
)
def test_a_row_comes_back_as_it_was_stored(connection: pyodbc.Connection, row: dict[str, Any]) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    cursor = connection.cursor()
    stored = cursor.execute(f"INSERT INTO dbo.Everything ({names}) OUTPUT inserted.Id VALUES ({marks})", *row.values()).fetchval()
    found = cursor.execute(f"SELECT {names} FROM dbo.Everything WHERE Id = ?", stored).fetchone()
    assert dict(zip(row, found, strict=True)) == row


def test_seven_digits_of_the_second(connection: pyodbc.Connection) -> None:
    text = "2024-02-03 04:05:06.1234567"
    cursor = connection.cursor()
    cursor.execute("INSERT INTO dbo.Everything (D2, Ti, O) VALUES (?, ?, ?)", text, text[11:], f"{text} +05:30")
    found = cursor.execute(
        "SELECT CONVERT(nvarchar(40), D2, 121), CONVERT(nvarchar(40), Ti, 121), CONVERT(nvarchar(40), O, 121) "
        "FROM dbo.Everything WHERE D2 = CONVERT(datetime2(7), ?)",
        text,
    ).fetchone()
    assert tuple(found) == (text, text[11:], f"{text} +05:30")


def test_datetimeoffset_on_the_wire(second: pyodbc.Connection) -> None:
    second.add_output_converter(SQL_SS_TIMESTAMPOFFSET, bytes)
    raw = second.execute("SELECT CAST('2024-02-03 04:05:06.1234567 -02:30' AS datetimeoffset(7))").fetchval()
    year, month, day, hour, minute, second_ = (int.from_bytes(raw[at : at + 2], "little") for at in range(0, 12, 2))
    assert (year, month, day, hour, minute, second_) == (2024, 2, 3, 4, 5, 6)
    assert int.from_bytes(raw[12:16], "little") == 123_456_700
    assert [int.from_bytes(raw[at : at + 2], "little", signed=True) for at in (16, 18)] == [-2, -30]


def test_description_of_columns(connection: pyodbc.Connection) -> None:
    cursor = connection.execute("SELECT Id, D, N, X, D2, F FROM dbo.Everything")
    described = [(name, kind, size, scale, nullable) for name, kind, _, size, _, scale, nullable in cursor.description]
    assert described == [
        ("Id", int, 10, 0, False),
        ("D", Decimal, 38, 10, True),
        ("N", str, 20, 0, True),
        ("X", str, 0, 0, True),
        ("D2", datetime.datetime, 27, 7, True),
        ("F", float, 53, 0, True),
    ]


def test_none_into_columns_of_every_kind(connection: pyodbc.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute("INSERT INTO dbo.Everything (D, Bi, G, D2, N, F) VALUES (?, ?, ?, ?, ?, ?)", *[None] * 6)
    assert cursor.rowcount == 1
    cursor.execute("UPDATE dbo.Everything SET Bi = ?, D = ? WHERE Id < 0 OR N = ?", None, None, None)
    assert cursor.rowcount == 0


def test_fast_executemany(connection: pyodbc.Connection) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "CREATE TABLE dbo.Fast (I int, N nvarchar(20), D decimal(20, 6), D2 datetime2(7), Bi varbinary(20), X nvarchar(max))"
    )
    instant = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)
    rows = [
        (n, f"ä{n}", Decimal(n) / 8, instant + datetime.timedelta(microseconds=n), bytes([n % 256]), "x" * n) for n in range(300)
    ]
    rows.append((None,) * 6)
    cursor.fast_executemany = True
    cursor.executemany("INSERT INTO dbo.Fast VALUES (?, ?, ?, ?, ?, ?)", rows)
    found = connection.execute(
        "SELECT I, N, D, D2, Bi, X FROM dbo.Fast ORDER BY CASE WHEN I IS NULL THEN 1 ELSE 0 END, I"
    ).fetchall()
    assert [tuple(row) for row in found] == rows


def test_catalog(connection: pyodbc.Connection) -> None:
    cursor = connection.cursor()
    assert [tuple(row)[:4] for row in cursor.tables(table="Every%", schema="dbo")] == [("rowpost", "dbo", "Everything", "TABLE")]
    assert [tuple(row) for row in cursor.tables(table="Every%", tableType="VIEW")] == []
    columns = {row.column_name: row for row in cursor.columns(table="Everything")}
    assert list(columns)[:3] == ["Id", "B", "T"]
    assert (columns["Id"].type_name, columns["Id"].nullable) == ("int identity", 0)
    assert (columns["D"].column_size, columns["D"].decimal_digits, columns["D"].data_type) == (38, 10, pyodbc.SQL_DECIMAL)
    assert (columns["N"].column_size, columns["N"].buffer_length, columns["X"].column_size) == (20, 40, 0)
    assert [(row.column_name, row.key_seq, row.pk_name) for row in cursor.primaryKeys("Everything")] == [("Id", 1, "PK_Everything")]
    assert {row.type_name for row in cursor.getTypeInfo()} >= {"datetime2", "nvarchar", "uniqueidentifier", "datetimeoffset"}


def test_results_counts_and_messages_of_one_batch(connection: pyodbc.Connection) -> None:
    connection.execute("CREATE TABLE dbo.Few (I int); INSERT INTO dbo.Few VALUES (1), (2)")
    cursor = connection.execute(
        "SELECT I FROM dbo.Few; UPDATE dbo.Few SET I = I + 1; PRINT 'half'; "
        "SET NOCOUNT ON; UPDATE dbo.Few SET I = I + 1; SELECT 7; SET NOCOUNT OFF"
    )
    assert [row[0] for row in cursor.fetchall()] == [1, 2]
    assert cursor.nextset() and cursor.rowcount == 2
    assert cursor.nextset() and "half" in cursor.messages[0][1]
    while cursor.description is None:
        assert cursor.nextset()
    assert cursor.fetchval() == 7
    assert not cursor.nextset()


@pytest.mark.parametrize(
    ("sql", "state", "number"),
    [
        ("INSERT INTO dbo.Everything (Id) VALUES (1)", "23000", 544),
        ("SELECT * FROM dbo.Nowhere", "42S02", 208),
        ("SELECT Nothing FROM dbo.Everything", "42S22", 207),
        ("SELECT 1 / 0", "22012", 8134),
        ("SELECT CAST('a' AS int)", "22018", 245),
        ("SELEC 1", "42000", 102),
        ("EXEC dbo.Nothing", "42000", 2812),
        ("THROW 50001, N'own', 1", "42000", 50001),
        ("RAISERROR (N'own', 16, 1)", "42000", 50000),
    ],
)
@pytest.mark.parametrize("parameters", [(), (1,)])
def test_errors_of_the_engine(
    connection: pyodbc.Connection, sql: str, state: str, number: int, parameters: tuple[int, ...]
) -> None:
    with pytest.raises(pyodbc.Error) as raised:
        connection.execute(f"DECLARE @p int = ?; {sql}" if parameters else sql, *parameters).fetchall()
    assert (raised.value.args[0], f"({number})" in raised.value.args[1]) == (state, True), raised.value.args


def test_commit_and_rollback(server: SqlServer, second: pyodbc.Connection) -> None:
    with contextlib.closing(server.connect(autocommit=False)) as first:
        first.execute("CREATE TABLE dbo.Ledgerish (I int)")
        first.commit()
        first.execute("INSERT INTO dbo.Ledgerish VALUES (?)", 1)
        assert first.execute("SELECT @@TRANCOUNT").fetchval() == 1
        first.rollback()
        first.execute("INSERT INTO dbo.Ledgerish VALUES (?)", 2)
        first.commit()
        first.execute("INSERT INTO dbo.Ledgerish VALUES (?)", 3)
    assert [row[0] for row in second.execute("SELECT I FROM dbo.Ledgerish")] == [2]  # what was open when it closed is undone


def test_procedure_by_the_escape_of_odbc(second: pyodbc.Connection) -> None:
    second.execute("{CALL sp_getapplock(?, ?, ?)}", "escape", "Exclusive", "Session")
    assert second.execute("SELECT APPLOCK_MODE('public', 'escape', 'Session')").fetchval() == "Exclusive"


def test_isolation_level_of_the_driver(server: SqlServer) -> None:
    with contextlib.closing(server.connect(autocommit=False)) as connection:
        connection.set_attr(pyodbc.SQL_ATTR_TXN_ISOLATION, SQL_TXN_SERIALIZABLE)
        assert connection.execute("SELECT 1").fetchval() == 1
        connection.rollback()


@pytest.mark.parametrize(
    "sql",
    [
        "WAITFOR DELAY '00:00:30'",
        "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
        "SELECT COUNT(*) FROM n OPTION (MAXRECURSION 0)",
        "DECLARE @i bigint = 0; WHILE @i < 1000000000 SET @i = @i + 1",
    ],
)
def test_query_timeout(second: pyodbc.Connection, sql: str) -> None:
    second.timeout = 1
    started = time.monotonic()
    with pytest.raises(pyodbc.OperationalError) as raised:
        second.execute(sql).fetchall()
    assert raised.value.args[0] == "HYT00"
    assert time.monotonic() - started < 8
    second.timeout = 0
    assert second.execute("SELECT 1").fetchval() == 1


def test_json_of_megabytes(second: pyodbc.Connection) -> None:
    rows = [{"i": number, "n": f"日{number}"} for number in range(40_000)]
    cursor = second.cursor()
    cursor.setinputsizes([(pyodbc.SQL_WVARCHAR, 0, 0)])
    sql = "SELECT COUNT(*), MAX(j.i), MIN(j.n) FROM OPENJSON(?) WITH (i int '$.i', n nvarchar(20) '$.n') j"
    assert tuple(cursor.execute(sql, json.dumps(rows)).fetchone()) == (40_000, 39_999, "日0")


def test_dropped_answer_of_a_commit(server: SqlServer, second: pyodbc.Connection) -> None:
    second.execute("CREATE TABLE dbo.Dropped (I int)")
    for action, expected in (("drop_before", 0), ("drop_after", 1)):
        with contextlib.closing(server.connect(application="dropped", autocommit=False)) as victim:
            victim.execute("INSERT INTO dbo.Dropped VALUES (1)")
            server.inject(action=action, pattern="COMMIT TRANSACTION", application="dropped")
            with pytest.raises(pyodbc.Error) as raised:
                victim.commit()
            assert raised.value.args[0] == "08S01"
        assert second.execute("SELECT COUNT(*) FROM dbo.Dropped").fetchval() == expected


def test_deadlock_fault_undoes_the_transaction(server: SqlServer, second: pyodbc.Connection) -> None:
    second.execute("CREATE TABLE dbo.Victims (I int)")
    with contextlib.closing(server.connect(application="victim", autocommit=False)) as victim:
        victim.execute("INSERT INTO dbo.Victims VALUES (1)")
        server.inject(action="error", number=1205, pattern="UPDATE dbo.Victims", application="victim")
        with pytest.raises(pyodbc.Error) as raised:
            victim.execute("UPDATE dbo.Victims SET I = 2")
        assert raised.value.args[0] == "40001"
        victim.execute("INSERT INTO dbo.Victims VALUES (3)")
        victim.commit()
    assert [row[0] for row in second.execute("SELECT I FROM dbo.Victims")] == [3]


def test_twenty_connections_stay_responsive(server: SqlServer, second: pyodbc.Connection) -> None:
    second.execute("CREATE TABLE dbo.Busy (I int NOT NULL PRIMARY KEY, N int NOT NULL)")
    for number in range(20):
        second.execute("INSERT INTO dbo.Busy VALUES (?, 0)", number)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with contextlib.closing(server.connect()) as connection:
                for _ in range(20):
                    connection.execute("UPDATE dbo.Busy SET N = N + 1 WHERE I = ?", number)
                    connection.execute("SELECT N FROM dbo.Busy WHERE I = ?", number).fetchall()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert time.monotonic() - started < 30
    assert tuple(second.execute("SELECT MIN(N), MAX(N) FROM dbo.Busy").fetchone()) == (20, 20)


def test_parameterised_select_takes_less_than_a_few_milliseconds(second: pyodbc.Connection) -> None:
    for _ in range(20):
        second.execute("SELECT ? AS value", 1).fetchall()
    taken = []
    for number in range(200):
        started = time.perf_counter()
        assert second.execute("SELECT ? AS value", number).fetchval() == number
        taken.append(time.perf_counter() - started)
    assert sorted(taken)[100] < 0.005  # seconds; far above what an idle machine needs


def test_encrypted_connections(tmp_path: Path) -> None:
    with SqlServer(tmp_path, "real", encrypt=True) as running:
        first = (tmp_path / "sql_server.db.certificate.pem").read_bytes()
        with contextlib.closing(running.connect()) as connection:
            text = uuid.uuid4().hex * 3000
            assert connection.execute("SELECT CAST(? AS nvarchar(max))", text).fetchval() == text
    with SqlServer(tmp_path, "real", encrypt=True):
        assert (tmp_path / "sql_server.db.certificate.pem").read_bytes() == first
