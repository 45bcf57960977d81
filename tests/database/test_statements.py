"""The statements: each file renders for every kind of table, is T-SQL to a parser that is not ours, and speaks to a DBA."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from sqlfluff.core import FluffConfig, Linter

from rowpost.config.sections import RelayConfig
from rowpost.database.columns import TableColumn
from rowpost.database.statements import COMMON, SQL, body, render
from rowpost.database.table import Table

ROOT = Path(__file__).resolve().parents[2]
APP = [ROOT / name for name in ("rowpost", "triggers", "orchestrators", "activities", "entities")]
NAMES = sorted(path.stem for path in SQL.glob("*.sql"))
VALUES: dict[str, object] = dict.fromkeys(  # what the callers give; any number does
    [
        "at_most",
        "between_looks_seconds",
        "chunk_rows",
        "compared_rows",
        "digest_seconds",
        "kept_days",
        "lapsed_seconds",
        "late_seconds",
        "late_share",
        "look_seconds",
        "page_rows",
        "probes",
        "rewind_seconds",
        "keys",
        "characters",
        "settled_seconds",
        "stuck_seconds",
    ],
    7,
) | {"predicate": "[dbo].[visible]([Id0])"}
KEY_TYPES = [
    TableColumn(f"Id{number}", *shape)
    for number, shape in enumerate(
        [
            ("int", 4, 10, 0),
            ("bigint", 8, 19, 0),
            ("decimal", 17, 38, 10),
            ("money", 8, 19, 4),
            ("float", 8, 53, 0),
            ("real", 4, 24, 0),
            ("bit", 1, 1, 0),
            ("char", 10, 0, 0),
            ("nvarchar", 80, 0, 0),
            ("varbinary", 16, 0, 0),
            ("uniqueidentifier", 16, 0, 0),
            ("date", 3, 10, 0),
            ("datetime2", 8, 27, 7),
            ("datetimeoffset", 10, 34, 7),
            ("time", 5, 16, 7),
            ("timestamp", 8, 0, 0),
        ]
    )
]


def table(*key: TableColumn, name: str = "dbo.Orders", watch: tuple[str, ...] | None = None) -> Table:
    total = TableColumn("Total", "decimal", 9, 10, 2)
    return Table(RelayConfig(table=name, target="api"), "site", key, (*key, total), watch)


TABLES = {
    "plain": table(KEY_TYPES[0]),
    "watched": table(KEY_TYPES[0], watch=("Total",)),
    "composite": table(TableColumn("Region", "nvarchar", 40, 0, 0), KEY_TYPES[0], watch=("Total", "Id0")),
    "quoted": table(TableColumn('the "l\'eau"', "nvarchar", 40, 0, 0), name="my schema.Orders & more", watch=("Total",)),
    "every type of key": table(*KEY_TYPES),
    "filtered": Table(
        RelayConfig(
            table="dbo.Orders",
            target="api",
            operations=["insert"],
            where="Total > 1 -- of those",
            ignore_context="erp",
            leaving="ignore",
        ),
        "site",
        (KEY_TYPES[0],),
        (KEY_TYPES[0], TableColumn("Total", "decimal", 9, 10, 2)),
        ("Total",),
        conditioned=(KEY_TYPES[0].name, "Total"),
        tracked=("Total",),
        mattering=("Total",),
    ),
}
# What the parser cannot read, though SQL Server can: by name, with the reason.
UNREADABLE = {
    "a]b": "its lexer ends a name at the first bracket, also where two stand for one",
    "Größe": "it takes no Unicode literal (N'…') for the path in OPENJSON … WITH",
}
LINTER = Linter(config=FluffConfig(overrides={"dialect": "tsql", "large_file_skip_byte_limit": 0}))


def complaints(sql: str) -> list[str]:
    """What the parser says; parameters are given as numbers, since the marks are ODBC's."""
    return [str(problem) for problem in LINTER.parse_string(sql.replace("?", "0")).violations]


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_is_t_sql_for_every_kind_of_table(name: str) -> None:
    seen: set[str] = set()
    for kind, found in TABLES.items():
        sql = found.statement(name, **VALUES)
        assert sql.startswith(f"-- rowpost: {name}.sql\n")
        if sql not in seen:
            assert complaints(sql) == [], kind
        seen.add(sql)


