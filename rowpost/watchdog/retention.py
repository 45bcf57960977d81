"""The change retention: what it takes away before it was handed out is lost to the trigger. Here that is seen, and told.

The watchdog remembers up to which version every change is delivered or in the ledger. If SQL Server's oldest valid version goes
beyond it, changes in between may be lost: which ones, nobody can know any more, but the range of versions is exact. The same if the
tracking of the table has begun anew: it was switched off and on, or the table was truncated or made again.
"""

from __future__ import annotations

from msgspec import Struct

from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.notices.message import Notice

_LATE_SHARE = 2  # a change that waits for more than 1/2 of the retention is told


class Coverage(Struct, frozen=True):
    """How far the trigger has come, and what retention did.

    Attributes:
        covered: every change up to this version is delivered or in the ledger.
        current: the newest version of the database.
        gap: the first and last version of changes that may be lost, if people are to be told: more are lost than they know.
        since: an instant (ISO 8601, UTC) since when a change has been waiting for more than half of the retention, if one has.
        begin: with which version the tracking of the table began.
        now: the database's clock, ISO 8601, UTC.
    """

    covered: int
    current: int
    gap: tuple[int, int] | None
    since: str | None
    begin: int
    now: str


def look_at_retention(app: App, relay: str) -> Coverage | None:
    """Compare the trigger's progress with the change retention; None before the trigger's first start. Changes nothing.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(relay)
    (rows,) = app.database.run(table.statement("look_at_retention", late_share=_LATE_SHARE))
    if not rows:
        return None
    before, known_begin, first, last, told, begin, oldest, current, minimum, since, now = rows[0]
    covered = current if oldest is None else oldest - 1
    anew = known_begin is not None and (begin != known_begin or current < before)
    gap = None
    if before is not None and (minimum > before or anew):
        found = max(1, min(before + 1, minimum))
        gap = (min(found, first or found), max(minimum, last or 1))
    elif first is not None and (told is None or told < last):
        gap = (first, last)
    covered = max(covered, minimum) if anew or before is None else max(covered, minimum, before)
    return Coverage(covered, current, gap, since, begin, now)


def retention_notices(relay: RelayConfig, coverage: Coverage) -> list[Notice]:
    """What people are to be told of a look: once of each gap, and once a day of changes that wait for too long."""
    common: Notice = {
        "id": "",
        "kind": "gap",
        "relay": relay.name,
        "rows": 0,
        "round": 0,
        "since": coverage.since,
        "at": coverage.now,
        "last_error": None,
    }
    notices: list[Notice] = []
    if coverage.gap is not None:
        first, last = coverage.gap  # a gap that grows is told once a day
        notices.append({**common, "id": f"notice-gap-{relay.slug}-{first}-{coverage.now[:10]}", "versions": [first, last]})
        notices[-1]["on_gap"] = relay.on_gap
    if coverage.since is not None:
        daily = f"notice-retention-{relay.slug}-{coverage.now[:10]}"
        notices.append({**common, "id": daily, "kind": "retention", "versions": [coverage.covered + 1, coverage.current]})
    return notices


def record_coverage(app: App, relay: str, coverage: Coverage, *, told: bool) -> None:
    """Remember what was seen, and whether people were told of the gap. It stays on record until a resync has gone over the table.

    Raises:
        DatabaseError: the database failed; the next look sees, and tells, the same.
    """
    first, last = coverage.gap or (0, 0)
    values = (coverage.covered, coverage.current, coverage.begin, first, last, int(told))
    app.database.run(app.table(relay).statement("record_coverage"), *values)
