"""Table variables: each run of a batch has its own, and no rollback takes their rows, in the SQL Server emulator."""

from __future__ import annotations

import contextlib

import pytest

from emulators.tests.tsql.database import Client, Server


def test_table_variables_outlive_a_rollback(table: Client) -> None:
    assert table.rows(
        "DECLARE @v TABLE (a int); BEGIN TRAN; INSERT @v VALUES (1); UPDATE T SET N = 0; INSERT @v VALUES "
        "(2); ROLLBACK; SELECT a FROM @v"
    ) == [(1,), (2,)]
    assert table.value("SELECT SUM(N) FROM T") == 30


FILLED = "DECLARE @v TABLE (Id int IDENTITY PRIMARY KEY, a int UNIQUE); INSERT @v VALUES (7), (8); SELECT Id, a FROM @v"


@pytest.mark.parametrize("before", ["", FILLED])
@pytest.mark.parametrize("changed", ["", "UPDATE T SET N = 0"])
@pytest.mark.parametrize("undo", ["ROLLBACK", "ROLLBACK TRAN p; COMMIT", "COMMIT", "SELECT 1 / 0 FROM T WHERE Id = 1; ROLLBACK"])
def test_a_table_variable_is_empty_in_each_run_of_its_batch(
    table: Client, server: Server, before: str, changed: str, undo: str
) -> None:
    rows = [(1, 7), (2, 8)]
    assert not before or table.rows(before) == rows
    table.rows(f"BEGIN TRAN; SAVE TRAN p; {changed}")
    assert table.rows(FILLED) == rows
    assert table.rows(FILLED) == rows
    with contextlib.suppress(Exception):
        table.rows(undo)
    assert table.value("SELECT @@TRANCOUNT") == 0
    assert table.rows(FILLED) == rows
    assert server.client().rows(FILLED) == rows


def test_a_table_variable_is_empty_though_the_end_of_its_last_run_was_undone(table: Client) -> None:
    batch = f"{FILLED}; BEGIN TRAN; UPDATE T SET N = 0"
    for _ in range(3):
        assert table.rows(batch) == [(1, 7), (2, 8)]
        table.rows("ROLLBACK")
    assert table.value("SELECT SUM(N) FROM T") == 30


def test_a_session_runs_as_many_batches_with_table_variables_as_it_likes(client: Client) -> None:
    for a in [*range(150), *range(150)]:
        assert client.rows(f"DECLARE @v TABLE (a int PRIMARY KEY); INSERT @v VALUES ({a}); SELECT a FROM @v") == [(a,)]
