"""What is tried with each client for SQL Server: one function a line of the table in emulators/docs/sql-server.md.

A function returns the text of the refusal where that is what is expected, and raises NotInClientError where the client has no such
thing.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from emulators.sql_server.tds.tls import tls_contexts
from emulators.tests.sql_clients.clients import Client, NotInClientError, Target, Wiretap


@dataclass
class World:
    """The server, and a client that a feature is tried with."""

    client: Client
    target: Target

    @contextlib.contextmanager
    def connection(self, **options: Any) -> Iterator[Any]:
        """A connection that is closed afterwards."""
        with contextlib.closing(self.client.connect(self.target, **options)) as opened:
            yield opened

    def run(self, connection: Any, sql: str, *values: Any) -> Any:
        """A cursor that has run ``sql``; ``?`` stands for a parameter."""
        cursor = connection.cursor()
        cursor.execute(sql.replace("?", self.client.mark), values) if values else cursor.execute(sql)
        return cursor

    def rows(self, connection: Any, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query returns."""
        return [tuple(row) for row in self.run(connection, sql, *values).fetchall()]

    def table(self, connection: Any, columns: str) -> str:
        """A new table; its name."""
        name = f"T{uuid.uuid4().hex[:10]}"
        self.run(connection, f"CREATE TABLE dbo.{name} ({columns})")
        return name


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _connects(world: World, encryption: str) -> None:
    tap = Wiretap(world.target.server.port)
    target = replace(world.target, port=tap.port)
    with contextlib.closing(tap), contextlib.closing(world.client.connect(target, encryption=encryption)) as connection:
        assert world.rows(connection, "SELECT N'sentinel' AS word") == [("sentinel",)]
        told = world.rows(connection, "SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID")
        assert told == [("FALSE" if encryption in world.client.unencrypted else "TRUE",)]
        assert tap.saw("sentinel") == (encryption in world.client.unencrypted)


def connect_plain(world: World) -> None:
    for way in world.client.unencrypted:
        _connects(world, way)


def connect_tls(world: World) -> None:
    _connects(world, "tls")


def _verifies(world: World, encryption: str) -> None:
    """The right certificate is accepted, another one is not."""
    other = replace(world.target, certificate=world.target.certificate.with_name("other.pem"))
    tls_contexts(other.certificate)
    with pytest.raises(Exception, match=r".|") as refused:
        world.client.connect(other, encryption=encryption).close()
    if isinstance(refused.value, NotInClientError):
        raise refused.value
    _connects(world, encryption)


def connect_mandatory(world: World) -> None:
    _verifies(world, "mandatory")


def connect_strict(world: World) -> None:
    _verifies(world, "strict")


def login_refused(world: World) -> None:
    target = replace(world.target, password="wrong")
    with pytest.raises(Exception, match="Login failed for user 'sa'"):
        world.client.connect(target)


def database_refused(world: World) -> None:
    with pytest.raises(Exception, match=r"Cannot open database|Login failed for user 'sa'|18456"):  # some show the last error only
        world.client.connect(replace(world.target, database="nosuch"))


def autocommit_on(world: World) -> None:
    with world.connection() as connection, world.connection() as other:
        table = world.table(connection, "Id int")
        world.run(connection, f"INSERT INTO {table} VALUES (1)")
        assert world.rows(other, f"SELECT Id FROM {table}") == [(1,)]
        assert world.rows(connection, "SELECT @@TRANCOUNT") == [(0,)]


def autocommit_off(world: World) -> None:
    with world.connection() as other, world.connection(autocommit=False) as connection:
        table = world.table(other, "Id int")
        world.run(connection, f"INSERT INTO {table} VALUES (1)")
        assert world.rows(other, f"SELECT Id FROM {table}") == []
        connection.commit()
        assert world.rows(other, f"SELECT Id FROM {table}") == [(1,)]


