"""CONVERT between dates and strings in the SQL Server emulator: every style, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.sql_server.values.date_styles import NEW_ORDERS, canonical, styled
from emulators.sql_server.values.datetimes import parse, text_of
from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("styles")))
    yield server.client()
    server.database.close()


OUTPUT = {  # of a datetime, as the table of CAST and CONVERT gives the forms
    0: "Jan  2 2024  3:04PM",
    1: "01/02/24",
    2: "24.01.02",
    3: "02/01/24",
    4: "02.01.24",
    5: "02-01-24",
    6: "02 Jan 24",
    7: "Jan 02, 24",
    8: "15:04:05",
    9: "Jan  2 2024  3:04:05:677PM",
    10: "01-02-24",
    11: "24/01/02",
    12: "240102",
    13: "02 Jan 2024 15:04:05:677",
    14: "15:04:05:677",
    20: "2024-01-02 15:04:05",
    21: "2024-01-02 15:04:05.677",
    22: "01/02/24  3:04:05 PM",
    23: "2024-01-02",
    24: "15:04:05",
    25: "2024-01-02 15:04:05.677",
    100: "Jan  2 2024  3:04PM",
    101: "01/02/2024",
    102: "2024.01.02",
    103: "02/01/2024",
    104: "02.01.2024",
    105: "02-01-2024",
    106: "02 Jan 2024",
    107: "Jan 02, 2024",
    108: "15:04:05",
    109: "Jan  2 2024  3:04:05:677PM",
    110: "01-02-2024",
    111: "2024/01/02",
    112: "20240102",
    113: "02 Jan 2024 15:04:05:677",
    114: "15:04:05:677",
    120: "2024-01-02 15:04:05",
    121: "2024-01-02 15:04:05.677",
    126: "2024-01-02T15:04:05.677",
    127: "2024-01-02T15:04:05.677",
}
READ_BACK = [style for style in OUTPUT if style in (12, 112, 6, 7, 106, 107) or style in NEW_ORDERS and style != 22]
"""Styles that show the whole date, and read it."""


def test_every_style_of_a_datetime(client: Client) -> None:
    for style, text in OUTPUT.items():
        sql = f"SELECT CONVERT(varchar(40), CAST('2024-01-02T15:04:05.677' AS datetime), {style})"
        assert client.value(sql) == text, style
    assert client.error("SELECT CONVERT(varchar(40), GETDATE(), 99)").number == 281
    assert client.error("SELECT CONVERT(nvarchar(40), GETDATE(), 130)").number == 40517


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        ("CAST('2024-01-02T03:04:05.678' AS datetime2(3))", 113, "02 Jan 2024 03:04:05.678"),
        ("CAST('2024-01-02T03:04:05.678' AS datetime2(3))", 114, "03:04:05.678"),
        ("CAST('2024-01-02T03:04:05' AS datetime2(0))", 121, "2024-01-02 03:04:05"),
        ("CAST('2024-01-02T03:04:00' AS smalldatetime)", 121, "2024-01-02 03:04:00.000"),
        ("CAST('2024-01-02T03:04:00' AS smalldatetime)", 126, "2024-01-02T03:04:00"),
        ("CAST('2024-01-02' AS date)", 100, "Jan  2 2024"),
        ("CAST('2024-01-02' AS date)", 120, "2024-01-02"),
        ("CAST('03:04:05.12' AS time(2))", 114, "03:04:05.12"),
        ("CAST('2024-01-02 03:04 +02:00' AS datetimeoffset(0))", 120, "2024-01-02 03:04:00 +02:00"),
        ("CAST('2024-01-02 03:04 +02:00' AS datetimeoffset(0))", 127, "2024-01-02T01:04:00Z"),
        ("CAST('03:04:05.12' AS time(2))", 100, "3:04AM"),
        ("CAST('15:04:05.12' AS time(2))", 109, "3:04:05.12PM"),
        ("CAST('03:04:05' AS time(0))", 22, " 3:04:05 AM"),
        ("CAST(0.1 AS float)", 3, "1.0000000000000001e-001"),
        ("CAST(1 AS float)", 1, "1.0000000e+000"),
    ],
)
def test_styles_of_the_other_types(client: Client, value: str, style: int, text: str) -> None:
    assert client.value(f"SELECT CONVERT(varchar(60), {value}, {style})") == text


def test_styles_of_the_part_that_a_type_does_not_have(client: Client) -> None:
    for value, style, number in (("date", 108, 8114), ("date", 114, 281), ("time", 103, 8114), ("datetimeoffset", 114, 40517)):
        assert client.error(f"SELECT CONVERT(varchar(60), CAST('2024-01-02 03:04:05' AS {value}), {style})").number == number


@settings(max_examples=200)
@given(st.dates(date(1950, 1, 1), date(2049, 12, 31)), st.sampled_from(READ_BACK))
def test_a_style_reads_what_it_writes(day: date, style: int) -> None:
    text = styled(f"{day} 00:00:00.0000000", "datetime2", 7, style)
    assert text is not None
    shown = text[:10] if style in (20, 21, 25, 120, 121, 126, 127) else text
    assert text_of(parse(canonical(shown, style, False))[0]) == f"{day} 00:00:00.0000000"


@pytest.mark.parametrize(
    ("text", "style", "old", "new"),
    [  # what datetime and the newer types read: month and day, or the number of the error
        ("03/02/2024", 103, "02-03", "02-03"),
        ("03.02.24", 4, "02-03", "02-03"),
        ("3-2-2024 10:11", 105, "02-03", "02-03"),
        ("03/02/2024", 101, "03-02", "03-02"),
        ("240203", 12, "02-03", "02-03"),
        ("24/02/03", 11, "02-03", "02-03"),
        ("20240203", 103, "02-03", "02-03"),
        ("03 Feb 2024 10:11:12:123", 113, "02-03", "02-03"),
        ("Feb 03, 24", 7, "02-03", "02-03"),
        ("Feb 03 2024", 103, "02-03", "02-03"),
        ("2024-02-03", 103, "03-02", "241"),  # the year may lead, the rest keeps its order
        ("2024-02-03", 101, "02-03", "241"),
        ("02/03/2024", 111, "02-03", "241"),
        ("03/02/24", 103, "241", "241"),
        ("03/02/2024", 3, "241", "241"),
        ("2024-02-03", 23, "241", "02-03"),
        ("2024-02-03", 108, "241", "9807"),
        ("2024-02-03T10:00:00", 103, "241", "02-03"),
        ("2024-02-03T10:00:00Z", 126, "241", "02-03"),
        ("2024-02-03T10:00:00Z", 127, "02-03", "02-03"),
        ("20240203", 127, "241", "02-03"),
        ("31/02/2024", 103, "242", "241"),
        ("no date", 103, "241", "241"),
        ("2024-02-03", 131, "40517", "40517"),
        ("2024-02-03", 99, "40517", "40517"),
    ],
)
def test_a_style_decides_how_a_string_is_read(client: Client, text: str, style: int, old: str, new: str) -> None:
    for kind, expected in (("datetime", old), ("datetime2", new)):
        outcome = client.run(f"SELECT CONVERT({kind}, '{text}', {style})")
        found = str(outcome.numbers[0]) if outcome.numbers else outcome.results[0].rows[0][0][5:10]
        assert found == expected, kind
        if expected.isdigit() and expected != "40517":
            assert client.value(f"SELECT TRY_CONVERT({kind}, '{text}', {style})") is None


def test_a_time_is_read_by_every_style(client: Client) -> None:
    assert client.value("SELECT CONVERT(datetime, '10:11:12', 103)") == "1900-01-01 10:11:12.000"
    assert client.error("SELECT CONVERT(smalldatetime, 'x', 103)").number == 295


@pytest.mark.parametrize(
    "text",
    ["29-Feb-2024", "29 Feb 24", "Feb 29, 2024", "February 29 2024", "Feb 2024 29", "29 2024 feb", "2024 FEB 29", "2024 29 Feb"],
)
def test_dates_with_the_name_of_a_month(client: Client, text: str) -> None:
    assert client.value(f"SELECT CAST('{text} 3:04PM' AS datetime2(0))") == "2024-02-29 15:04:00"
    assert client.value("SELECT CAST('Feb 2024' AS date)") == "2024-02-01"
    assert client.rows("SELECT TRY_CAST('Febx 1 2024' AS date), ISDATE('30-Feb-2024')") == [(None, 0)]
