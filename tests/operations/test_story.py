"""The story of one row, over HTTP: why it is not delivered, and what would be sent now; nothing is written or sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.harness.running_relay import PAUSED, Relay, changed_config

TABLES = """
CREATE TABLE dbo.Orders (
    Region nvarchar(20) NOT NULL, Line int NOT NULL, Status nvarchar(20) NOT NULL, Total decimal(20, 4) NULL,
    Note nvarchar(20) NULL,
    CONSTRAINT PK_Orders PRIMARY KEY (Region, Line)
)
"""
FILTERED = """"dbo.Orders"
where = "Status <> 'draft'"
leaving = "ignore"
watch = ["Total"]
upsert = "PUT /rows/{Region}/{Line}"
"""
ERP = "WITH CHANGE_TRACKING_CONTEXT (0x657270)"  # CAST('erp' AS varbinary(128))


def tell(relay: Relay, path: str) -> dict[str, Any]:
    found: dict[str, Any] = relay.get(f"/api/relays/dbo.Orders/{path}")
    return found


def everything(relay: Relay) -> list[Any]:
    tables = ("rowpost.Ledger", "rowpost.Attempts", "rowpost.Targets", "rowpost.Notices")
    return [relay.leases(), *(relay.execute(f"SELECT * FROM {table}") for table in tables)]


def test_the_story_of_each_row_from_its_change_to_its_delivery(relay: Relay) -> None:
    relay.reject(3)
    relay.insert(1, 3)
    relay.advance(20 * 60)
    before, posts = everything(relay), len(relay.posts())
    delivered, failing, unknown = (tell(relay, f"rows/{key}") for key in (1, 3, 99))
    assert delivered["sentence"] == "Nothing waits: its last change, of version 1, was delivered, or needed no sending."
    assert delivered["record"] is None and delivered["lease"]["until"] is None and delivered["tracked_version"] == 1
    tried = failing["record"]["attempts"]
    assert failing["sentence"].startswith(f"It has failed {tried} times, last at ") and "HTTP 422" in failing["sentence"]
    assert failing["next_try"] == failing["record"]["next_attempt"] and len(failing["attempts"]) == tried >= 6
    traces = [post.headers["traceparent"].split("-")[1] for post in relay.posts(3)]  # of the trigger's requests and of recovery's
    assert [attempt["trace"] for attempt in reversed(failing["attempts"])] == traces and len(set(traces)) == tried
    assert unknown["sentence"].startswith("There is no such row") and unknown["would_send"] is None
    sent = failing["would_send"]
    assert sent["method"] == "POST" and sent["headers"]["X-Api-Key"] == "…" and "customer 3" not in str(sent)
    assert sent["body"]["data"]["row"] == {"OrderId": 3, "Customer": "…", "Total": "…", "Secret": "…"}
    assert sent["headers"]["Idempotency-Key"] == relay.posts(3)[-1].headers["Idempotency-Key"]
    values = tell(relay, "rows/3/values")["would_send"]["body"]["data"]["row"]
    assert values == {"OrderId": 3, "Customer": "customer 3", "Total": "10.5000", "Secret": "hidden 3"}
    assert everything(relay) == before and len(relay.posts()) == posts
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 3")
    assert tell(relay, "rows/3")["would_send"]["body"]["data"]["operation"] == "delete"


def test_a_key_of_two_columns_and_rows_that_a_filter_leaves_out(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table=FILTERED), TABLES)
    relay.execute("INSERT INTO dbo.Orders VALUES (N'north & south', 1, N'draft', 1, NULL), (N'east', 2, N'open', 2, NULL)")
    relay.advance(5)
    key = quote('{"Region": "north & south", "Line": 1}', safe="")
    draft, by_columns = tell(relay, f"rows/{key}"), tell(relay, f"row?Region={quote('north & south')}&Line=1")
    assert draft == by_columns and draft["key"] == {"Region": "north & south", "Line": 1}
    assert "the row does not meet `where`" in draft["sentence"] and draft["would_send"] is None
    open_row = tell(relay, "row?region=east&line=2")
    assert open_row["would_send"]["url"].endswith("/rows/east/2")
    # As the watchdog does when all is delivered and the cursor has passed it: from then on changes are told apart.
    relay.execute("UPDATE rowpost.Relays SET WatchBase = CHANGE_TRACKING_CURRENT_VERSION()")
    relay.execute("UPDATE dbo.Orders SET Note = N'seen' WHERE Region = N'east'")
    watched = tell(relay, "row?Region=east&Line=2")
    assert watched["filtered"] == "`watch` leaves the change out" and "is not sent: `watch`" in watched["sentence"]


def test_of_several_filters_the_one_that_leaves_the_change_out_is_named(make_relay: Callable[..., Relay]) -> None:
    lines = 'operations = ["insert", "update"]\nwatch = ["Total"]\nignore_context = "erp"'
    relay = make_relay(changed_config(table=f'"dbo.Orders"\n{lines}'))
    relay.insert(1, 2, 3)
    relay.advance(400)  # all is delivered, and the base of the masks is behind it
    relay.execute("UPDATE dbo.Orders SET Customer = N'another' WHERE OrderId = 1")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 2")
    relay.execute(f"{ERP} UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 3")
    relay.execute(f"{ERP} INSERT INTO dbo.Orders (OrderId, Customer) VALUES (4, N'theirs')")
    relay.insert(5)
    relay.advance(10)
    filtered = [tell(relay, f"rows/{order}")["filtered"] for order in (1, 2, 3, 4, 5)]
    deciding = ("watch", "operations", "ignore_context", "ignore_context")
    assert filtered == [*(f"`{name}` leaves the change out" for name in deciding), None]
    assert [len(relay.posts(order)) for order in (1, 2, 3, 4, 5)] == [1, 1, 1, 0, 1]


def test_a_change_that_nobody_hands_out(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.restart(**{PAUSED: "true"})
    relay.insert(1)
    relay.advance(5)
    assert "waits to be handed out" in tell(relay, "rows/1")["sentence"]


def test_a_row_whose_values_would_not_fit_is_told(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\nmax_event_bytes = 460'))
    relay.insert(1)
    relay.execute("UPDATE dbo.Orders SET Secret = REPLICATE(N'x', 40), Customer = REPLICATE(N'y', 40) WHERE OrderId = 1")
    relay.advance(10)
    story = tell(relay, "rows/1/values")
    assert story["would_send"] is None and any("max_event_bytes" in fact["text"] for fact in story["facts"])
    assert story["sentence"].startswith("It was given up at ")