def rollback(world: World) -> None:
    with world.connection(autocommit=False) as connection:
        table = world.table(connection, "Id int")
        connection.commit()
        world.run(connection, f"INSERT INTO {table} VALUES (1)")
        connection.rollback()
        assert world.rows(connection, f"SELECT Id FROM {table}") == []
        with contextlib.suppress(Exception):
            world.run(connection, f"INSERT INTO {table} VALUES (2); SELECT 1 / 0 AS x").fetchall()
        connection.rollback()
        assert world.rows(connection, f"SELECT Id FROM {table}") == []


def parameters(world: World) -> None:
    with world.connection() as connection:
        columns = "Id int, I bigint, F float, N nvarchar(20), D decimal(9, 2), B bit, Bi varbinary(8), Da date, W datetime2(3)"
        table = world.table(connection, columns)
        instant = datetime(2026, 1, 2, 3, 4, 5, 678000)
        full = (1, 2**40, 1.5, "text", Decimal("12.34"), True, world.client.binary(b"\x00\x01\xff"), instant.date(), instant)
        insert = f"INSERT INTO {table} VALUES ({', '.join('?' * 9)})"
        world.run(connection, insert, *full)
        world.run(connection, insert, 2, *[None] * 8)
        got = world.rows(connection, f"SELECT * FROM {table} ORDER BY Id")
        assert (*got[0][:6], bytes(got[0][6]), *got[0][7:]) == (*full[:6], bytes(full[6]), *full[7:])
        assert got[1] == (2, *[None] * 8)


def decimals(world: World) -> None:
    with world.connection() as connection:
        table = world.table(connection, "D decimal(38, 10), N decimal(38, 0)")
        values = (Decimal("-1234567890123456789012345678.0123456789"), Decimal("9" * 38))
        world.run(connection, f"INSERT INTO {table} VALUES (?, ?)", *values)
        assert world.rows(connection, f"SELECT D, N FROM {table}") == [values]


def datetime2(world: World) -> None:
    with world.connection() as connection:
        table = world.table(connection, "W datetime2(7)")
        world.run(connection, f"INSERT INTO {table} VALUES (?)", "2026-01-02T03:04:05.1234567")
        shown = world.rows(connection, f"SELECT CONVERT(nvarchar(40), W, 126), W FROM {table}")
        assert shown == [("2026-01-02T03:04:05.1234567", datetime(2026, 1, 2, 3, 4, 5, 123456))]


def unicode(world: World) -> None:
    with world.connection() as connection:
        table = world.table(connection, "N nvarchar(20), X nvarchar(max)")
        text, long = "Zoë 漢字 😀", "é😀" * 5000
        world.run(connection, f"INSERT INTO {table} VALUES (?, ?)", text, long)
        assert world.rows(connection, f"SELECT N, X FROM {table}") == [(text, long)]


def result_sets(world: World) -> None:
    with world.connection() as connection:
        cursor = world.run(connection, "SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SELECT 4 AS d WHERE 1 = 0")
        found = [[tuple(row) for row in cursor.fetchall()]]
        while cursor.nextset():
            found.append([tuple(row) for row in cursor.fetchall()])
        assert found == [[(1,)], [(2, 3)], []]


def row_counts(world: World) -> None:
    with world.connection() as connection:
        table = world.table(connection, "Id int")
        assert world.run(connection, f"INSERT INTO {table} VALUES (1), (2), (3)").rowcount == 3
        assert world.run(connection, f"UPDATE {table} SET Id = Id + ? WHERE Id > ?", 10, 1).rowcount == 2
        assert world.run(connection, f"DELETE FROM {table} WHERE Id = 99").rowcount == 0


def many_rows(world: World) -> None:
    with world.connection() as connection:
        table = world.table(connection, "Id int, N nvarchar(20)")
        cursor = connection.cursor()
        if hasattr(cursor, "fast_executemany"):
            cursor.fast_executemany = True
        statement = f"INSERT INTO {table} VALUES (?, ?)".replace("?", world.client.mark)
        cursor.executemany(statement, [(number, f"row {number}") for number in range(200)])
        assert world.rows(connection, f"SELECT COUNT(*), MAX(N) FROM {table}") == [(200, "row 99")]


