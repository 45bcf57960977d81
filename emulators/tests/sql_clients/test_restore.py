"""A database that is restored from a backup while an app uses it, through pyodbc and Microsoft's driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyodbc
import pytest
import requests

from emulators.launch import SqlServer

IDENTITY = """SELECT d.database_id, d.create_date, d.service_broker_guid, d.is_broker_enabled, r.database_guid, r.family_guid,
    r.recovery_fork_guid, r.first_recovery_fork_guid, r.fork_point_lsn
    FROM sys.databases d JOIN sys.database_recovery_status r ON r.database_id = d.database_id WHERE d.name = DB_NAME()"""
VERSIONS = (
    "SELECT CHANGE_TRACKING_CURRENT_VERSION(), CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID('dbo.T')), "
    "(SELECT MAX(SYS_CHANGE_VERSION) FROM CHANGETABLE(CHANGES dbo.T, 0) c), (SELECT COUNT(*) FROM dbo.T)"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SqlServer]:
    pyodbc.pooling = False
    with SqlServer(tmp_path, "real") as running:
        with contextlib.closing(running.connect()) as connection:
            connection.execute(
                "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; CREATE TABLE dbo.T (Id int IDENTITY PRIMARY KEY, N int); "
                "ALTER TABLE dbo.T ENABLE CHANGE_TRACKING; INSERT dbo.T VALUES (1); INSERT dbo.T VALUES (2)"
            )
        yield running


def row(server: SqlServer, sql: str) -> tuple[Any, ...]:
    with contextlib.closing(server.connect()) as connection:
        return tuple(connection.execute(sql).fetchone())


def test_versions_and_data_are_those_of_the_backup(server: SqlServer, tmp_path: Path) -> None:
    server.backup(tmp_path / "backup")
    with contextlib.closing(server.connect()) as connection:
        for number in range(5):
            connection.execute("INSERT dbo.T VALUES (?)", number)
        connection.execute("CREATE TABLE dbo.Later (Id int)")
    assert row(server, VERSIONS) == (7, 0, 7, 7)
    server.restore(tmp_path / "backup")
    assert row(server, VERSIONS) == (2, 0, 2, 2)
    assert row(server, "SELECT OBJECT_ID('dbo.Later'), IDENT_CURRENT('dbo.T')") == (None, 2)
    with contextlib.closing(server.connect()) as connection:
        connection.execute("INSERT dbo.T VALUES (9)")
    assert row(server, VERSIONS) == (3, 0, 3, 3)  # the same version again, for another change
    server.stop()
    server.start()
    assert row(server, VERSIONS) == (3, 0, 3, 3)


def test_what_a_restore_changes_of_the_database(server: SqlServer, tmp_path: Path) -> None:
    before = row(server, IDENTITY)
    number, created, broker, enabled, guid, family, fork, first, point = before
    assert (number, enabled, family, first, point) == (5, True, guid, fork, None)
    server.backup(tmp_path / "backup")
    assert row(server, IDENTITY) == before
    server.stop()
    server.start()
    assert row(server, IDENTITY) == before
    server.restore(tmp_path / "backup")
    after = row(server, IDENTITY)
    assert after[:3] == (number, created, broker)
    assert after[3] is False
    assert after[4:6] == (guid, family)
    assert after[6] != fork
    assert after[7] == fork
    assert after[8] is not None
    server.restore(tmp_path / "backup")
    again = row(server, IDENTITY)
    assert again[6] not in (fork, after[6])
    assert again[7] == fork


def test_a_backup_of_another_database_brings_its_family(server: SqlServer, tmp_path: Path) -> None:
    own = row(server, IDENTITY)
    with SqlServer(tmp_path / "other", "real") as other:
        foreign = row(other, IDENTITY)
        other.backup(tmp_path / "foreign")
    server.restore(tmp_path / "foreign")
    restored = row(server, IDENTITY)
    assert (restored[4], restored[5], restored[2]) == (own[4], foreign[5], foreign[2])
    assert row(server, "SELECT OBJECT_ID('dbo.T')") == (None,)


def test_connections_end_and_their_transactions_with_them(server: SqlServer, tmp_path: Path) -> None:
    server.backup(tmp_path / "backup")
    with contextlib.closing(server.connect(autocommit=False)) as connection:
        connection.execute("INSERT dbo.T VALUES (77)")
        server.restore(tmp_path / "backup")
        with pytest.raises(pyodbc.OperationalError) as caught:
            connection.execute("SELECT 1")
        assert caught.value.args[0] == "08S01"
    assert row(server, "SELECT COUNT(*) FROM dbo.T") == (2,)


def test_a_file_that_is_no_backup(server: SqlServer, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("no backup")
    for name in ("missing", "bad"):
        with pytest.raises(requests.HTTPError, match="backup"):
            server.restore(tmp_path / name)
    assert row(server, "SELECT COUNT(*) FROM dbo.T") == (2,)
