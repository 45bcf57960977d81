"""What the watchdog logs of each table: the alerts and the workbook of infra/ read nothing else."""

from __future__ import annotations

import json
from typing import Any

from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.database.connection import Database
from rowpost.operations.status import STATE_LINE, relay_status
from tests.harness.running_relay import Relay, changed_config


def states(relay: Relay) -> list[dict[str, Any]]:
    lines = [line.partition(STATE_LINE)[2] for line in relay.host_log().splitlines() if STATE_LINE in line]
    return [json.loads(line) for line in lines]


def test_each_run_of_the_watchdog_tells_the_state_of_the_table(make_relay: Any) -> None:
    relay = make_relay(changed_config(window='"2h"', rejected='"retry"'))
    relay.insert(1, 2)
    relay.advance(11 * 60)
    state = states(relay)[-1]
    assert (state["table"], state["pending"], state["dead"], state["oldest_untouched"]) == ("dbo.Orders", 0, 0, None)
    assert state["oldest_failure"] is None and state["version"] >= 1
    relay.reject(3)
    relay.insert(3)
    relay.advance(30 * 60)
    assert states(relay)[-1]["oldest_failure"] is not None
    relay.advance(hours=4)
    assert (states(relay)[-1]["dead"], states(relay)[-1]["oldest_failure"]) == (1, None)


def test_a_trigger_that_never_started_leaves_its_changes_untouched(make_relay: Any) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.insert(1, 2)
    relay.insert(3)
    odbc = translate(relay.stack.settings["SqlConnectionString"], "SqlConnectionString", relay.stack.settings["ODBC_DRIVER"])
    status = relay_status(App(relay.stack.config, Database(odbc), relay.stack.settings["WEBSITE_SITE_NAME"]), "dbo.Orders")
    assert (status["pending"], status["oldest_untouched"], status["version"]) == (3, 1, 2)
