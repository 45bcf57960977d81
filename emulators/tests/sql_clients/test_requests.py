"""Requests of .NET clients and their answers, byte by byte: what no driver here sends or shows."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from emulators.launch import SqlServer
from emulators.sql_server.values.results import SqlType, Variant
from emulators.tests.tds.client import (
    ATTENTION,
    BATCH,
    BY_REFERENCE,
    HEADERS,
    RESET_KEEP_TRANSACTION,
    RPC,
    TRANSACTION_MANAGER,
    TdsClient,
)
from emulators.tests.tds.grammar import Answer, Column

INT, NVARCHAR, FLOAT = SqlType("int"), SqlType("nvarchar", 4000), SqlType("float")
DONE, ERROR, MORE, COUNT, ATTENTION_DONE = 0xFD, 2, 1, 0x10, 0x20
DATABASE, BEGUN, COMMITTED, ROLLED_BACK, RESET_DONE = 1, 8, 9, 10, 18
BEGIN, COMMIT, ROLLBACK, SAVE = 5, 7, 8, 9
DEFAULT = 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    with SqlServer(tmp_path_factory.mktemp("requests"), "real") as started:
        with contextlib.closing(TdsClient(started.port)) as first:
            first.batch("CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY, V int NULL, X xml NULL, S sql_variant NULL)")
            first.batch("CREATE TABLE dbo.Child (Id int NOT NULL PRIMARY KEY, T int REFERENCES dbo.T (Id))")
        yield started


@pytest.fixture
def client(server: SqlServer) -> Iterator[TdsClient]:
    with contextlib.closing(TdsClient(server.port)) as opened:
        opened.batch("DELETE dbo.Child; DELETE dbo.T")
        yield opened


def execute(client: TdsClient, statement: str, declarations: str, *arguments: tuple[str, int, SqlType, Any]) -> Answer:
    """sp_executesql."""
    head = [("", 0, SqlType("nvarchar", -1), statement), ("", 0, SqlType("nvarchar", -1), declarations)]
    return client.call((10, [*head, *arguments]))


def name(text: str) -> bytes:
    """A transaction's name, as requests carry it: its length in bytes."""
    data = text.encode("utf-16-le")
    return bytes([len(data)]) + data


# -- transactions


def test_savepoints_have_names_whose_length_is_in_bytes(client: TdsClient) -> None:
    assert client.transaction(BEGIN, b"\0\0").environment == [BEGUN]
    client.batch("INSERT dbo.T (Id) VALUES (1)")
    assert client.transaction(SAVE, name("Sicherung")).errors == []
    client.batch("INSERT dbo.T (Id) VALUES (2)")
    assert client.transaction(ROLLBACK, name("Sicherung") + b"\0").errors == []
    assert client.batch("SELECT Id, @@TRANCOUNT FROM dbo.T").rows == [(1, 1)]
    assert client.transaction(ROLLBACK, name("unknown") + b"\0").errors[0][0] == 6401
    assert client.transaction(COMMIT, name("whatever") + b"\0").environment == [COMMITTED]
    assert client.batch("SELECT Id FROM dbo.T").rows == [(1,)]


MANY = "a.value * 3000 + b.value AS n FROM GENERATE_SERIES(1, 3000) a CROSS JOIN GENERATE_SERIES(1, 3000) b"
WAITS = [
    "RAISERROR ('go', 10, 1) WITH NOWAIT; WAITFOR DELAY '00:01:00'",
    f"RAISERROR ('go', 10, 1) WITH NOWAIT; INSERT dbo.T (Id) SELECT {MANY}",
    f"RAISERROR ('go', 10, 1) WITH NOWAIT; UPDATE dbo.T SET V = (SELECT COUNT(*) FROM (SELECT {MANY}) m)",
    "RAISERROR ('go', 10, 1) WITH NOWAIT; WHILE 1 = 1 UPDATE dbo.T SET V = V",
]