def error_number(world: World) -> None:
    with world.connection() as connection:
        table = world.table(connection, "Id int PRIMARY KEY")
        world.run(connection, f"INSERT INTO {table} VALUES (1)")
        with pytest.raises(Exception, match="Violation of PRIMARY KEY constraint") as raised:
            world.run(connection, f"INSERT INTO {table} VALUES (1)")
        assert world.client.error_number(raised.value) == 2627


def _raised(world: World) -> Exception:
    with world.connection() as connection, pytest.raises(Exception, match="mine") as raised:
        world.run(connection, "RAISERROR (N'mine', 15, 7)")
    return raised.value


def severity_and_state(world: World) -> None:
    assert world.client.severity_and_state(_raised(world)) == (15, 7)


def sqlstate(world: World) -> None:
    assert world.client.sqlstate(_raised(world)) == "42000"
    with world.connection() as connection:
        for sql, state in (("SELECT 1 / 0", "22012"), ("SELECT * FROM dbo.Nowhere", "42S02"), ("SELECT CAST('a' AS int)", "22018")):
            with pytest.raises(Exception, match=r".") as raised:
                world.run(connection, sql).fetchall()
            assert world.client.sqlstate(raised.value) == state


def timeout(world: World) -> None:
    with world.connection(seconds=1) as connection:
        started = time.monotonic()
        with pytest.raises(Exception, match=r"(?i)time[d-]? ?out"):
            world.run(connection, "WAITFOR DELAY '00:00:20'")
        assert time.monotonic() - started < 10


def cancel(world: World) -> None:
    with world.connection() as connection:
        cursor = connection.cursor()
        word = f"-- {uuid.uuid4().hex}"
        ended: list[BaseException | None] = []

        def wait() -> None:
            try:
                cursor.execute(f"WAITFOR DELAY '00:00:20' {word}")
                ended.append(None)
            except Exception as error:
                ended.append(error)

        if type(world.client).cancel is Client.cancel:
            raise NotInClientError
        thread = threading.Thread(target=wait)
        thread.start()
        _until(lambda: word in str(world.target.server.stats()))
        world.client.cancel(cursor)
        thread.join(10)
        assert "cancel" in str(ended[0]).lower()
        assert world.rows(connection, "SELECT 1 AS a") == [(1,)]


_LEFT = (
    "SELECT @@SPID, OBJECT_ID(N'tempdb..#left'), @@TRANCOUNT, @@LOCK_TIMEOUT, @@OPTIONS & 16384, "
    "APPLOCK_MODE('public', 'left', 'Session')"
)


def _close_quietly(connection: Any) -> None:
    with contextlib.suppress(Exception):  # some clients fail when it is closed already
        connection.close()


def pooled_reset(world: World) -> None:
    if type(world.client).hand_on is Client.hand_on:
        raise NotInClientError
    with world.connection() as other, contextlib.ExitStack() as stack:
        table = world.table(other, "Id int")
        connection = world.client.pooled(world.target)
        stack.callback(_close_quietly, connection)
        world.run(connection, "SET XACT_ABORT ON; SET LOCK_TIMEOUT 5; CREATE TABLE #left (Id int)")
        world.run(connection, "EXEC sp_getapplock 'left', 'Exclusive', 'Session'")
        world.run(connection, f"BEGIN TRANSACTION; INSERT INTO {table} VALUES (1)")
        [(spid, temporary, *used)] = world.rows(connection, _LEFT)
        assert temporary is not None and used == [1, 5, 16384, "Exclusive"]
        with contextlib.closing(world.client.hand_on(world.target, connection)) as handed_on:
            assert world.rows(handed_on, _LEFT) == [(spid, None, 0, -1, 0, "NoLock")]
            world.run(other, f"SET LOCK_TIMEOUT 2000; INSERT INTO {table} VALUES (2)")
            assert world.rows(handed_on, f"SELECT Id FROM {table}") == [(2,)]


