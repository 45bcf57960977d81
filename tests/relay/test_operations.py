"""`operations`: which changes of the source are sent. In doubt, since change tracking knows the last state only, one is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import Relay, changed_config


def only(make_relay: Callable[..., Relay], *operations: str) -> Relay:
    return make_relay(changed_config(table=f'"dbo.Orders"\noperations = {list(operations)}'))


def sent(relay: Relay, order: int) -> list[str]:
    return [post.body["data"]["operation"] for post in relay.posts(order)]


CHANGES = {"insert": "", "update": "UPDATE dbo.Orders SET Total = 5", "delete": "DELETE FROM dbo.Orders"}


@pytest.mark.parametrize("operations", [["insert"], ["update"], ["delete"], ["insert", "update"], ["update", "delete"]])
def test_each_operation_alone_is_sent_or_not(make_relay: Callable[..., Relay], operations: list[str]) -> None:
    relay = only(make_relay, *operations)
    expected = []
    for operation, statement in CHANGES.items():
        relay.insert(1) if operation == "insert" else relay.execute(statement)
        relay.advance(400)  # delivered, and the base is behind it
        expected += ["delete" if operation == "delete" else "upsert"] if operation in operations else []
        assert sent(relay, 1) == expected, operation
    assert relay.ledger() == []


def test_an_insert_that_has_changed_since_may_be_either(make_relay: Callable[..., Relay]) -> None:
    """The base has not moved: the insert may not have been handed out on its own."""
    relay = only(make_relay, "insert")
    relay.insert(1)
    relay.execute("UPDATE dbo.Orders SET Total = 5")
    relay.advance(10)
    assert sent(relay, 1) == ["upsert"] and str(relay.accepted(1)["Total"]) == "5.0000"  # type: ignore[index]
    relay.execute("DELETE FROM dbo.Orders")
    relay.insert(1)
    relay.advance(10)
    assert sent(relay, 1) == ["upsert", "upsert"], "deleted and made anew: there was an insert"


def test_a_row_that_was_not_delivered_is_sent_whatever_became_of_it(make_relay: Callable[..., Relay]) -> None:
    relay = only(make_relay, "insert")
    relay.insert(1)
    relay.reject(1, 503)
    relay.advance(400)
    assert len(relay.ledger()) == 1
    relay.execute("UPDATE dbo.Orders SET Total = 5")
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.ledger() == [])
    assert str(relay.accepted(1)["Total"]) == "5.0000"  # type: ignore[index]


def test_a_row_that_leaves_the_condition_is_an_update_of_the_source(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\noperations = ["insert", "delete"]\nwhere = "Total > 10"'))
    relay.insert(1, 2, total="11")
    relay.advance(400)
    relay.execute("UPDATE dbo.Orders SET Total = 9 WHERE OrderId = 1")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 2")
    relay.advance(10)
    assert sent(relay, 1) == ["upsert"] and sent(relay, 2) == ["upsert", "delete"]


@pytest.mark.parametrize("operations", [["update", "delete"], ["update"], ["insert"]])
def test_a_row_that_was_deleted_and_made_again_may_be_each(make_relay: Callable[..., Relay], operations: list[str]) -> None:
    """Also soon after it was made, when it is new since the base: the target may have the former one."""
    relay = only(make_relay, *operations)
    relay.advance(400)
    relay.insert(1)
    relay.advance(10)
    before = len(sent(relay, 1))
    assert before == ("insert" in operations)
    for _ in range(2):
        relay.execute(
            "BEGIN TRANSACTION; DELETE FROM dbo.Orders; INSERT INTO dbo.Orders (OrderId, Customer) VALUES (1, N'again'); COMMIT"
        )
        relay.advance(10)
    assert sent(relay, 1)[before:] == ["upsert"] * 2
    assert relay.ledger() == []
