"""What the trigger's extension cannot do with a table is told at start, by name, with the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rowpost.config.errors import ConfigError
from rowpost.config.host_json import batch_rows
from rowpost.config.sections import Duration, RelayConfig, TargetConfig
from rowpost.database.columns import TableColumn
from rowpost.database.trigger_limits import Database, check_leases, check_table, renewal_warnings, seconds_to_post

RELAY = RelayConfig(table="dbo.Orders")
DATABASE = Database(160, "Latin1_General_CI_AS")


def column(name: str, kind: str = "int") -> TableColumn:
    return TableColumn(name, kind, 8, 10, 0)


def check(*columns: tuple[str, str | None], database: Database = DATABASE, key: tuple[str, ...] = ("Id",), rows: int = 100) -> None:
    check_table(RELAY, database, [(column(name), collation) for name, collation in columns], key, rows)


def test_an_ordinary_table_is_taken() -> None:
    check(("Id", None), ("Name", "Latin1_General_CI_AS"), ("Other", "Latin1_General_CS_AS"))
    check(("Id", "Latin1_General_CI_AS"), database=Database(130, "Latin1_General_CI_AS"))
    check(("Id", None), ("SYS_CHANGE_CONTEXT", None))
    check(("Id", None), key=("Id",), rows=2099)
    check(*((f"K{n}", None) for n in range(3)), key=("K0", "K1", "K2"), rows=699)


@pytest.mark.parametrize(
    ("columns", "database", "key", "rows", "said"),
    [
        (
            [("Id", None)],
            Database(120, "x"),
            ("Id",),
            100,
            "compatibility level is 120, and the SQL trigger needs 130; ALTER DATABASE",
        ),
        (
            [("Id", None), ("_AZ_FUNC_changeversion", None)],
            DATABASE,
            ("Id",),
            1,
            "column names _AZ_FUNC_changeversion itself; rename",
        ),
        ([("Id", None), ("Sys_Change_Version", None)], DATABASE, ("Id",), 1, "the column names Sys_Change_Version itself"),
        ([("sys_change_Context", None)], DATABASE, ("sys_change_Context",), 1, "the column names sys_change_Context itself"),
        ([("Id", None), ("Name", None), ("NAME", None)], DATABASE, ("Id",), 1, "cannot tell the columns NAME, Name apart by case"),
        (
            [("Id", "Latin1_General_CS_AS"), ("B", "Latin1_General_CI_AS")],
            DATABASE,
            ("Id", "B"),
            1,
            r"another collation than the database \(Latin1_General_CI_AS\): Id \(Latin1_General_CS_AS\); .* DATABASE_DEFAULT",
        ),
        (
            [(f"K{n}", None) for n in range(3)],
            DATABASE,
            ("K0", "K1", "K2"),
            700,
            "host.json: .*MaxBatchSize: 700 rows .* at most 699",
        ),
        ([("Id", None)], DATABASE, ("Id",), 2100, "host.json: .* at most 2099 for dbo.Orders"),
    ],
)
def test_what_the_trigger_cannot_do_is_refused(
    columns: list[tuple[str, str | None]], database: Database, key: tuple[str, ...], rows: int, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        check(*columns, database=database, key=key, rows=rows)


LONG, SHORT = TableColumn("Id", "nvarchar", 80, 0, 0), TableColumn("Id", "nvarchar", 40, 0, 0)
FINE, COARSE = TableColumn("Id", "datetime2", 8, 27, 7), TableColumn("Id", "datetime2", 7, 23, 3)


@pytest.mark.parametrize(
    ("leased", "key", "held"),
    [
        ([], [column("Id")], True),
        ([column("ID")], [column("Id")], True),
        ([column("B"), column("A")], [column("A"), column("B")], True),
        ([LONG], [SHORT], True),
        ([SHORT], [LONG], False),
        ([FINE], [COARSE], True),
        ([column("Id", "int")], [column("Id", "bigint")], False),
        ([column("Id")], [column("Code")], False),
        ([column("Id")], [column("Id"), column("Code")], False),
        ([column("Id"), column("Code")], [column("Id")], False),
        ([TableColumn("Id", "decimal", 9, 18, 0)], [TableColumn("Id", "decimal", 9, 18, 4)], False),
    ],
)
def test_a_lease_table_of_another_key_is_refused(leased: list[TableColumn], key: list[TableColumn], held: bool) -> None:
    if held:
        check_leases(RELAY, "[az_func].[L]", leased, key)
    else:
        with pytest.raises(ConfigError, match=r"another key than the table.*; DROP TABLE \[az_func\]\.\[L\], then restart"):
            check_leases(RELAY, "[az_func].[L]", leased, key)


@pytest.mark.parametrize(
    ("kind", "seconds"), [("int", 90), ("datetime", 90), ("datetimeoffset", 90), ("date", 30), ("datetime2", 30)]
)
def test_a_batch_ends_within_a_lease_that_cannot_be_renewed(kind: str, seconds: float) -> None:
    target = TargetConfig(name="api", url="https://api.example/", timeout=Duration(10))
    key = [column("Id"), column("At", kind)]
    assert seconds_to_post(target, key) == seconds
    assert renewal_warnings(RELAY, target, key) == []


def test_where_it_may_not_that_is_said() -> None:
    target = TargetConfig(name="api", url="https://api.example/", timeout=Duration(25))
    (said,) = renewal_warnings(RELAY, target, [column("At", "date")])
    assert said.startswith("targets.timeout of api: ") and "At is a date or datetime2" in said and said.endswith("at most 22.5 s")
    assert seconds_to_post(target, [column("At", "date")]) == 5
    assert renewal_warnings(RELAY, target, [column("Id")]) == []


@pytest.mark.parametrize(
    ("document", "settings", "rows"),
    [
        ({"extensions": {"Sql": {"MaxBatchSize": 700}}}, {}, 700),
        ({"Extensions": {"sql": {"maxBatchSize": 5}}}, {}, 5),
        ({"extensions": {"Sql": {"MaxBatchSize": 700}}}, {"Sql_Trigger_MaxBatchSize": "20"}, 20),
        ({}, {"Sql_Trigger_BatchSize": "30"}, 30),
        ({}, {"Sql_Trigger_BatchSize": "30", "Sql_Trigger_MaxBatchSize": "40"}, 40),
        ({}, {}, 100),
        ([], {"Sql_Trigger_MaxBatchSize": "x"}, 100),
        ({"extensions": {"Sql": {"MaxBatchSize": "x"}}}, {}, 100),
        ({"extensions": None}, {}, 100),
    ],
)
def test_the_batch_size_is_that_of_the_host(document: object, settings: dict[str, str], rows: int, tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(json.dumps(document))
    assert batch_rows(tmp_path, settings) == rows


def test_without_a_file_it_is_the_default(tmp_path: Path) -> None:
    assert batch_rows(tmp_path, {}) == 100
