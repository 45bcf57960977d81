"""The wire of the SQL Server emulator, as pyodbc with Microsoft's driver and a bare TDS client see it."""

from __future__ import annotations

import contextlib
import datetime
import json
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from emulators.odbc import odbc_driver
from emulators.sql_server.values.results import SqlType
from emulators.tests.tds import client as tds_client
from emulators.tests.tds.client import BY_REFERENCE, TdsClient

ROOT = Path(__file__).parents[3]
NVARCHAR, INT = SqlType("nvarchar", 4000), SqlType("int")
DONE, DONEPROC, DONEINPROC = 0xFD, 0xFE, 0xFF
MORE, ERROR, COUNT, ATTENTION = 1, 2, 0x10, 0x20
BEGUN, COMMITTED, ROLLED_BACK, RESET_DONE = 8, 9, 10, 18


@dataclass
class RunningServer:
    """The process of the server."""

    port: int
    control_port: int
    certificate: Path

    def connect(
        self,
        options: str = "Encrypt=no",
        *,
        password: str = "Rowpost!2026",
        database: str = "rowpost",
        host: str = "127.0.0.1",
        autocommit: bool = True,
    ) -> pyodbc.Connection:
        """Connect with pyodbc."""
        text = f"Driver={odbc_driver()};Server={host},{self.port};UID=sa;PWD={password};Database={database};{options}"
        return pyodbc.connect(text, autocommit=autocommit, timeout=20)

    def control(self, method: str, path: str, document: Any = None) -> Any:
        """Call the control port."""
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.control_port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def application(self, name: str) -> dict[str, Any]:
        """The statistics of an application."""
        found: dict[str, Any] = self.control("GET", "/stats")["applications"][name]
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    pyodbc.pooling = False
    certificate = tmp_path_factory.mktemp("wire") / "certificate.pem"
    command = [sys.executable, "-m", "emulators.tests.tds.scripted_engine", str(certificate)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield RunningServer(ready["port"], ready["control_port"], certificate)
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def connection(server: RunningServer) -> Iterator[pyodbc.Connection]:
    with contextlib.closing(server.connect()) as opened:
        yield opened


@pytest.fixture
def client(server: RunningServer) -> Iterator[TdsClient]:
    with contextlib.closing(TdsClient(server.port)) as opened:
        yield opened


@pytest.fixture
def faults(server: RunningServer) -> Iterator[RunningServer]:
    yield server
    server.control("DELETE", "/faults")


def unused_application() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def rows_of(cursor: pyodbc.Cursor) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in cursor.fetchall()]


# -- connections


@pytest.mark.parametrize("encrypt", ["no", "optional", "yes", "mandatory"])
def test_connects_with_and_without_encryption(server: RunningServer, encrypt: str) -> None:
    with contextlib.closing(server.connect(f"Encrypt={encrypt};TrustServerCertificate=yes")) as connection:
        assert rows_of(connection.execute("ROWS 2")) == [(0,), (1,)]


def test_encrypted_connection_carries_long_values(server: RunningServer) -> None:
    text = "é" * 300_000
    with contextlib.closing(server.connect("Encrypt=yes;TrustServerCertificate=yes")) as connection:
        assert connection.execute("ECHO ?", text).fetchval() == text


def test_strict_encryption_with_the_known_certificate(server: RunningServer, tmp_path: Path) -> None:
    pem = server.certificate.read_text()
    known = tmp_path / "server.pem"
    known.write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    with contextlib.closing(server.connect(f"Encrypt=strict;ServerCertificate={known}", host="localhost")) as connection:
        assert connection.execute("ROWS 1").fetchval() == 0


def test_unknown_certificate_is_refused_by_the_driver(server: RunningServer) -> None:
    with pytest.raises(pyodbc.OperationalError, match="certificate verify failed"):
        server.connect("Encrypt=yes")


