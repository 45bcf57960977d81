"""SQL trigger functions inside the host: the listener itself has tests of its own."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

from emulators.clock import VirtualTime
from emulators.launch import FunctionsHost, SqlServer

APP = """
import os
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route()
def ping(req: func.HttpRequest) -> str:
    return "pong"

@app.sql_trigger(arg_name="changes", table_name="%Table%", connection_string_setting="Sql")
def on_change(changes: str) -> None:
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(changes + "\\n")
    if "bad" in changes:
        raise ValueError("a bad row")
"""


def test_the_host_stays_up_and_tries_again_while_the_database_is_away(
    make_app: Callable[..., Path], tmp_path: Path, virtual_time: VirtualTime
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = closed.getsockname()
    settings = {
        "Sql": f"Server=tcp:127.0.0.1,{address[1]};Database=d;User ID=u;Password=p;Connect Timeout=1",
        "NOTES": str(tmp_path / "notes"),
        "Table": "dbo.T",
    }
    with FunctionsHost(make_app(APP), tmp_path, virtual_time.spec, settings) as host:
        virtual_time.advance(4, patience_seconds=100)
        log = host.log_tail(200)
        for pause in (1, 2, 4):
            assert f"The listener for function 'on_change' was unable to start, again in {pause} s" in log
        assert "again in 8 s" not in log
        assert host.request("GET", "/api/ping").text == "pong"


def test_a_missing_connection_string_is_named(make_app: Callable[..., Path], tmp_path: Path, virtual_time: VirtualTime) -> None:
    settings = {"NOTES": str(tmp_path / "notes"), "Table": "dbo.T"}
    with FunctionsHost(make_app(APP), tmp_path, virtual_time.spec, settings) as host:
        virtual_time.advance(0)
        assert "connection string 'Sql' is missing or empty" in host.log_tail()


def test_changes_reach_the_function_and_failed_ones_come_again(
    make_app: Callable[..., Path], tmp_path: Path, virtual_time: VirtualTime
) -> None:
    notes = tmp_path / "notes"
    with SqlServer(tmp_path, virtual_time.spec) as server:
        with server.connect() as connection:
            connection.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
            connection.execute("CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY, V nvarchar(20))")
            connection.execute("ALTER TABLE dbo.T ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
            settings = {"Sql": server.ado_net_connection_string, "NOTES": str(notes), "Table": "dbo.T"}
            with FunctionsHost(make_app(APP), tmp_path, virtual_time.spec, settings) as host:
                virtual_time.advance(5)
                connection.execute("INSERT INTO dbo.T VALUES (1, N'a'), (2, N'b')")
                virtual_time.advance(5)
                received = [json.loads(line) for line in notes.read_text().splitlines()]
                assert received == [[{"Operation": 0, "Item": {"Id": 1, "V": "a"}}, {"Operation": 0, "Item": {"Id": 2, "V": "b"}}]]
                connection.execute("INSERT INTO dbo.T VALUES (3, N'bad')")
                virtual_time.advance(130)
                assert len(notes.read_text().splitlines()) == 1 + 3  # at once, and after each lease of a minute
                assert "ValueError: a bad row" in host.log_tail(100)
