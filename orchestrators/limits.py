"""How long anybody waits for the storage of Durable Functions: not long. What it does not answer in time is done later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

ANSWER_SECONDS = 2.5  # for one call of the durable client, and for all that wakes or starts a recovery

T = TypeVar("T")


async def within_limit(call: Awaitable[T]) -> T:
    """The result of a call of the durable client.

    Raises:
        TimeoutError: there was no answer in time; the call may have had its effect all the same.
        Exception: the storage cannot be reached, or refused.
    """
    async with asyncio.timeout(ANSWER_SECONDS):
        return await call
