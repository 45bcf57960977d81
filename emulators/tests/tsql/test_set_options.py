"""SET options of the SQL Server emulator: each acts, is without effect by its nature, or is refused by name."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from emulators.sql_server.engine.options import NUMBER, RULES, SWITCH, Rule
from emulators.tests.tsql.database import Client, Server

# What drivers and tools send when they connect: it must stay accepted.
SSMS = """SET ROWCOUNT 0 SET TEXTSIZE 2147483647 SET NOCOUNT OFF SET CONCAT_NULL_YIELDS_NULL ON SET ARITHABORT ON
SET LOCK_TIMEOUT -1
SET QUERY_GOVERNOR_COST_LIMIT 0 SET DEADLOCK_PRIORITY NORMAL SET TRANSACTION ISOLATION LEVEL READ COMMITTED SET ANSI_NULLS ON
SET ANSI_NULL_DFLT_ON ON SET ANSI_PADDING ON SET ANSI_WARNINGS ON SET CURSOR_CLOSE_ON_COMMIT OFF SET IMPLICIT_TRANSACTIONS OFF
SET QUOTED_IDENTIFIER ON SET NOEXEC OFF SET PARSEONLY OFF SET FMTONLY OFF SET STATISTICS IO OFF SET STATISTICS TIME OFF
SET SHOWPLAN_TEXT OFF SET DEADLOCK_PRIORITY -10"""
TEDIOUS = """set ansi_nulls on set ansi_null_dflt_on on set ansi_padding on set ansi_warnings on set arithabort on
set concat_null_yields_null on set cursor_close_on_commit off set datefirst 7 set dateformat mdy set implicit_transactions off
set language us_english set numeric_roundabort off set quoted_identifier on set textsize 2147483647
set transaction isolation level read committed set xact_abort off"""
DB_LIBRARY = """SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET ANSI_NULLS ON; SET ANSI_NULL_DFLT_ON ON; SET ANSI_PADDING ON;
SET ANSI_WARNINGS ON; SET CURSOR_CLOSE_ON_COMMIT ON; SET QUOTED_IDENTIFIER ON; SET TEXTSIZE 2147483647;"""

# A value for each option that real servers take and that would change results.
REFUSED: dict[str, tuple[str, ...]] = {
    "ANSI_DEFAULTS": ("ON", "OFF"),
    "ANSI_NULLS": ("OFF",),
    "ANSI_NULL_DFLT_OFF": ("ON",),
    "ANSI_NULL_DFLT_ON": ("OFF",),
    "ANSI_PADDING": ("OFF",),
    "ANSI_WARNINGS": ("OFF",),
    "ARITHIGNORE": ("ON",),
    "CONCAT_NULL_YIELDS_NULL": ("OFF",),
    "DATEFIRST": ("1",),
    "DATEFORMAT": ("dmy", "'ymd'"),
    "FIPS_FLAGGER": ("'FULL'",),
    "FMTONLY": ("ON",),
    "IMPLICIT_TRANSACTIONS": ("ON",),
    "LANGUAGE": ("Deutsch", "N'French'"),
    "NOEXEC": ("ON",),
    "NO_BROWSETABLE": ("ON",),
    "NUMERIC_ROUNDABORT": ("ON",),
    "PARSEONLY": ("ON",),
    "QUERY_GOVERNOR_COST_LIMIT": ("10",),
    "QUOTED_IDENTIFIER": ("OFF",),
    "ROWCOUNT": ("5",),
    "SHOWPLAN_ALL": ("ON",),
    "SHOWPLAN_TEXT": ("ON",),
    "SHOWPLAN_XML": ("ON",),
    "STATISTICS IO": ("ON",),
    "STATISTICS PROFILE": ("ON",),
    "STATISTICS TIME": ("ON",),
    "STATISTICS XML": ("ON",),
    "TEXTSIZE": ("10", "0"),
}


def _accepted(name: str, rule: Rule) -> list[Any]:
    if rule.accepted is not None:
        return sorted(rule.accepted)
    return ["ON", "OFF"] if rule.kind == SWITCH else [0, 100] if rule.kind == NUMBER else ["LOW", "HIGH", 3, -10]


def test_every_option_acts_or_is_refused_or_has_no_effect() -> None:
    acting = {name for name, rule in RULES.items() if rule.act is not None}
    free = {name for name, rule in RULES.items() if rule.accepted is None and rule.act is None}
    assert free == {"ARITHABORT", "CURSOR_CLOSE_ON_COMMIT", "FORCEPLAN", "REMOTE_PROC_TRANSACTIONS"}
    assert acting == {"DEADLOCK_PRIORITY", "LOCK_TIMEOUT", "NOCOUNT", "TRANSACTION ISOLATION LEVEL", "XACT_ABORT"}
    assert REFUSED.keys() == RULES.keys() - acting - free


@pytest.mark.parametrize("name", RULES)
def test_option(client: Client, name: str) -> None:
    for value in _accepted(name, RULES[name]):
        assert client.rows(f"SET {name} {value}") == []
    for value in REFUSED.get(name, ()):
        error = client.error(f"SET {name} {value}")
        word = value.lstrip("N").strip("'").upper() if value.endswith("'") else value.upper()
        assert (error.number, error.text) == (
            40517,
            f"Keyword or statement option 'SET {name} {word}' is not supported in this version of SQL Server.",
        )


@pytest.mark.parametrize("script", [SSMS, TEDIOUS, DB_LIBRARY], ids=["SSMS", "tedious", "DB-Library"])
def test_what_tools_send_at_connect_is_accepted(client: Client, script: str) -> None:
    assert client.rows(f"{script}\nSELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SET NOSUCHOPTION ON", 195),
        ("SET XACT_ABORT_OFF ON", 195),
        ("SET NOCOUNT 5", 102),
        ("SET XACT_ABORT YES", 102),
        ("SET LOCK_TIMEOUT soon", 102),
        ("SET ROWCOUNT OFF", 102),
        ("SET DEADLOCK_PRIORITY 11", 102),
        ("SET DEADLOCK_PRIORITY MEDIUM", 102),
        ("SET TRANSACTION ISOLATION LEVEL CHAOS", 102),
        ("SET CONTEXT_INFO 0x01", 40517),
        ("SET OFFSETS SELECT ON", 40517),
        ("DECLARE @n int = 5; SET ROWCOUNT @n", 40517),
    ],
)
def test_mistakes(client: Client, sql: str, number: int) -> None:
    assert client.error(sql).number == number


def test_several_options_at_once_and_what_the_session_says_of_them(client: Client) -> None:
    assert client.value("SELECT @@OPTIONS") == 5432
    client.rows("SET NOCOUNT, XACT_ABORT, ARITHABORT ON; SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT 1500")
    assert client.rows("SELECT @@OPTIONS, @@TEXTSIZE, @@LOCK_TIMEOUT") == [(5432 + 512 + 16384 + 64, 2147483647, 1500)]
    client.session.reset()
    assert client.rows("SELECT @@OPTIONS, @@TEXTSIZE, @@LOCK_TIMEOUT") == [(5432, -1, -1)]


def test_nothing_is_set_by_a_refused_option(client: Client) -> None:
    assert client.error("SET NUMERIC_ROUNDABORT, NOCOUNT ON").number == 40517
    assert client.value("SELECT @@OPTIONS") == 5432


@pytest.mark.parametrize(
    ("first", "second", "victim"), [("NORMAL", "NORMAL", 2), ("LOW", "NORMAL", 1), ("0", "-1", 2), ("1", "HIGH", 1)]
)
def test_deadlock_priority_chooses_the_victim(server: Server, first: str, second: str, victim: int) -> None:
    one, two = server.client(), server.client()
    one.rows(f"CREATE TABLE dbo.T (Id int); SET DEADLOCK_PRIORITY {first}")
    two.rows(f"SET DEADLOCK_PRIORITY {second}")
    lock = "EXEC sp_getapplock 'L', 'Exclusive', @LockTimeout = 10000"
    one.rows("BEGIN TRANSACTION; INSERT dbo.T VALUES (1)")
    two.rows(f"BEGIN TRANSACTION; {lock}")
    answers: dict[int, Any] = {}

    def wait() -> None:
        answers[1] = one.run(f"DECLARE @r int; {lock.replace('EXEC', 'EXEC @r =')}; SELECT @r; ROLLBACK")

    thread = threading.Thread(target=wait)
    thread.start()
    while not any(status == "WAIT" for *_, status in server.database.locks.snapshot()):
        thread.join(0.002)
    answers[2] = two.run("INSERT dbo.T VALUES (2); ROLLBACK")
    thread.join(10)
    assert answers[1].results[0].rows[0][0] == (-3 if victim == 1 else 1)
    assert answers[2].numbers == ([1205] if victim == 2 else [])
