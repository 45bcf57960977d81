"""Rules of T-SQL as the documentation states them, written down a second time, against the emulator on generated values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from emulators.sql_server.values.results import Parameter, SqlError, SqlType
from emulators.tests.tsql.database import Client, Server

generated = settings(max_examples=80, deadline=None)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("properties")))
    yield server.client()
    server.database.close()


# --- decimals ---

Kind = tuple[int, int]


@st.composite
def typed_decimals(draw: st.DrawFn) -> tuple[Decimal, Kind]:
    precision = draw(st.integers(1, 5) | st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    digits = draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    return Decimal(digits).scaleb(-scale, Context(prec=80)), (precision, scale)


def result_kind(op: str, a: Kind, b: Kind) -> Kind:
    """learn.microsoft.com/sql/t-sql/data-types/precision-scale-and-length-transact-sql"""
    (p1, s1), (p2, s2) = a, b
    if op in "+-":
        whole, scale = max(p1 - s1, p2 - s2), max(s1, s2)
        precision = whole + scale + 1
        return (precision, scale) if precision <= 38 else (38, min(scale, 38 - whole))
    if op == "%":
        scale = max(s1, s2)
        return min(p1 - s1, p2 - s2) + scale, scale
    if op == "*":
        precision, scale = p1 + p2 + 1, s1 + s2
    else:
        scale = max(6, s1 + p2 + 1)
        precision = p1 - s1 + s2 + scale
    if precision <= 38:
        return precision, scale
    whole = precision - scale
    if whole < 32:
        return 38, min(scale, 38 - whole)
    return 38, 6 if scale > 6 else scale


def exact(op: str, a: Decimal, b: Decimal) -> Fraction:
    x, y = Fraction(a), Fraction(b)
    if op == "%":
        quotient = x / y
        return x - y * (abs(quotient).__floor__() * (1 if quotient >= 0 else -1))
    return {"+": x + y, "-": x - y, "*": x * y}[op] if op != "/" else x / y


@generated
@given(typed_decimals(), st.sampled_from("+-*/%"), typed_decimals())
@example((Decimal("0.0000009"), (30, 20)), "*", (Decimal(1), (30, 20)))
@example((Decimal("0.0000009"), (30, 10)), "*", (Decimal(1), (30, 10)))
def test_decimal_arithmetic(client: Client, left: tuple[Decimal, Kind], op: str, right: tuple[Decimal, Kind]) -> None:
    (a, kind_a), (b, kind_b) = left, right
    precision, scale = result_kind(op, kind_a, kind_b)
    values = {"a": Parameter(a, SqlType("decimal", 0, *kind_a)), "b": Parameter(b, SqlType("decimal", 0, *kind_b))}
    outcome = client.run(f"SELECT @a {op} @b", **values)
    if b == 0 and op in "/%":
        assert outcome.numbers == [8134]
        return
    scaled = exact(op, a, b) * 10**scale
    whole = abs(scaled).__floor__() if op == "/" else (abs(scaled) + Fraction(1, 2)).__floor__()
    if whole >= 10**precision:
        assert outcome.numbers == [8115]
        return
    with localcontext(Context(prec=80)):
        expected = Decimal(whole if scaled >= 0 else -whole).scaleb(-scale)
    kind = outcome.results[0].columns[0].type
    assert (kind.precision, kind.scale, outcome.results[0].rows[0][0]) == (precision, scale, expected)


@generated
@given(typed_decimals(), st.integers(1, 38), st.data())
def test_decimals_are_rounded_half_away_from_zero_or_refused(
    client: Client, value: tuple[Decimal, Kind], precision: int, data: st.DataObject
) -> None:
    scale = data.draw(st.integers(0, precision))
    given_value, kind = value
    outcome = client.run(
        f"SELECT CAST(@a AS decimal({precision}, {scale}))", a=Parameter(given_value, SqlType("decimal", 0, *kind))
    )
    rounded = given_value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, Context(prec=100))
    if rounded.copy_abs() >= Decimal(10) ** (precision - scale):  # abs() would round to 28 digits
        assert outcome.numbers == [8115]
    else:
        assert outcome.results[0].rows == [(rounded,)]


# --- dates ---

FIRST = datetime(1, 1, 1)
TICKS = st.integers(0, 3_652_059 * 864_000_000_000 - 1)
"""Of 100 ns since the year 1."""


def instant(ticks: int, digits: int = 7) -> str:
    moment = FIRST + timedelta(seconds=ticks // 10_000_000)
    fraction = f"{ticks % 10_000_000:07d}"[:digits]
    return moment.isoformat(" ") + (f".{fraction}" if digits else "")


@generated
@given(TICKS, st.integers(0, 7))
def test_datetime2_rounds_to_its_scale_and_survives_text(client: Client, ticks: int, scale: int) -> None:
    unit = 10 ** (7 - scale)
    rounded = (ticks + unit // 2) // unit * unit
    assume(rounded < 3_652_059 * 864_000_000_000)
    sql = f"DECLARE @d datetime2({scale}) = CAST(@t AS datetime2(7)); SELECT CONVERT(nvarchar(40), @d, 121), "
    sql += f"CASE WHEN CAST(CONVERT(nvarchar(40), @d, 126) AS datetime2({scale})) = @d THEN 1 END"
    assert client.rows(sql, t=instant(ticks)) == [(instant(rounded, scale), 1)]


@generated
@given(st.integers(1, 3_652_057), st.integers(0, 863_999_999_999), st.integers(-14 * 60, 14 * 60), st.integers(-14 * 60, 14 * 60))
def test_an_offset_changes_the_look_not_the_instant(client: Client, day: int, ticks: int, offset: int, other: int) -> None:
    local = day * 864_000_000_000 + ticks

    def shown(minutes: int) -> str:
        return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"

    text = f"{instant(local)} {shown(offset)}"
    sql = (
        "DECLARE @o datetimeoffset = @t; SELECT CAST(@o AS nvarchar(40)), CAST(SWITCHOFFSET(@o, @s) AS nvarchar(40)), "
        "CASE WHEN SWITCHOFFSET(@o, @s) = @o THEN 1 END, DATEDIFF_BIG(microsecond, @o, SWITCHOFFSET(@o, @s)), DATEPART(tz, @o)"
    )
    moved = f"{instant(local + (other - offset) * 600_000_000)} {shown(other)}"
    assert client.rows(sql, t=text, s=shown(other)) == [(text, moved, 1, 0, offset)]


@generated
@given(st.integers(0, 86_399_999))
def test_datetime_keeps_three_hundredths_of_a_second(client: Client, milliseconds: int) -> None:
    shown = instant(milliseconds * 10_000, 3)[11:]
    thirds = (milliseconds * 3 + 5) // 10
    expected = (thirds * 10 + 1) // 3  # .000, .003, .007
    moment = datetime(2024, 2, 28) + timedelta(milliseconds=expected)
    assert client.value(f"SELECT CONVERT(char(23), CAST('2024-02-28T{shown}' AS datetime), 121)") == (
        f"{moment:%Y-%m-%d %H:%M:%S}.{expected % 1000:03d}"
    )


# --- strings ---

TEXT = st.text("aAbB _%[]^-é😀", max_size=12)


def matches(text: str, pattern: str, escape: str) -> bool:
    """LIKE, case-insensitive, by trying everything."""
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if escape and head == escape:
        return bool(rest) and text[:1].lower() == rest[0].lower() and bool(text) and matches(text[1:], rest[1:], escape)
    if head == "%":
        return any(matches(text[place:], rest, escape) for place in range(len(text) + 1))
    if head == "_":
        return bool(text) and matches(text[1:], rest, escape)
    if head != "[":
        return text[:1].lower() == head.lower() and bool(text) and matches(text[1:], rest, escape)
    negated = rest.startswith("^")
    place = int(negated)
    members: list[tuple[str, bool]] = []
    while place < len(rest) and rest[place] != "]":
        escaped = bool(escape) and rest[place] == escape
        place += escaped
        if place < len(rest):
            members.append((rest[place], escaped))
        place += 1
    if place >= len(rest) or not text or not members:
        return False
    found, number = False, 0
    while number < len(members):
        low = high = members[number][0]
        if number + 2 < len(members) and members[number + 1] == ("-", False):
            high = members[number + 2][0]
            number += 2
        found = found or any(low <= shape <= high for shape in {text[0].lower(), text[0].upper(), text[0]})
        number += 1
    return found != negated and matches(text[1:], rest[place + 1 :], escape)


@settings(max_examples=250, deadline=None)
@given(st.text("abAB _%[]^-", max_size=6), st.text("abAB _%[]^-!", max_size=6), st.sampled_from(["", "!"]))
@example("]", "[!]]", "!")
@example("m", "[z-a]", "")
@example("[", "[", "")
@example("a", "a!", "!")
@example("b", "[^a-]", "")
def test_like(client: Client, text: str, pattern: str, escape: str) -> None:
    escaping = " ESCAPE '!'" if escape else ""
    sql = f"SELECT CASE WHEN @t LIKE @p{escaping} THEN 1 ELSE 0 END, CASE WHEN @t NOT LIKE @p{escaping} THEN 1 ELSE 0 END"
    expected = int(matches(text, pattern, escape))
    assert client.rows(sql, t=text, p=pattern) == [(expected, 1 - expected)]


@generated
@given(st.lists(st.text("aAbBzZ019", max_size=4).map(lambda text: text + " "), min_size=1, max_size=6))
def test_case_and_trailing_blanks_do_not_count(client: Client, texts: list[str]) -> None:
    keys = [text.rstrip(" ").lower() for text in texts]
    rows = json.dumps([{"i": number, "t": text} for number, text in enumerate(texts)])
    source = "FROM OPENJSON(@j) WITH (i int, t nvarchar(9)) a"
    assert client.value(f"SELECT COUNT(DISTINCT t) {source}", j=rows) == len(set(keys))
    assert len(client.rows(f"SELECT MIN(i) {source} GROUP BY t", j=rows)) == len(set(keys))
    ordered = [keys[number] for (number,) in client.rows(f"SELECT i {source} ORDER BY t", j=rows)]
    assert ordered == sorted(keys)
    pairs = client.rows(f"SELECT a.i, b.i {source} JOIN OPENJSON(@j) WITH (i int, t nvarchar(9)) b ON a.t = b.t", j=rows)
    assert set(pairs) == {(i, k) for i in range(len(keys)) for k in range(len(keys)) if keys[i] == keys[k]}


def utf16(text: str) -> bytes:
    return text.encode("utf-16-le")


def piece(text: str, start: int, end: int) -> str | None:
    """UTF-16 units from ``start`` to ``end``; None when that would cut a pair."""
    units = utf16(text)
    try:
        return units[2 * max(0, start) : 2 * max(0, end)].decode("utf-16-le")
    except UnicodeDecodeError:
        return None


@settings(max_examples=200, deadline=None)
@given(TEXT, st.integers(-4, 14), st.integers(-4, 14), st.text("xy", max_size=3))
def test_pieces_of_strings(client: Client, text: str, start: int, count: int, new: str) -> None:
    size = len(utf16(text)) // 2

    def asked(expression: str) -> Any:
        try:
            return client.value(f"SELECT {expression}", t=text, s=start, c=count, n=new)
        except SqlError as error:
            return error.number

    expected: dict[str, Any] = {
        "LEN(@t)": len(utf16(text.rstrip(" "))) // 2,
        "DATALENGTH(@t)": 2 * size,
        "SUBSTRING(@t, @s, @c)": 537 if count < 0 else piece(text, start - 1, start - 1 + count),
        "LEFT(@t, @c)": 536 if count < 0 else piece(text, 0, count),
        "RIGHT(@t, @c)": 536 if count < 0 else piece(text, size - min(count, size), size),
        "REPLICATE(@n, @c)": None if count < 0 else new * count,
        "SPACE(@c)": None if count < 0 else " " * count,
    }
    if count < 0 or not 1 <= start <= size:
        expected["STUFF(@t, @s, @c, @n)"] = None
    else:
        before, after = piece(text, 0, start - 1), piece(text, min(size, start - 1 + count), size)
        if before is not None and after is not None:
            expected["STUFF(@t, @s, @c, @n)"] = before + new + after
    may_be_null = {"REPLICATE(@n, @c)", "SPACE(@c)", "STUFF(@t, @s, @c, @n)"}
    for expression, value in expected.items():
        if value is None and expression not in may_be_null:
            continue  # half of a pair, which the emulator leaves out
        assert asked(expression) == value, expression


@generated
@given(st.text("abAB ", max_size=8), st.text("abAB ", max_size=3), st.integers(-2, 9))
def test_searching_and_replacing(client: Client, text: str, wanted: str, start: int) -> None:
    found = text.lower().find(wanted.lower(), max(0, start - 1)) + 1 if wanted else 0
    replaced, rest = "", text
    while wanted and (place := rest.lower().find(wanted.lower())) >= 0:
        replaced, rest = replaced + rest[:place] + "xyz", rest[place + len(wanted) :]
    sql = "SELECT CHARINDEX(@w, @t, @s), REPLACE(@t, @w, N'xyz'), REVERSE(@t), QUOTENAME(@w + ']')"
    assert client.rows(sql, t=text, w=wanted, s=start) == [(found, replaced + rest, text[::-1], f"[{wanted}]]]")]


# --- JSON ---

SCALAR = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text('aé"\\/\n😀 ', max_size=6)
DOCUMENT = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab .$"é', min_size=1, max_size=4), inner, max_size=3),
    max_leaves=8,
)


def scalar_text(value: Any) -> str | None:
    return value if isinstance(value, str) or value is None else json.dumps(value)


@generated
@given(st.dictionaries(st.text('ab .$"é', min_size=1, max_size=4), DOCUMENT, max_size=3))
def test_json_is_taken_apart_as_it_was_put_together(client: Client, document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert client.value("SELECT ISJSON(@j)", j=text) == 1
    kinds = {type(None): 0, str: 1, int: 2, bool: 3, list: 4, dict: 5}
    rows = {key: (value, kind) for key, value, kind in client.rows("SELECT [key], value, type FROM OPENJSON(@j)", j=text)}
    assert set(rows) == set(document)
    for key, value in document.items():
        found, kind = rows[key]
        assert kind == kinds[type(value)]
        assert (json.loads(found) if kind > 3 else found) == (value if kind > 3 else scalar_text(value))
        path = '$."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
        sql = "SELECT JSON_VALUE(@j, @p), JSON_QUERY(@j, @p), JSON_PATH_EXISTS(@j, @p)"
        scalar, composite, exists = client.rows(sql, j=text, p=path)[0]
        assert exists == 1
        assert scalar == (None if kind > 3 else scalar_text(value))
        assert (None if composite is None else json.loads(composite)) == (value if kind > 3 else None)


@generated
@given(st.text('aé"\\/\n\t😀 ', max_size=8), st.integers(-(2**31), 2**31 - 1))
def test_for_json_is_read_back(client: Client, text: str, number: int) -> None:
    written = client.value("SELECT (SELECT @t AS t, @n AS [a.n], NULL AS x FOR JSON PATH, INCLUDE_NULL_VALUES)", t=text, n=number)
    assert json.loads(written) == [{"t": text, "a": {"n": number}, "x": None}]
    changed = client.value("SELECT JSON_MODIFY(@j, '$[0].t', @t)", j=written, t=text + "!")
    assert json.loads(changed)[0]["t"] == text + "!"


@generated
@given(st.decimals(-1000, 1000, places=2), st.decimals(-1000, 1000, places=2), st.decimals(-9, 9, places=1))
def test_generate_series_of_decimals(client: Client, start: Decimal, stop: Decimal, step: Decimal) -> None:
    assume(step and abs((stop - start) / step) < 50)
    count = int(((stop - start) / step).to_integral_value(ROUND_DOWN)) if (stop - start) / step >= 0 else -1
    parameters = {name: Parameter(value, SqlType("decimal", 0, 9, 2)) for name, value in {"a": start, "b": stop, "c": step}.items()}
    rows = client.rows("SELECT value FROM GENERATE_SERIES(@a, @b, @c)", **parameters)
    assert rows == [(start + step * number,) for number in range(count + 1)]