@pytest.mark.parametrize("sql", WAITS)
@pytest.mark.parametrize("xact_abort", ["OFF", "ON"])
def test_a_statement_that_is_given_up_ends_its_transaction_only_with_xact_abort(
    client: TdsClient, sql: str, xact_abort: str
) -> None:
    client.batch(f"SET XACT_ABORT {xact_abort}; BEGIN TRANSACTION; INSERT dbo.T (Id, V) VALUES (1, 5)")
    assert client.give_up(sql).done == [(DONE, ATTENTION_DONE, 0)]
    if xact_abort == "ON":
        assert client.batch("SELECT @@TRANCOUNT, (SELECT COUNT(*) FROM dbo.T)").rows == [(0, 0)]
    else:
        assert client.batch("SELECT @@TRANCOUNT, Id, V FROM dbo.T").rows == [(1, 1, 5)]
        assert client.batch("COMMIT").environment == [COMMITTED]
        assert client.batch("SELECT Id, V FROM dbo.T").rows == [(1, 5)]


def test_an_answer_that_is_given_up_ends_the_transaction_with_xact_abort(client: TdsClient) -> None:
    client.batch("SET XACT_ABORT ON; BEGIN TRANSACTION; INSERT dbo.T (Id) VALUES (1)")
    client.give_up("SELECT REPLICATE('x', 8000) FROM GENERATE_SERIES(1, 4000)")
    assert client.batch("SELECT @@TRANCOUNT, (SELECT COUNT(*) FROM dbo.T)").rows == [(0, 0)]


@pytest.mark.parametrize(("request_number", "ended", "left"), [(COMMIT, COMMITTED, [(1,)]), (ROLLBACK, ROLLED_BACK, [])])
def test_the_end_of_a_transaction_cannot_be_given_up(
    server: SqlServer, client: TdsClient, request_number: int, ended: int, left: list[tuple[int]]
) -> None:
    client.transaction(BEGIN, b"\0\0")
    client.batch("INSERT dbo.T (Id) VALUES (1)")
    server.inject(action="delay", seconds=60, pattern="(COMMIT|ROLLBACK) TRANSACTION")
    client.send(TRANSACTION_MANAGER, HEADERS + struct.pack("<H", request_number) + b"\0\0")
    client.send(ATTENTION, b"")
    assert client.answer().environment == [ended]
    assert client.answer().done == [(DONE, ATTENTION_DONE, 0)]
    with contextlib.closing(TdsClient(server.port)) as other:
        assert other.batch("SELECT Id FROM dbo.T").rows == left
        assert other.batch("INSERT dbo.T (Id) VALUES (2)").errors == []  # the lock is free


def test_a_reset_may_keep_the_transaction(client: TdsClient) -> None:
    client.batch("SET XACT_ABORT ON; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; CREATE TABLE #t (a int)")
    client.batch("EXEC sp_getapplock 'mine', 'Exclusive', 'Session'; EXEC sp_set_session_context N'k', 1")
    client.batch("BEGIN TRANSACTION; INSERT dbo.T (Id) VALUES (1)")
    answer = client.batch("SELECT @@TRANCOUNT, @@OPTIONS & 16384, COUNT(*) FROM dbo.T", RESET_KEEP_TRANSACTION)
    assert answer.environment == [RESET_DONE] and answer.rows == [(1, 0, 1)]
    assert client.batch("SELECT * FROM #t").errors[0][0] == 208
    asked = "SELECT APPLOCK_MODE('public', 'mine', 'Session'), SESSION_CONTEXT(N'k')"
    assert client.batch(asked).rows == [("NoLock", None)]
    assert client.batch("COMMIT").environment == [COMMITTED]
    assert client.batch("SELECT Id FROM dbo.T", RESET_KEEP_TRANSACTION).rows == [(1,)]


# -- errors and messages


