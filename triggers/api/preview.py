"""What a relay would send, before it sends anything."""

from __future__ import annotations

from rowpost.log_lines import in_thread
from rowpost.operations.preview import Preview, preview
from triggers.api.api import Api, Call, Level, Nothing


def add(api: Api) -> None:
    """Add the operation to the API."""

    @api.operation(
        "get_preview",
        "GET",
        "preview/{relay}",
        Level.READ,
        summary="The settings of a relay as they count, and its events for a sample of a row; nothing is sent.",
        answer=Preview,
    )
    async def get_preview(call: Call[Nothing, Nothing]) -> Preview:
        return await in_thread(preview, call.app, call.relay.name)
