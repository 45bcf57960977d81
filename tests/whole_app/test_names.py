"""Tables of any name are relayed: with blanks, reserved words, hyphens, dots of another script."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import CONFIG, Relay


@pytest.mark.parametrize("name", ["dbo.Order Lines", "dbo.User", "dbo.Group", "dbo.a-b;c", "dbo.1st", "Größe.Maß", "table.select"])
def test_a_table_of_any_name_is_relayed_and_retried(name: str, make_relay: Callable[..., Relay]) -> None:
    schema, table = name.split(".")
    makes = "" if schema == "dbo" else f"EXEC (N'CREATE SCHEMA [{schema}]')\nGO\n"
    tables = f"{makes}CREATE TABLE [{schema}].[{table}] (Id int NOT NULL PRIMARY KEY)\n"
    relay = make_relay(CONFIG.replace("dbo.Orders", name), tables)
    relay.stack.downstream.add_rule(match={"key": {"Id": 2}}, status=500, times=1)
    relay.execute(f"INSERT INTO [{schema}].[{table}] (Id) VALUES (1), (2)")
    assert relay.advance(180, until=lambda: len(relay.stack.downstream.state(name)) == 2)
    assert relay.status()["table"] == name
