"""A choice of columns that the API confirmed (202) is kept, even if the database failed just then."""

from __future__ import annotations

from tests.relay.harness import Relay


def test_a_confirmed_choice_survives_an_error_of_the_database(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    relay.stack.sql.inject(pattern="SET ClientColumns = @choice", application="rowpost", action="error", number=40613, times=1)
    answer = relay.stack.host.request("PUT", "/api/tables/dbo.Orders/columns", json={"columns": ["Total"]})  # type: ignore[union-attr]
    assert answer.status_code == 202
    relay.advance(600)
    relay.insert(2)
    relay.advance(10)
    assert set(relay.accepted(2) or {}) == {"OrderId", "Total"}
