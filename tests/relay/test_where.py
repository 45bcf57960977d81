"""`where`: the target holds the rows that meet the condition, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.rest_api import RestApi
from tests.harness.running_relay import ORDERS, Relay, changed_config
from tests.whole_app.test_bad_input import start_with
from tests.whole_app.test_truth import as_app

WHERE = 'where = "Total > 10 -- of those that matter"'


def filtered(make_relay: Callable[..., Relay], *lines: str, tables: str = ORDERS, **options: Any) -> Relay:
    return make_relay(changed_config(table="\n".join(['"dbo.Orders"', *(lines or (WHERE,))])), tables, **options)


def kinds(relay: Relay, order: int) -> list[str]:
    return [post.body["data"]["operation"] for post in relay.posts(order)]


def test_rows_come_and_go_with_the_condition(make_relay: Callable[..., Relay]) -> None:
    relay = filtered(make_relay)
    relay.insert(1, total="11")
    relay.insert(2, 3, total="10")
    relay.execute("INSERT INTO dbo.Orders (OrderId, Customer, Total) VALUES (4, N'no total', NULL)")
    relay.advance(5)
    assert relay.accepted(1) and not any(relay.accepted(order) for order in (2, 3, 4)), "NULL is not true"
    relay.execute("UPDATE dbo.Orders SET Total = 12 WHERE OrderId IN (2, 4)")
    relay.execute("UPDATE dbo.Orders SET Total = 9 WHERE OrderId = 1")
    relay.advance(5)
    assert kinds(relay, 1) == ["upsert", "delete"]
    assert relay.accepted(2) and relay.accepted(4) and relay.accepted(1) is None
    assert relay.posts(1)[-1].body["data"]["row"] is None, "what does not meet the condition never leaves"
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 2")
    relay.advance(5)
    assert kinds(relay, 2)[-1] == "delete" and relay.ledger() == []


def test_a_row_that_is_ignored_takes_its_undelivered_state_along(make_relay: Callable[..., Relay]) -> None:
    relay = filtered(make_relay, WHERE, 'leaving = "ignore"')
    relay.insert(1, 2, total="11")
    relay.reject(2)
    relay.advance(400)
    assert relay.ledger() and relay.accepted(1)
    relay.execute("UPDATE dbo.Orders SET Total = 9")
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.ledger() == [])
    relay.advance(hours=2)
    assert relay.accepted(1) and kinds(relay, 1) == ["upsert"]
    assert {post.status for post in relay.posts(2)} == {422}, "the older state is not sent either"


def test_a_waiting_row_is_sent_as_it_is_when_its_turn_comes(make_relay: Callable[..., Relay]) -> None:
    """Also by recovery, long after the trigger has let go of it."""
    relay = filtered(make_relay)
    relay.insert(1, 2, total="11")
    relay.stack.downstream.set_mode("down")
    relay.advance(hours=3)
    relay.execute("UPDATE dbo.Orders SET Total = 9 WHERE OrderId = 1")
    relay.advance(hours=1)
    relay.accept_all()
    assert relay.advance(hours=3, until=lambda: relay.ledger() == [])
    assert relay.accepted(1) is None and relay.accepted(2)
    assert {post.body["data"]["operation"] for post in relay.posts(1) if (post.status or 0) // 100 == 2} == {"delete"}


def test_a_dead_letter_of_a_row_that_left_is_a_deletion(make_relay: Callable[..., Relay]) -> None:
    config = changed_config(table=f'"dbo.Orders"\n{WHERE}').replace("[retry]", '[retry]\nrejected = "dead_letter"')
    relay = make_relay(config)
    relay.insert(1, total="11")
    relay.reject(1)
    assert relay.advance(hours=1, until=lambda: [row[1] for row in relay.ledger()] == ["dead"])
    relay.execute("UPDATE dbo.Orders SET Total = 9")
    relay.accept_all()
    assert relay.advance(60, until=lambda: relay.ledger() == [])
    assert kinds(relay, 1)[-1] == "delete"


@pytest.mark.parametrize("leaving", ["delete", "ignore"])
def test_a_resync_sends_the_rows_that_meet_it(make_relay: Callable[..., Relay], leaving: str) -> None:
    relay = filtered(make_relay, WHERE, f'leaving = "{leaving}"')
    relay.insert(*range(1, 5), total="11")
    relay.insert(*range(5, 9), total="9")
    relay.advance(10)
    before = len(relay.posts())
    relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").raise_for_status()  # type: ignore[union-attr]
    ended = "SELECT 1 FROM rowpost.Resyncs WHERE State = 'completed'"
    assert relay.advance(hours=1, until=lambda: bool(relay.execute(ended)))
    again = [post.body["data"] for post in relay.posts()[before:]]
    assert sorted(change["key"]["OrderId"] for change in again if "key" in change) == [1, 2, 3, 4]


DIVIDES = 'where = "100 / Total > 1"'


def test_a_condition_that_fails_at_one_row_spares_its_neighbours(make_relay: Callable[..., Relay]) -> None:
    relay = filtered(make_relay, DIVIDES)
    relay.insert(1, 3, total="11")
    relay.insert(2, total="0")
    relay.advance(30)
    assert relay.accepted(1) and relay.accepted(3) and relay.accepted(2) is None
    assert relay.advance(hours=1, until=lambda: len(relay.ledger()) == 1)
    ((error,),) = relay.execute("SELECT LastError FROM rowpost.Ledger")
    assert "the row cannot be read: SQL Server error 8134" in error
    before = len(relay.posts(1))
    relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").raise_for_status()  # type: ignore[union-attr]
    assert relay.advance(900, until=lambda: len(relay.posts(1)) > before and len(relay.posts(3)) > before)
    relay.execute("UPDATE dbo.Orders SET Total = 5 WHERE OrderId = 2")
    assert relay.advance(hours=1, until=lambda: relay.accepted(2) is not None)


def test_names_of_the_statement_are_not_in_the_way(make_relay: Callable[..., Relay]) -> None:
    """The statements of the app have columns called number, bytes and fits, and aliases k, t and l."""
    more = "Secret nvarchar(40) NULL, number int NULL, [k] int NULL, [a]]b] int NULL"
    where = "number = 1 AND Orders.k = 2 AND [a]]b] = 3 AND N'a?(''--' <> [Customer]"
    relay = filtered(make_relay, f"where = '''{where}'''", tables=ORDERS.replace("Secret nvarchar(40) NULL", more))
    relay.execute("INSERT INTO dbo.Orders VALUES (1, N'x', 1, N'y', 1, 2, 3), (7, N'x', 1, N'y', 7, 2, 3)")
    relay.advance(10)
    assert relay.accepted(1) and relay.accepted(7) is None


def test_a_hidden_row_is_not_one_that_left(make_relay: Callable[..., Relay]) -> None:
    relay = as_app(make_relay, changed_config(table=f'"dbo.Orders"\n{WHERE}'))
    relay.insert(1, 2, total="11")
    relay.advance(10)
    relay.execute(
        "CREATE FUNCTION dbo.Passes(@id int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS One WHERE @id <> 1 "
        "OR USER_NAME() = N'dbo'"
    )
    relay.execute("CREATE SECURITY POLICY dbo.Hides ADD FILTER PREDICATE dbo.Passes(OrderId) ON dbo.Orders WITH (STATE = ON)")
    relay.execute("UPDATE dbo.Orders SET Total = 9")
    relay.advance(60)
    assert kinds(relay, 1) == ["upsert"] and kinds(relay, 2)[-1] == "delete"


def test_columns_of_the_condition_are_watched(make_relay: Callable[..., Relay]) -> None:
    relay = filtered(make_relay, WHERE, 'send = ["OrderId", "Customer"]')
    relay.insert(1, 2, total="11")
    relay.advance(600)
    relay.execute("UPDATE dbo.Orders SET Secret = N'x' WHERE OrderId = 2")
    relay.execute("UPDATE dbo.Orders SET Total = 9 WHERE OrderId = 1")
    relay.advance(10)
    assert kinds(relay, 1) == ["upsert", "delete"] and kinds(relay, 2) == ["upsert"]


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("Totall > 1", ["Invalid column name 'Totall'", "one condition"]),
        ("Total", ["non-boolean"]),
        ("Total > ", ["Incorrect syntax"]),
        ("Total > 1 ORDER BY Total", ["ORDER"]),
        ("COUNT(*) > 1", ["SQL Server does not take it"]),
    ],
)
def test_the_server_looks_at_the_condition_at_start(make_relay: Callable[..., Relay], where: str, said: list[str]) -> None:
    log = start_with(make_relay, [], changed_config(table=f'"dbo.Orders"\nwhere = "{where}"'))
    assert "relays.where of dbo.Orders: SQL Server does not take it" in log
    assert all(word in log for word in said)


def test_a_row_that_the_target_never_had_is_not_deleted_there(make_relay: Callable[..., Relay]) -> None:
    relay = filtered(make_relay)
    relay.advance(400)  # the base is set
    relay.insert(1, 2, total="9")
    relay.advance(10)
    assert relay.posts() == []
    relay.execute("UPDATE dbo.Orders SET Total = 8 WHERE OrderId = 1")
    relay.advance(10)
    assert kinds(relay, 1) == ["delete"], "nobody knows what it was in between"
    assert relay.posts(2) == [] and relay.ledger() == []


def test_a_row_that_was_deleted_and_made_again_as_one_that_does_not_meet_it_is_deleted(make_relay: Callable[..., Relay]) -> None:
    """Both at once, and soon after it was made: to change tracking it is new since the base, and the target has the former one."""
    relay = filtered(make_relay)
    relay.advance(400)  # the base is set
    relay.insert(1, total="11")
    relay.advance(10)
    assert relay.accepted(1)
    remake(relay)
    relay.advance(10)
    assert kinds(relay, 1) == ["upsert", "delete"] and relay.accepted(1) is None


def test_the_same_while_another_row_holds_the_cursor(make_relay: Callable[..., Relay]) -> None:
    relay = filtered(make_relay)
    relay.advance(400)
    relay.insert(1, 2, total="11")
    relay.reject(2)
    relay.advance(10)
    assert relay.accepted(1) and relay.ledger()
    remake(relay)
    relay.advance(10)
    assert relay.accepted(1) is None


def remake(relay: Relay) -> None:
    relay.execute(
        "BEGIN TRANSACTION; DELETE FROM dbo.Orders WHERE OrderId = 1; "
        "INSERT INTO dbo.Orders (OrderId, Customer, Total) VALUES (1, N'again', 9); COMMIT"
    )


def test_an_api_that_does_not_have_the_row_has_taken_its_deletion(make_relay: Callable[..., Relay]) -> None:
    """The row never met the condition, and nobody remembers that. A row that is really gone is another matter."""
    with RestApi() as api:
        requests = ('upsert = "PUT /orders/{OrderId}"', 'delete = "DELETE /orders/{OrderId}"', 'format = "row"', WHERE)
        config = changed_config(table="\n".join(['"dbo.Orders"', *requests]))
        relay = make_relay(config.replace('"%DOWNSTREAM_URL%"', f'"{api.url}"'))
        relay.insert(1, 2, total="9")
        relay.execute("UPDATE dbo.Orders SET Total = 8")
        relay.advance(10)
        assert {request.method for request in api.requests} == {"DELETE"} and relay.ledger() == []
        relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 2")
        relay.advance(10)
        assert [row[:2] for row in relay.ledger()] == [('{"OrderId":2}', "retrying")]
