"""Scripts with GO, :setvar and $(Name): how they fall apart, and ``dev.py sql`` as a person runs it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.sql import ConnectionTextError, connection_arguments
from emulators.launch import SqlServer
from infra.sql_script import Batch, ScriptError, read_script

ROOT = Path(__file__).resolve().parents[2]


def texts(script: str, **variables: str) -> list[str]:
    return [batch.text.strip() for batch in read_script(script, variables)]


# --- the grammar ---


def test_scripts_fall_apart_at_lines_that_say_go() -> None:
    script = "-- only a comment\nGO\nSELECT 1\ngo\n\nSELECT 'GO'\n  FROM t; -- GO\nGO -- end\n/* nothing */\n"
    assert texts(script) == ["SELECT 1", "SELECT 'GO'\n  FROM t; -- GO"]


def test_a_go_inside_a_string_a_name_or_a_comment_is_text() -> None:
    script = "SELECT 'it''s --\nGO\n' AS [a]]'\nGO\n] /* /* nested */ '\nGO\n*/, \"b\nGO\n\"\nGO\nSELECT 2"
    assert texts(script) == [script[: script.rindex("\nGO")], "SELECT 2"]


def test_go_with_a_count() -> None:
    assert [(b.text.strip(), b.count) for b in read_script("SELECT 1\nGO 3\nSELECT 2\r\ngo\t0\r\nSELECT 4\n")] == [
        ("SELECT 1", 3),
        ("SELECT 4", 1),
    ]


def test_batches_know_their_line() -> None:
    assert list(read_script("SELECT 1\nGO\n\nSELECT 2")) == [Batch("SELECT 1", 1), Batch("\nSELECT 2", 3)]


def test_variables_are_filled_in_except_in_comments() -> None:
    script = """:setvar Name "a ""b"" c"
SELECT '$(name)', [$(Given)] -- $(Nothing)
/* $(Nothing)
   $(Nothing) */ GO
:setvar given other
GO $(Times)
SELECT $(GIVEN)"""
    assert [(b.text.strip(), b.count) for b in read_script(script, {"Given": "g", "TIMES": "2"})] == [
        ("SELECT 'a \"b\" c', [g] -- $(Nothing)\n/* $(Nothing)\n   $(Nothing) */ GO", 2),
        ("SELECT other", 1),
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("SELECT 1\nGO\nSELECT $(x)", "line 3: 'x' scripting variable not defined"),
        (":setvar x 1\n:setvar x\nSELECT '$(x)'", "line 3: 'x' scripting variable not defined"),
        ("SELECT 1\nGO many", "line 2: GO many: that is no count"),
        ("SELECT 1\n:r other.sql", "line 2: :r other.sql is not supported"),
        (":on error ignore", "line 1: :on error ignore is not supported"),
    ],
)
def test_what_a_script_cannot_have_is_named_with_its_line(script: str, message: str) -> None:
    with pytest.raises(ScriptError) as error:
        list(read_script(script))
    assert str(error.value) == message


# --- the runner ---


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    with SqlServer(tmp_path_factory.mktemp("sql"), "real") as running:
        yield running


def run(server: SqlServer, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devtools.sql", "--sql-port", str(server.port), *arguments]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, encoding="utf-8", timeout=60)


def test_results_messages_and_counts_in_their_order(server: SqlServer, tmp_path: Path) -> None:
    script = tmp_path / "table.sql"
    script.write_text(
        "CREATE TABLE dbo.Parts (Id int IDENTITY PRIMARY KEY, Name nvarchar(20), Price decimal(9,2), Raw varbinary(2));\n"
        "PRINT 'made';\nGO\n"
        "INSERT dbo.Parts (Name, Price) VALUES (N'$(Name)', 1.5);\nGO 2\n"
        "PRINT 'before'; SELECT * FROM dbo.Parts; PRINT 'after'; UPDATE dbo.Parts SET Raw = 0x0a WHERE Id = 1;\n",
        encoding="utf-8",
    )
    done = run(server, str(script), "-v", "Name=Zoë")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n") == [
        "made",
        "(1 rows affected)",
        "",
        "(1 rows affected)",
        "",
        "before",
        "Id Name Price Raw",
        "-- ---- ----- ----",
        " 1 Zoë   1.50 NULL",
        " 2 Zoë   1.50 NULL",
        "",
        "(2 rows affected)",
        "",
        "after",
        "(1 rows affected)",
        "",
        "",
    ]


def test_an_error_is_told_with_its_place_and_ends_the_run_as_sqlcmd_b_does(server: SqlServer) -> None:
    done = run(server, text="SELECT 1 AS a\nGO\n\nPRINT 'x'\nSELECT * FROM dbo.Nowhere\nGO\nPRINT 'not reached'\n")
    assert done.returncode == 1
    assert done.stderr == "Msg 208, Level 16, State 1, Line 3 (line 5 of the script)\nInvalid object name 'dbo.Nowhere'.\n"
    assert done.stdout.endswith("(1 rows affected)\n\nx\n")


def test_statements_after_an_error_of_one_still_run(server: SqlServer) -> None:
    done = run(server, text="SELECT 1 / 0 AS z; RAISERROR('two', 16, 5); SELECT 'on' AS it\nGO\nPRINT 'no'")
    assert done.returncode == 1
    assert "Msg 8134, Level 16, State 1" in done.stderr and "Msg 50000, Level 16, State 5" in done.stderr
    assert "\non\n" in done.stdout and "no\n" not in done.stdout


def test_a_message_of_low_severity_is_no_error(server: SqlServer) -> None:
    done = run(server, text="RAISERROR('only told', 10, 1)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "only told\n", "")


def test_a_variable_that_nobody_gave_ends_the_run(server: SqlServer) -> None:
    done = run(server, text="PRINT 'first'\nGO\nPRINT '$(Second)'")
    assert (done.returncode, done.stdout) == (1, "first\n")
    assert "line 3: 'Second' scripting variable not defined" in done.stderr


def test_without_a_server_it_says_what_to_start(server: SqlServer) -> None:
    done = run(server, "--sql-port", "1", text="PRINT 1")
    assert done.returncode == 1 and "127.0.0.1,1" in done.stderr and "`dev.py start`" in done.stderr


def test_the_connection_strings_that_start_prints_are_taken(server: SqlServer) -> None:
    for text in (server.ado_net_connection_string, server.odbc_connection_string):
        done = run(server, "--sql-port", "1", "--connection", text, text="SELECT DB_NAME() AS name")
        assert done.returncode == 0 and "rowpost" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "named"), [("Server=a;Encrypt=True", "Encrypt"), ("Database=x", "Server"), ("Server=a;Encrypt=strict", "Encrypt")]
)
def test_connections_that_it_cannot_make_are_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ConnectionTextError, match=named):
        connection_arguments(text)


def test_dev_py_hands_scripts_on_with_their_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None and spec.loader is not None
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    (tmp_path / "mine.sql").touch()
    monkeypatch.chdir(tmp_path)
    given = ["mine.sql", "-v", "Name=mine", "--sql-port", "5"]
    assert dev.SUBCOMMANDS["sql"][1](given) == [["-m", "devtools.sql", str(tmp_path / "mine.sql"), *given[1:]]]
