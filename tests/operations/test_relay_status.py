"""The state of a relay over HTTP: a word, a sentence, how late it is, and its last samples."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.database.connection import Database
from rowpost.operations.standing import Found
from rowpost.operations.status import relay_status
from rowpost.watchdog.history import as_found, keep_sample, last_groups, last_status
from tests.harness.running_relay import PAUSED, Relay
from triggers.api.looking import Looking


def state(relay: Relay) -> dict[str, Any]:
    found: dict[str, Any] = relay.get("/api/relays/dbo.Orders")
    return found


def test_the_state_from_well_to_an_outage_and_back(relay: Relay) -> None:
    assert (state(relay)["state"], state(relay)["lag"]) == ("ok", {"seconds": 0, "at_least": False, "since": None})
    relay.reject(1)
    relay.insert(1, 2)
    relay.advance(20 * 60)
    failing = state(relay)
    assert failing["state"] == "failing" and "rejected 1" in failing["sentence"] and failing["paused"] is None
    assert failing["lag"]["since"] == failing["oldest_failure"] and 1190 <= failing["lag"]["seconds"] <= 1210
    assert not failing["lag"]["at_least"]
    history = failing["history"]
    assert len(history) >= 4 and history[-1]["waiting"] == 1 and history[-1]["lag_seconds"] > 600
    (listed,) = relay.get("/api/relays")["relays"]
    assert listed["sparkline"] == [sample["waiting"] for sample in history] and "history" not in listed
    relay.accept_all()
    relay.advance(hours=1)
    assert state(relay)["sentence"] == "All changes are delivered."


def test_the_lag_of_changes_that_nobody_hands_out_is_a_lower_bound_from_the_samples(relay: Relay) -> None:
    relay.advance(6 * 60)
    whole = state(relay)["retention"]
    assert whole["margin_seconds"] == whole["hours"] * 3600
    relay.restart(**{PAUSED: "true"})
    relay.insert(1)
    relay.advance(11 * 60)
    found = state(relay)
    assert found["state"] == "catching_up" and found["lag"]["at_least"]
    assert 5 * 60 <= found["lag"]["seconds"] <= 11 * 60
    left = found["retention"]["hours"] * 3600 - found["retention"]["margin_seconds"]
    assert 11 * 60 <= left <= 17 * 60


def process_of(relay: Relay) -> Looking:
    """What another process of the app would look with."""
    settings = relay.stack.settings
    odbc = translate(settings["SqlConnectionString"], "SqlConnectionString", settings["ODBC_DRIVER"])
    return Looking(App(relay.stack.config, Database(odbc), settings["WEBSITE_SITE_NAME"]))


def test_a_process_that_has_just_begun_gives_what_the_watchdog_has_kept(relay: Relay) -> None:
    """If it was long to find, and until something is ordered of the relay."""
    app = process_of(relay).app
    found = relay_status(app, "dbo.Orders")

    def first_answer() -> int:
        """How many rows wait, by the first answer of a process; -1: it has looked itself."""
        ((now,),) = relay.execute("SELECT CONVERT(nvarchar(40), SYSUTCDATETIME(), 126)")
        looking = process_of(relay)
        new, kept = as_found(found | {"waiting": -1, "as_of": now}), partial(last_status, app, "dbo.Orders")
        return int(asyncio.run(looking.lately("dbo.Orders", "status", lambda: new, kept))["waiting"])

    keep_sample(app, "dbo.Orders", found | {"waiting": 6})
    assert first_answer() == -1, "a status that is quick to find is found anew"
    assert last_groups(app, "dbo.Orders") is None
    relay.reject(1)
    relay.insert(1, 2)
    relay.advance(300)
    keep_sample(app, "dbo.Orders", found | {"waiting": 7, "milliseconds": 2000})
    assert [first_answer(), first_answer()] == [7, 7]
    groups = last_groups(app, "dbo.Orders")
    assert groups is not None and [group.rows for group in groups.answer.groups] == [1]
    relay.advance(1)
    relay.stack.host.request("POST", "/api/relays/dbo.Orders/pause", json={"reason": "the API moves"})
    assert first_answer() == -1


def test_counts_that_take_long_stand_for_a_while(relay: Relay) -> None:
    """A status that took the database two seconds is not looked for again at once; one that is quick is."""
    looking, looks = process_of(relay), list[int]()

    def ask(milliseconds: int) -> int:
        """The answer of a look that takes the database so long: the how manieth look it was."""

        def look() -> Found:
            looks.append(milliseconds)
            ((now,),) = relay.execute("SELECT CONVERT(nvarchar(40), SYSUTCDATETIME(), 126)")
            return Found(len(looks), now, milliseconds)

        async def answer() -> int:
            found = int(await looking.lately("dbo.Orders", "slow", look))
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})  # also looks that nobody waits for
            return found

        return asyncio.run(answer())

    assert [ask(2000) for _ in range(3)] == [1, 1, 1] and len(looks) == 1
    relay.advance(21)
    assert [ask(2000), ask(2000)] == [1, 2] and len(looks) == 2, "the old one is given, and a new one looked for"
    looking.standing.forget("dbo.Orders")
    assert [ask(5), ask(5)] == [3, 4], "after an order, and if it is quick to find"
    ask(2000)
    relay.advance(3600)
    assert ask(2000) == 6, "what is old is not given"
