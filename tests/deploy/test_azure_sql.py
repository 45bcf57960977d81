"""The deployer's way into the database: whose token, which firewall rule, and that it is gone afterwards.

Azure Resource Manager is an HTTP server here, azd is a program on the path, and the SDKs that talk to them are the real ones.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyodbc
import pytest
import requests

from infra.azure_sql import AzureDatabase, FirewallRule, connected, deployer_token, token_attribute
from infra.prepare_database import identity_sid
from rowpost.config.errors import ConfigError

SERVER_ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Sql/servers/sql-x"
DATABASE = AzureDatabase(SERVER_ID, "sql-x.database.windows.net", "rowpost")
RULE_PATH = f"{SERVER_ID}/firewallRules/rowpost-deployer"


class Arm:
    """Azure Resource Manager, as far as firewall rules go. ``refuse`` holds the methods that it answers with 403."""

    def __init__(self) -> None:
        self.rules: dict[str, Any] = {}
        self.calls: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.refuse: set[str] = set()
        arm = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                path, _, query = self.path.partition("?")
                assert query == "api-version=2025-01-01"
                arm.calls.append((self.command, path))
                arm.tokens.add(self.headers["Authorization"])
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = 204 if path not in arm.rules else 200
                if self.command in arm.refuse:
                    status = 403
                elif self.command == "PUT":
                    status = 201
                    arm.rules[path] = json.loads(body)["properties"]
                else:
                    arm.rules.pop(path, None)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_DELETE = _answer

            def log_message(self, format: str, *args: Any) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def arm() -> Iterator[Arm]:
    service = Arm()
    yield service
    service.server.shutdown()
    service.server.server_close()


def rule(arm: Arm) -> FirewallRule:
    return FirewallRule(DATABASE, lambda scope: f"token for {scope}", arm.url)


class Connection:
    """What a try to connect returns in the end."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def refused(address: str) -> pyodbc.Error:
    text = (
        "[42000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]Cannot open server 'sql-x' requested by the login. "
        f"Client with IP address '{address}' is not allowed to access the server. To enable access, use the Azure Management "
        "Portal or run sp_set_firewall_rule on the master database to create a firewall rule for this IP address or address "
        "range. It may take up to five minutes for this change to take effect. (40615) (SQLDriverConnect)"
    )
    return pyodbc.ProgrammingError("42000", text)


def tries(*outcomes: pyodbc.Error | Connection) -> Any:
    """One try to connect after the other."""
    waiting = list(outcomes)

    def connect() -> Any:
        outcome = waiting.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return connect


def test_the_address_that_the_server_names_gets_in_and_the_rule_goes_when_the_work_is_done(arm: Arm) -> None:
    connection, pauses = Connection(), list[float]()
    connect = tries(refused("203.0.113.7"), refused("203.0.113.7"), connection)
    with connected(connect, rule(arm), pauses.append) as found:
        assert found is connection
        assert arm.rules == {RULE_PATH: {"startIpAddress": "203.0.113.7", "endIpAddress": "203.0.113.7"}}
    assert arm.rules == {} and connection.closed
    assert arm.calls == [("PUT", RULE_PATH), ("DELETE", RULE_PATH)]
    assert len(pauses) == 2
    assert arm.tokens == {"Bearer token for https://management.azure.com/.default"}


def test_another_address_behind_the_same_translation_replaces_the_first(arm: Arm) -> None:
    with connected(tries(refused("203.0.113.7"), refused("203.0.113.8"), Connection()), rule(arm), lambda _: None):
        assert [value["startIpAddress"] for value in arm.rules.values()] == ["203.0.113.8"]
    assert arm.rules == {}


def test_the_rule_goes_when_the_work_fails(arm: Arm) -> None:
    connection = Connection()
    with pytest.raises(ZeroDivisionError), connected(tries(refused("203.0.113.7"), connection), rule(arm), lambda _: None):
        raise ZeroDivisionError
    assert arm.rules == {} and connection.closed


def test_a_rule_that_a_killed_run_left_behind_goes_too(arm: Arm) -> None:
    arm.rules[RULE_PATH] = {"startIpAddress": "203.0.113.7", "endIpAddress": "203.0.113.7"}
    with connected(tries(Connection()), rule(arm), lambda _: None):
        pass
    assert arm.rules == {}


