"""The status page of the Functions host: its data over HTTP, and that whoever looks disturbs nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulators.clock import VirtualTime
from emulators.functions_host.console import CONSOLE_PATH
from emulators.functions_host.sql_trigger.inspection import lease_state
from emulators.launch import FunctionsHost, SqlServer
from emulators.tests.functions_host.world import APPS, World

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SQL_APP = """
import azure.functions as func
app = func.FunctionApp()

@app.sql_trigger(arg_name="changes", table_name="%Table%", connection_string_setting="Sql")
def on_change(changes: str) -> None:
    if "bad" in changes:
        raise ValueError("a bad row")
"""


def look(host: FunctionsHost, name: str = "state", **parameters: Any) -> Any:
    answer = host.request("GET", f"{CONSOLE_PATH}/{name}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def named(items: list[dict[str, Any]], name: str, key: str = "name") -> dict[str, Any]:
    return next(item for item in items if item[key] == name)


def test_host_and_functions(world: World) -> None:
    world.time.advance(310)
    world.host.request("GET", "/api/boom")
    state = look(world.host)
    assert state["host"]["clock"] == {"kind": "virtual", "factor": None}
    assert state["host"]["started"] == "2026-01-01T00:00:00.000Z"
    assert state["host"]["now"] == "2026-01-01T00:05:10.000Z"
    assert re.match(r"Python 3\.\d+\.\d+, azure-functions \d", state["host"]["worker"])
    timer = named(state["functions"], "five_minutes")
    assert (timer["kind"], timer["parameters"]["schedule"]) == ("timer", "0 */5 * * * *")  # %EveryFiveMinutes%, resolved
    assert (timer["running"], timer["done"], timer["failed"]) == (0, 1, 0)
    assert timer["next"] == "2026-01-01T00:10:00.000Z"
    assert timer["last"]["at"] == "2026-01-01T00:05:00.000Z" and timer["last"]["error"] is None
    boom = named(state["functions"], "boom")
    assert (boom["done"], boom["failed"], boom["last"]["error"]) == (0, 1, "RuntimeError: boom in a function")
    assert named(state["functions"], "hello")["parameters"]["route"] == "/api/hello/{name:alpha}/{times:int?}"
    assert named(state["functions"], "plain")["parameters"]["route"] == "/api/plain"
    assert named(state["functions"], "none")["last"] is None


def test_what_runs_and_waits_is_seen_while_time_stands_still(world: World) -> None:
    instance = world.start("slow_pair")
    world.host.wait_until(lambda: len(world.notes("slow")) == 2)
    state = look(world.host)  # the functions are busy, so that virtual time stands; who looks is answered all the same
    assert named(state["functions"], "slow")["running"] == 2
    assert state["durable"]["queues"]["activities"]["waiting"] == [{"of": instance, "name": "slow"}] * 2
    Path(f"{world.notes_file}.go").touch()
    world.finish(instance)
    state = look(world.host)
    assert (named(state["functions"], "slow")["running"], named(state["functions"], "slow")["done"]) == (0, 2)
    assert state["durable"]["queues"]["activities"]["count"] == 0


def test_log_lines_come_once_and_in_order(world: World) -> None:
    world.host.request("GET", "/api/boom")
    lines = look(world.host)["log"]
    assert [line["number"] for line in lines] == list(range(lines[0]["number"], lines[-1]["number"] + 1))
    failure = next(line for line in lines if line["speaker"] == "boom" and line["level"] == "error")
    assert failure["at"] == "2026-01-01T00:00:00.000Z"
    assert "RuntimeError: boom in a function\nTraceback" in failure["text"]
    assert look(world.host, after=lines[-1]["number"])["log"] == []
    world.host.request("GET", "/api/boom")
    assert {line["speaker"] for line in look(world.host, after=lines[-1]["number"])["log"]} == {"boom"}


def test_instances_queues_and_history(world: World) -> None:
    world.run("chain", 1)
    world.start("wait_or_time_out", 3600, instance="waits")
    world.start("collect", instance="suspended")
    world.settle()
    world.client("suspend", instance_id="suspended", reason="a look")
    world.client("raise_event", instance_id="suspended", event_name="item", event_data=1)
    world.run("counting")
    world.settle()
    durable = look(world.host)["durable"]
    assert durable["counts"] == {"Completed": 2, "Running": 1, "Suspended": 1}
    assert durable["matching"] == 4
    waits = named(durable["instances"], "waits", "id")
    assert (waits["name"], waits["status"]) == ("wait_or_time_out", "Running")
    assert named(durable["instances"], "chain")["custom"] == '{"at": 4}'
    assert durable["queues"]["timers"] == {"count": 1, "waiting": [{"of": "waits", "due": "2026-01-01T01:00:00.0000000Z"}]}
    assert durable["queues"]["messages"]["waiting"] == [{"of": "suspended", "count": durable["queues"]["messages"]["count"]}]
    assert named(durable["entities"], "@counter@k1", "id")["state"] == "7"
    assert [item["id"] for item in look(world.host, status="Suspended")["durable"]["instances"]] == ["suspended"]
    assert [item["id"] for item in look(world.host, text="WAIT_or")["durable"]["instances"]] == ["waits"]
    assert look(world.host, text="nothing like it")["durable"]["matching"] == 0
    finished = look(world.host, "instance", id=named(durable["instances"], "chain")["id"])
    assert [(event["kind"], event["name"], event["detail"]) for event in finished["events"]][:4] == [
        ("ExecutionStarted", "chain", "1"),
        ("TaskScheduled", "double", None),
        ("TaskCompleted", "double", "2"),
        ("TaskScheduled", "double", None),
    ]
    assert (finished["output"], finished["eventCount"]) == ('{"value": 4}', 8)
    assert all(event["at"] == "2026-01-01T00:00:00.0000000Z" for event in finished["events"])
    assert world.host.request("GET", f"{CONSOLE_PATH}/instance?id=nobody").status_code == 404


def test_a_long_result_is_cut(world: World) -> None:
    instance = world.start("wait_or_time_out", 60)
    world.settle()
    world.client("raise_event", instance_id=instance, event_name="go", event_data="x" * 5000)
    world.finish(instance)
    found = look(world.host, "instance", id=instance)
    assert max(len(event["detail"] or "") for event in found["events"]) == 301
    assert len(found["output"]) == 301 and found["output"].endswith("…")


def test_requests_that_the_page_does_not_make_are_refused(world: World) -> None:
    page = world.host.request("GET", CONSOLE_PATH, allow_redirects=False)
    assert (page.status_code, page.headers["Location"]) == (308, f"{CONSOLE_PATH}/")
    assert world.host.request("POST", f"{CONSOLE_PATH}/state").status_code == 405
    assert world.host.request("GET", f"{CONSOLE_PATH}/state?after=x").status_code == 400
    assert world.host.request("GET", f"{CONSOLE_PATH}/../../keys.json").status_code == 404
    assert world.host.request("GET", f"{CONSOLE_PATH}/console.py").status_code == 404
    # A site whose name its owner points at this machine must not read the page with the visitor's browser.
    for name, status in (("evil.example", 403), ("evil.example:7071", 403), ("localhost:1", 200), ("[::1]:7071", 200)):
        answer = world.host.request("GET", f"{CONSOLE_PATH}/state", headers={"Host": name})
        assert answer.status_code == status, name
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_data_ask_for_the_master_key_where_keys_are_asked_for(tmp_path: Path) -> None:
    settings = {"NOTES": str(tmp_path / "notes"), "EveryFiveMinutes": "0 */5 * * * *"}
    with FunctionsHost(APPS / "everything", tmp_path, "real", settings, enable_auth=True) as host:
        keys = json.loads((host.data / "keys.json").read_text())
        for path in ("state", "triggers", "instance?id=x", "nothing"):
            assert host.request("GET", f"{CONSOLE_PATH}/{path}").status_code == 401
        assert host.request("GET", f"{CONSOLE_PATH}/state", headers={"x-functions-key": keys["host"]}).status_code == 401
        assert host.request("GET", f"{CONSOLE_PATH}/state", headers={"x-functions-key": keys["master"]}).status_code == 200
        assert "<title>" in host.request("GET", f"{CONSOLE_PATH}/").text  # without data


@pytest.mark.parametrize(
    ("attempts", "seconds", "state"),
    [
        (0, None, "released"),
        (1, 42, "handed out"),
        (5, 42, "handed out"),
        (0, 42, "held"),
        (-1, 42, "held"),
        (3, -1, "due"),
        (0, 0, "due"),
        (5, -1, "used up"),
        (5, None, "used up"),
    ],
)
def test_leases_in_words(attempts: int, seconds: int | None, state: str) -> None:
    end = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert lease_state(attempts, end, NOW) == state


def test_leases_are_shown_with_their_keys_only(make_app: Callable[..., Path], tmp_path: Path, virtual_time: VirtualTime) -> None:
    with SqlServer(tmp_path, virtual_time.spec, time_zone_offset_minutes=120) as server, server.connect() as connection:
        connection.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON)")
        connection.execute(
            "CREATE TABLE dbo.T (Id int NOT NULL, Code varbinary(8) NOT NULL, V nvarchar(20), PRIMARY KEY (Id, Code))"
        )
        connection.execute("ALTER TABLE dbo.T ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
        settings = {"Sql": server.ado_net_connection_string, "Table": "dbo.T", "WEBSITE_SITE_NAME": "page"}
        with FunctionsHost(make_app(SQL_APP), tmp_path, virtual_time.spec, settings) as host:
            assert look(host, "triggers")[0]["function"] == "on_change"
            virtual_time.advance(5)
            assert look(host, "triggers") == [
                {
                    "function": "on_change",
                    "table": "dbo.T",
                    "leaseTable": look(host, "triggers")[0]["leaseTable"],
                    "cursor": 0,
                    "version": 0,
                    "unprocessed": 0,
                    "leaseCount": 0,
                    "leases": [],
                }
            ]
            connection.execute("INSERT INTO dbo.T VALUES (1, 0xAB, N'good secret')")
            virtual_time.advance(5)
            connection.execute("INSERT INTO dbo.T VALUES (2, 0xCD, N'bad secret')")
            assert look(host, "triggers")[0]["unprocessed"] == 1
            virtual_time.advance(5)
            shown = look(host, "triggers")[0]
            failed = named(shown["leases"], "handed out", "state")
            assert failed["key"] == [["Id", "2"], ["Code", "0xcd"]]
            assert (failed["attempts"], failed["version"], shown["version"], shown["unprocessed"]) == (1, 2, 2, 0)
            end = datetime.fromisoformat(failed["end"])
            assert timedelta(0) < end - virtual_time.now() <= timedelta(seconds=60)  # UTC, though the server's time is not
            table = shown["leaseTable"]
            connection.execute(
                f"UPDATE {table} SET _az_func_AttemptCount = 0, _az_func_LeaseExpirationTime = DATEADD(hour, 1, SYSDATETIME())"
                " WHERE Id = 2"
            )
            assert look(host, "triggers")[0]["leases"][0]["state"] == "held"
            assert "secret" not in json.dumps(look(host, "triggers"))


def test_a_database_that_is_away_is_told_and_holds_nothing_up(
    make_app: Callable[..., Path], tmp_path: Path, virtual_time: VirtualTime
) -> None:
    settings = {"Sql": "Server=tcp:127.0.0.1,1;Database=d;User ID=u;Password=p;Connect Timeout=1", "Table": "dbo.T"}
    with FunctionsHost(make_app(SQL_APP), tmp_path, virtual_time.spec, settings) as host:
        assert look(host)["functions"][0]["parameters"]["tableName"] == "dbo.T"
        virtual_time.advance(2, patience_seconds=100)
        assert "ListenerError" in look(host, "triggers")[0]["problem"]
