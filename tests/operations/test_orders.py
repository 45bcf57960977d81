"""Orders about rows that were not delivered: by key, by a filter, or all. Each tells its number of rows, and may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emulators.odbc import odbc_driver
from rowpost.app import App, load_app
from rowpost.operations.orders import ALL, Filter, Selection, order_rows
from rowpost.rules.lifecycle import State
from tests.harness.running_relay import CONFIG, LEASES, Relay, changed_config

ADDRESS = "/api/relays/dbo.Orders"
DEAD = 'max_delay = "1h"\nrejected = "dead_letter"'


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver of the app in this process."""
    monkeypatch.setenv("ODBC_DRIVER", odbc_driver().strip("{}"))


def ask(relay: Relay, what: str, document: dict[str, Any] | None = None, status: int = 202) -> dict[str, Any]:
    assert relay.stack.host is not None
    answer = relay.stack.host.request("POST", f"{ADDRESS}/{what}", **({} if document is None else {"json": document}))
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def key(order: int) -> dict[str, int]:
    return {"OrderId": order}


def records(relay: Relay) -> dict[str, str]:
    return {row[0]: row[1] for row in relay.ledger()}


def rejected(relay: Relay, *orders: int, held: bool = True) -> None:
    """Rows that the API rejects, until they wait for their rounds, or are dead letters."""
    for order in orders:
        relay.reject(order)
    relay.insert(*orders)
    wanted = {"held", "detached"} if held else {"dead"}
    assert relay.advance(hours=1, until=lambda: len(relay.ledger()) == len(orders) and set(records(relay).values()) <= wanted)


@pytest.fixture
def dying(make_relay: Callable[..., Relay]) -> Relay:
    """A relay that gives rejected rows up after the built-in attempts."""
    return make_relay(CONFIG.replace('max_delay = "1h"', DEAD))


def app_of(relay: Relay) -> App:
    """The app's core in this process, on the database of the relay."""
    return load_app(relay.directory, relay.stack.settings)


def test_one_row_is_tried_at_once_and_the_others_keep_their_time(relay: Relay) -> None:
    rejected(relay, 1, 2)
    relay.advance(hours=2)
    relay.accept_all()
    assert ask(relay, "retry", {"keys": [key(2)], "dry_run": True}, 200)["rows"] == 1
    answer = ask(relay, "retry", {"keys": [key(2)], "reason": "mended"})
    assert (answer["rows"], answer["dry_run"], answer["later"]) == (1, False, [])
    assert answer["order"] == relay.get("/api/audit")["entries"][0]["id"]
    assert relay.advance(20, until=lambda: relay.accepted(2) is not None)
    assert relay.accepted(1) is None and list(records(relay)) == ['{"OrderId":1}']


def test_rows_are_chosen_by_state_error_class_and_time(dying: Relay) -> None:
    rejected(dying, 1, 2, held=False)
    dying.reject(3, status=500)
    dying.insert(3)
    assert dying.advance(hours=1, until=lambda: records(dying).get('{"OrderId":3}') == "held")
    dying.advance(5)
    middle = dying.time.now().isoformat()

    def count(what: str, **chosen: Any) -> int:
        return int(ask(dying, what, {"filter": chosen, "dry_run": True}, 200)["rows"])

    assert [count("replay"), count("discard"), count("retry")] == [2, 3, 1]
    assert [count("discard", **{"class": [each]}) for each in ("rejected", "server_error", "tls")] == [2, 1, 0]
    assert [count("discard", state=[each]) for each in ("dead", "held", "detached")] == [2, 1, 0]
    assert [count("discard", **{"from": middle}), count("discard", to=middle)] == [0, 3]
    assert ask(dying, "discard", {"filter": {"state": ["dead"], "class": ["rejected"], "to": middle}})["rows"] == 2
    assert list(records(dying)) == ['{"OrderId":3}']


def test_a_dead_letter_is_replayed_by_its_key(dying: Relay) -> None:
    rejected(dying, 1, 2, held=False)
    dying.accept_all()
    assert ask(dying, "replay", {"keys": [{"orderid": 1}]})["rows"] == 1
    assert dying.advance(60, until=lambda: dying.accepted(1) is not None)
    assert records(dying) == {'{"OrderId":2}': "dead"}
    assert ask(dying, "replay")["rows"] == 1
    assert dying.advance(60, until=lambda: dying.accepted(2) is not None)
    assert ask(dying, "replay")["rows"] == 0


def test_a_row_that_is_given_up_does_not_come_again_and_its_next_change_does(relay: Relay) -> None:
    rejected(relay, 1, 2)
    assert ask(relay, "discard", {"keys": [key(1)]})["rows"] == 1
    relay.accept_all()
    before = len(relay.posts(1))
    relay.advance(hours=3)
    assert relay.accepted(2) is not None and relay.ledger() == []
    assert len(relay.posts(1)) == before and relay.status()["waiting"] == 0
    relay.execute("UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 1")
    assert relay.advance(20, until=lambda: relay.accepted(1) is not None)