@pytest.mark.parametrize(
    ("sql", "numbers", "done"),
    [
        ("INSERT dbo.T (Id) VALUES (1)", [2627, 3621], [ERROR]),
        ("INSERT dbo.T (Id) VALUES (NULL)", [515, 3621], [ERROR]),
        ("UPDATE dbo.T SET V = 1 / 0", [8134, 3621], [ERROR]),
        ("INSERT dbo.Child VALUES (1, 9)", [547, 3621], [ERROR]),
        ("UPDATE dbo.T SET V = CAST(3000000000 AS bigint)", [8115, 3621], [ERROR]),
        ("UPDATE dbo.T SET V = (SELECT value FROM GENERATE_SERIES(1, 2))", [512, 3621], [ERROR]),
        ("INSERT dbo.T (Id) VALUES (1); PRINT 'on'", [2627, 3621, 0], [ERROR | MORE, 0]),
        ("INSERT dbo.T (Id) VALUES (1); SELECT 1", [2627, 3621], [ERROR | MORE, COUNT]),
        ("SET XACT_ABORT ON; INSERT dbo.T (Id) VALUES (1)", [2627], [ERROR]),
        ("BEGIN TRY INSERT dbo.T (Id) VALUES (1) END TRY BEGIN CATCH PRINT ERROR_NUMBER() END CATCH", [0], [0]),
        ("SELECT 1 / 0", [8134], [ERROR]),
        ("SELECT 1 / 0 AS a INTO #t", [8134, 3621], [ERROR]),
        ("UPDATE dbo.T SET V = 'x'", [245], [ERROR]),
        ("UPDATE dbo.T SET Nowhere = 1", [207], [ERROR]),
        ("ALTER TABLE dbo.T ADD CONSTRAINT c CHECK (Id > 1)", [547], [ERROR]),
        ("RAISERROR ('x', 16, 1)", [50000], [ERROR]),
    ],
)
def test_message_3621_follows_an_error_that_ends_a_change_and_not_the_batch(
    client: TdsClient, sql: str, numbers: list[int], done: list[int]
) -> None:
    client.batch("INSERT dbo.T (Id) VALUES (1)")
    answer = client.batch(sql)
    assert [number for number, _ in answer.messages] == numbers
    assert [status for _, status, _ in answer.done] == done


@pytest.mark.parametrize(
    ("sql", "errors"),
    [
        ("RAISERROR ('x', 19, 3) WITH LOG", [(50000, 19, 3)]),
        ("RAISERROR ('x', 19, 3)", [(2754, 16, 1)]),
        ("RAISERROR ('x', 21, 3) WITH NOWAIT", [(2754, 16, 1)]),
        ("RAISERROR ('x', 99, 3) WITH LOG, NOWAIT", [(50000, 25, 3)]),
        ("RAISERROR ('x', -1, 3)", []),
    ],
)
def test_severities_of_raiserror(client: TdsClient, sql: str, errors: list[tuple[int, int, int]]) -> None:
    client.send(BATCH, HEADERS + sql.encode("utf-16-le"))
    assert client.answer(pushed=True).errors == errors


def test_raiserror_with_nowait_arrives_when_it_is_raised(client: TdsClient) -> None:
    """The batch would take a minute."""
    sql = "SELECT 1; RAISERROR ('begun', 10, 1) WITH NOWAIT; WAITFOR DELAY '00:01:00'"
    client.send(BATCH, HEADERS + sql.encode("utf-16-le"))
    packet = client.receive_packet()
    assert "begun".encode("utf-16-le") in packet and packet[1] == 0
    client.send(ATTENTION, b"")
    client.receive()
    assert client.answer().done == [(DONE, ATTENTION_DONE, 0)]


# -- parameters


@pytest.mark.parametrize(("count", "errors"), [(2098, []), (2099, [8003]), (2500, [8003])])
def test_a_request_has_at_most_2100_parameters(client: TdsClient, count: int, errors: list[int]) -> None:
    """Statement and declarations are two of them."""
    declared = ", ".join(f"@p{number} int" for number in range(count))
    answer = execute(client, f"SELECT @p{count - 1}", declared, *[("", 0, INT, 7)] * count)
    assert [number for number, _, _ in answer.errors] == errors
    assert client.batch("SELECT 1").rows == [(1,)]


def test_a_parameter_that_is_sent_without_a_value_has_its_default_or_is_missing(client: TdsClient) -> None:
    missing = execute(client, "SELECT @a", "@a int", ("@a", DEFAULT, INT, None))
    assert [number for number, _, _ in missing.errors] == [8178]
    assert execute(client, "SELECT @a", "@a int = 5", ("@a", DEFAULT, INT, None)).rows == [(5,)]
    assert execute(client, "SELECT @a", "@a int", ("@a", 0, INT, None)).rows == [(None,)]
    assert execute(client, "SET @a = 3", "@a int OUTPUT", ("@a", BY_REFERENCE, INT, None)).values == {"@a": 3}
    assert execute(client, "SELECT @b", "@a int = 1, @b int", ("", DEFAULT, INT, None), ("", 0, INT, 4)).rows == [(4,)]