def test_the_parser_sees_what_is_wrong() -> None:
    for wrong in ("SELECT FROM dbo.Orders WHERE;", "UPDATE dbo.Orders SET = 1;", "BEGIN SELECT 1;", "INSERT dbo.Orders VALUES (1;"):
        assert complaints(wrong), wrong


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_the_parser_cannot_read_is_listed_for_a_reason_that_still_holds(kind: str) -> None:
    assert complaints(table(TableColumn(kind, "int", 4, 10, 0)).statement("claim"))


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_begins_with_what_a_dba_asks_first(name: str) -> None:
    text = (SQL / f"{name}.sql").read_text(encoding="utf-8")
    head, _, rest = text.partition("*/\n")
    assert head.startswith("/*\n") and rest.strip()
    assert "Locks:" in head and "the connection dies" in " ".join(head.split())
    marks = body(name).count("?")
    numbers = [int(number) for number in re.findall(r"(?<!\w)(\d)\. ", head.partition("Parameters:")[2].partition("Result set")[0])]
    assert ("Parameters:" in head) == bool(marks)
    assert max(numbers, default=0) == marks or f"to {marks}." in head, "each parameter is described"


@pytest.mark.parametrize("path", sorted(SQL.rglob("*.sql")), ids=lambda path: path.relative_to(SQL).as_posix())
def test_comments_of_a_statement_hold_nothing_that_a_driver_could_take_for_a_parameter(path: Path) -> None:
    sql = body(path.relative_to(SQL).with_suffix("").as_posix())
    assert not [comment for comment in re.findall(r"--[^\n]*", sql) if re.search(r"[?'\"{}]", comment)]
    assert "/*" not in sql and "\t" not in sql
    assert not [line for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 140 or line != line.rstrip()]


def fragments_of(text: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(text) if field}


def test_every_fragment_file_and_every_value_is_used() -> None:
    used = set().union(*(fragments_of(body(path.relative_to(SQL).with_suffix("").as_posix())) for path in SQL.rglob("*.sql")))
    files = {path.stem for path in (SQL / "fragments").glob("*.sql")}
    assert files <= used
    assert set(VALUES) <= used
    assert {name for name in COMMON if not name.startswith(("from_", "to_"))} <= used
    assert used <= files | set(VALUES) | set(COMMON) | set(TABLES["plain"].fragments)


def test_a_fragment_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError, match="table_literal"):
        render("describe_table", {})


def test_a_name_with_braces_is_not_taken_for_a_fragment() -> None:
    found = table(TableColumn("{leases}", "int", 4, 10, 0))
    assert "t.[{leases}]" in found.statement("claim")


# --- no statement hides in the code ---

SQL_WORDS = re.compile(r"\b(SELECT|UPDATE|INSERT|DELETE|MERGE|DECLARE|EXEC|BEGIN)\b")


def long_statements(source: str) -> Iterator[str]:
    """String literals of more than three lines that speak SQL, also those that are put together of several."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if SQL_WORDS.search(text) and len(text.strip().splitlines()) > 3:
            yield text


def docstrings(source: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(ast.get_docstring(node, clean=False) or "")
    return found


SOURCES = sorted(path for folder in APP for path in folder.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_statement_of_more_than_three_lines_stands_in_the_code(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert [text for text in long_statements(source) if text not in docstrings(source)] == []
    # And none is put together at run time: a statement with a name in it is a file with a fragment.
    formatted = [ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.JoinedStr)]
    assert [text for text in formatted if re.match(r"f['\"]+\s*(SELECT|UPDATE|INSERT|DELETE|MERGE|EXEC)\b", text)] == []


def test_a_statement_in_the_code_is_seen() -> None:
    long = 'sql = f"""\nSELECT 1,\n 2,\n 3\n FROM {table};"""'
    assert list(long_statements(long))
    assert not list(long_statements('sql = "SELECT name FROM sys.columns;"'))


def test_every_statement_is_sent_by_someone() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for folder in APP for path in folder.rglob("*.py"))
    assert [name for name in NAMES if f'"{name}"' not in code] == []
