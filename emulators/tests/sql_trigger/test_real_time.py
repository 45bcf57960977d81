"""The same listener in real time, over an encrypted connection, as it would run against a real server."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

from emulators.clock import Clock
from emulators.functions_host.sql_trigger import SqlTriggerListener
from emulators.launch import SqlServer
from emulators.tests.sql_trigger.world import LoopThread

SETUP = (
    "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);",
    "CREATE TABLE dbo.Item (Id int NOT NULL PRIMARY KEY, Name nvarchar(50) NULL);",
    "ALTER TABLE dbo.Item ENABLE CHANGE_TRACKING;",
)


def test_real_time_and_encryption(tmp_path: Path) -> None:
    loop = LoopThread()
    received: list[str] = []
    arrived = threading.Event()

    async def invoke(text: str) -> bool:
        received.append(text)
        arrived.set()
        return True

    with SqlServer(tmp_path, "real", encrypt=True) as server, server.connect() as connection:
        for statement in SETUP:
            connection.execute(statement)
        listener = SqlTriggerListener(
            "F",
            "dbo.Item",
            server.ado_net_connection_string,
            None,
            {"WEBSITE_SITE_NAME": "site", "Sql_Trigger_PollingIntervalMs": "50"},
            {},
            "host",
            Clock(),
            invoke,
            logging.getLogger("sql-trigger-test"),
        )
        loop.run(listener.start())
        connection.execute("INSERT INTO dbo.Item VALUES (1, N'x');")
        assert arrived.wait(20)
        assert json.loads(received[0]) == [{"Operation": 0, "Item": {"Id": 1, "Name": "x"}}]
        loop.run(listener.stop())
        loop.run(listener.wait_closed())
        arrived.clear()
        connection.execute("INSERT INTO dbo.Item VALUES (2, N'y');")
        assert not arrived.wait(0.3)
        loop.close()
