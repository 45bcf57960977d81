"""What is sent is what the database says: hidden rows, masks, keys that compare equal, and text that is not Unicode."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from emulators.http_server import to_json
from infra.prepare_database import prepare
from tests.harness.running_relay import CONFIG, ORDERS, Relay, body_of, changed_config

USER = "CREATE LOGIN app WITH PASSWORD = N'App!2026secret'; CREATE USER app FOR LOGIN app; ALTER ROLE rowpost_app ADD MEMBER app"
VISIBLE = """
CREATE FUNCTION dbo.visible(@customer nvarchar(40)) RETURNS TABLE WITH SCHEMABINDING AS
RETURN (SELECT 1 AS ok WHERE @customer <> N'customer 2' OR IS_MEMBER('db_owner') = 1)
"""
POLICY = "CREATE SECURITY POLICY dbo.OrdersPolicy ADD FILTER PREDICATE dbo.visible(Customer) ON dbo.Orders WITH (STATE = ON)"


def as_app(make_relay: Callable[..., Relay], config: str = CONFIG, tables: str = ORDERS, statements: tuple[str, ...] = ()) -> Relay:
    """A running relay whose app has the least rights."""
    relay = make_relay(config, tables, start=False)
    relay.stack.start_services()
    relay.execute(tables)
    prepare(relay.stack.connection, relay.stack.config)
    for statement in (USER, *statements):
        relay.execute(statement)
    text = f"Server=127.0.0.1,{relay.stack.sql.port};Database=rowpost;User ID=app;Password=App!2026secret;Encrypt=false"
    relay.stack._extra["SqlConnectionString"] = text
    relay.stack.start_host()
    relay.advance(3)
    return relay


def events(relay: Relay) -> list[tuple[str, Any]]:
    """Operation and key of each accepted event, in order."""
    return [
        (body_of(a)["data"]["operation"], body_of(a)["data"]["key"])
        for a in relay.posts()
        if a.status is not None and a.status < 300 and a.key is not None  # the events of a resync have none
    ]


# --- hidden rows ---


def test_a_row_that_a_policy_hides_is_never_posted_as_deleted(make_relay: Callable[..., Relay]) -> None:
    relay = as_app(make_relay)
    relay.insert(1, 2, 3)
    relay.advance(30)
    assert len(events(relay)) == 3
    relay.execute(VISIBLE)
    relay.execute(POLICY)
    relay.execute("UPDATE dbo.Orders SET Total = 99 WHERE OrderId IN (1, 2)")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 3")
    relay.advance(60 * 60)
    assert sorted(events(relay)[3:], key=str) == [("delete", {"OrderId": 3}), ("upsert", {"OrderId": 1})]
    assert relay.accepted(2) and relay.accepted(2)["Total"] != "99.0000", "the target keeps what it has"  # type: ignore[index]
    ((key, state, _, _),) = relay.ledger()
    assert json.loads(key) == {"OrderId": 2} and state in ("held", "detached")
    status = relay.status()
    assert "a security policy may hide it" in status["last_error"] and status["last_status"] is None
    relay.execute("ALTER SECURITY POLICY dbo.OrdersPolicy WITH (STATE = OFF)")
    relay.advance(hours=2)
    assert relay.ledger() == [] and relay.accepted(2)["Total"] == "99.0000"  # type: ignore[index]


def test_a_row_that_stays_hidden_becomes_a_dead_letter_and_people_are_told(make_relay: Callable[..., Relay]) -> None:
    relay = as_app(make_relay)
    relay.execute(VISIBLE)
    relay.execute(POLICY)
    relay.insert(1, 2)
    relay.advance(hours=14)
    assert [key for _, key in events(relay)] == [{"OrderId": 1}]
    assert [row[1] for row in relay.ledger()] == ["dead"]
    (letter,) = relay.get("/api/relays/dbo.Orders/rows?state=dead")["rows"]
    assert letter["operation"] == "upsert" and "security policy" in letter["last_error"]
    assert relay.alerts("dead_letters") or relay.alerts()


def test_hidden_rows_do_not_open_the_circuit_breaker(make_relay: Callable[..., Relay]) -> None:
    relay = as_app(make_relay)
    relay.execute(VISIBLE.replace("<> N'customer 2'", "IS NULL"))
    relay.execute(POLICY)
    relay.insert(*range(1, 21))
    relay.advance(20 * 60)
    assert relay.status()["circuit_breaker"]["openings"] == 0 and not events(relay)


def test_deletes_cost_one_round_trip(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.insert(*range(1, 11))
    relay.advance(30)
    relay.stack.sql.reset_stats()
    relay.execute("DELETE FROM dbo.Orders")
    relay.advance(10)
    assert [operation for operation, _ in events(relay)].count("delete") == 10
    app = relay.stack.sql.stats()["applications"]["rowpost"]
    assert app["requests"] == 1, [statement["text"][:80] for statement in app["statements"]]


@pytest.mark.parametrize(
    ("failed_before", "rights", "posted"),
    [(True, False, True), (False, False, False), (False, True, True)],
    ids=["the ledger knows", "nobody knows", "no policy can be there"],
)
def test_a_deletion_that_change_tracking_has_forgotten(
    make_relay: Callable[..., Relay], failed_before: bool, rights: bool, posted: bool
) -> None:
    config = changed_config(window='"60h"')
    relay = as_app(make_relay, config, statements=("GRANT VIEW DEFINITION TO rowpost_app",) if rights else ())
    relay.insert(1, 2)
    relay.advance(30)
    relay.stack.downstream.add_rule(match={"key": {"OrderId": 1}}, status=503)
    relay.execute("UPDATE dbo.Orders SET Total = 5 WHERE OrderId = 1")
    relay.advance(hours=4)
    assert [row[1] for row in relay.ledger()] == ["detached"]
    if failed_before:
        relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 1")
        relay.advance(hours=2)
        assert [row[0] for row in relay.execute("SELECT Operation FROM rowpost.Ledger")] == ["D"]
    relay.stack.host.kill()  # type: ignore[union-attr]
    if not failed_before:
        relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 1")
    relay.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 1 HOURS)")
    relay.accept_all()
    relay.advance(hours=3)
    relay.insert(3)  # a statement starts the clean-up
    relay.stack.start_host()
    relay.advance(hours=3)
    assert (("delete", {"OrderId": 1}) in events(relay)) is posted
    if not posted:
        assert "change tracking does not know" in relay.status()["last_error"]


# --- told at start ---


def log_of(make_relay: Callable[..., Relay], *statements: str, config: str = CONFIG, tables: str = ORDERS) -> str:
    relay = as_app(make_relay, config, tables, statements)
    relay.advance(5)
    return relay.host_log()


MASK = "ALTER TABLE dbo.Orders ALTER COLUMN Secret ADD MASKED WITH (FUNCTION = 'default()')"


def test_masked_columns_are_told_at_start(make_relay: Callable[..., Relay]) -> None:
    said = "relays.table dbo.Orders: the app's user would read, and send, masks instead of the values of Secret; GRANT UNMASK"
    assert said in log_of(make_relay, MASK)
    assert "relays.table" not in log_of(make_relay, MASK, config=changed_config(table='"dbo.Orders"\nsend = ["OrderId", "Total"]'))
    assert "relays.table" not in log_of(make_relay, MASK, "GRANT UNMASK TO rowpost_app")


def test_a_policy_that_hides_rows_is_told_at_start(make_relay: Callable[..., Relay]) -> None:
    said = "relays.table dbo.Orders: the security policy OrdersPolicy can hide rows from the app's user"
    see = "GRANT VIEW DEFINITION TO rowpost_app"
    may = "GRANT SELECT ON dbo.visible TO rowpost_app"
    assert said in log_of(make_relay, VISIBLE, POLICY, see, may)
    passing = VISIBLE.replace("'db_owner'", "'rowpost_app'")
    assert said in log_of(make_relay, passing, POLICY, see), "it may not try the predicate"
    assert "relays.table" not in log_of(make_relay, passing, POLICY, see, may)
    assert "relays.table" not in log_of(make_relay, VISIBLE, POLICY.replace("= ON", "= OFF"), see, may)
    null = VISIBLE.replace("IS_MEMBER('db_owner') = 1", "@customer IS NULL")
    row = "INSERT dbo.Orders VALUES (2, N'customer 2', 1, N'')"
    assert said in log_of(make_relay, null, row, POLICY, see, may), "a row that is hidden already"


def test_the_administrator_sees_no_more_than_others(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.execute(ORDERS)
    prepare(relay.stack.connection, relay.stack.config)
    relay.execute(VISIBLE.replace("IS_MEMBER('db_owner') = 1", "1 = 0"))
    relay.execute(POLICY)
    relay.stack.start_host()
    relay.advance(5)
    assert "the security policy OrdersPolicy can hide rows" in relay.host_log()


# --- columns ---


def test_a_sql_variant_is_sent_by_its_base_type(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables="CREATE TABLE dbo.Orders (OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, V sql_variant NULL)")
    values = {
        1: ("CAST(12345678901234567890.12345678 AS decimal(38, 8))", '"V":"12345678901234567890.12345678"}'),
        2: ("CAST('2026-01-02 03:04:05.1234567' AS datetime2(7))", '"V":"2026-01-02T03:04:05.1234567"}'),
        3: ("CAST(0x0102FF AS varbinary(10))", '"V":"AQL/"}'),
        4: ("CAST(1 AS bit)", '"V":true}'),
        5: ("CAST(0.1 AS real)", '"V":0.1}'),
        6: ("NULL", '"V":null}'),
        7: ("REPLICATE('é', 8000)", '"V":"' + "é" * 8000 + '"}'),
    }
    for number, (value, _) in values.items():
        relay.execute(f"INSERT dbo.Orders VALUES ({number}, {value})")
    relay.advance(30)
    for number, (_, text) in values.items():
        state = relay.stack.downstream.find("dbo.Orders", {"OrderId": number})
        assert state is not None and to_json(state.row).replace(": ", ":").endswith(text)


def test_only_updates_of_sent_columns_are_posted(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\nsend = ["OrderId", "Total"]'))
    relay.insert(1)
    relay.advance(15 * 60)
    relay.execute("UPDATE dbo.Orders SET Secret = N'new'")
    relay.advance(15 * 60)
    assert len(relay.posts(1)) == 1
    relay.execute("UPDATE dbo.Orders SET Total = 7, Secret = N'newer'")
    relay.advance(60)
    relay.execute("DELETE FROM dbo.Orders")
    relay.advance(60)
    assert [operation for operation, _ in events(relay)] == ["upsert", "upsert", "delete"]


def test_each_update_counts_if_it_is_said_so(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\nsend = ["OrderId", "Total"]\nwatch = ["*"]'))
    relay.insert(1)
    relay.advance(15 * 60)
    relay.execute("UPDATE dbo.Orders SET Secret = N'new'")
    relay.advance(60)
    assert len(relay.posts(1)) == 2


# --- keys that compare equal ---

MOMENTS = "CREATE TABLE dbo.Orders (At datetimeoffset(7) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)"
NAMES = "CREATE TABLE dbo.Orders (OrderId nvarchar(20) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)"


def test_an_instant_is_deleted_by_the_key_that_it_was_inserted_with(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=MOMENTS)
    relay.execute("INSERT dbo.Orders VALUES ('2026-01-02 12:34:56.1234567 +05:30', 1), ('2026-01-02 00:30:00 -05:00', 2)")
    relay.advance(hours=1)
    relay.execute("UPDATE dbo.Orders SET At = SWITCHOFFSET(At, '+01:00'), Total = 3")
    relay.advance(hours=1)
    keys = {"2026-01-02T07:04:56.1234567+00:00", "2026-01-02T05:30:00+00:00"}
    assert {key["At"] for _, key in events(relay)} == keys
    relay.execute("DELETE dbo.Orders")
    relay.advance(hours=1)
    assert relay.ledger() == []
    assert {state.key["At"] for state in relay.stack.downstream.state("dbo.Orders") if state.operation == "delete"} == keys  # type: ignore[index]


@pytest.mark.parametrize(("before", "after"), [("abc", "ABC"), ("abc", "abc  "), ("Straße", "STRASSE")])
def test_a_key_that_is_spelled_anew_replaces_the_old_one(make_relay: Callable[..., Relay], before: str, after: str) -> None:
    relay = make_relay(tables=NAMES)
    relay.execute(f"INSERT dbo.Orders VALUES (N'{before}', 1)")
    relay.advance(30)
    relay.execute(f"UPDATE dbo.Orders SET OrderId = N'{after}', Total = 2")
    relay.advance(30)
    assert relay.stack.downstream.find("dbo.Orders", {"OrderId": before}).operation == "delete"  # type: ignore[union-attr]
    assert relay.stack.downstream.find("dbo.Orders", {"OrderId": after}).row == {"OrderId": after, "Total": 2}  # type: ignore[union-attr]
    relay.execute("DELETE dbo.Orders")
    relay.advance(30)
    assert {state.operation for state in relay.stack.downstream.state("dbo.Orders")} == {"delete"}
    assert relay.ledger() == []


def test_a_key_that_is_spelled_anew_while_its_row_fails(make_relay: Callable[..., Relay]) -> None:
    """Also for as long as recovery redelivers the row by itself."""
    relay = make_relay(CONFIG, NAMES)
    relay.execute("INSERT dbo.Orders VALUES (N'abc', 1), (N'other', 1)")
    relay.advance(30)
    relay.reject("ABC")  # type: ignore[arg-type]
    relay.execute("UPDATE dbo.Orders SET OrderId = N'ABC' WHERE OrderId = N'abc'")
    relay.advance(hours=7)
    assert [row[1] for row in relay.ledger()] == ["detached"]
    relay.accept_all()
    relay.advance(hours=2)
    assert relay.ledger() == []
    assert relay.stack.downstream.find("dbo.Orders", {"OrderId": "abc"}).operation == "delete"  # type: ignore[union-attr]
    assert relay.stack.downstream.find("dbo.Orders", {"OrderId": "ABC"}).operation == "upsert"  # type: ignore[union-attr]


def test_a_target_that_does_not_know_the_old_key_keeps_nothing_back(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=NAMES)
    relay.stack.downstream.add_rule(match={"key": {"OrderId": "abc"}}, status=404)
    relay.execute("INSERT dbo.Orders VALUES (N'x', 1)")
    relay.advance(10)
    relay.execute(
        "BEGIN TRAN; INSERT dbo.Orders VALUES (N'abc', 1); UPDATE dbo.Orders SET OrderId = N'ABC' WHERE OrderId = N'abc'; COMMIT"
    )
    relay.advance(30)
    assert relay.stack.downstream.find("dbo.Orders", {"OrderId": "ABC"}) and relay.ledger() == []


# --- text that is not Unicode ---


def test_half_a_surrogate_pair_is_the_replacement_character(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(
        tables="CREATE TABLE dbo.Orders (OrderId nvarchar(9) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, V nvarchar(max))"
    )
    relay.execute("INSERT dbo.Orders VALUES (N'a', N'x' + NCHAR(0xD83D) + N'y' + NCHAR(0xDE00))")
    relay.execute("INSERT dbo.Orders VALUES (N'b', N'plain ' + NCHAR(0xD83D) + NCHAR(0xDE00))")
    relay.advance(30)
    rows = {a.key["OrderId"]: body_of(a)["data"]["row"]["V"] for a in relay.posts()}  # type: ignore[index,call-overload]
    assert rows == {"a": "x\ufffdy\ufffd", "b": "plain 😀"}