def test_wrong_password(server: RunningServer) -> None:
    with pytest.raises(pyodbc.InterfaceError) as raised:
        server.connect(password="wrong")
    assert raised.value.args[0] == "28000"
    assert "Login failed for user 'sa'. (18456)" in raised.value.args[1]


def test_unknown_database(server: RunningServer) -> None:
    with pytest.raises(pyodbc.Error, match=r'Cannot open database "nowhere" requested by the login.*\(4060\)'):
        server.connect(database="nowhere")


def test_login_errors_carry_severity_and_state(server: RunningServer) -> None:
    with contextlib.closing(TdsClient(server.port, password="wrong")) as refused:
        assert refused.greeting.errors == [(18456, 14, 1)]
    with contextlib.closing(TdsClient(server.port, database="nowhere")) as refused:
        assert refused.greeting.errors == [(4060, 11, 1), (18456, 14, 1)]


def test_server_describes_itself(connection: pyodbc.Connection) -> None:
    assert connection.getinfo(pyodbc.SQL_DBMS_NAME) == "Microsoft SQL Server"
    assert connection.getinfo(pyodbc.SQL_DBMS_VER).startswith("16.")
    assert connection.getinfo(pyodbc.SQL_DATABASE_NAME) == "rowpost"


def test_garbage_ends_only_its_own_connection(server: RunningServer, connection: pyodbc.Connection) -> None:
    client = TdsClient(server.port)
    client.send(99, b"garbage")
    with pytest.raises(ConnectionError):
        client.receive()
    assert connection.execute("ROWS 1").fetchval() == 0


def test_twenty_connections_at_once(server: RunningServer) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with contextlib.closing(server.connect()) as connection:
                for _ in range(20):
                    assert connection.execute("ECHO ?", "x" * 3000).fetchval() == "x" * 3000
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


# -- results


def test_several_results_and_counts(connection: pyodbc.Connection) -> None:
    cursor = connection.execute("MANY")
    assert rows_of(cursor) == [(1,), (2,)]  # the first result: a SET before it leaves no trace
    assert cursor.nextset() and cursor.description is None and cursor.rowcount == 5
    assert cursor.nextset() and "printed" in cursor.messages[0][1] and rows_of(cursor) == [("z",)]
    assert not cursor.nextset()


@pytest.mark.parametrize("arguments", [(), (1,)])
def test_row_count(connection: pyodbc.Connection, arguments: tuple[int, ...]) -> None:
    assert connection.execute("UPDATE ?" if arguments else "UPDATE", *arguments).rowcount == 3


def test_large_result(connection: pyodbc.Connection) -> None:
    rows = connection.execute("ROWS 50000").fetchall()
    assert len(rows) == 50_000 and rows[-1][0] == 49_999


# -- parameters

PARAMETERS = [
    (7, "int"),
    (2**40, "bigint"),
    (True, "bit"),
    (1.5, "float"),
    ("é", "nvarchar"),
    ("", "nvarchar"),
    ("x" * 10_000, "ntext"),
    (b"ab", "varbinary"),
    (b"z" * 9_000, "image"),
    (Decimal("-12345678901234567890.123456789012345678"), "numeric"),
    (Decimal("99999999999999999999999999999999999999"), "numeric"),
    (datetime.datetime(2024, 1, 2, 3, 4, 5, 678901), "datetime2"),
    (Decimal("-0.00000000000000000000000000000000000001"), "numeric"),
    (datetime.date(9999, 12, 31), "date"),
    (uuid.UUID("ab6f7c7a-0000-4000-8000-00000000000a"), "uniqueidentifier"),
]


@pytest.mark.parametrize(("value", "type_name"), PARAMETERS)
def test_parameter_arrives_and_returns_exactly(connection: pyodbc.Connection, value: Any, type_name: str) -> None:
    returned = connection.execute("ECHO ?", value).fetchval()
    assert returned == (str(value).upper() if isinstance(value, uuid.UUID) else value)
    declared = connection.execute("TYPES ?", value).fetchval()
    assert f"name='{type_name}'" in declared


