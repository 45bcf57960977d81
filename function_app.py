"""Composition root of the Azure Functions app: reads relay.toml and registers the functions; nothing else."""

from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

from activities import notices, recovery_steps
from entities import database_memory, table_columns
from orchestrators import notification, recovery, resync
from rowpost.app import load_app
from triggers import operator_api, table_changes, watchdog
from triggers.api import console

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

_rowpost = load_app(Path(__file__).parent)
for _blueprint in (
    *(table_changes.blueprint(_rowpost, relay) for relay in _rowpost.config.relays),
    watchdog.blueprint(_rowpost),
    operator_api.blueprint(_rowpost),
    console.blueprint(_rowpost),
    recovery.blueprint(),
    notification.blueprint(),
    resync.blueprint(),
    recovery_steps.blueprint(_rowpost),
    notices.blueprint(_rowpost),
    table_columns.blueprint(),
    database_memory.blueprint(),
):
    app.register_functions(_blueprint)
