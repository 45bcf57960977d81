"""The simulation knows the contract of its relays: its tables are those that the app finds in the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from devtools.contracts import contracts_of
from devtools.sim.contract import contract, contract_of
from devtools.sim.lane import MAIN
from devtools.sim.plan import Plan, Settings
from devtools.sim.record import Record
from devtools.sim.scenario import relay_toml, table_sql
from emulators.downstream.attempt import Attempt
from tests.harness.running_relay import CONFIG, Relay


@pytest.mark.parametrize("settings", [Settings(), Settings(key="pair", computed=True), Settings(send=("Note", "Total"))])
def test_its_columns_are_those_of_the_catalogue(make_relay: Callable[..., Relay], settings: Settings) -> None:
    send = relay_toml(settings).partition('target = "api"\n')[2] if settings.send else ""
    relay = make_relay(CONFIG + send, table_sql(settings))
    (found,) = contracts_of(relay.config_file, relay.stack.settings, relay.stack.sql.ado_net_connection_string)
    known = contract_of(settings, MAIN)
    assert (found.table.key, found.table.columns) == (known.table.key, known.table.columns)
    assert found.shape == known.shape


BODY: dict[str, Any] = {
    "specversion": "1.0",
    "id": "0" * 32,
    "source": "rowpost",
    "type": "rowpost.row.upserted",
    "subject": f"dbo.Orders/{'0' * 16}",
    "time": "2026-03-02T06:00:00.000Z",
    "sequence": "0" * 19 + "7",
    "datacontenttype": "application/json",
    "data": {
        "table": "dbo.Orders",
        "operation": "upsert",
        "key": {"Id": 1},
        "epoch": 0,
        "version": 7,
        "row": {"Id": 1, "Note": "x", "Total": "1.0000", "Extra": 1, "Secret": None},
    },
}
HEADERS = {
    "Idempotency-Key": "0" * 32,
    "Rowpost-Version": "7",
    "Rowpost-Epoch": "0",
    "Content-Type": "application/cloudevents+json",
}


def violations(row: dict[str, Any]) -> list[str]:
    body = {**BODY, "data": {**BODY["data"], "row": {**BODY["data"]["row"], **row}}}
    start = "2026-03-02T06:00:00+00:00"
    attempt = Attempt(1, 1, start, "POST", "/rows", HEADERS, None, "dbo.Orders", {"Id": 1}, 7, "upsert", 202, "", body)
    record = Record(Plan(0, "rowpost", 0, 1, Settings(), (), (), 0, 0))
    record.attempts, record.start = [attempt], datetime.fromisoformat(attempt.at)
    return [str(violation) for violation in contract(record)]


def test_a_wrong_type_is_a_violation() -> None:
    assert violations({}) == []
    assert violations({"Total": 1})[0].startswith("[contract] data/row/Total: 1 is not of types")
    assert violations({"Other": 1}) and violations({"Extra": "1"})
