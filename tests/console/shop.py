"""A shop with three relays to two targets, in which something is wrong: what the tests of the console look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.harness.running_relay import Relay

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
HOSTILE = "<img src=x onerror=document.title='owned'>"
ORDERS = "sales.Orders"
PAGES = {
    "relays": "#/",
    "a relay": f"#/relays/{ORDERS}",
    "rows": f"#/relays/{ORDERS}/rows",
    "dead letters": "#/relays/sales.Customers/rows?state=dead",
    "a row": f"#/relays/{ORDERS}/rows/100",
    "incidents": "#/incidents",
    "audit": "#/audit",
    "health": "#/health",
}

FIRST = 90
WAITING = 1 + 3 * 8
ROUND_SECONDS = 400  # after the first failure the first round is over, and nobody is told yet

TABLES = """
CREATE SCHEMA sales;
GO
CREATE SCHEMA stock;
GO
CREATE TABLE sales.Orders (
    OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY,
    Customer nvarchar(40) NOT NULL,
    Total decimal(12, 2) NULL
);
CREATE TABLE sales.Customers (
    Name nvarchar(100) NOT NULL CONSTRAINT PK_Customers PRIMARY KEY,
    City nvarchar(40) NULL
);
CREATE TABLE stock.Places (
    Shelf int NOT NULL,
    Place int NOT NULL,
    Article nvarchar(40) NULL,
    CONSTRAINT PK_Places PRIMARY KEY (Shelf, Place)
);
"""

CONFIG = """
[[targets]]
name = "erp"
url = "%DOWNSTREAM_URL%"
timeout = "5s"
batch_budget = "30s"
[targets.headers]
X-Api-Key = "%DOWNSTREAM_API_KEY%"
[[targets]]
name = "warehouse"
url = "%DOWNSTREAM_URL%"
timeout = "5s"
batch_budget = "30s"
[targets.headers]
X-Api-Key = "%DOWNSTREAM_API_KEY%"
[notifications]
after_rounds = 3
[[notifications.webhooks]]
url = "%ALERT_WEBHOOK_URL%"
[retry]
max_delay = "1h"
window = "24h"
rejected = "dead_letter"
[watchdog]
schedule = "0 */5 * * * *"
[[relays]]
table = "sales.Orders"
target = "erp"
[[relays]]
table = "sales.Customers"
target = "warehouse"
[[relays]]
table = "stock.Places"
target = "warehouse"
"""


def open_shop(make_relay: Callable[..., Relay]) -> Relay:
    """The shop, with nothing wrong."""
    return make_relay(CONFIG, TABLES)


def insert_orders(shop: Relay, *ids: int) -> None:
    """Rows of sales.Orders."""
    values = ", ".join(f"({i}, N'customer {i}', {i}.50)" for i in ids)
    shop.execute(f"INSERT INTO sales.Orders (OrderId, Customer, Total) VALUES {values}")


def close_erp(shop: Relay) -> None:
    """From now on the ERP answers 503 to every order."""
    shop.stack.downstream.add_rule(match={"table": ORDERS}, status=503)


def let_things_go_wrong(shop: Relay) -> None:
    """An outage of the ERP for some hours, customers of which two were given up, and places that arrive."""
    names = ", ".join(f"(N'{name}', N'Lisbon')" for name in ("Ada", "Grace", HOSTILE.replace("'", "''")))
    for name in ("Grace", HOSTILE):
        shop.stack.downstream.add_rule(match={"key": {"Name": name}}, status=422)
    shop.execute(f"INSERT INTO sales.Customers (Name, City) VALUES {names}")
    shop.execute("INSERT INTO stock.Places (Shelf, Place, Article) VALUES (1, 1, N'tea'), (1, 2, N'coffee')")
    insert_orders(shop, *range(1, 6))
    shop.advance(hours=0.5)
    close_erp(shop)
    insert_orders(shop, FIRST)  # alone, it opens no circuit breaker: it is tried until it is in recovery's hands
    shop.advance(ROUND_SECONDS)
    for first in (100, 110, 120):
        insert_orders(shop, *range(first, first + 8))
        shop.advance(hours=0.5)
