"""When people are reminded of an incident that goes on: each pause is twice as long as the one before."""

from __future__ import annotations

_MOST_DOUBLINGS = 20


def seconds_to_reminder(first_seconds: float, reminders: int, told_seconds: int) -> int:
    """How long until the next reminder; at most 0 when it is due.

    Args:
        first_seconds: from the alarm to the first reminder.
        reminders: that were sent.
        told_seconds: since the last one, or since the alarm.
    """
    return (round(first_seconds) << min(reminders, _MOST_DOUBLINGS)) - told_seconds