def test_null_parameters(connection: pyodbc.Connection) -> None:
    assert tuple(connection.execute("ECHO ?, ?, ?", None, "a", None).fetchone()) == (None, "a", None)


def test_megabytes_of_json(connection: pyodbc.Connection) -> None:
    document = json.dumps([{"key": number, "text": "日本語 😀"} for number in range(60_000)])
    assert len(document) > 2_000_000
    assert connection.execute("ECHO ?", document).fetchval() == document
    assert "length=-1" in connection.execute("TYPES ?", document).fetchval()


def test_fast_executemany(connection: pyodbc.Connection) -> None:
    cursor = connection.cursor()
    cursor.fast_executemany = True
    cursor.executemany("UPDATE ?, ?", [(1, "a"), (2, None), (3, "c")])
    assert connection.execute("ROWS 1").fetchval() == 0


def test_arguments_are_converted_to_the_declared_type(client: TdsClient) -> None:
    sent = [
        ("@stmt", 0, NVARCHAR, "ECHO"),
        ("@params", 0, NVARCHAR, "@n decimal(10,2), @s nvarchar(3), @d datetime2(3), @b bigint = 5"),
        ("@n", 0, INT, 7),
        ("@s", 0, NVARCHAR, "abcdef"),
        ("@d", 0, NVARCHAR, "2024-01-02T03:04:05.6789"),
    ]
    answer = client.call(("sp_executesql", sent))
    assert answer.rows == [(Decimal("7.00"), "abc", "2024-01-02 03:04:05.679", 5)]


@pytest.mark.parametrize(
    ("declared", "arguments", "number"),
    [
        ("@a int", [], 8178),
        ("@a int", [("", 0, INT, 1), ("", 0, INT, 2)], 8144),
        ("@a int", [("@other", 0, INT, 1)], 8145),
        ("@a int", [("", 0, NVARCHAR, "abc")], 8114),
        ("@a tinyint", [("", 0, INT, 256)], 8114),
        ("@a nosuchtype", [("", 0, INT, 1)], 2715),
        ("a int", [("", 0, INT, 1)], 102),
    ],
)
def test_arguments_that_do_not_fit(client: TdsClient, declared: str, arguments: list[Any], number: int) -> None:
    answer = client.call((10, [("", 0, NVARCHAR, "ECHO"), ("", 0, NVARCHAR, declared), *arguments]))
    assert [error[0] for error in answer.errors] == [number]
    assert answer.done[-1] == (DONEPROC, ERROR, 0)
    assert client.batch("ROWS 1").rows == [(0,)]


# -- prepared statements and procedures


def prepare_arguments(statement: str, declarations: str | None) -> list[tuple[str, int, SqlType, Any]]:
    return [("", BY_REFERENCE, INT, None), ("", 0, NVARCHAR, declarations), ("", 0, NVARCHAR, statement)]


def test_prepare_execute_unprepare(client: TdsClient) -> None:
    prepared = client.call(("sp_prepare", [*prepare_arguments("ROWS 2", None), ("", 0, INT, 1)]))
    assert prepared.columns == ["n"] and prepared.rows == []
    handle = prepared.values[""]
    assert client.call(("sp_execute", [("", 0, INT, handle)])).rows == [(0,), (1,)]
    assert client.call(("sp_unprepare", [("", 0, INT, handle)])).errors == []
    assert [error[0] for error in client.call(("sp_execute", [("", 0, INT, handle)])).errors] == [8179]


def test_prepexec_drops_the_handle_that_comes_in(client: TdsClient) -> None:
    first = client.call((13, [*prepare_arguments("ECHO", "@a int"), ("", 0, INT, 4)]))
    assert first.rows == [(4,)] and first.status == 0
    again = prepare_arguments("ROWS 1", None)
    again[0] = ("", BY_REFERENCE, INT, first.values[""])
    second = client.call((13, again))
    assert second.values[""] != first.values[""]
    assert client.call((12, [("", 0, INT, first.values[""]), ("", 0, INT, 4)])).errors[0][0] == 8179
    assert client.call((12, [("", 0, INT, second.values[""])])).rows == [(0,)]


