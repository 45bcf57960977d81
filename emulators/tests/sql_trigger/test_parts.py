"""Parts of the SQL trigger that need no database: identity, names, settings, connection strings, JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import datetimes, integers

from emulators.functions_host.sql_trigger.connection_string import parse, translate
from emulators.functions_host.sql_trigger.date_texts import rewrite_date_like
from emulators.functions_host.sql_trigger.errors import ListenerError
from emulators.functions_host.sql_trigger.identity import Identity, lease_table, site_function_id
from emulators.functions_host.sql_trigger.monitor import Row, advance_target
from emulators.functions_host.sql_trigger.names import TableName
from emulators.functions_host.sql_trigger.payload import Change, Column, changes_json, double_token, value_token
from emulators.functions_host.sql_trigger.settings import TriggerSettings
from emulators.functions_host.sql_trigger.statements import key_rows
from emulators.functions_host.sql_trigger.table import KeyColumn


def test_function_id_swaps_the_bytes_of_a_guid() -> None:
    assert site_function_id("SqlBindingsTriggerTest", "ProductsTrigger") == "4545f8069724751e"


def test_without_a_site_name_the_host_identifies_the_function() -> None:
    here = Identity.of("F", {}, "host-a")
    assert not here.from_site
    assert here.function_id == here.former_id != Identity.of("F", {}, "host-b").function_id
    site = Identity.of("F", {"WEBSITE_SITE_NAME": "s"}, "host-a")
    assert site.function_id == site_function_id("s", "F")
    assert site.former_id == here.function_id


@pytest.mark.parametrize(
    ("chosen", "quoted"),
    [
        (None, "[az_func].[Leases_0123456789abcdef_42]"),
        ("Mine", "[az_func].[Mine]"),
        ("dbo.X", "[az_func].[dbo.X]"),
        ("[X]", "[az_func].[[X]]]"),
    ],
)
def test_lease_table_name(chosen: str | None, quoted: str) -> None:
    assert lease_table("0123456789abcdef", 42, chosen) == quoted


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Orders", "[Orders]"),
        ("dbo.Orders", "[dbo].[Orders]"),
        ("[dbo].[a.b]]c]", "[dbo].[a.b]]c]"),
        ('[my schema] . [x"y]', '[my schema].[x"y]'),
        ("dbo.[User]", "[dbo].[User]"),
        ("dbo.Größe", "[dbo].[Größe]"),
        ("_a.b$c", "[_a].[b$c]"),
    ],
)
def test_table_names(text: str, quoted: str) -> None:
    assert TableName.parse(text).quoted == quoted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        "dbo.",
        "[open",
        "a b",
        "dbo..x",
        "dbo.Order Lines",
        "dbo.User",
        "table.x",
        "dbo.a-b",
        "dbo.1a",
        '"dbo"."x"',
        "a" * 129,
    ],
)
def test_bad_table_names(text: str) -> None:
    with pytest.raises(ListenerError):
        TableName.parse(text)


def test_settings_defaults_and_limits() -> None:
    settings = TriggerSettings({}, {})
    assert settings.batch_size == 100
    assert settings.polling_interval_seconds == 1.0
    assert settings.max_changes_per_worker == 1000
    assert settings.app_lock_timeout_ms == 30_000
    low = TriggerSettings({"Sql_Trigger_PollingIntervalMs": "1"}, {})  # the floor of 100 ms is host.json's alone
    assert low.polling_interval_seconds == 0.001


@pytest.mark.parametrize(
    "section", [{"PollingIntervalMs": 99}, {"MaxBatchSize": 0}, {"AppLockTimeoutMs": 999}, {"MaxBatchSize": "x"}]
)
def test_limits_of_host_json(section: dict[str, Any]) -> None:
    with pytest.raises(ListenerError, match=next(iter(section))):
        TriggerSettings({}, {"extensions": {"Sql": section}})


def test_host_json_keys_do_not_regard_case() -> None:
    assert TriggerSettings({}, {"extensions": {"sql": {"maxBatchSize": 7}}}).batch_size == 7


def test_connection_string_translation() -> None:
    result = translate(
        """Server=tcp:db.example.net,1433;Initial Catalog=shop;User ID=relay;Password='a;b''}c';"""
        """Encrypt=True;TrustServerCertificate=False;Connection Timeout=5;Command Timeout=60;Max Pool Size=5"""
    )
    assert (
        "SERVER={tcp:db.example.net,1433};APP={functions-host};DATABASE={shop};UID={relay};PWD={a;b'}}c};Encrypt=yes" in result.text
    )
    assert "TrustServerCertificate" not in result.text
    assert (result.connect_seconds, result.command_seconds) == (5, 60)
    identity = translate("Data Source=s;Database=d;Authentication=Active Directory Managed Identity;User Id=client-id")
    assert "Authentication=ActiveDirectoryMsi" in identity.text
    assert (identity.connect_seconds, identity.command_seconds) == (15, 30)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Server=s;AttachDbFilename=x.mdf", "attachdbfilename"),
        ("Server=s;Authentication=Active Directory Default", "authentication"),
        ("Server=s;Encrypt=perhaps", "encrypt"),
        ("Server=s;Connect Timeout=soon", "connect timeout"),
        ("Database=d", "server"),
        ("nonsense", "malformed"),
    ],
)
def test_connection_strings_that_are_refused(text: str, named: str) -> None:
    with pytest.raises(ListenerError, match=named):
        translate(text)


def test_connection_string_quoting() -> None:
    assert parse("""a = "x;""y" ;b='it''s';c==d=e; f=g""") == {"a": 'x;"y', "b": "it's", "c=d": "e", "f": "g"}


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (5.0, "5.0"),
        (0.0, "0.0"),
        (-2.5, "-2.5"),
        (0.0001, "0.0001"),
        (1e-5, "1E-05"),
        (1e16, "10000000000000000.0"),
        (1.5e300, "1.5E+300"),
    ],
)
def test_doubles(value: float, token: str) -> None:
    assert double_token(value) == token
    assert float(token) == value


@pytest.mark.parametrize(
    ("value", "type_name", "token"),
    [
        (Decimal("12345678901234567.123"), "decimal", "12345678901234568.0"),
        (Decimal("5.00"), "numeric", "5.0"),
        (1.100000023841858, "real", "1.1"),
        (1.401298464324817e-45, "real", "1E-45"),
        (True, "bit", "true"),
        (2**53 + 1, "bigint", "9007199254740993"),
        (b"\x01\x02\x03", "varbinary", '"AQID"'),
        ("AEC3B4F6-D2D3-4A9C-8BCD-1B2E3F4A5B6C", "uniqueidentifier", '"aec3b4f6-d2d3-4a9c-8bcd-1b2e3f4a5b6c"'),
        ("2022-10-20T00:00:00.0000000", "datetime2", '"2022-10-20T00:00:00"'),
        ("12:39:13.0000000", "time", '"12:39:13"'),
        ("12:39:13.1230000", "time", '"12:39:13.1230000"'),
        ('a\u2028"\\b', "nvarchar", '"a\\u2028\\"\\\\b"'),
        (None, "int", "null"),
    ],
)
def test_values(value: Any, type_name: str, token: str) -> None:
    assert value_token(value, type_name) == token


@pytest.fixture
def five_hours_west(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Etc/GMT+5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("five_hours_west")
def test_offsets_become_local() -> None:
    assert rewrite_date_like("2022-10-20T12:39:13.1230000+02:00") == "2022-10-20T05:39:13.123-05:00"
    assert rewrite_date_like("2022-10-20T12:39:13Z") == "2022-10-20T12:39:13Z"


@pytest.mark.parametrize(
    "text",
    ["2022-13-20T12:39:13", "2022-10-20", "2022-10-20 12:39:13", "2022-10-20T12:39:13.", "x", "2022-10-20T12:39:13.12345678"],
)
def test_texts_that_only_resemble_dates_stay(text: str) -> None:
    assert rewrite_date_like(text) == text


@pytest.mark.usefixtures("five_hours_west")
@pytest.mark.parametrize(
    ("text", "arrives"),
    [
        ("/Date(1700000000000)/", "2023-11-14T22:13:20Z"),
        ("/Date(-1)/", "1969-12-31T23:59:59.999Z"),
        ("/Date(1700000000000+0100)/", "2023-11-14T17:13:20-05:00"),
        ("/Date(1700000000000-01)/", "2023-11-14T17:13:20-05:00"),
        ("2024-01-01T24:00:00", "2024-01-02T00:00:00"),
        ("2024-01-01T24:00:00.0", "2024-01-02T00:00:00"),
        ("2024-01-01T10:00:00z", "2024-01-01T10:00:00Z"),
        ("2024-01-01T10:00:00+24:00", "2023-12-31T05:00:00-05:00"),
        ("2024-01-01T10:00:00-99:99", "2024-01-05T09:39:00-05:00"),
        ("2024-01-01T10:00:00+05:", "2024-01-01T00:00:00-05:00"),
        ("2024-01-01T10:00:00+05", "2024-01-01T00:00:00-05:00"),
        ("2024-01-01T10:00:0012", "2024-01-01T10:00:00"),
        ("2024-01-01T10:00:00:30", "2024-01-01T10:00:00"),
        ("2024-01-01T10:00:00.1200000", "2024-01-01T10:00:00.12"),
        ("0001-01-01T00:00:00+05:00", "0001-01-01T00:00:00-05:00"),
    ],
)
def test_texts_that_the_reader_takes_for_dates_are_rewritten(text: str, arrives: str) -> None:
    assert rewrite_date_like(text) == arrives
    assert value_token(text, "nvarchar") == f'"{arrives}"'


@pytest.mark.parametrize(
    "text",
    [
        "/Date()/",
        "/Date(x)/",
        "/Date(1+1)/",
        "/Date(9223372036854775808)/",
        "2024-01-01T24:00:01",
        "2024-01-01T25:00:00",
        "2024-01-01T10:60:00",
        "2024-02-30T10:00:00",
        "2024-01-01T10:00:00+5",
        "2024-01-01T10:00:00+05:3",
        "2024-01-01T10:00:001",
        "2024-01-01t10:00:00",
        " 2024-01-01T10:00:00",
    ],
)
def test_texts_that_the_reader_does_not_take_for_dates_stay(text: str) -> None:
    assert rewrite_date_like(text) == text


@pytest.mark.parametrize("text", ["/Date(253402300800000)/", "9999-12-31T24:00:00"])
def test_a_date_beyond_the_calendar_fails_the_batch(text: str) -> None:
    with pytest.raises(OverflowError):
        rewrite_date_like(text)


@given(datetimes(), integers(0, 9))
def test_a_date_without_an_offset_keeps_its_instant(moment: datetime, tick: int) -> None:
    text = f"{moment.isoformat(timespec='microseconds')}{tick}"
    found = rewrite_date_like(text)
    assert found.ljust(20, ".").ljust(27, "0") == text.ljust(27, "0")
    assert rewrite_date_like(found) == found


def test_deletes_have_keys_only_and_order_is_kept() -> None:
    columns = [Column("Name", "nvarchar"), Column("Id", "int")]
    changes = [Change("D", [None, 2]), Change("U", ["x", 1])]
    assert changes_json(changes, columns, ["Id"]) == (
        '[{"Operation":2,"Item":{"Id":2}},{"Operation":1,"Item":{"Name":"x","Id":1}}]'
    )


def test_cursor_target_is_the_second_highest_version() -> None:
    def rows(*versions: int) -> list[Row]:
        return [Row((version,), version, Change("I", [])) for version in versions]

    assert advance_target(rows(7)) == 7
    assert advance_target(rows(7, 7)) == 7
    assert advance_target(rows(5, 9, 7, 9)) == 7


def test_keys_travel_exactly() -> None:
    keys = [
        KeyColumn("A", "decimal", "decimal(38,20)"),
        KeyColumn("B", "datetime", "datetime"),
        KeyColumn("C", "binary", "binary(2)"),
    ]
    row = (Decimal("1.00000000000000000001"), "2022-10-20T12:39:13.1230000", b"\x00\xff")
    assert key_rows([(row, 8)], keys) == '[{"k0": "1.00000000000000000001", "k1": "2022-10-20T12:39:13.123", "k2": "AP8=", "v": 8}]'
