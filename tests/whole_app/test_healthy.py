"""While all is well: what a batch costs, what is posted, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tests.harness.running_relay import LISTENER_LINES, Relay, body_of, changed_config


def test_a_healthy_batch_costs_one_round_trip_and_no_durable_call(relay: Relay) -> None:
    relay.insert(0)
    relay.advance(5)  # the first batch of a process also looks the table up
    relay.stack.sql.reset_stats()
    calls_before = relay.get("/admin/host/status")["durableCalls"]
    for batch in range(5):
        relay.insert(*range(batch * 10 + 1, batch * 10 + 11))
        relay.advance(3)
    assert len(relay.posts()) == 51
    app = relay.stack.sql.stats()["applications"]["rowpost"]
    assert app["requests"] == 5, [statement["text"][:80] for statement in app["statements"]]
    # The entity that remembers the database: a look of the watchdog signals it, and no batch does.
    instances = [each["name"].split("@")[1] for each in relay.get("/runtime/webhooks/durabletask/instances")]
    assert instances == ["database_memory"]
    assert relay.get("/admin/host/status")["durableCalls"] == calls_before
    relay.reject(99)
    relay.insert(99)
    relay.advance(6 * 60)  # exhaustion does call: the counter sees what it is asked about
    assert relay.get("/admin/host/status")["durableCalls"] > calls_before


def test_the_event_is_a_cloud_event_with_key_version_and_row(relay: Relay) -> None:
    relay.insert(7, total="12345678901234.5600")
    relay.advance(5)
    (attempt,) = relay.posts()
    event = body_of(attempt)
    assert attempt.headers["Content-Type"] == "application/cloudevents+json"
    assert attempt.headers["X-Api-Key"] == "local-key"
    assert event["specversion"] == "1.0"
    assert event["type"] == "rowpost.row.upserted"
    assert attempt.headers["Idempotency-Key"] == event["id"]
    data = event["data"]
    assert data["table"] == "dbo.Orders"
    assert data["key"] == {"OrderId": 7}
    assert data["operation"] == "upsert"
    assert data["row"] == {"OrderId": 7, "Customer": "customer 7", "Total": "12345678901234.5600", "Secret": "hidden 7"}
    assert event["sequence"] == f"{data['epoch']:010d}.{data['version']:020d}"


def test_updates_deletes_and_plain_form(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(timeout='"5s"\nformat = "plain"'))
    relay.insert(1, 2)
    relay.advance(5)
    relay.execute("UPDATE dbo.Orders SET Total = NULL WHERE OrderId = 1")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 2")
    relay.advance(5)
    first, second = sorted(relay.posts()[2:], key=lambda attempt: str(attempt.key))  # posted at the same time
    assert body_of(first)["row"]["Total"] is None
    assert first.headers["Content-Type"] == "application/json"
    assert (second.operation, second.key, body_of(second)["row"]) == ("delete", {"OrderId": 2}, None)
    assert second.version is not None
    assert first.version is not None
    assert second.version > first.version


def test_send_is_a_ceiling_and_watch_decides_which_updates_count(make_relay: Callable[..., Relay]) -> None:
    config = changed_config(table='"dbo.Orders"\nsend = ["Customer", "Total"]\nwatch = ["Total"]')
    relay = make_relay(config)
    relay.insert(1)
    relay.insert(2)
    relay.insert(3)
    relay.advance(5)
    assert {tuple(body_of(attempt)["data"]["row"]) for attempt in relay.posts()} == {("OrderId", "Customer", "Total")}
    relay.advance(6 * 60)  # the watchdog lets the masks begin behind what is delivered
    before = len(relay.posts())
    relay.execute("UPDATE dbo.Orders SET Secret = N'changed' WHERE OrderId = 1")
    relay.execute("UPDATE dbo.Orders SET Customer = N'changed' WHERE OrderId = 1")
    relay.advance(5)
    assert len(relay.posts()) == before
    relay.execute("UPDATE dbo.Orders SET Total = 11 WHERE OrderId = 1")
    relay.advance(5)
    assert len(relay.posts()) == before + 1
    row = relay.accepted(1)
    assert row is not None
    assert row["Customer"] == "changed"
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 1")
    relay.advance(5)
    assert relay.accepted(1) is None
    assert "hidden" not in str([attempt.body for attempt in relay.posts()])


EVERY_TYPE = """
CREATE TABLE dbo.Types (
    Id bigint NOT NULL, Code nvarchar(30) NOT NULL,
    Tiny tinyint NULL, Small smallint NULL, Flag bit NULL, Amount decimal(38, 10) NULL, Price money NULL,
    Ratio float NULL, Short real NULL, Fixed char(5) NULL, Wide nchar(5) NULL, Long nvarchar(max) NULL,
    Raw varbinary(20) NULL, Guid uniqueidentifier NULL, Day date NULL, Clock time(7) NULL, Old datetime NULL,
    Precise datetime2(7) NULL, Zoned datetimeoffset(7) NULL, Minute smalldatetime NULL,
    CONSTRAINT PK_Types PRIMARY KEY (Id, Code)
)
"""


def test_every_sql_type_arrives_without_losing_a_digit(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table='"dbo.Types"'), EVERY_TYPE)
    relay.execute(
        """INSERT INTO dbo.Types VALUES (9223372036854775807, N'Zürich', 255, -32768, 1,
           1234567890123456789012345678.0123456789, 922337203685477.5807, 0.1, CAST(0.1 AS real), 'ab', N'cd', N'żółć 🐘',
           0x00FF10, '6F9619FF-8B86-D011-B42D-00C04FC964FF', '0001-01-01', '23:59:59.9999999', '2026-01-02T03:04:05.123',
           '9999-12-31T23:59:59.9999999', '2026-01-02T03:04:05.1234567+02:00', '2026-01-02T03:04:00')"""
    )
    relay.execute("INSERT INTO dbo.Types (Id, Code) VALUES (-1, N'')")
    # The trigger cannot read a number of 38 digits: recovery delivers it.
    assert relay.advance(1200, until=lambda: len(relay.stack.downstream.state("dbo.Types")) == 2)
    states = {state.key["Id"]: state.row for state in relay.stack.downstream.state("dbo.Types") if isinstance(state.key, dict)}
    row = states["9223372036854775807"]
    assert row == {
        "Id": "9223372036854775807",
        "Code": "Zürich",
        "Tiny": 255,
        "Small": -32768,
        "Flag": True,
        "Amount": "1234567890123456789012345678.0123456789",
        "Price": "922337203685477.5807",
        "Ratio": Decimal("0.1"),
        "Short": Decimal("0.1"),
        "Fixed": "ab   ",
        "Wide": "cd   ",
        "Long": "żółć 🐘",
        "Raw": "AP8Q",
        "Guid": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "Day": "0001-01-01",
        "Clock": "23:59:59.9999999",
        "Old": "2026-01-02T03:04:05.123",
        "Precise": "9999-12-31T23:59:59.9999999",
        "Zoned": "2026-01-02T03:04:05.1234567+02:00",
        "Minute": "2026-01-02T03:04:00",
    }
    empty = states[-1]
    assert empty is not None
    assert {value for name, value in empty.items() if name not in ("Id", "Code")} == {None}


def test_a_key_that_the_payload_rewrites_arrives_by_its_true_value(make_relay: Callable[..., Relay]) -> None:
    """The trigger's payload turns text that looks like a date-time into another text: the row cannot be found by it. Its lease says
    which row was handed out."""
    relay = make_relay(changed_config(table='"dbo.Types"'), EVERY_TYPE)
    relay.execute("INSERT INTO dbo.Types (Id, Code) VALUES (1, N'2024-01-01T00:00:00.000'), (2, N'plain')")
    relay.advance(5)
    keys = sorted((attempt.key for attempt in relay.posts()), key=str)
    assert keys == [{"Id": 1, "Code": "2024-01-01T00:00:00.000"}, {"Id": 2, "Code": "plain"}]
    relay.advance(60 * 60)
    assert len(relay.posts()) == 2
    assert relay.ledger() == []


def test_an_app_that_starts_for_the_first_time_has_nothing_to_complain_of(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(settings=LISTENER_LINES)
    relay.advance(10)
    assert "(208)" not in relay.host_log()