def test_who_needs_no_rule_needs_no_right_to_write_one(arm: Arm) -> None:
    arm.refuse = {"DELETE"}
    with connected(tries(Connection()), rule(arm), lambda _: None):
        pass


def test_a_rule_that_cannot_be_removed_is_told(arm: Arm) -> None:
    arm.refuse = {"DELETE"}
    with pytest.raises(requests.HTTPError, match="DELETE of the firewall rule rowpost-deployer: 403"):
        with connected(tries(refused("203.0.113.7"), Connection()), rule(arm), lambda _: None):
            pass


def test_a_rule_that_may_not_be_made_is_told_at_once(arm: Arm) -> None:
    arm.refuse = {"PUT"}
    with pytest.raises(requests.HTTPError, match="PUT of the firewall rule"):
        with connected(tries(refused("203.0.113.7")), rule(arm), lambda _: None):
            pass


def test_a_server_without_a_public_door_says_where_to_go(arm: Arm) -> None:
    error = pyodbc.OperationalError("08001", "Connection was denied because Deny Public Network Access is set to Yes (47073)")
    with pytest.raises(ConfigError, match="inside its network"), connected(tries(error), rule(arm), lambda _: None):
        pass
    assert arm.rules == {}


def test_a_database_that_wakes_up_is_waited_for_and_other_errors_are_not(arm: Arm) -> None:
    waking = pyodbc.OperationalError("HY000", "Database 'rowpost' on server 'sql-x' is not currently available. (40613)")
    with connected(tries(waking, Connection()), rule(arm), lambda _: None):
        pass
    wrong = pyodbc.InterfaceError("28000", "Login failed for user '<token-identified principal>'. (18456)")
    with pytest.raises(pyodbc.InterfaceError), connected(tries(wrong), rule(arm), lambda _: None):
        pass


def test_patience_has_an_end(arm: Arm) -> None:
    with pytest.raises(pyodbc.ProgrammingError), connected(tries(*[refused("203.0.113.7")] * 99), rule(arm), lambda _: None):
        pass
    assert arm.rules == {} and [call[0] for call in arm.calls] == ["PUT", "DELETE"]


def test_the_token_is_handed_over_as_the_driver_wants_it() -> None:
    ((attribute, value),) = token_attribute("abc").items()
    assert attribute == 1256
    assert struct.unpack("<I", value[:4]) == (6,) and value[4:].decode("utf-16-le") == "abc"


def test_the_connection_string_names_no_user() -> None:
    parts = dict(part.split("=", 1) for part in DATABASE.odbc("ODBC Driver 18 for SQL Server").split(";"))
    assert parts["Driver"] == "{ODBC Driver 18 for SQL Server}" and parts["Encrypt"] == "yes"
    assert not {"UID", "PWD", "Authentication", "Trusted_Connection"} & set(parts)


@pytest.mark.skipif(os.name == "nt", reason="a shell script takes the place of azd")
def test_the_token_is_that_of_whoever_is_logged_in_to_azd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    azd = tmp_path / "azd"
    answer = json.dumps({"token": "from-azd", "expiresOn": "2099-01-01T00:00:00Z"})
    azd.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\necho \'{answer}\'\n')
    azd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert deployer_token()("https://database.windows.net/.default") == "from-azd"
    assert "https://database.windows.net/.default" in (tmp_path / "asked").read_text()


@pytest.mark.skipif(os.name == "nt", reason="a shell script takes the place of azd")
def test_nobody_logged_in_is_said_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("azd", "az"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'ERROR: not logged in' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ConfigError, match="azd auth login"):
        deployer_token("11111111-1111-1111-1111-111111111111")("https://database.windows.net/.default")


@pytest.mark.parametrize("name", ["SQL_SERVER_ID", "SQL_SERVER_HOST", "SQL_DATABASE"])
def test_a_missing_output_is_named(name: str) -> None:
    environment = {"SQL_SERVER_ID": "/x", "SQL_SERVER_HOST": "h", "SQL_DATABASE": "d"} | {name: ""}
    with pytest.raises(ConfigError, match=f"{name} is missing"):
        AzureDatabase.from_environment(environment)


def test_the_sid_of_an_identity_is_its_client_id_as_sql_server_stores_a_guid() -> None:
    assert identity_sid("00112233-4455-6677-8899-aabbccddeeff") == "0x33221100554477668899AABBCCDDEEFF"
    with pytest.raises(ValueError):
        identity_sid("0x00]; DROP TABLE t")