def test_a_newer_change_that_was_not_handed_out_yet_is_sent_though_the_row_was_given_up(relay: Relay) -> None:
    rejected(relay, 1)
    assert relay.stack.host is not None
    relay.stack.sql.inject(action="delay", seconds=1, pattern="rowpost: claim.sql", application="rowpost", times=1)
    relay.accept_all()
    relay.execute("UPDATE dbo.Orders SET Total = 5 WHERE OrderId = 1")
    ask(relay, "discard", {"all": True})
    assert relay.advance(hours=2, until=lambda: (relay.accepted(1) or {}).get("Total") == "5.0000")


def test_a_row_that_is_being_posted_is_left_and_said(relay: Relay) -> None:
    rejected(relay, 1)
    relay.execute(f"UPDATE {LEASES} SET _az_func_AttemptCount = 1")
    app = app_of(relay)
    found = order_rows(app, "dbo.Orders", "discard", ALL, "somebody")
    assert (found.rows, found.busy) == (0, 1) and len(relay.ledger()) == 1
    relay.execute(f"UPDATE {LEASES} SET _az_func_AttemptCount = 0")
    assert order_rows(app, "dbo.Orders", "discard", ALL, "somebody").rows == 1
    assert relay.execute(f"SELECT COUNT(*) FROM {LEASES} WHERE _az_func_LeaseExpirationTime IS NOT NULL")[0][0] == 0


def test_a_lease_that_a_dead_recovery_has_left_is_released_and_later_changes_are_sent(relay: Relay) -> None:
    rejected(relay, 1)
    relay.execute(
        f"UPDATE {LEASES} SET _az_func_ChangeVersion = 9223372036854775807, _az_func_AttemptCount = 1, "
        "_az_func_LeaseExpirationTime = DATEADD(minute, -1, SYSDATETIME())"
    )
    relay.execute("UPDATE rowpost.Ledger SET State = 'detached', NextAttempt = DATEADD(hour, 5, SYSUTCDATETIME())")
    relay.accept_all()
    before = len(relay.posts())
    app = app_of(relay)
    assert order_rows(app, "dbo.Orders", "discard", ALL, "somebody").rows == 1
    relay.advance(200)
    assert len(relay.posts()) == before
    relay.execute("UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 1")
    assert relay.advance(20, until=lambda: relay.accepted(1) is not None)


def test_keys_are_compared_as_the_database_compares_them(make_relay: Callable[..., Relay]) -> None:
    table = "CREATE TABLE dbo.Orders (Code nvarchar(20) NOT NULL, Line decimal(9, 2) NOT NULL, Total int, PRIMARY KEY (Code, Line))"
    relay = make_relay(CONFIG, table)
    relay.stack.downstream.set_rules([{"match": {"path": "/rows"}, "status": 422}])
    relay.execute("INSERT INTO dbo.Orders VALUES (N'Abc', 1.5, 1), (N'x', 2, 1)")
    assert relay.advance(hours=1, until=lambda: len(relay.ledger()) == 2)
    relay.advance(400)
    app = app_of(relay)
    for named in ({"Code": "ABC ", "Line": 1.5}, {"Code": "abc", "Line": "1.50"}, {"line": 1.5, "code": "abc"}):
        assert order_rows(app, "dbo.Orders", "discard", Selection(keys=[named]), "x", dry_run=True).rows == 1, named
    assert order_rows(app, "dbo.Orders", "discard", Selection(keys=[{"Code": "abc", "Line": 2}]), "x").rows == 0


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "keys"),
        ({"all": True, "keys": []}, "keys"),
        ({"keys": [{"Id": 1}]}, "keys"),
        ({"keys": [{"OrderId": 1, "Line": 2}]}, "keys"),
        ({"keys": [{"OrderId": "x"}]}, "keys"),
        ({"keys": [{"OrderId": 99999999999999}]}, "keys"),
        ({"keys": [{"OrderId": 1e300}]}, "keys"),
        ({"keys": [{"OrderId": ""}]}, "keys"),
        ({"keys": [{"OrderId": " "}]}, "keys"),
        ({"keys": [{"OrderId": 1, "orderid": 2}]}, "keys"),
        ({"keys": [{"OrderId": "\x00"}]}, "keys"),
        ({"keys": [{"OrderId": 1}] * 1001}, "keys"),
    ],
)
def test_what_names_no_rows_is_refused_with_a_remedy(relay: Relay, document: dict[str, Any], field: str) -> None:
    answer = ask(relay, "discard", document, 422)
    assert answer["field"] == field and answer["detail"].startswith(f"{field}: ")
    assert relay.execute("SELECT COUNT(*) FROM rowpost.Audit")[0][0] == 0


