"""The client-side columns and what else the HTTP API answers."""

from __future__ import annotations

from typing import Any

from tests.harness.running_relay import Relay, body_of, changed_config


def ask(relay: Relay, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    answer = relay.stack.host.request(method, path, **options)  # type: ignore[union-attr]
    return answer.status_code, answer.json()


COLUMNS = "/api/tables/dbo.Orders/columns"


def test_the_client_narrows_the_columns_and_takes_the_choice_back(relay: Relay) -> None:
    status, document = ask(relay, "GET", COLUMNS)
    everything = ["OrderId", "Customer", "Total", "Secret"]
    assert (status, document["columns"], document["effective"]) == (200, None, everything)
    assert ask(relay, "PUT", COLUMNS, json={"columns": ["total"]}) == (202, {"table": "dbo.Orders", "columns": ["Total"]})
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
    relay = make_relay(changed_config(name='"dbo.Orders"\nsend = ["Customer", "Total"]'))
    status, document = ask(relay, "PUT", COLUMNS, json={"columns": ["Total", "Nonsense"]})
    assert (status, "Nonsense" in document["error"]) == (400, True)
    status, document = ask(relay, "PUT", COLUMNS, json={"columns": ["Total", "Secret"]})
    assert status == 400
    assert "Secret may not leave" in document["error"]
    for body in ({"columns": []}, {"columns": "Total"}, {"columns": [1]}, {}, []):
        status, document = ask(relay, "PUT", COLUMNS, json=body)
        assert status == 400
        assert "columns" in document["error"] or "body" in document["error"]
    assert ask(relay, "PUT", COLUMNS, data="{not json")[0] == 400
    assert ask(relay, "PUT", COLUMNS, data="x" * 70000)[0] == 400
    relay.advance(1)
    assert ask(relay, "GET", COLUMNS)[1]["columns"] is None


def test_an_unknown_table_is_answered_with_the_known_ones(relay: Relay) -> None:
    status, document = ask(relay, "GET", "/api/tables/dbo.Nothing/columns")
    assert status == 404
    assert "dbo.Orders" in document["error"]
    assert ask(relay, "GET", "/api/tables/dbo.Orders/dead-letters?limit=x")[0] == 400


def test_status_answers_for_every_table_even_when_one_is_broken(make_relay: Any) -> None:
    relay = make_relay(changed_config(name='"dbo.Orders"\n[[tables]]\nname = "dbo.Missing"'), start=False)
    relay.stack.start_services()
    relay.execute("CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY)")
    relay.execute("CREATE TABLE dbo.Missing (Id int NOT NULL PRIMARY KEY)")
    from infra.prepare_database import prepare

    prepare(relay.stack.connection, relay.stack.config)
    relay.execute("ALTER TABLE dbo.Missing DISABLE CHANGE_TRACKING")
    relay.execute("DROP TABLE dbo.Missing")
    relay.stack.start_host()
    relay.advance(5)
    orders, missing = ask(relay, "GET", "/api/status")[1]["tables"]
    assert orders["pending"] == 0
    assert "no such table" in missing["problem"]