def test_token_order_of_prepexec(client: TdsClient) -> None:
    answer = client.call((13, [*prepare_arguments("ECHO", "@a int"), ("", 0, INT, 4)]))
    assert answer.order == [0x81, 0xD1, DONEINPROC, 0x79, 0xAC, DONEPROC]
    assert answer.done == [(DONEINPROC, MORE | COUNT, 1), (DONEPROC, 0, 0)]


def test_several_calls_in_one_request(client: TdsClient) -> None:
    call = (10, [("", 0, NVARCHAR, "ROWS 1")])
    answer = client.call(call, ("sp_unprepare", [("", 0, INT, 99)]), call)
    assert answer.rows == [(0,), (0,)]
    assert [status for token, status, _ in answer.done if token == DONEPROC] == [MORE, MORE, 0]


def test_procedure_with_output_and_return_value(client: TdsClient) -> None:
    answer = client.call(("[dbo].[double]", [("@n", BY_REFERENCE, INT, 21)]))
    assert answer.values == {"@n": 42} and answer.status == 4


def test_procedure_prepared_and_called_again(client: TdsClient) -> None:
    first = client.call((14, [("", BY_REFERENCE, INT, None), ("", 0, NVARCHAR, "dbo.double"), ("", BY_REFERENCE, INT, 21)]))
    assert first.errors == [] and first.status == 4
    again = client.call(("sp_execute", [("", 0, INT, first.values[""]), ("@n", BY_REFERENCE, INT, 4)]))
    assert again.values == {"@n": 8}


def test_unknown_procedure(client: TdsClient) -> None:
    assert client.call(("no_such_procedure", [])).errors == [(2812, 16, 62)]


def test_server_cursors_are_refused_by_name(client: TdsClient) -> None:
    answer = client.call((2, [("", BY_REFERENCE, INT, None)]))
    assert answer.errors[0][0] == 50000 and answer.done[-1][1] & ERROR


# -- errors


@pytest.mark.parametrize(
    ("number", "severity", "state", "kind"),
    [
        (2627, 14, "23000", pyodbc.IntegrityError),
        (547, 16, "23000", pyodbc.IntegrityError),
        (515, 16, "23000", pyodbc.IntegrityError),
        (1205, 13, "40001", pyodbc.Error),
        (208, 16, "42S02", pyodbc.ProgrammingError),
        (207, 16, "42S22", pyodbc.ProgrammingError),
        (8134, 16, "22012", pyodbc.DataError),
        (245, 16, "22018", pyodbc.DataError),
        (40613, 17, "42000", pyodbc.ProgrammingError),
        (50001, 16, "42000", pyodbc.ProgrammingError),
    ],
)
def test_errors_become_sqlstates(
    connection: pyodbc.Connection, number: int, severity: int, state: str, kind: type[pyodbc.Error]
) -> None:
    with pytest.raises(kind) as raised:
        connection.execute(f"ERROR {number} {severity}")
    assert raised.value.args[0] == state
    assert f"({number})" in raised.value.args[1]


def test_error_token_has_severity_and_state(client: TdsClient) -> None:
    answer = client.batch("ERROR 50001 16")
    assert answer.errors == [(50001, 16, 7)] and answer.done == [(DONE, ERROR, 0)]


def test_error_after_rows(connection: pyodbc.Connection) -> None:
    with pytest.raises(pyodbc.DataError, match="8134"):
        connection.execute("LATE").fetchall()


def test_batch_that_goes_on_after_an_error(client: TdsClient) -> None:
    answer = client.batch("CONTINUE")
    assert answer.errors == [(2627, 14, 1)] and answer.rows == [(0 + 1,)]
    assert answer.done == [(DONE, ERROR | MORE, 0), (DONE, COUNT, 1)]


