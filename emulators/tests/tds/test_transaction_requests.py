"""Requests of the transaction manager, and the reset of a connection."""

from __future__ import annotations

import contextlib

from emulators.tests.tds import client as tds_client
from emulators.tests.tds.client import TdsClient
from emulators.tests.tds.server import (
    BEGUN,
    COMMITTED,
    DONE,
    ERROR,
    RESET_DONE,
    ROLLED_BACK,
    RunningServer,
    unused_application,
)


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
