"""CONVERT between dates and strings in the SQL Server emulator: every style, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.sql_server.values.date_styles import canonical, styled
from emulators.sql_server.values.datetimes import parse, text_of
from emulators.sql_server.values.results import SqlError
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
WHOLE_DATE = [style for style, text in OUTPUT.items() if "2" in text and ("24" in text or "2024" in text) and "Jan" not in text]


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
        ("CAST(0.1 AS float)", 3, "1.0000000000000001e-001"),
        ("CAST(1 AS float)", 1, "1.0000000e+000"),
    ],
)
def test_styles_of_the_other_types(client: Client, value: str, style: int, text: str) -> None:
    assert client.value(f"SELECT CONVERT(varchar(60), {value}, {style})") == text


def test_what_no_documentation_shows_is_refused(client: Client) -> None:
    for value, style in (("date", 108), ("time", 103), ("time", 100), ("datetimeoffset", 114)):
        assert client.error(f"SELECT CONVERT(varchar(60), CAST('2024-01-02 03:04:05' AS {value}), {style})").number == 40517


@settings(max_examples=200)
@given(st.dates(date(1950, 1, 1), date(2049, 12, 31)), st.sampled_from(WHOLE_DATE))
def test_a_style_reads_what_it_writes(day: date, style: int) -> None:
    text = styled(f"{day} 00:00:00.0000000", "datetime", 3, style)
    assert text is not None
    assert text_of(parse(canonical(text, style))[0]) == f"{day} 00:00:00.0000000"


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("03/02/2024", 103, "2024-02-03 00:00:00.0000000"),
        ("03.02.24", 4, "2024-02-03 00:00:00.0000000"),
        ("3-2-2024 10:11", 105, "2024-02-03 10:11:00.0000000"),
        ("03/02/2024", 101, "2024-03-02 00:00:00.0000000"),
        ("240203", 12, "2024-02-03 00:00:00.0000000"),
        ("07/08/09", 11, "2007-08-09 00:00:00.0000000"),
        ("20240203", 103, "2024-02-03 00:00:00.0000000"),
        ("10:11:12", 103, "1900-01-01 10:11:12.0000000"),
        ("03 Feb 2024 10:11:12:123", 113, "2024-02-03 10:11:12.1230000"),
        ("Feb 03, 24", 7, "2024-02-03 00:00:00.0000000"),
    ],
)
def test_a_style_decides_how_a_string_is_read(client: Client, text: str, style: int, expected: str) -> None:
    assert client.value(f"SELECT CONVERT(datetime2, '{text}', {style})") == expected


def test_a_string_in_the_form_of_another_style_is_refused(client: Client) -> None:
    for text, style in (("2024-02-03", 103), ("03/02/24", 103), ("03/02/2024", 3), ("07/23/2009", 111), ("3 Feb 2024", 103)):
        with pytest.raises(SqlError, match="another form"):
            canonical(text, style)
        assert client.error(f"SELECT TRY_CONVERT(date, '{text}', {style})").number == 40517  # no NULL either
    assert client.rows("SELECT TRY_CONVERT(date, 'no date', 103), TRY_CONVERT(date, '31/13/2024', 103)") == [(None, None)]
    assert client.error("SELECT CONVERT(datetime, '31/02/2024', 103)").number == 242


@pytest.mark.parametrize(
    "text",
    ["29-Feb-2024", "29 Feb 24", "Feb 29, 2024", "February 29 2024", "Feb 2024 29", "29 2024 feb", "2024 FEB 29", "2024 29 Feb"],
)
def test_dates_with_the_name_of_a_month(client: Client, text: str) -> None:
    assert client.value(f"SELECT CAST('{text} 3:04PM' AS datetime2(0))") == "2024-02-29 15:04:00"
    assert client.value("SELECT CAST('Feb 2024' AS date)") == "2024-02-01"
    assert client.rows("SELECT TRY_CAST('Febx 1 2024' AS date), ISDATE('30-Feb-2024')") == [(None, 0)]
