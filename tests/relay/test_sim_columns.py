"""A client's choice of columns that the API confirmed is kept; one that it could not keep is refused; the later one wins."""

from __future__ import annotations

from typing import Any

from tests.harness.running_relay import Relay

COLUMNS = "/api/tables/dbo.Orders/columns"
ENTITY = "/runtime/webhooks/durabletask/entities/table_columns/dbo_Orders"


def choose(relay: Relay, *columns: str) -> int:
    status: int = relay.stack.host.request("PUT", COLUMNS, json={"columns": list(columns)}).status_code  # type: ignore[union-attr]
    return status


def test_a_choice_that_the_database_could_not_take_is_refused(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    assert choose(relay, "Customer") == 202
    relay.stack.sql.inject(pattern="SET ClientColumns = @choice", application="rowpost", action="error", number=40613, times=1)
    assert choose(relay, "Total") == 503
    relay.advance(600)
    relay.insert(2)
    relay.advance(10)
    assert set(relay.accepted(2) or {}) == {"OrderId", "Customer"}
    assert relay.get(COLUMNS)["columns"] == ["Customer"]


def test_a_signal_that_comes_late_does_not_bring_an_older_choice_back(relay: Relay) -> None:
    """As from a worker that stood still between the database's answer and the signal, while another one took the next choice."""
    assert choose(relay, "Customer") == 202
    relay.advance(1)
    older: dict[str, Any] = relay.get(ENTITY)
    assert choose(relay, "Total") == 202
    relay.advance(1)
    assert relay.stack.host.request("POST", f"{ENTITY}?op=set", json=older).status_code == 202  # type: ignore[union-attr]
    relay.advance(1)
    relay.insert(1)
    relay.advance(10)
    assert set(relay.accepted(1) or {}) == {"OrderId", "Total"}
    known = relay.get(COLUMNS)
    assert (known["columns"], known["effective"]) == (["Total"], ["OrderId", "Total"])
