"""Incidents, and who knows of them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec

from rowpost.log_lines import in_thread
from rowpost.operations.incidents import Incidents, acknowledge, list_incidents
from triggers.api.api import Api, Call, Level, Nothing, Problem
from triggers.api.rows import granted


class IncidentsWanted(msgspec.Struct, forbid_unknown_fields=True):
    """``open``: only those that are open, or only those that are over."""

    relay: str = ""
    is_open: bool | None = msgspec.field(default=None, name="open")
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class Note(msgspec.Struct, forbid_unknown_fields=True):
    """A note, for the audit."""

    note: Annotated[str, msgspec.Meta(max_length=400)] | None = None


class AcknowledgedIncident(msgspec.Struct):
    """Who knows of an incident, and since when."""

    incident: str
    relay: str
    at: str
    by: str


def add(api: Api) -> None:
    """Add the operations to the API."""

    @api.operation(
        "list_incidents",
        "GET",
        "incidents",
        Level.READ,
        summary="When people were told that rows are not delivered, and what became of them; newest first.",
        query=IncidentsWanted,
        answer=Incidents,
    )
    async def incidents(call: Call[Nothing, IncidentsWanted]) -> Incidents:
        asked = call.query
        found = partial(list_incidents, call.app, asked.relay, is_open=asked.is_open, limit=asked.limit, cursor=asked.cursor)
        return await granted(found)

    @api.operation(
        "acknowledge_incident",
        "POST",
        "incidents/{incident}/acknowledge",
        Level.OPERATE,
        summary="Say that you know of an incident: nobody is reminded of it any more.",
        body=Note,
        answer=AcknowledgedIncident,
    )
    async def known(call: Call[Note, Nothing]) -> AcknowledgedIncident:
        incident = call.path["incident"]
        found = await in_thread(acknowledge, call.app, incident, call.caller, call.body.note)
        if found is None:
            raise Problem(404, f"there is no incident {incident!r}; GET /api/incidents lists them", "incident")
        relay, who = found
        return AcknowledgedIncident(incident, relay, who.at, who.by)