def raw(client: TdsClient, declared: str, type_and_value: bytes) -> Answer:
    """sp_executesql of SELECT @a with the bytes of a parameter."""

    def text(value: str) -> bytes:
        data = value.encode("utf-16-le")
        return b"\0\0\xe7" + struct.pack("<H", 8000) + bytes.fromhex("0904d00034") + struct.pack("<H", len(data)) + data

    body = struct.pack("<HHH", 0xFFFF, 10, 0) + text("SELECT @a") + text(f"@a {declared}") + b"\x02@\0a\0\0" + type_and_value
    client.send(RPC, HEADERS + body)
    return client.answer()


@pytest.mark.parametrize(
    ("declared", "type_and_value"),
    [
        ("float", b"\x6d\x08\x08" + struct.pack("<d", float("nan"))),
        ("float", b"\x6d\x08\x08" + struct.pack("<d", float("-inf"))),
        ("real", b"\x6d\x04\x04" + struct.pack("<f", float("inf"))),
        ("float", b"\x3e" + struct.pack("<d", float("nan"))),
        ("decimal(5, 2)", bytes.fromhex("6a 05 05 02 05 01 a0860100")),
        ("decimal(5, 2)", bytes.fromhex("6a 05 05 06 05 01 01000000")),
        ("date", bytes.fromhex("28 03 dbb937")),
        ("time(7)", bytes.fromhex("29 07 05 00c0692ac9")),
        ("datetime2(0)", bytes.fromhex("2a 00 06 805101 010000")),
        ("datetimeoffset(0)", bytes.fromhex("2b 00 08 000000 010000 4903")),
        ("datetime", bytes.fromhex("6f 08 08 00000000 00828b01")),
        ("datetime", bytes.fromhex("6f 08 08 00000080 00000000")),
        ("smalldatetime", bytes.fromhex("6f 04 04 0000 a005")),
        ("nvarchar(5)", bytes.fromhex("e7 0a00 0904d00034 0300 610062")),
        ("sql_variant", bytes.fromhex("62 491f0000 0a000000 3e 00 000000000000f07f")),
        ("sql_variant", bytes.fromhex("62 491f0000 06000000 22 00 00000000")),
    ],
)
def test_bytes_that_are_no_value_of_their_type_are_error_8023(client: TdsClient, declared: str, type_and_value: bytes) -> None:
    assert [number for number, _, _ in raw(client, declared, type_and_value).errors] == [8023]
    assert client.batch("SELECT 1").rows == [(1,)]


def test_the_error_of_a_bad_value_names_its_parameter(client: TdsClient) -> None:
    (message,) = raw(client, "float", b"\x6d\x08\x08" + struct.pack("<d", float("inf"))).messages
    assert 'Parameter 3 ("@a")' in message[1] and "data type float" in message[1]


def test_the_byte_order_mark_of_xml_is_no_data(client: TdsClient) -> None:
    xml = SqlType("xml")
    statement = "INSERT dbo.T (Id, X) VALUES (1, @a); SELECT X FROM dbo.T; SELECT @a"
    assert execute(client, statement, "@a xml", ("", 0, xml, "\ufeff<a>\ufeff</a>")).rows == [("<a>\ufeff</a>",)] * 2
    assert execute(client, "SELECT @a", "@a nvarchar(10)", ("", 0, NVARCHAR, "\ufeffx")).rows == [("\ufeffx",)]


@pytest.mark.parametrize("units", ["3dd8", "00de", "610000de3dd86200", "3dd800de"])
def test_half_pairs_of_surrogates_come_back_as_they_were_sent(client: TdsClient, units: str) -> None:
    data = bytes.fromhex(units)
    text = data.decode("utf-16-le", "surrogatepass")
    sent = bytes.fromhex("e7 2800 0904d00034") + struct.pack("<H", len(data)) + data
    assert raw(client, "nvarchar(20)", sent).rows == [(text,)]
    sent = bytes.fromhex("e7 ffff 0904d00034") + struct.pack("<QI", len(data), len(data)) + data + bytes(4)
    assert raw(client, "nvarchar(max)", sent).rows == [(text,)]
    client.send(BATCH, HEADERS + "SELECT N'".encode("utf-16-le") + data + "'".encode("utf-16-le"))
    assert client.answer().rows == [(text,)]


