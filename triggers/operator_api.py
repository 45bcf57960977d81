"""The HTTP API: all its operations."""

from __future__ import annotations

import azure.durable_functions as df

from rowpost.app import App
from triggers.api import columns, contract, health, incidents, notices, orders, preview, relays, rows
from triggers.api.api import Api
from triggers.api.looking import Looking


def blueprint(app: App) -> df.Blueprint:
    """The routes under ``/api``."""
    return operations(app).functions


def operations(app: App) -> Api:
    """All operations, as functions and as data."""
    looking = Looking(app)
    api = Api(app, looking.standing.forget)
    relays.add(api, looking)
    health.add(api, looking)
    rows.add(api, looking)
    preview.add(api)
    incidents.add(api)
    notices.add(api)
    orders.add(api)
    columns.add(api)
    contract.add(api)
    return api
