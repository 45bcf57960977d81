"""What the parser of the real server refuses in control of flow."""

from __future__ import annotations

import pytest

from emulators.tests.tsql.database import Client


@pytest.mark.parametrize(
    ("sql", "number", "near"),
    [
        ("IF 1 = 1 BEGIN SELECT 1 END; ELSE SELECT 2", 156, "ELSE"),
        ("IF 1 = 1 BEGIN SELECT 1; END; ELSE BEGIN SELECT 2 END", 156, "ELSE"),
        ("IF 1 = 1 WHILE 1 = 0 BEGIN SELECT 1 END; ELSE SELECT 2", 156, "ELSE"),
        ("IF 1 = 1 IF 1 = 0 BEGIN SELECT 1 END; ELSE SELECT 2", 156, "ELSE"),
        ("IF 1 = 1 BEGIN TRY SELECT 1 END TRY BEGIN CATCH END CATCH; ELSE SELECT 2", 156, "ELSE"),
        ("IF 1 = 1 SELECT 1;; ELSE SELECT 2", 156, "ELSE"),
        ("ELSE SELECT 2", 156, "ELSE"),
        ("IF 1 = 1; SELECT 1", 102, ";"),
        ("IF 1 = 1 SELECT 1 ELSE; SELECT 2", 102, ";"),
        ("WHILE 1 = 0; SELECT 1", 102, ";"),
        ("BEGIN TRY SELECT 1 END TRY; BEGIN CATCH END CATCH", 102, ";"),
        ("BEGIN TRY END TRY BEGIN CATCH END CATCH", 156, "END"),
        ("BEGIN END", 156, "END"),
        ("SELECT 1 AS a; BREAK", 135, "BREAK"),
        ("IF 1 = 0 CONTINUE", 136, "CONTINUE"),
        ("RETURN 1", 178, "return value"),
        ("IF 1 = 0 CREATE SCHEMA s", 156, "SCHEMA"),
        ("BEGIN CREATE VIEW dbo.V AS SELECT 1 AS a END", 156, "VIEW"),
        ("SELECT 1 AS a; CREATE VIEW dbo.V AS SELECT 1 AS a", 111, "CREATE VIEW"),
        ("SELECT 1 AS a; CREATE SCHEMA s", 111, "CREATE SCHEMA"),
        ("CREATE VIEW dbo.V AS SELECT 1 AS a; SELECT 2", 156, "SELECT"),
        ("BEGIN TRY SELECT 1 / 0 END TRY BEGIN CATCH ROLLBACK THROW END CATCH", 102, "THROW"),
        ("BEGIN BEGIN SELECT 1 AS a END THROW 50000, 'x', 1 END", 102, "THROW"),
    ],
)
def test_refused_before_anything_runs(client: Client, sql: str, number: int, near: str) -> None:
    outcome = client.run(f"{sql}")
    assert outcome.results == []
    assert outcome.raised is not None
    assert (outcome.raised.number, near in outcome.raised.text) == (number, True), outcome.raised.text


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("IF 1 = 0 SELECT 1 AS a; ELSE SELECT 2 AS a;", [2]),
        ("IF 1 = 0 BEGIN SELECT 1 AS a; END ELSE BEGIN SELECT 2 AS a; END;", [2]),
        ("IF 1 = 1 IF 1 = 0 SELECT 1 AS a; ELSE SELECT 2 AS a; ELSE SELECT 3 AS a;", [2]),
        ("IF 1 = 0 SELECT 1 AS a; ; SELECT 2 AS a", [2]),
        ("DECLARE @i int = 0; WHILE 1 = 1 BEGIN SET @i += 1; IF @i < 3 CONTINUE; ELSE BREAK; END; SELECT @i", [3]),
        ("BEGIN ;WITH c AS (SELECT 1 AS a) SELECT a FROM c END", [1]),
        ("SELECT 1 AS a; RETURN; SELECT 2 AS a", [1]),
    ],
)
def test_accepted(client: Client, sql: str, expected: list[int]) -> None:
    assert [row[0] for result in client.run(sql).results for row in result.rows] == expected


def test_throw_after_rollback_transaction_is_a_name(client: Client) -> None:
    assert client.error("BEGIN TRAN; ROLLBACK TRANSACTION THROW").number == 6401


def test_a_condition_affects_no_row(client: Client) -> None:
    client.rows("CREATE TABLE dbo.Counted (Id int); INSERT dbo.Counted VALUES (1), (2)")
    assert client.value("UPDATE dbo.Counted SET Id = 3; IF 1 = 1 SELECT @@ROWCOUNT") == 0
    assert client.value("UPDATE dbo.Counted SET Id = 3; IF @@ROWCOUNT = 2 UPDATE dbo.Counted SET Id = 4; SELECT @@ROWCOUNT") == 2
