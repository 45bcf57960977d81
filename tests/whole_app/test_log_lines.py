"""What the app logs reaches people: each line belongs to an invocation, also what is said in a thread."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable

import pytest

from rowpost.log_lines import in_thread
from tests.harness.running_relay import ORDERS, Relay, changed_config

OTHER = "\nGO\nCREATE TABLE dbo.Other (Id int NOT NULL CONSTRAINT PK_Other PRIMARY KEY)"


def test_no_line_of_the_app_is_dropped_whatever_happens(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(
        changed_config(window='"2h"') + '\n[[relays]]\ntable = "dbo.Other"\n',
        ORDERS + OTHER,
        settings={"ALERT_WEBHOOK_URL": "http://hooks.invalid/"},
    )
    host = relay.stack.host
    assert host is not None
    relay.reject(1)
    relay.insert(1, 2)
    relay.execute("ALTER TABLE dbo.Other DISABLE CHANGE_TRACKING")
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.advance(hours=1)
    relay.stack.downstream.set_mode("up")
    for order in ("resync", "retry", "replay"):
        host.request("POST", f"/api/relays/dbo.Orders/{order}")
    relay.stack.sql.inject(pattern="rowpost.Ledger", application="rowpost", action="error", number=1205, times=5)
    host.add_durable_fault("error")
    relay.advance(hours=2)
    host.clear_durable_faults()
    relay.advance(hours=3)
    log = relay.host_log()
    assert "is dropped, as the real host drops it" not in log
    for told in ("http is not encrypted", "change tracking is off", "the resync ", "dead letter"):
        assert told in log, told


def test_what_a_thread_logs_is_logged_by_who_waits_for_it(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("rowpost.somewhere")
    spoke: list[asyncio.Task[None] | None] = []

    class Speaker(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            spoke.append(asyncio.current_task())

    def work(number: int) -> int:
        log.warning("work %d", number)
        if number == 3:
            raise ValueError
        return number

    async def wait(number: int) -> None:
        log.warning("before %d", number)
        assert await in_thread(work, number) == number
        log.warning("after %d", number)

    async def run() -> None:
        await asyncio.gather(*(asyncio.create_task(wait(number)) for number in range(3)))
        with pytest.raises(ValueError):
            await in_thread(work, 3)

    speaker = Speaker()
    logging.getLogger().addHandler(speaker)
    try:
        asyncio.run(run())
    finally:
        logging.getLogger().removeHandler(speaker)
    for number in range(3):
        assert [text for text in caplog.messages if text.endswith(str(number))] == [
            f"{what} {number}" for what in ("before", "work", "after")
        ]
    assert "work 3" in caplog.messages and all(spoke)


def test_a_module_that_is_loaded_twice_doubles_no_line(caplog: pytest.LogCaptureFixture) -> None:
    source = importlib.util.find_spec("rowpost.log_lines")
    assert source is not None and source.loader is not None
    again = importlib.util.module_from_spec(source)
    source.loader.exec_module(again)
    for wait in (in_thread, again.in_thread, in_thread):
        caplog.clear()
        asyncio.run(wait(logging.getLogger("rowpost.somewhere").warning, "once"))
        assert caplog.messages == ["once"]
