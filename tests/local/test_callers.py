"""No page of another site in a developer's browser gets an answer from an emulator; programs do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from devtools.stack import Stack
from emulators.callers import refusal

NEAR = [
    "localhost",
    "localhost:7071",
    "LOCALHOST",
    "127.0.0.1:1",
    "[::1]:8080",
    "10.0.0.7",
    "downstream:8080",
    "x.localhost",
    "localhost.",
]
FAR = ["evil.example", "evil.example:7071", "127.0.0.1.nip.io", "localhost.evil.example", "a.b", "", "[", "1.2.3", "::1.example"]


@pytest.mark.parametrize("host", NEAR)
def test_a_program_that_names_this_machine_or_a_container_is_answered(host: str) -> None:
    assert refusal({"Host": host}) is None
    assert refusal({"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}) is None


@pytest.mark.parametrize("host", FAR)
def test_a_name_that_strangers_may_point_at_this_machine_is_refused(host: str) -> None:
    assert refusal({"Host": host}) is not None


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:3000", "http://localhost.evil.example", "", "http://["]
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    assert refusal({"Host": "localhost:7071", "Origin": origin}) is not None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", ""])
def test_what_a_browser_says_of_another_site_counts(site: str) -> None:
    assert refusal({"Host": "localhost:7071", "Sec-Fetch-Site": site}) is not None


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), "real") as running:
        yield running


def ports(stack: Stack) -> dict[str, str]:
    assert stack.host is not None
    rpc = f"http://127.0.0.1:{stack.host._ports['rpc_port']}/durabletask/instances"
    return {
        "the app": f"{stack.host.url}/api/relays",
        "management": f"{stack.host.url}/runtime/webhooks/durabletask/instances",
        "the status page": f"{stack.host.url}/admin/console/state",
        "durable clients": rpc,
        "the API": f"{stack.downstream.url}/_control/state",
        "mail": f"{stack.email.url}/_control/messages",
        "control of SQL Server": f"http://127.0.0.1:{stack.sql.control_port}/stats",
    }


@pytest.mark.parametrize("fields", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize(
    "port", ["the app", "management", "the status page", "durable clients", "the API", "mail", "control of SQL Server"]
)
def test_every_port_refuses_them(stack: Stack, port: str, fields: dict[str, str]) -> None:
    url = ports(stack)[port]
    assert requests.get(url, timeout=30).status_code != 403
    for method in ("GET", "POST", "DELETE"):
        answer = requests.request(method, url, headers=fields, timeout=30)
        assert answer.status_code == 403 and "this emulator answers" in answer.text