VARIANTS = [
    (Variant(INT, -5), ("int", -5)),
    (Variant(SqlType("bigint"), 2**40), ("bigint", 2**40)),
    (Variant(SqlType("tinyint"), 5), ("tinyint", 5)),
    (Variant(SqlType("bit"), 1), ("bit", 1)),
    (Variant(FLOAT, 1.5), ("float", 1.5)),
    (Variant(SqlType("real"), 1.5), ("real", 1.5)),
    (Variant(SqlType("money"), Decimal("-1.25")), ("money", Decimal("-1.25"))),
    (Variant(SqlType("decimal", 0, 9, 4), Decimal("1.25")), ("decimal", Decimal("1.2500"))),
    (Variant(SqlType("numeric", 0, 20, 2), Decimal("-1.25")), ("numeric", Decimal("-1.25"))),
    (Variant(SqlType("nvarchar", 10), "ä😀"), ("nvarchar", "ä😀")),
    (Variant(SqlType("varchar", 10), "ä"), ("varchar", "ä")),
    (Variant(SqlType("varbinary", 10), b"\x01\xff"), ("varbinary", b"\x01\xff")),
    (Variant(SqlType("date"), "2026-01-02"), ("date", 739_617)),
    (Variant(SqlType("time", 0, 0, 3), "00:00:01.500"), ("time", 15_000_000)),
    (Variant(SqlType("datetime2", 0, 0, 7), "2026-01-02 00:00:00.0000001"), ("datetime2", (739_617, 1))),
    (Variant(SqlType("datetime"), "1900-01-02 00:00:01.000"), ("datetime", (1, 300))),
    (None, None),
]


@pytest.mark.parametrize(("value", "expected"), VARIANTS)
def test_a_variant_comes_back_with_its_base_type(client: TdsClient, value: Variant | None, expected: Any) -> None:
    statement = "INSERT dbo.T (Id, S) VALUES (1, @v); SELECT S FROM dbo.T; SELECT @v; SET @o = @v"
    kind = SqlType("sql_variant")
    answer = execute(
        client, statement, "@v sql_variant, @o sql_variant OUTPUT", ("", 0, kind, value), ("", BY_REFERENCE, kind, None)
    )
    assert answer.errors == [] and answer.rows == [(expected,)] * 2 and list(answer.values.values()) == [expected]
    typed = execute(client, "SELECT CAST(SQL_VARIANT_PROPERTY(@v, 'BaseType') AS sysname)", "@v sql_variant", ("", 0, kind, value))
    assert typed.rows == [(expected and expected[0],)]


def test_a_variant_is_not_converted_by_itself(client: TdsClient) -> None:
    given = ("", 0, SqlType("sql_variant"), Variant(INT, 5))
    assert [number for number, _, _ in execute(client, "SELECT @a", "@a int", given).errors] == [257]
    assert execute(client, "SELECT CAST(@a AS int) + 1", "@a sql_variant", given).rows == [(6,)]


# -- descriptions of columns