@pytest.mark.parametrize("sql", ["BUG", "BADROW"])
def test_defect_of_the_engine_is_an_error_and_no_hang(connection: pyodbc.Connection, sql: str) -> None:
    with pytest.raises(pyodbc.Error, match="internal error of the emulator"):
        connection.execute(sql).fetchall()
    assert connection.execute("ROWS 1").fetchval() == 0


def test_fatal_error_ends_the_connection(connection: pyodbc.Connection) -> None:
    with pytest.raises(pyodbc.Error, match="40613"):
        connection.execute("ERROR 40613 20")
    with pytest.raises(pyodbc.OperationalError) as raised:
        connection.execute("ROWS 1")
    assert raised.value.args[0] == "08S01"


# -- attention


@pytest.mark.parametrize("arguments", [(), (1,)])
def test_query_timeout_cancels_the_engine(connection: pyodbc.Connection, arguments: tuple[int, ...]) -> None:
    connection.timeout = 1
    started = time.monotonic()
    with pytest.raises(pyodbc.OperationalError) as raised:
        connection.execute("WAIT ?" if arguments else "WAIT", *arguments)
    assert raised.value.args[0] == "HYT00"
    assert time.monotonic() - started < 5
    connection.timeout = 0
    assert connection.execute("ROWS 1").fetchval() == 0


def test_attention_cuts_a_result_short(client: TdsClient) -> None:
    client.send(tds_client.BATCH, tds_client.HEADERS + "ENDLESS".encode("utf-16-le"))
    client.send(tds_client.ATTENTION, b"")
    assert struct.unpack("<BHHQ", client.receive()[-13:])[:2] == (DONE, ERROR)
    assert tds_client.read_answer(client.receive()).done == [(DONE, ATTENTION, 0)]  # a message of its own
    assert client.batch("ROWS 1").rows == [(0,)]


def test_attention_after_the_answer(client: TdsClient) -> None:
    assert client.batch("ROWS 1").rows == [(0,)]
    client.send(tds_client.ATTENTION, b"")
    assert tds_client.read_answer(client.receive()).done == [(DONE, ATTENTION, 0)]


def test_closed_cursor_stops_an_endless_result(connection: pyodbc.Connection) -> None:
    cursor = connection.execute("ENDLESS")
    assert tuple(cursor.fetchone()) == (1,)
    cursor.close()
    assert connection.execute("ROWS 1").fetchval() == 0


def test_client_that_vanishes_cancels_its_statement(server: RunningServer) -> None:
    client = TdsClient(server.port)
    before = server.application("tds-client")["open"]
    client.send(tds_client.BATCH, tds_client.HEADERS + "WAIT".encode("utf-16-le"))
    client.close()
    deadline = time.monotonic() + 10
    while server.application("tds-client")["open"] >= before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.application("tds-client")["open"] == before - 1


# -- transactions


def test_commit_and_rollback_without_autocommit(server: RunningServer) -> None:
    application = unused_application()
    with contextlib.closing(server.connect(f"Encrypt=no;APP={application}", autocommit=False)) as connection:
        connection.execute("UPDATE ?", 1)
        connection.commit()
        connection.execute("UPDATE ?", 1)
        connection.rollback()
        connection.autocommit = True
        connection.execute("UPDATE")
    texts = [entry["text"] for entry in server.application(application)["statements"] if entry["kind"] == "transaction"]
    assert texts[:3] == ["BEGIN TRANSACTION", "COMMIT TRANSACTION", "ROLLBACK TRANSACTION"]


def test_transaction_requests_announce_themselves(client: TdsClient) -> None:
    assert client.transaction(5, b"\x00\x00").environment == [BEGUN]
    assert client.transaction(7, b"\x00\x01\x00\x00").environment == [COMMITTED, BEGUN]
    assert client.transaction(8, b"\x00\x00").environment == [ROLLED_BACK]
    without = client.transaction(7, b"\x00\x00")
    assert without.errors[0][0] == 3902 and without.environment == [] and without.done == [(DONE, ERROR, 0)]


