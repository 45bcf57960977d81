"""A sql_variant is sent as a column of its base type would be."""

from __future__ import annotations

from typing import Any

import pytest

from rowpost.rules.json_text import to_json
from tests.harness.rows import column


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("int,0:7", "7"),
        ("tinyint,0:255", "255"),
        ("bigint,0:-9223372036854775808", "-9223372036854775808"),
        ("bit,0:1", "true"),
        ("bit,0:0", "false"),
        ("decimal,4:1.2500", "1.2500"),
        ("numeric,0:12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("decimal,10:-.0000000001", "-0.0000000001"),
        ("money,4:922337203685477.5807", "922337203685477.5807"),
        ("float,0:1.0000000000000000e+300", "1e300"),
        ("real,0:1.00000001e-001", "0.1"),
        ("datetime2,7:2026-01-02T03:04:05.1234567", '"2026-01-02T03:04:05.1234567"'),
        ("datetime2,3:2026-01-02T03:04:05.1200000", '"2026-01-02T03:04:05.120"'),
        ("datetimeoffset,2:2026-01-02T03:04:05.1200000+05:30", '"2026-01-02T03:04:05.12+05:30"'),
        ("datetime2,0:2026-01-02T03:04:05.1234567", '"2026-01-02T03:04:05.1234567"'),  # no digit is lost by a wrong scale
        ("time,0:03:04:05.0000000", '"03:04:05"'),
        ("datetimeoffset,0:2026-01-02T03:04:05.0000000+05:30", '"2026-01-02T03:04:05+05:30"'),
        ("time,7:03:04:05.1000000", '"03:04:05.1000000"'),
        ("date,0:2026-01-02", '"2026-01-02"'),
        ("varbinary,0:0x0102FF", '"AQL/"'),
        ("binary,0:0x", '""'),
        ("uniqueidentifier,0:6F9619FF-8B86-D011-B42D-00C04FC964FF", '"6f9619ff-8b86-d011-b42d-00c04fc964ff"'),
        ("nvarchar,0:a:b, c", '"a:b, c"'),
        ("varchar,0:", '""'),
    ],
)
def test_the_base_type_decides(text: str, sent: str) -> None:
    assert to_json(column("V", "sql_variant", 8016).json_value(text)) == sent


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("2026-01-02T12:34:56.1234567+05:30", "2026-01-02T07:04:56.1234567+00:00"),
        ("2026-01-01T23:30:00.12-05:00", "2026-01-02T04:30:00.12+00:00"),
        ("2026-01-02T00:00:00Z", "2026-01-02T00:00:00+00:00"),
        ("9999-12-31T23:59:59.9999999+00:00", "9999-12-31T23:59:59.9999999+00:00"),
        ("0001-01-01T14:00:00+14:00", "0001-01-01T00:00:00+00:00"),
        ("something else", "something else"),
    ],
)
def test_an_instant_has_one_text_as_a_key(value: str, key: str) -> None:
    found = column("At", "datetimeoffset", 10, 34)
    assert found.key_value(value) == key and found.json_value(value) == value


@pytest.mark.parametrize("kind", ["float", "real"])
def test_zero_has_no_sign_as_a_key(kind: str) -> None:
    value: Any = column("F", kind, 8, 53).key_value(-0.0)
    assert to_json(value) == "0.0"
