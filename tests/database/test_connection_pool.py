"""A database that was away and is back answers the next statement, however many connections broke."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from emulators.odbc import odbc_driver
from rowpost.config.connection_string import translate
from rowpost.database.connection import Database
from tests.harness.running_relay import Relay


def test_every_broken_connection_of_the_pool_is_replaced(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    sql = relay.stack.sql.start()
    driver = odbc_driver().strip("{}")
    database = Database(translate(relay.stack.settings["SqlConnectionString"] + ";ConnectRetryCount=0", "test", driver))
    with contextlib.ExitStack() as busy:  # as many batches at once
        for _ in range(6):
            busy.enter_context(database._checked_out())
    sql.kill()
    sql.start()
    assert database.run("SELECT 1") == [[(1,)]]
