"""How long the oldest change has been waiting, by when its version was first seen.

A user with few rights learns no time of a change from SQL Server. But who looks again and again knows when a version was there.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime

_LOOKS_AT_MOST = 2100  # a week of looks, each five minutes


class Versions:
    """When which version was the newest; each look adds one."""

    def __init__(self) -> None:
        self._seen: deque[tuple[datetime, int]] = deque(maxlen=_LOOKS_AT_MOST)

    def look(self, now: datetime, newest: int, oldest_waiting: int | None) -> float:
        """Remember a look.

        Args:
            now: the database's time.
            newest: the newest version of the database.
            oldest_waiting: the lowest version of a change that waits; None if none does.

        Returns:
            For how many seconds at least a change has been waiting. It is too low by less than the time between two looks.
        """
        if self._seen and newest < self._seen[-1][1]:  # another life of the database
            self._seen.clear()
        self._seen.append((now, newest))
        if oldest_waiting is None:
            return 0.0
        since = next((at for at, version in self._seen if version >= oldest_waiting), now)
        return max(0.0, (now - since).total_seconds())
