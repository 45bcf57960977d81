"""Several notices as one: those that a recipient could not get one by one, since there were too many in a short time."""

from __future__ import annotations

from collections.abc import Sequence

from rowpost.notices.message import Notice


def together(notices: Sequence[Notice]) -> Notice:
    """One notice as it is; several as a digest, which has the same id whenever it is tried again."""
    if len(notices) == 1:
        return notices[0]
    relays = {notice["relay"] for notice in notices}
    return {
        "id": f"{notices[0]['id']}-digest",
        "kind": "digest",
        "relay": relays.pop() if len(relays) == 1 else "",
        "rows": 0,
        "round": 0,
        "since": None,
        "at": max(notice["at"] for notice in notices),
        "last_error": None,
        "notices": list(notices),
    }
