"""A choice of columns that the API confirmed is kept, even if the database failed just then; one it could not keep is refused."""

from __future__ import annotations

import pytest

from tests.relay.harness import Relay


@pytest.mark.parametrize(("skip", "status"), [(0, 503), (1, 202)], ids=["the API's write fails", "the entity's write fails"])
def test_a_confirmed_choice_survives_an_error_of_the_database(relay: Relay, skip: int, status: int) -> None:
    relay.insert(1)
    relay.advance(5)
    relay.stack.sql.inject(
        pattern="SET ClientColumns = @choice", application="rowpost", action="error", number=40613, times=1, skip=skip
    )
    answer = relay.stack.host.request("PUT", "/api/tables/dbo.Orders/columns", json={"columns": ["Total"]})  # type: ignore[union-attr]
    assert answer.status_code == status
    relay.advance(600)
    relay.insert(2)
    relay.advance(10)
    everything = {"OrderId", "Customer", "Total", "Secret"}
    assert set(relay.accepted(2) or {}) == ({"OrderId", "Total"} if status == 202 else everything)
