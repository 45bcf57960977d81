"""The deep health: what each check finds, and what counts. No event and no notice is sent for it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rowpost.http.reach import why_out_of_reach
from tests.harness.certificates import issue
from tests.harness.http_server import Given, HttpServer
from tests.harness.running_relay import Relay, changed_config


def checks(relay: Relay) -> tuple[int, dict[str, dict[str, Any]]]:
    assert relay.stack.host is not None
    answer = relay.stack.host.request("GET", "/api/health")
    return answer.status_code, {check["name"]: check for check in answer.json()["checks"]}


def test_every_part_is_checked_and_nothing_is_sent(relay: Relay) -> None:
    status, found = checks(relay)
    of_relay = {"schema", "relay", "rights", "tracking", "retention", "trigger"}
    assert status == 200 and set(found) == of_relay | {"connection", "storage", "target api", "channel webhook 1"}
    assert all(check["healthy"] for check in found.values())
    assert relay.stack.downstream.attempts() == []


def test_a_target_that_is_down_does_not_count(make_relay: Callable[..., Relay]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    relay = make_relay(changed_config(url=f'"http://127.0.0.1:{port}/rows"'))
    status, found = checks(relay)
    target = found["target api"]
    assert status == 200 and not target["healthy"] and not target["counts"]
    assert "refuses" in target["detail"] and "its rows wait meanwhile" in target["remedy"]


def test_a_retention_that_is_too_short_and_a_trigger_that_has_ended_are_told(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(60)
    relay.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 6 HOURS)")
    stood = "StillSince = DATEADD(minute, -12, SYSUTCDATETIME()), StillSeen = DATEADD(minute, -1, SYSUTCDATETIME())"
    relay.execute(f"UPDATE rowpost.Relays SET {stood}")
    status, found = checks(relay)
    assert status == 503
    assert "kept for 6 h, and rows are retried for 12 h" in found["retention"]["detail"] and not found["retention"]["counts"]
    assert not found["trigger"]["healthy"] and found["trigger"]["remedy"].startswith("restart the function app")


def test_tables_of_a_former_version_are_told(relay: Relay) -> None:
    relay.execute("DELETE FROM rowpost.SchemaVersion WHERE Version = (SELECT MAX(Version) FROM rowpost.SchemaVersion)")
    status, found = checks(relay)
    assert status == 503 and "infra/prepare_database.py" in found["schema"]["remedy"]


@pytest.mark.parametrize(
    ("url", "said"), [("http://nowhere.invalid/x", "does not resolve"), ("https://127.0.0.1:1/", "refuses the connection")]
)
def test_a_server_out_of_reach_is_told_without_its_secrets(url: str, said: str) -> None:
    found = why_out_of_reach(url.replace("//", "//user:secret@") + "?sig=secret", 2)
    assert found is not None and said in found and "secret" not in found


def test_tls_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    root = issue("root", authority=True)
    with HttpServer(lambda asked: Given(), issue("127.0.0.1", root).tls(tmp_path)) as server:
        assert "TLS with" in (why_out_of_reach(server.url, 2) or "")
        assert why_out_of_reach(server.url, 2, ca=root.pem) is None
        assert server.asked == []
