"""The answer to a request with several events: one for all of them, or a status for each.

The form of the second one is that of many batch endpoints: an array of objects with ``id`` and ``status``, or an object that has
one such array under ``results``, ``items`` or ``responses``. ``id`` is that of the event. For bodies that do not have it, ``index``
is the place of the event in the request, from 0. ``retry_after`` is a number of seconds. An empty array has none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from rowpost.rules.answer import MAX_RETRY_AFTER_SECONDS, Answer, Verdict, classify

MULTI_STATUS = 207
_UNDER = ("results", "items", "responses")
_STATUSES = range(100, 600)
_MISSING = "the answer has no status for this event"
_UNCLEAR = "the answer does not say what became of each event"
_BROKEN = "the answer is too long or breaks off"
_decode = msgspec.json.Decoder().decode


def answers_by_id(
    status: int, content: bytes | None, *, is_json: bool, ids: Sequence[str], accepts: Sequence[frozenset[int]]
) -> list[Answer] | None:
    """The answer of each event after a success, if the body has them; None if the status is that of all.

    What is unclear is never a success: then all are to be tried again.

    Args:
        status: of the answer, 2xx.
        content: its body; None if it was not read to its end.
        is_json: whether its header says that it is JSON.
        ids: of the events, in the order in which they were sent; no two are the same.
        accepts: further statuses that are a success, of each.
    """
    told = status == MULTI_STATUS  # it says that there are several statuses
    if content is None:
        return _all(status, _BROKEN, ids) if told or is_json else None
    try:
        found = _entries(_decode(content))
    except Exception:  # no JSON, or nested without end
        found = None
    if found is None:
        return None if not told else _all(status, _UNCLEAR, ids)
    by_id = _by_id(found, ids)
    if by_id is None:
        return _all(status, _UNCLEAR, ids)
    return [_answer(status, by_id.get(identifier), success) for identifier, success in zip(ids, accepts, strict=True)]


def _entries(document: Any) -> list[Any] | None:
    """The statuses of an answer; None if it is not one that has them."""
    if isinstance(document, list):
        arrays = [document]
    else:
        arrays = [document[name] for name in _UNDER if isinstance(document.get(name), list)] if isinstance(document, dict) else []
    told = [array for array in arrays if not array or any(map(_is_status, array))]
    return [entry for array in told for entry in array] if told else None


def _is_status(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    status, place = entry.get("status"), entry.get("index")
    named = type(entry.get("id")) is str or (type(place) is int and place >= 0)
    return named and type(status) is int and status in _STATUSES


def _by_id(entries: list[Any], ids: Sequence[str]) -> dict[str, Any] | None:
    """The entries of the events that were sent; None if one is no status, or an event has two. Others are of no account."""
    own, found = frozenset(ids), dict[str, Any]()
    for entry in entries:
        if not _is_status(entry):
            return None
        name = entry.get("id")
        if type(name) is not str:
            place = entry["index"]
            name = ids[place] if place < len(ids) else ""
        if name in found:
            return None
        if name in own:
            found[name] = entry
    return found


def _answer(status: int, entry: dict[str, Any] | None, accepts: frozenset[int]) -> Answer:
    if entry is None:
        return Answer(Verdict.TRANSIENT, status, _MISSING)
    own: int = entry["status"]
    if own in accepts:
        return Answer(Verdict.DELIVERED, own)
    answer = classify(own, {})
    asked = entry.get("retry_after")
    if answer.verdict is Verdict.TRANSIENT and isinstance(asked, int | float) and type(asked) is not bool and asked >= 0:
        answer = replace(answer, retry_after_seconds=round(min(asked, MAX_RETRY_AFTER_SECONDS)))
    return answer


def _all(status: int, error: str, ids: Sequence[str]) -> list[Answer]:
    return [Answer(Verdict.TRANSIENT, status, error)] * len(ids)