def reconnect(world: World) -> None:
    word = uuid.uuid4().hex
    connection = world.client.connect(world.target)
    table = world.table(connection, "Id int")
    world.target.server.inject(action="drop_after", pattern=word, times=1)
    with pytest.raises(Exception, match=r".+"):
        world.run(connection, f"INSERT INTO {table} VALUES (1) -- {word}")
    _close_quietly(connection)
    with world.connection() as connection:
        assert world.rows(connection, f"SELECT Id FROM {table}") == [(1,)]


def catalogue(world: World) -> None:
    with world.connection() as connection:
        table = world.table(connection, "A int NOT NULL, B nvarchar(20) NULL, PRIMARY KEY (A)")
        cursor = connection.cursor()
        if not hasattr(cursor, "primaryKeys"):
            raise NotInClientError
        assert [tuple(row)[2:4] for row in cursor.tables(table=table).fetchall()] == [(table, "TABLE")]
        assert [tuple(row)[3] for row in cursor.columns(table=table).fetchall()] == ["A", "B"]
        assert [tuple(row)[3] for row in cursor.primaryKeys(table).fetchall()] == ["A"]


def reflection(world: World) -> None:
    if not world.client.sqlalchemy:
        raise NotInClientError
    engine = sa.create_engine(f"{world.client.sqlalchemy}://", creator=lambda: world.client.connect(world.target, autocommit=False))
    suffix = uuid.uuid4().hex[:8]
    metadata = sa.MetaData()
    parent = sa.Table(
        f"Parent{suffix}",
        metadata,
        sa.Column("Id", sa.Integer, primary_key=True),
        sa.Column("Code", sa.Unicode(20), nullable=False, unique=True),
        sa.Column("Price", sa.Numeric(19, 4), server_default=sa.text("0")),
    )
    child = sa.Table(
        f"Child{suffix}",
        metadata,
        sa.Column("Region", sa.Unicode(10), primary_key=True),
        sa.Column("Number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ParentId", sa.ForeignKey(parent.c.Id), index=True),
    )
    metadata.create_all(engine)
    with engine.begin() as connection:
        key = connection.execute(parent.insert().values(Code="a", Price=Decimal("1.2500"))).inserted_primary_key
        assert key is not None
        connection.execute(child.insert(), [{"Region": "n", "Number": n, "ParentId": key[0]} for n in range(3)])
        assert connection.execute(sa.select(parent.c.Price)).scalar() == Decimal("1.2500")
    inspector = sa.inspect(engine)
    assert {parent.name, child.name} <= set(inspector.get_table_names()) and inspector.get_sequence_names() == []
    columns = {column["name"]: column for column in inspector.get_columns(parent.name)}
    assert isinstance(columns["Code"]["type"], sa.NVARCHAR) and columns["Code"]["type"].length == 20
    assert not columns["Code"]["nullable"] and columns["Id"]["autoincrement"]
    assert (columns["Price"]["type"].precision, columns["Price"]["type"].scale) == (19, 4)
    assert inspector.get_pk_constraint(child.name)["constrained_columns"] == ["Region", "Number"]
    foreign = inspector.get_foreign_keys(child.name)
    assert [(key["constrained_columns"], key["referred_table"]) for key in foreign] == [(["ParentId"], parent.name)]
    assert [index["column_names"] for index in inspector.get_indexes(child.name)] == [["ParentId"]]
    reflected = sa.Table(child.name, sa.MetaData(), autoload_with=engine)
    assert [column.name for column in reflected.primary_key] == ["Region", "Number"]
    metadata.drop_all(engine)
    assert not sa.inspect(engine).has_table(parent.name)
    engine.dispose()


def bulk_load(world: World) -> str:
    with world.connection() as connection:
        if type(world.client).bulk_load is Client.bulk_load:
            raise NotInClientError
        table = world.table(connection, "Id int")
        with pytest.raises(Exception) as raised:
            world.client.bulk_load(connection, table)
    return str(raised.value)


def table_valued(world: World) -> str:
    with world.connection() as connection:
        if type(world.client).table_valued is Client.table_valued:
            raise NotInClientError
        with pytest.raises(Exception) as raised:
            world.client.table_valued(connection)
    return str(raised.value)