NOT_NULL, NULL, IDENTITY, COMPUTED, COLUMN = 0, 1, 0x10, 0x20, 0x08
DESCRIBED = [
    ("SELECT Id, V FROM dbo.D", [("int", COLUMN), ("int", COLUMN | NULL)]),
    ("SELECT N, I8, I2, I1, B, F, R, M, SM, DT, SD FROM dbo.D", [(name, COLUMN) for name in (
        "int", "bigint", "smallint", "tinyint", "bit", "float", "real", "money", "smallmoney", "datetime", "smalldatetime")]),
    ("SELECT Rv, T, Nt, Im FROM dbo.D", [
        ("binary", 0), ("text", COLUMN | NULL), ("ntext", COLUMN | NULL), ("image", COLUMN | NULL)]),
    ("SELECT 1, 'a', COUNT(*), MAX(Id), Id + 1 FROM dbo.D GROUP BY Id", [
        ("int", COMPUTED), ("varchar", COMPUTED), ("int", COMPUTED), ("int", COMPUTED | NULL), ("int", COMPUTED | NULL)]),
    ("SELECT a.Id, b.Id FROM dbo.D a LEFT JOIN dbo.D b ON a.Id = b.Id", [("int", COLUMN), ("int", COLUMN | NULL)]),
    ("SELECT a.Id, b.Id FROM dbo.D a FULL JOIN dbo.D b ON a.Id = b.Id", [("int", COLUMN | NULL), ("int", COLUMN | NULL)]),
    ("SELECT x.Id FROM (SELECT Id FROM dbo.D) x UNION ALL SELECT V FROM dbo.D", [("int", COMPUTED | NULL)]),
    ("SELECT a.Id, b.Id FROM dbo.D a OUTER APPLY (SELECT Id FROM dbo.D x WHERE x.Id > a.Id) b", [
        ("int", COLUMN), ("int", COMPUTED | NULL)]),
    ("SELECT ISNULL(V, 0), COALESCE(V, 0), CASE WHEN Id = 1 THEN 1 END, (SELECT 1), NULLIF(Id, 1) FROM dbo.D", [
        ("int", COMPUTED), ("int", COMPUTED), ("int", COMPUTED | NULL), ("int", COMPUTED | NULL), ("int", COMPUTED | NULL)]),
    ("UPDATE dbo.D SET V = 1 OUTPUT deleted.Id, inserted.V", [("int", COMPUTED), ("int", COMPUTED | NULL)]),
    ("MERGE dbo.D AS t USING (SELECT 99 AS Id) AS s ON t.Id = s.Id WHEN NOT MATCHED THEN INSERT (Id) VALUES (s.Id) "
     "OUTPUT deleted.Id, inserted.Id, s.Id, $action;", [
        ("int", COMPUTED | NULL), ("int", COMPUTED | NULL), ("int", COMPUTED | NULL), ("nvarchar", COMPUTED)]),
    ("SELECT K FROM dbo.Own", [("bigint", IDENTITY)]),
]  # fmt: skip


@pytest.fixture(scope="module")
def described(server: SqlServer) -> Iterator[TdsClient]:
    with contextlib.closing(TdsClient(server.port, packet_size=512)) as opened:
        columns = (
            "Id int NOT NULL PRIMARY KEY, V int NULL, N int NOT NULL DEFAULT 1, I8 bigint NOT NULL DEFAULT 2, I2 smallint NOT NULL "
            "DEFAULT 3, I1 tinyint NOT NULL DEFAULT 4, B bit NOT NULL DEFAULT 1, F float NOT NULL DEFAULT 1.5, R real NOT NULL "
            "DEFAULT 2.5, M money NOT NULL DEFAULT 1, SM smallmoney NOT NULL DEFAULT 2, DT datetime NOT NULL DEFAULT '19000102', "
            "SD smalldatetime NOT NULL DEFAULT '19000102', Rv rowversion, T text, Nt ntext, Im image"
        )
        opened.batch(f"CREATE TABLE dbo.D ({columns}); CREATE TABLE dbo.Own (K bigint IDENTITY PRIMARY KEY)")
        opened.batch(
            "INSERT dbo.D (Id, T, Nt, Im) VALUES (1, REPLICATE(CAST('x' AS varchar(max)), 5000), N'ä', 0x01), (2, '', N'', 0x)"
        )
        yield opened


def _shown(column: Column) -> tuple[str, int]:
    return column.type.name, column.flags


@pytest.mark.parametrize(("sql", "expected"), DESCRIBED)
def test_columns_are_described_as_they_are(described: TdsClient, sql: str, expected: list[tuple[str, int]]) -> None:
    answer = described.batch(f"BEGIN TRANSACTION; {sql}; ROLLBACK")
    assert answer.errors == [] and [_shown(column) for column in answer.results[0].columns] == expected


def test_a_rowversion_and_long_values_are_told_as_such(described: TdsClient) -> None:
    answer = described.batch("SELECT Rv, T, Nt, Im FROM dbo.D ORDER BY Id")
    (stamp, *long) = answer.results[0].columns
    assert stamp.user_type == 80 and [column.table for column in long] == [("dbo", "D")] * 3
    assert [row[1:] for row in answer.rows] == [("x" * 5000, "ä", b"\x01"), ("", "", b"")]
    assert all(len(row[0]) == 8 for row in answer.rows)
