"""HTTP functions: routes, values, answers, keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from emulators.functions_host.http.routes import Route
from emulators.functions_host.settings import ConfigurationError
from emulators.launch import FunctionsHost
from emulators.tests.functions_host.world import APPS, World


def test_a_function_sees_the_request_and_forms_the_answer(world: World) -> None:
    answer = world.host.request("POST", "/API/Hello/bob/3?x=1&x=2&y=&z=a%20b", data=b"\x00\x01", headers={"X-Test": "t"})
    assert answer.status_code == 201
    assert answer.json() == {
        "route": {"name": "bob", "times": "3"},
        "query": {"x": "1,2", "z": "a b"},
        "method": "POST",
        "header": "t",
        "length": 2,
        "function": "hello",
        "setting": "hi",
    }
    assert answer.headers["X-Reply"] == "yes"
    assert answer.headers["Content-Type"] == "application/json"
    assert {cookie.name: cookie.value for cookie in answer.cookies} == {"a": "1", "b": "2"}
    assert "times" not in world.host.request("GET", "/api/hello/bob").json()["route"]


STATUS_CODES = [
    ("GET", "/api/plain", 200),
    ("GET", "/", 200),
    ("GET", "/plain", 404),
    ("GET", "/api/hello/b0b", 404),
    ("GET", "/api/hello/bob/three", 404),
    ("GET", "/api/hello/bob/3/4", 404),
    ("DELETE", "/api/hello/bob", 404),
    ("GET", "/api/boom", 500),
    ("GET", "/api/none", 500),
    ("GET", "/api/locked", 200),
    ("GET", "/admin/host/status", 200),
    ("POST", "/admin/functions/nothing", 404),
]


def test_status_codes(world: World) -> None:
    for method, path, status in STATUS_CODES:
        answer = world.host.request(method, path)
        assert answer.status_code == status, (method, path)
        assert status == 200 or answer.text == "", (method, path)


def test_a_failure_is_in_the_log_with_the_traceback_of_the_app(world: World) -> None:
    world.host.request("GET", "/api/boom")
    log = world.host.log_tail(30)
    assert "[boom] Executed (Failed" in log
    assert "RuntimeError: boom in a function" in log
    assert "function_app.py" in log


def test_a_body_above_a_megabyte_passes(world: World) -> None:
    assert world.host.request("POST", "/api/hello/bob", data=b"x" * 3_000_000).json()["length"] == 3_000_000


def test_keys_are_asked_for_only_with_enable_auth(tmp_path: Path) -> None:
    settings = {"NOTES": str(tmp_path / "notes"), "EveryFiveMinutes": "0 */5 * * * *"}
    with FunctionsHost(APPS / "everything", tmp_path, "real", settings, enable_auth=True) as host:
        keys = json.loads((host.data / "keys.json").read_text())
        assert host.request("GET", "/api/locked").status_code == 401
        assert host.request("GET", "/api/locked?code=wrong").status_code == 401
        assert host.request("GET", f"/api/locked?code={keys['host']}").status_code == 200
        assert host.request("GET", "/api/locked", headers={"x-functions-key": keys["master"]}).status_code == 200
        assert host.request("GET", "/api/plain").status_code == 200
        assert host.request("GET", "/runtime/webhooks/durabletask/instances").status_code == 401
        assert (
            host.request("GET", f"/runtime/webhooks/durabletask/instances?code={keys['durabletask_extension']}").status_code == 200
        )
        started = requests.post(f"{host.url}/api/start/chain", data="2", timeout=30).json()
        host.wait_until(lambda: requests.get(started["statusQueryGetUri"], timeout=30).status_code == 200)


def test_a_function_has_keys_of_its_own(tmp_path: Path) -> None:
    settings = {"NOTES": str(tmp_path / "notes"), "EveryFiveMinutes": "0 */5 * * * *"}
    with FunctionsHost(APPS / "everything", tmp_path, "real", settings, enable_auth=True) as host:
        keys = json.loads((host.data / "keys.json").read_text())
        master = {"x-functions-key": keys["master"]}
        address = "/admin/functions/LOCKED/keys"

        def opens(key: str, path: str = "/api/locked") -> bool:
            return host.request("GET", path, headers={"x-functions-key": key}).status_code == 200

        (default,) = host.request("GET", address, headers=master).json()["keys"]
        assert default == {"name": "default", "value": keys["functions"]["locked"]["default"]} and opens(default["value"])
        made = host.request("PUT", f"{address}/reader%20one", headers=master, json={"name": "reader one", "value": "s3cret"})
        assert (made.status_code, made.json()) == (201, {"name": "reader one", "value": "s3cret"}) and opens("s3cret")
        assert host.request("PUT", f"{address}/reader%20one", headers=master, json={"value": "other"}).status_code == 200
        assert opens("other") and not opens("s3cret") and opens(default["value"])
        assert not opens("other", "/runtime/webhooks/durabletask/instances") and not opens("other", address)
        posted = host.request("POST", f"{address}/made", headers=master)
        assert posted.status_code == 201 and opens(posted.json()["value"])
        assert host.request("GET", f"{address}/made", headers=master).json() == posted.json()
        for method, path, status in (
            ("GET", "/admin/functions/nobody/keys", 404),
            ("GET", f"{address}/nobody", 404),
            ("PUT", "/admin/functions/nobody/keys/x", 400),
            ("POST", "/admin/functions/nobody/keys/x", 404),
            ("DELETE", f"{address}/nobody", 404),
            ("DELETE", f"{address}/_master", 400),
            ("DELETE", f"{address}/reader%20one", 204),
            ("DELETE", f"{address}/reader%20one", 404),
            ("POST", address, 405),
        ):
            assert host.request(method, path, headers=master).status_code == status, (method, path)
            assert host.request(method, path, headers={"x-functions-key": keys["host"]}).status_code == 401
        assert not opens("other")
        empty = host.request("GET", f"/api/locked?code={keys['host']}", headers={"x-functions-key": ""})
        assert empty.status_code == 401, "the header counts before the query"
    with FunctionsHost(APPS / "everything", tmp_path, "real", settings, enable_auth=True) as host:
        assert opens(posted.json()["value"]), "they are kept"


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("orders/{id}", "orders/5", {"id": "5"}),
        ("orders/{id}", "ORDERS/a%2Fb%20c", {"id": "a/b c"}),
        ("orders/{id}", "orders", None),
        ("orders/{id:int}", "orders/x", None),
        ("orders/{id:int:range(1,9)}", "orders/9", {"id": "9"}),
        ("orders/{id:int:range(1,9)}", "orders/10", None),
        ("orders/{id:int?}", "orders", {}),
        ("orders/{id=7}", "orders", {"id": "7"}),
        ("orders/{*rest}", "orders/a/b", {"rest": "a/b"}),
        ("orders/{*rest}", "orders", {"rest": ""}),
        ("v{major:int}.{minor:int}/x", "v1.20/x", {"major": "1", "minor": "20"}),
        ("v{major:int}.{minor:int}/x", "v1.a/x", None),
        ("{id:guid}", "0f8fad5b-d9cb-469f-a165-70867728950e", {"id": "0f8fad5b-d9cb-469f-a165-70867728950e"}),
        (r"{id:regex(^\d{{2}}$)}", "12", {"id": "12"}),
        (r"{id:regex(^\d{{2}}$)}", "123", None),
        ("{id:length(2,3)}", "abcd", None),
        ("{a:alpha}/{b:bool}", "x/TRUE", {"a": "x", "b": "TRUE"}),
    ],
)
def test_route_templates(template: str, path: str, values: dict[str, str] | None) -> None:
    assert Route(template).match(path) == values


@pytest.mark.parametrize("template", ["{id:number}", "{*rest}/x", "{id?}/x", "a{b", "{id:range(1)}", "{}"])
def test_templates_that_are_not_valid_are_refused(template: str) -> None:
    with pytest.raises(ConfigurationError, match="is not valid"):
        Route(template)


def test_the_more_special_template_is_tried_first() -> None:
    templates = ["{*rest}", "orders/{id}", "orders/{id:int}", "orders/open", "{a}/{b}"]
    ordered = sorted((Route(template) for template in templates), key=lambda route: route.precedence)
    assert [route.template for route in ordered] == ["orders/open", "orders/{id:int}", "orders/{id}", "{a}/{b}", "{*rest}"]
