"""Each recipe of docs/recipes.md is run: the whole app, with the file as it stands there, against a server of its kind."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.harness.http_server import Asked, Given, HttpServer
from tests.harness.identity_endpoint import IdentityEndpoint
from tests.harness.oauth_server import AUTHORITY, OAuth
from tests.harness.running_relay import Relay

PAGE = (Path(__file__).resolve().parents[2] / "docs/recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## ([^\n]+)\n.*?^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
SALES = "CREATE SCHEMA sales\nGO\n"
ORDERS = (
    SALES + "CREATE TABLE sales.Orders (OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Customer nvarchar(40) NOT NULL,"
    " Total decimal(20, 4) NULL, Status nvarchar(20) NOT NULL, Secret nvarchar(20) NULL)"
)
PRODUCTS = (
    SALES + "CREATE TABLE sales.Products (ProductId int NOT NULL CONSTRAINT PK_Products PRIMARY KEY, Stock int NOT NULL,"
    " Price decimal(9, 2) NOT NULL, Cost decimal(9, 2) NOT NULL, Supplier nvarchar(40) NOT NULL)"
)
Make = Callable[..., Relay]


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def run(
    make: Make,
    title: str,
    tables: str,
    addresses: dict[str, str],
    settings: dict[str, str],
    replaced: dict[str, str] | None = None,
) -> Relay:
    """Run the recipe of that title. ``addresses``: what stands in the place of a host of the page, up to its path."""
    text = RECIPES[title]
    for before, after in ({f"https://{host}": url for host, url in addresses.items()} | (replaced or {})).items():
        assert before in text
        text = text.replace(before, after)
    return make(text.replace("%TEAM_WEBHOOK_URL%", "%ALERT_WEBHOOK_URL%"), tables, own_settings=settings)


def order(relay: Relay, number: int, status: str = "open") -> None:
    relay.execute("INSERT INTO sales.Orders VALUES (?, N'Ada', 10.5, ?, N'secret')", number, status)


def test_each_recipe_has_a_test() -> None:
    assert set(RECIPES) == {
        "An ERP's REST API",
        "A webhook receiver that checks signatures",
        "A data lake's batch endpoint",
        "Another Azure Function behind Entra ID",
        "Two systems from one table",
    }


def test_an_erp_with_paths_and_oauth_2(make_relay: Make, servers: ExitStack, tmp_path: Path) -> None:
    erp = servers.enter_context(OAuth(tmp_path))
    erp.client("rowpost", "erp-secret", scope="orders.write")
    ca = tmp_path / "login.pem"
    ca.write_text(AUTHORITY.pem)
    addresses = {"erp.example": erp.api.url, "login.example": erp.login.url}
    settings = {"ERP_CLIENT_ID": "rowpost", "ERP_CLIENT_SECRET": "erp-secret"}
    own_authority = {'scope = "orders.write"': f'scope = "orders.write"\nca = "{ca}"'}  # the page's login has a public one
    relay = run(make_relay, "An ERP's REST API", ORDERS, addresses, settings, own_authority)
    order(relay, 1)
    order(relay, 2, "draft")
    relay.advance(5)
    (put,) = erp.api.asked  # a draft that was never sent needs no deletion
    assert (put.method, put.path) == ("PUT", "/api/v2/orders/1")
    assert json.loads(put.body) == {"OrderId": 1, "Customer": "Ada", "Total": "10.5000", "Status": "open"}
    assert put.headers["Authorization"].startswith("Bearer token-")
    relay.execute("UPDATE sales.Orders SET Status = N'draft' WHERE OrderId = 1")
    relay.execute("UPDATE sales.Orders SET Status = N'open' WHERE OrderId = 2")
    relay.advance(5)
    assert sorted((asked.method, asked.path) for asked in erp.api.asked[1:]) == [
        ("DELETE", "/api/v2/orders/1"),
        ("PUT", "/api/v2/orders/2"),
    ]
    assert relay.ledger() == []


def test_a_receiver_that_checks_signatures(make_relay: Make, servers: ExitStack) -> None:
    receiver = servers.enter_context(HttpServer(lambda asked: Given(422 if b'"OrderId":2' in asked.body else 200)))
    secrets = [f"whsec_{base64.b64encode(os.urandom(32)).decode()}" for _ in range(2)]
    settings = dict(zip(("SIGNING_SECRET", "FORMER_SIGNING_SECRET"), secrets, strict=True))
    title = "A webhook receiver that checks signatures"
    relay = run(make_relay, title, ORDERS, {"receiver.example": receiver.url}, settings)
    order(relay, 1)
    order(relay, 2)
    assert relay.advance(hours=1, until=lambda: [entry[1] for entry in relay.ledger()] == ["dead"])
    assert {asked.path for asked in receiver.asked} == {"/hooks/orders"} and len(receiver.asked) >= 6
    for asked in receiver.asked:
        for secret in secrets:
            assert Webhook(secret).verify(asked.body, dict(asked.headers))["data"]["table"] == "sales.Orders"
    assert relay.advance(hours=1, until=lambda: bool(relay.alerts("dead_letter")))


def test_a_lake_that_takes_lines(make_relay: Make, servers: ExitStack) -> None:
    lake = servers.enter_context(HttpServer(lambda _: Given()))
    tables = ORDERS + "\nGO\nINSERT INTO sales.Orders SELECT value, N'old', 1, N'open', NULL FROM GENERATE_SERIES(1, 700)"
    relay = run(make_relay, "A data lake's batch endpoint", tables, {"lake.example": lake.url}, {"LAKE_KEY": "lake-key"})

    def rows() -> dict[int, str]:
        found = {}
        for asked in lake.asked:
            if asked.headers["Content-Type"].startswith("application/x-ndjson"):
                for line in plain(asked).splitlines():
                    change = json.loads(line)
                    if "key" in change:
                        found[change["key"]["OrderId"]] = change["row"]["Customer"]
        return found

    for number in range(1001, 1101):
        order(relay, number)
    assert relay.advance(hours=1, until=lambda: len(rows()) == 800)
    assert set(rows().values()) == {"old", "Ada"}
    assert all(asked.headers["X-Api-Key"] == "lake-key" and asked.path == "/ingest/orders" for asked in lake.asked)
    assert any(asked.headers.get("Content-Encoding") == "gzip" for asked in lake.asked)
    assert len(lake.asked) < 60  # and not 800


def plain(asked: Asked) -> bytes:
    return gzip.decompress(asked.body) if asked.headers.get("Content-Encoding") == "gzip" else asked.body


def test_a_function_behind_entra_id(make_relay: Make, servers: ExitStack) -> None:
    identity = servers.enter_context(IdentityEndpoint())

    def receive(asked: Asked) -> Given:
        if not asked.headers["Authorization"].startswith("Bearer identity-token"):
            return Given(401)
        results = [
            {"id": each["id"], "status": 422 if each["data"]["key"]["OrderId"] == 2 else 200} for each in json.loads(asked.body)
        ]
        return Given(207, json.dumps({"results": results}).encode(), {"Content-Type": "application/json"})

    billing = servers.enter_context(HttpServer(receive))
    title = "Another Azure Function behind Entra ID"
    relay = run(make_relay, title, ORDERS, {"billing.example": billing.url}, identity.settings())
    relay.execute("INSERT INTO sales.Orders SELECT value, N'Ada', 1, N'open', NULL FROM GENERATE_SERIES(1, 50)")
    relay.advance(5)
    (asked,) = (asked for asked in billing.asked if len(json.loads(asked.body)) > 1)
    assert asked.path == "/api/orders" and asked.headers["Content-Type"].startswith("application/cloudevents-batch+json")
    assert len(json.loads(asked.body)) == 50
    assert [(entry[0], entry[1]) for entry in relay.ledger()] == [('{"OrderId":2}', "retrying")]
    assert identity.queries()[0]["resource"] == "api://0f1e2d3c-0000-0000-0000-000000000000"


def test_two_systems_with_different_columns(make_relay: Make, servers: ExitStack) -> None:
    shop = servers.enter_context(HttpServer(lambda _: Given()))
    accounts = servers.enter_context(HttpServer(lambda _: Given(503)))
    addresses = {"shop.example": shop.url, "accounts.example": accounts.url}
    settings = {"SHOP_KEY": "shop-key", "ACCOUNTS_PASSWORD": "accounts-password"}
    relay = run(make_relay, "Two systems from one table", PRODUCTS, addresses, settings)
    relay.execute("INSERT INTO sales.Products VALUES (1, 5, 9.99, 4.5, N'hidden supplier')")
    relay.advance(5)
    (asked,) = shop.asked
    assert json.loads(asked.body)["data"]["row"] == {"ProductId": 1, "Stock": 5, "Price": "9.99"}
    assert asked.headers["X-Api-Key"] == "shop-key"
    accounts.answer = lambda _: Given()
    relay.advance(120)
    asked = accounts.asked[-1]
    assert json.loads(asked.body)["row"] == {"ProductId": 1, "Price": "9.99", "Cost": "4.50"}
    assert asked.headers["Authorization"] == f"Basic {base64.b64encode(b'rowpost:accounts-password').decode()}"
    assert len(shop.asked) == 1 and b"supplier" not in b"".join(each.body for each in [*shop.asked, *accounts.asked])
    before = len(accounts.asked)
    relay.advance(660)  # the watchdog notes what is delivered
    relay.execute("UPDATE sales.Products SET Stock = 4")
    relay.advance(5)
    assert (len(shop.asked), len(accounts.asked)) == (2, before)
