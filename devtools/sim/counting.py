"""Where each changed row is, counted from the leases, the ledger and the API; and whether the app tells the same numbers."""

from __future__ import annotations

from collections import Counter

from devtools.sim.observer import Observer
from devtools.sim.plan import clock_text
from devtools.sim.record import Look, parsed_key
from rowpost.operations.status import PLACES
from rowpost.rules.lease import REDELIVERED_VERSION

_LOST = "nowhere"


def count_rows(observer: Observer, look: Look, sql: str) -> None:
    """Compare the numbers of the app's status with those of the world, at one instant.

    Nobody knows what change tracking has forgotten: from then on nothing is compared.

    Args:
        observer: of the run; its record takes what is wrong.
        look: what the database says at this instant.
        sql: the app's statement, as the app has just run it.
    """
    if look.cursor is None or observer.record.cleaned:
        return
    told = {str(place): int(count) for place, count in observer.execute_all(sql)[0]}
    rows = {text: place_of(observer, look, text) for text in observer.record.wanted}
    own = Counter(place for place in rows.values() if place in PLACES)
    own["dead"] = sum(entry[0] == "dead" for entry in look.ledger.values())
    at = clock_text(look.at)
    if lost := [text for text, place in rows.items() if place == _LOST]:
        observer.record.miscounted.append(f"{lost} neither delivered, waiting nor dead at {at}")
    if told != {place: count for place, count in own.items() if count}:
        observer.record.miscounted.append(f"the app tells {told}, and there are {dict(own)} at {at}")


def place_of(observer: Observer, look: Look, text: str) -> str:
    """Where the last state of a row is: waiting at one of the app's places, dead, delivered, or nowhere."""
    version, entry, lease = observer.latest[text], look.ledger.get(text), look.leases.get(text)
    if entry is not None and entry[0] != "dead":
        return str(entry[0])
    if entry is not None and entry[1] >= version:
        return "dead"
    known, count, end = lease or (-1, 0, None)
    open_change = version > (look.cursor or 0) and (known < version or end is not None)
    if open_change or (end is not None and count != 0 and known < REDELIVERED_VERSION):
        return _by_lease(count, end)
    arrived = observer.downstream.find(observer.lane.table, parsed_key(text))
    wanted = observer.record.wanted[text]
    if observer.given_up(text):
        return "delivered"
    return "delivered" if arrived is not None and (arrived.version or 0) >= wanted.version else _LOST


def _by_lease(count: int, end: float | None) -> str:
    if end is None:
        return "pending"
    if count < 0 or (count >= 5 and end < 0):
        return "parked"
    return "pending" if end < 0 else "in_flight" if count > 0 else "handed_back"
