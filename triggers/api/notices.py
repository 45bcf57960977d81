"""The test of the channels through which people are told."""

from __future__ import annotations

import logging

import msgspec

from rowpost.app import App
from rowpost.database.connection import DatabaseError
from rowpost.log_lines import in_thread
from rowpost.notices.testing import Tried, try_channels
from rowpost.watchdog.adopt import database_now
from triggers.api.api import Api, Call, Level, Nothing

_log = logging.getLogger("rowpost.notices")


class Tests(msgspec.Struct):
    """``sent``: whether every recipient was told. ``results``: how it went with each."""

    sent: bool
    results: list[Tried]


def add(api: Api) -> None:
    """Add the operation to the API."""

    @api.operation(
        "test_notices",
        "POST",
        "notices/test",
        Level.OPERATE,
        summary="Send one test through each channel of notices, and say what came back.",
        answer=Tests,
    )
    async def test_notices(call: Call[Nothing, Nothing]) -> Tests:
        tried = await in_thread(_try_all, call.app)
        sent = sum(each["sent"] for each in tried)
        _log.info("a test of the notices: %d sent, %d failed", sent, len(tried) - sent)
        return Tests(sent == len(tried), tried)


def _try_all(app: App) -> list[Tried]:
    try:
        at = database_now(app)
    except DatabaseError:  # the channels can be tested without it
        at = ""
    return try_channels(app.config.notifications, at)