def test_transactions_in_batches_announce_themselves(client: TdsClient) -> None:
    assert client.batch("BEGIN").environment == [BEGUN]
    assert client.batch("COMMIT").environment == [COMMITTED]


def test_reset_of_a_pooled_connection(client: TdsClient) -> None:
    client.batch("BEGIN")
    answer = client.batch("ROWS 1", tds_client.RESET)
    assert answer.environment == [RESET_DONE] and answer.rows == [(0,)]
    assert client.batch("BEGIN").environment == [BEGUN]


def test_change_of_database_is_announced(client: TdsClient) -> None:
    assert client.batch("USE master").environment == [1]


# -- control port: statistics


def test_statistics_count_round_trips_that_carry_a_statement(server: RunningServer) -> None:
    application = unused_application()
    with contextlib.closing(server.connect(f"Encrypt=no;APP={application}")) as connection:
        connection.execute("ROWS 1").fetchall()
        connection.execute("ECHO ?", "text").fetchall()
        connection.execute("ECHO ?", None).fetchall()  # asks for the type first
        with pytest.raises(pyodbc.Error):
            connection.execute("ERROR 50001 16")
        counted = server.application(application)
    assert counted["connections"] == 1 and counted["open"] == 1
    assert counted["batches"] == 2 and counted["requests"] == 4
    assert [entry["text"] for entry in counted["statements"]] == ["ROWS 1", "ECHO @P1", "ECHO @P1", "ERROR 50001 16"]
    assert [entry["error"] for entry in counted["statements"]] == [None, None, None, 50001]
    assert all(datetime.datetime.fromisoformat(entry["time"]).tzinfo for entry in counted["statements"])


def test_statistics_keep_the_last_200_statements(server: RunningServer) -> None:
    application = unused_application()
    with contextlib.closing(server.connect(f"Encrypt=no;APP={application}")) as connection:
        for number in range(205):
            connection.execute(f"ROWS {number}").fetchall()
        kept = server.application(application)["statements"]
    assert [entry["text"] for entry in kept] == [f"ROWS {number}" for number in range(5, 205)]


def test_statistics_reset(server: RunningServer, connection: pyodbc.Connection) -> None:
    application = unused_application()
    with contextlib.closing(server.connect(f"Encrypt=no;APP={application}")) as other:
        other.execute("ROWS 1").fetchall()
        server.control("POST", "/stats/reset")
        counted = server.application(application)
        assert counted["requests"] == counted["connections"] == 0 and counted["open"] == 1
        assert counted["statements"] == []
    connection.execute("ROWS 1").fetchall()


# -- control port: faults


def test_error_fault_strikes_matching_statements(faults: RunningServer, connection: pyodbc.Connection) -> None:
    faults.control("POST", "/faults", {"action": "error", "number": 1205, "pattern": r"rows\s+3", "times": 2})
    assert len(connection.execute("ROWS 2").fetchall()) == 2
    for _ in range(2):
        with pytest.raises(pyodbc.Error, match="deadlock victim") as raised:
            connection.execute("ROWS 3")
        assert raised.value.args[0] == "40001"
    assert len(connection.execute("ROWS 3").fetchall()) == 3


def test_deadlock_fault_rolls_the_transaction_back(faults: RunningServer, client: TdsClient) -> None:
    client.batch("BEGIN")
    faults.control("POST", "/faults", {"action": "error", "number": 1205, "application": "tds-client"})
    answer = client.batch("UPDATE")
    assert answer.errors == [(1205, 13, 51)] and answer.environment == [ROLLED_BACK]


@pytest.mark.parametrize("number", [40613, 40197, 10928])
def test_failover_faults_end_the_connection(faults: RunningServer, connection: pyodbc.Connection, number: int) -> None:
    faults.control("POST", "/faults", {"action": "error", "number": number, "pattern": "ROWS"})
    with pytest.raises(pyodbc.Error, match=str(number)):
        connection.execute("ROWS 1")
    with pytest.raises(pyodbc.OperationalError):
        connection.execute("ROWS 1")


