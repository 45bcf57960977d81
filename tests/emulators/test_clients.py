"""What each client for SQL Server can do with the stand-in: a table of clients × features.

A complete run writes what it saw to docs/stand-ins/clients.json, from which the page on the stand-in is made.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyodbc
import pytest
import sqlalchemy as sa

from devtools import npm_tools
from emulators.launch import SqlServer
from tests.emulators.clients import CLIENTS, Client, NotInClientError, Target, Wiretap

TABLE = Path(__file__).parents[2] / "docs" / "stand-ins" / "clients.json"
TEDIOUS = Path(__file__).with_name("tedious_features.cjs")
YES, ABSENT, REFUSED = "yes", "absent", "refused"


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


def _connects(world: World, encryption: str) -> None:
    tap = Wiretap(world.target.server.port)
    target = Target(world.target.server, world.target.certificate, tap.port)
    with contextlib.closing(tap), contextlib.closing(world.client.connect(target, encryption=encryption)) as connection:
        assert world.rows(connection, "SELECT N'sentinel' AS word") == [("sentinel",)]
        assert tap.saw("sentinel") == (encryption == "plain")


def connect_plain(world: World) -> None:
    _connects(world, "plain")


def connect_tls(world: World) -> None:
    _connects(world, "tls")


def connect_strict(world: World) -> None:
    _connects(world, "strict")


def login_refused(world: World) -> None:
    target = Target(world.target.server, world.target.certificate, password="wrong")
    with pytest.raises(Exception, match="Login failed for user 'sa'"):
        world.client.connect(target)


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


def reconnect(world: World) -> None:
    word = uuid.uuid4().hex
    connection = world.client.connect(world.target)
    table = world.table(connection, "Id int")
    world.target.server.inject(action="drop_after", pattern=word, times=1)
    with pytest.raises(Exception, match=r".+"):
        world.run(connection, f"INSERT INTO {table} VALUES (1) -- {word}")
    with contextlib.suppress(Exception):  # some clients fail again
        connection.close()
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


@dataclass(frozen=True)
class Feature:
    """A line of the table. ``absent`` names the clients that have no such thing; ``refusal`` what the server's error names."""

    title: str
    run: Callable[[World], str | None]
    absent: frozenset[str] = frozenset()
    refusal: str = ""


def _feature(title: str, run: Callable[[World], str | None], absent: str = "", refusal: str = "") -> tuple[str, Feature]:
    return run.__name__, Feature(title, run, frozenset(absent.split()), refusal)


FEATURES = dict(
    [
        _feature("Connection without encryption", connect_plain),
        _feature("Connection with TLS", connect_tls),
        _feature("TDS 8 (Encrypt=strict), certificate verified", connect_strict, "pymssql python-tds"),
        _feature("Refused login, with the text of the server", login_refused),
        _feature("Autocommit on", autocommit_on),
        _feature("Autocommit off: nobody else sees uncommitted rows", autocommit_off),
        _feature("Rollback", rollback),
        _feature("Parameters of the common types, and NULL", parameters),
        _feature("Decimals of 38 digits", decimals),
        _feature("datetime2(7)", datetime2),
        _feature("Unicode, also beyond the BMP, and long texts", unicode),
        _feature("Several result sets", result_sets),
        _feature("Row counts", row_counts),
        _feature("Many rows at once (executemany)", many_rows, "tedious"),
        _feature("Error number of a duplicate key", error_number, "mssql-python"),
        _feature("Time-out of a statement", timeout),
        _feature("Cancellation by another thread", cancel, "mssql-python pymssql python-tds"),
        _feature("A new connection after the server dropped one", reconnect),
        _feature("Catalogue calls", catalogue, "pymssql python-tds tedious"),
        _feature("SQLAlchemy: create, use, reflect, drop", reflection, "python-tds tedious"),
        _feature("Bulk load", bulk_load, "pyodbc", "INSERT BULK|FMTONLY ON"),
        _feature("Table-valued parameters", table_valued, "mssql-python pymssql", "table-valued parameters"),
    ]
)
_seen: dict[str, dict[str, str]] = {}


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    pyodbc.pooling = False
    directory = tmp_path_factory.mktemp("clients")
    with SqlServer(directory, "real") as server:
        yield Target(server, directory / "sql_server.db.certificate.pem")
    _write_table()


def _write_table() -> None:
    """Bring the table up to date for the clients whose features all ran."""
    table = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {"clients": {}}
    complete = {name: results for name, results in _seen.items() if results.keys() == FEATURES.keys()}
    names = [*CLIENTS, "tedious"]
    merged = {name: complete.get(name) or table["clients"].get(name) for name in names}
    document = {
        "features": {name: feature.title for name, feature in FEATURES.items()},
        "clients": {name: {feature: results[feature] for feature in FEATURES} for name, results in merged.items() if results},
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if complete and (not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text):
        TABLE.write_text(text, encoding="utf-8")


def _check(client: str, name: str, run: Callable[[], str | None]) -> None:
    feature = FEATURES[name]
    if client in feature.absent:
        with pytest.raises(NotInClientError):
            run()
        outcome = ABSENT
    elif feature.refusal:
        message = run() or ""
        assert pytest.RaisesExc(Exception, match=feature.refusal).matches(Exception(message)), message
        outcome = REFUSED
    else:
        run()
        outcome = YES
    _seen.setdefault(client, {})[name] = outcome


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("client", CLIENTS)
def test_python_client(target: Target, client: str, name: str) -> None:
    world = World(CLIENTS[client], target)
    _check(client, name, lambda: FEATURES[name].run(world))


@pytest.fixture(scope="module")
def modules() -> str:
    return str(npm_tools.installed())


@pytest.mark.npm
@pytest.mark.parametrize("name", FEATURES)
def test_tedious(target: Target, modules: str, name: str) -> None:
    def run() -> str | None:
        server = target.server
        arguments = {
            "feature": name,
            "port": server.port,
            "control": f"http://127.0.0.1:{server.control_port}",
            "user": server.user,
            "password": server.password,
            "database": server.database,
            "certificate": str(target.certificate),
        }
        tap = Wiretap(server.port) if name.startswith("connect_") else None
        if tap is not None:
            arguments["port"] = tap.port
        result = subprocess.run(
            ["node", str(TEDIOUS), json.dumps(arguments)],
            env={**os.environ, "NODE_PATH": modules},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        answer: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
        if answer.get("absent"):
            raise NotInClientError
        if tap is not None:
            tap.close()
            assert tap.saw("sentinel") == (name == "connect_plain")
        return answer.get("message")

    _check("tedious", name, run)
