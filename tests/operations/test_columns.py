"""The columns that the client chooses: within the ceiling, kept once they are confirmed, and the later choice wins."""

from __future__ import annotations

import json
from typing import Any

from tests.harness.running_relay import Relay, body_of, changed_config


def ask(relay: Relay, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    answer = relay.stack.host.request(method, path, **options)  # type: ignore[union-attr]
    return answer.status_code, answer.json()


COLUMNS = "/api/relays/dbo.Orders/columns"
ENTITY = "/runtime/webhooks/durabletask/entities/table_columns/dbo_Orders"


def test_the_client_narrows_the_columns_and_takes_the_choice_back(relay: Relay) -> None:
    status, document = ask(relay, "GET", COLUMNS)
    everything = ["OrderId", "Customer", "Total", "Secret"]
    assert (status, document["columns"], document["effective"]) == (200, None, everything)
    in_force = {"relay": "dbo.Orders", "columns": ["Total"], "effective": ["OrderId", "Total"], "later": []}
    assert ask(relay, "PUT", COLUMNS, json={"columns": ["total"]}) == (202, in_force)
    relay.advance(1)
    assert ask(relay, "GET", COLUMNS)[1]["columns"] == ["Total"]
    relay.insert(1)  # the very next batch knows
    relay.advance(5)
    assert set(body_of(relay.posts()[-1])["data"]["row"]) == {"OrderId", "Total"}
    assert ask(relay, "DELETE", COLUMNS)[0] == 202
    relay.advance(1)
    assert ask(relay, "GET", COLUMNS)[1]["columns"] is None
    relay.insert(2)
    relay.advance(5)
    assert list(body_of(relay.posts()[-1])["data"]["row"]) == everything


def test_the_choice_survives_a_kill(relay: Relay) -> None:
    ask(relay, "PUT", COLUMNS, json={"columns": ["Customer"]})
    relay.advance(1)
    relay.stack.host.kill()  # type: ignore[union-attr]
    relay.stack.host.start()  # type: ignore[union-attr]
    assert ask(relay, "GET", COLUMNS)[1]["columns"] == ["Customer"]
    relay.insert(1)
    relay.advance(120)
    assert set(body_of(relay.posts()[-1])["data"]["row"]) == {"OrderId", "Customer"}


def test_columns_that_are_unknown_or_above_the_ceiling_are_refused_by_name(make_relay: Any) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\nsend = ["Customer", "Total"]'))
    status, document = ask(relay, "PUT", COLUMNS, json={"columns": ["Total", "Nonsense"]})
    assert (status, "Nonsense" in document["detail"]) == (422, True)
    status, document = ask(relay, "PUT", COLUMNS, json={"columns": ["Total", "Secret"]})
    assert status == 422
    assert "Secret may not leave" in document["detail"]
    for body in ({"columns": []}, {"columns": "Total"}, {"columns": [1]}, {}, []):
        status, document = ask(relay, "PUT", COLUMNS, json=body)
        assert status in (400, 422)
        assert "columns" in document["detail"] or "body" in document["detail"]
    assert ask(relay, "PUT", COLUMNS, data="{not json")[0] == 400
    assert ask(relay, "PUT", COLUMNS, data="x" * 70000)[0] == 413
    relay.advance(1)
    assert ask(relay, "GET", COLUMNS)[1]["columns"] is None


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
    assert relay.stack.host.request("POST", f"{ENTITY}?op=set", json=json.dumps(older)).status_code == 202  # type: ignore[union-attr]
    relay.advance(1)
    relay.insert(1)
    relay.advance(10)
    assert set(relay.accepted(1) or {}) == {"OrderId", "Total"}
    known = relay.get(COLUMNS)
    assert (known["columns"], known["effective"]) == (["Total"], ["OrderId", "Total"])
