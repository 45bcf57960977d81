"""Limits on requests: how many run at once, and how many are held besides them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from emulators.functions_host.settings import ConfigurationError

_NO_LIMIT = -1


class TooMany(Exception):
    """The limit of requests that are held is reached."""


class Throttle:
    """``maxConcurrentRequests`` and ``maxOutstandingRequests`` of host.json.

    Args:
        options: the section ``extensions.http``.

    Raises:
        ConfigurationError: a limit is no number.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._concurrent = self._limit(options, "maxConcurrentRequests")
        self._outstanding = self._limit(options, "maxOutstandingRequests")
        self._held = 0
        self._slots = asyncio.Semaphore(self._concurrent) if self._concurrent != _NO_LIMIT else None

    @staticmethod
    def _limit(options: Mapping[str, Any], name: str) -> int:
        value = next((value for key, value in options.items() if key.lower() == name.lower()), _NO_LIMIT)
        if not isinstance(value, int) or isinstance(value, bool) or (value < 1 and value != _NO_LIMIT):
            raise ConfigurationError(f"host.json: extensions.http.{name} must be a positive number or -1, not {value!r}")
        return value

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place to run.

        Raises:
            TooMany: the request is to be refused.
        """
        if self._outstanding != _NO_LIMIT and self._held >= self._outstanding:
            raise TooMany
        self._held += 1
        try:
            async with self._slots or contextlib.nullcontext():
                yield
        finally:
            self._held -= 1