def test_fault_with_fields_of_its_own(faults: RunningServer, client: TdsClient) -> None:
    document = {"action": "error", "number": 3960, "severity": 16, "state": 4, "message": "Snapshot", "skip": 1}
    faults.control("POST", "/faults", {**document, "application": "tds-client"})
    assert client.batch("ROWS 1").errors == []
    assert client.batch("ROWS 1").errors == [(3960, 16, 4)]


def test_drop_before_and_after(faults: RunningServer) -> None:
    for action, ran in (("drop_before", 0), ("drop_after", 1)):
        application = unused_application()
        document = {"action": action, "pattern": "UPDATE", "application": application}
        with contextlib.closing(faults.connect(f"Encrypt=no;APP={application};ConnectRetryCount=0")) as connection:
            faults.control("POST", "/faults", document)
            with pytest.raises(pyodbc.OperationalError) as raised:
                connection.execute("UPDATE ?", 1)
        assert raised.value.args[0] == "08S01"
        statement = faults.application(application)["statements"][-1]
        assert statement["text"].startswith("UPDATE") and statement["executed"] == bool(ran)


def test_drop_after_commit(faults: RunningServer) -> None:
    application = unused_application()
    with contextlib.closing(faults.connect(f"Encrypt=no;APP={application}", autocommit=False)) as connection:
        connection.execute("UPDATE ?", 1)
        faults.control("POST", "/faults", {"action": "drop_after", "pattern": "COMMIT TRANSACTION"})
        with pytest.raises(pyodbc.Error):
            connection.commit()
    assert faults.application(application)["statements"][-1]["executed"] is True


def test_delay_fault(faults: RunningServer, connection: pyodbc.Connection) -> None:
    faults.control("POST", "/faults", {"action": "delay", "seconds": 0.3, "pattern": "ROWS"})
    started = time.monotonic()
    assert connection.execute("ROWS 1").fetchval() == 0
    assert time.monotonic() - started >= 0.3


def test_delay_fault_ends_with_a_query_timeout(faults: RunningServer, connection: pyodbc.Connection) -> None:
    faults.control("POST", "/faults", {"action": "delay", "seconds": 60, "pattern": "ROWS"})
    connection.timeout = 1
    with pytest.raises(pyodbc.OperationalError) as raised:
        connection.execute("ROWS 1")
    assert raised.value.args[0] == "HYT00"


def test_refused_login(faults: RunningServer) -> None:
    faults.control("POST", "/faults", {"action": "refuse_login", "number": 40613, "application": "refused", "times": 2})
    with contextlib.closing(faults.connect("Encrypt=no;APP=welcome")):
        pass
    for _ in range(2):
        with pytest.raises(pyodbc.Error, match=r"Database 'rowpost' .* is not currently available.*\(40613\)"):
            faults.connect("Encrypt=no;APP=refused;ConnectRetryCount=0")
    with contextlib.closing(faults.connect("Encrypt=no;APP=refused")) as connection:
        assert connection.execute("ROWS 1").fetchval() == 0


def test_planned_faults_are_listed_and_forgotten(faults: RunningServer, connection: pyodbc.Connection) -> None:
    faults.control("POST", "/faults", {"action": "error", "number": 1205, "times": None})
    assert faults.control("GET", "/faults")[0]["number"] == 1205
    for _ in range(3):
        with pytest.raises(pyodbc.Error):
            connection.execute("ROWS 1")
    faults.control("DELETE", "/faults")
    assert connection.execute("ROWS 1").fetchval() == 0


@pytest.mark.parametrize(
    "document",
    [
        {"action": "explode"},
        {"action": "error", "colour": 1},
        {"action": "error", "pattern": "("},
        {"action": "delay", "seconds": "1"},
        [],
    ],
)
def test_bad_fault_is_refused_by_name(server: RunningServer, document: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        server.control("POST", "/faults", document)
    assert raised.value.code == 400
    assert json.load(raised.value)["error"]