@pytest.mark.parametrize(
    "document",
    [
        {"filter": {"state": ["lost"]}},
        {"filter": {"class": "tls"}},
        {"filter": {"age": 1}},
        {"filter": {"from": "2026-02-30T00:00:00Z"}},
        {"filter": {"from": "0001-01-01T00:00:00+12:00"}},
        {"filter": {"to": "9999-12-31T23:59:59-12:00"}},
    ],
)
def test_a_filter_that_nobody_knows_is_refused(relay: Relay, document: dict[str, Any]) -> None:
    assert ask(relay, "discard", document, 400)["field"].startswith("filter")


def many(relay: Relay, count: int = 1100) -> App:
    """Dead letters and waiting rows, more than a chunk of each."""
    app = app_of(relay)
    app.table("dbo.Orders")
    for number in range(count):
        state = "dead" if number % 2 else "detached"
        relay.execute(
            "INSERT INTO rowpost.Ledger (Relay, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds, FirstFailure, "
            "LastFailure, NextAttempt, LastStatus, LastError, ErrorClass, Noticed) SELECT N'dbo.Orders', ?, ?, 1, 'U', ?, 5, 2, "
            "SYSUTCDATETIME(), DATEADD(second, -9, SYSUTCDATETIME()), "
            "CASE ? WHEN 'dead' THEN DATEADD(second, -9, SYSUTCDATETIME()) ELSE DATEADD(hour, 9, SYSUTCDATETIME()) END, "
            "422, N'HTTP 422', 'rejected', 1",
            *(f"{number:064}", f'{{"OrderId":{number + 1}}}', state, state),
        )
    return app


@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
def test_a_connection_that_is_lost_in_a_chunk_counts_no_row_twice(relay: Relay, action: str) -> None:
    app = many(relay)
    relay.stack.sql.inject(action=action, pattern="rowpost: discard.sql", application="rowpost", times=2, skip=1)
    found = order_rows(app, "dbo.Orders", "discard", Selection(filter=Filter(state=[State.DEAD, State.DETACHED])), "somebody")
    assert found.rows == 1100 and relay.ledger() == []
    assert tuple(relay.execute("SELECT Rows, Result FROM rowpost.Audit")[0]) == (1100, "done")


def test_an_order_that_ends_on_the_way_may_be_repeated(relay: Relay) -> None:
    app = many(relay)
    relay.stack.sql.inject(action="error", number=8645, pattern="rowpost: discard.sql", application="rowpost", times=1, skip=1)
    with pytest.raises(Exception, match="8645"):
        order_rows(app, "dbo.Orders", "discard", ALL, "somebody")
    left = len(relay.ledger())
    rows, result = relay.execute("SELECT Rows, Result FROM rowpost.Audit")[0]
    assert 0 < rows == 1100 - left and result.startswith("failed: ")
    assert order_rows(app, "dbo.Orders", "discard", ALL, "somebody").rows == left


def test_a_chosen_retry_reaches_each_row_once(relay: Relay) -> None:
    app = many(relay, 40)
    chosen = Selection(filter=Filter(error_class=["rejected"]))
    assert order_rows(app, "dbo.Orders", "retry", chosen, "x", dry_run=True).rows == 20
    assert order_rows(app, "dbo.Orders", "retry", chosen, "x").rows == 20
    assert relay.execute("SELECT COUNT(*) FROM rowpost.Ledger WHERE RetryOrdered IS NOT NULL")[0][0] == 20


def test_an_incident_tells_of_rows_that_were_given_up_by_an_order(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(after_rounds="1"))
    rejected(relay, 1, 2)
    assert relay.advance(900, until=lambda: bool(relay.alerts("alarm")))
    relay.advance(120)
    ask(relay, "discard", {"keys": [key(1)]})
    relay.accept_all()
    assert relay.advance(hours=3, until=lambda: bool(relay.alerts("recovered")))
    (over,) = relay.alerts("recovered")
    assert (over["delivered"], over["given_up"]) == (1, 1)


def test_a_resync_of_which_a_row_was_given_up_by_an_order_is_incomplete(relay: Relay) -> None:
    relay.insert(1, 2)
    relay.advance(30)
    relay.reject(1)
    relay.stack.host.request("POST", f"{ADDRESS}/resync")  # type: ignore[union-attr]
    assert relay.advance(600, until=lambda: list(records(relay)) == ['{"OrderId":1}'])
    relay.advance(120)
    assert ask(relay, "discard", {"all": True})["rows"] == 1
    assert relay.advance(900, until=lambda: relay.status()["resync"]["state"] == "incomplete")
    assert relay.status()["resync"]["given_up"] == 1
