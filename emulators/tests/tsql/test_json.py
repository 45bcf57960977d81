"""OPENJSON, JSON functions and FOR JSON in the SQL Server emulator."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from emulators.tests.tsql.database import Client

DOCUMENT = json.dumps({"a": 1, "b": "x'y", "c": [1, {"d": 2.50}], "e": None, "f": True, "g h": {"i": "deep"}})


def test_open_json_default_schema(client: Client) -> None:
    assert client.rows("SELECT [key], value, [type] FROM OPENJSON(@j)", j=DOCUMENT) == [
        ("a", "1", 2),
        ("b", "x'y", 1),
        ("c", '[1,{"d":2.5}]', 4),
        ("e", None, 0),
        ("f", "true", 3),
        ("g h", '{"i":"deep"}', 5),
    ]
    assert client.rows("SELECT [key], value FROM OPENJSON(@j, '$.c')", j=DOCUMENT) == [("0", "1"), ("1", '{"d":2.5}')]
    assert client.rows("SELECT * FROM OPENJSON(@j, '$.nope')", j=DOCUMENT) == []
    assert client.rows("SELECT * FROM OPENJSON(NULL)") == []


def test_open_json_with_columns(client: Client) -> None:
    rows = (
        '[{"i":1,"OrderId":7,"Total":12345678901234567890.123456789,"At":"2024-01-02T03:04:05.1234567",'
        '"ok":true,"Name":"ż","sub":{"x":5}},{"i":2}]'
    )
    outcome = client.run(
        """SELECT * FROM OPENJSON(@r) WITH (i int '$.i', [OrderId] bigint, Total decimal(38,9), At datetime2(7), ok bit,
                                            Name nvarchar(2), x int '$.sub.x',
                                            raw nvarchar(max) '$.sub' AS JSON, missing uniqueidentifier '$.none') k ORDER BY k.i""",
        r=rows,
    )
    assert outcome.results[0].rows == [
        (1, 7, Decimal("12345678901234567890.123456789"), "2024-01-02 03:04:05.1234567", 1, "ż", 5, '{"x":5}', None),
        (2, None, None, None, None, None, None, None, None),
    ]
    assert [column.type.name for column in outcome.results[0].columns] == [
        "int",
        "bigint",
        "decimal",
        "datetime2",
        "bit",
        "nvarchar",
        "int",
        "nvarchar",
        "uniqueidentifier",
    ]


def test_open_json_of_scalars_and_base64(client: Client) -> None:
    assert client.rows("SELECT h FROM OPENJSON(@j) WITH (h char(3) '$')", j='["a","bcd"]') == [("a  ",), ("bcd",)]
    assert client.rows("SELECT k FROM OPENJSON(@j) WITH (k binary(3))", j='[{"k":"AP+A"}]') == [(b"\x00\xff\x80",)]
    assert client.error("SELECT k FROM OPENJSON(@j) WITH (k varbinary(3))", j='[{"k":"?"}]').number == 13609


def test_open_json_per_row(client: Client) -> None:
    client.rows(
        """CREATE TABLE dbo.G (Id int PRIMARY KEY, J nvarchar(max));
           INSERT dbo.G VALUES (1, N'{"Faa":"JFK"}'), (2, N'[{"Faa":"WAW"},{"Faa":"KRK"}]'), (3, NULL)"""
    )
    assert client.rows(
        "SELECT g.Id, k.Faa FROM dbo.G g CROSS APPLY OPENJSON(g.J) WITH ([Faa] nvarchar(8) '$.Faa') k ORDER BY 1, 2"
    ) == [(1, "JFK"), (2, "KRK"), (2, "WAW")]
    assert client.rows(
        "SELECT g.Id, k.Faa FROM dbo.G g OUTER APPLY OPENJSON(g.J) WITH ([Faa] nvarchar(8) '$.Faa') k WHERE g.Id = 3"
    ) == [(3, None)]
    client.rows(
        """UPDATE g SET J = CONCAT(k.Faa, N'!', d.s) FROM dbo.G g CROSS APPLY OPENJSON(g.J) WITH (Faa nvarchar(8)) k
           JOIN OPENJSON(@d) WITH (r int '$.r', s int '$.s') d
             ON d.r = CASE WHEN g.Id < @steps THEN g.Id ELSE @steps END WHERE g.Id = 1""",
        d='[{"r":1,"s":60}]',
        steps=3,
    )
    assert client.value("SELECT J FROM dbo.G WHERE Id = 1") == "JFK!60"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("JSON_VALUE(@j, '$.b')", "x'y"),
        ("JSON_VALUE(@j, '$.c[1].d')", "2.5"),
        ("JSON_VALUE(@j, '$.\"g h\".i')", "deep"),
        ("JSON_VALUE(@j, '$.c')", None),
        ("JSON_VALUE(@j, '$.none')", None),
        ("JSON_VALUE(@j, '$.f')", "true"),
        ("JSON_QUERY(@j, '$.c')", '[1,{"d":2.5}]'),
        ("JSON_QUERY(@j, '$.a')", None),
        ("ISJSON(@j)", 1),
        ("ISJSON('{a}')", 0),
        ("ISJSON(NULL)", None),
        ("JSON_MODIFY('{\"a\":1}', '$.a', 2)", '{"a":2}'),
        ("JSON_MODIFY('{\"a\":[1]}', 'append $.a', N'x')", '{"a":[1,"x"]}'),
        ("JSON_MODIFY('{\"a\":1}', '$.a', NULL)", "{}"),
        ("JSON_MODIFY('{}', '$.q', JSON_QUERY('[1]'))", '{"q":[1]}'),
    ],
)
def test_json_functions(client: Client, expression: str, expected: Any) -> None:
    assert client.value(f"DECLARE @j nvarchar(max) = @p; SELECT {expression}", p=DOCUMENT) == expected


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT JSON_VALUE('{', '$.a')", 13609),
        ("SELECT JSON_VALUE('{}', 'a')", 13607),
        ("SELECT JSON_VALUE('{}', '$.\"a' + CHAR(9) + 'b\"')", 40517),
        ("SELECT JSON_VALUE('{}', '$.\"a\\qb\"')", 40517),
        ("SELECT JSON_VALUE('{}', 'strict $.a')", 13608),
        ("SELECT * FROM OPENJSON('nonsense')", 13609),
        ('SELECT * FROM OPENJSON(\'[{"a":"x"}]\') WITH (a int)', 245),
    ],
)
def test_json_errors(client: Client, sql: str, number: int) -> None:
    assert client.error(sql).number == number


def test_for_json(client: Client) -> None:
    client.rows(
        "CREATE TABLE dbo.J (A int, B nvarchar(10), C decimal(9,2), D datetime2(3), E bit, F varbinary(5)); "
        "INSERT dbo.J VALUES (1, N'q\"', 1.50, '2024-01-01', 1, 0x00FF), (2, NULL, NULL, NULL, NULL, NULL)"
    )
    assert client.value("SELECT * FROM dbo.J ORDER BY A FOR JSON PATH") == (
        '[{"A":1,"B":"q\\"","C":1.50,"D":"2024-01-01T00:00:00","E":true,"F":"AP8="},{"A":2}]'
    )
    assert (
        client.value(
            "SELECT A AS [x.y], B AS [x.z] FROM dbo.J WHERE A = 2 FOR JSON PATH, INCLUDE_NULL_VALUES, WITHOUT_ARRAY_WRAPPER"
        )
        == '{"x":{"y":2,"z":null}}'
    )
    assert client.value("SELECT A FROM dbo.J WHERE A = 1 FOR JSON AUTO, ROOT('r')") == '{"r":[{"A":1}]}'
    assert (
        client.value("SELECT 1 AS a, (SELECT A FROM dbo.J ORDER BY A FOR JSON PATH) AS inside FOR JSON PATH")
        == '[{"a":1,"inside":[{"A":1},{"A":2}]}]'
    )
    assert client.value("SELECT N'[1]' AS a, JSON_QUERY('[1]') AS b FOR JSON PATH") == '[{"a":"[1]","b":[1]}]'
    assert client.rows("SELECT A FROM dbo.J WHERE 1 = 0 FOR JSON PATH") == []
    assert client.error("SELECT 1 FOR JSON PATH").number == 13605
