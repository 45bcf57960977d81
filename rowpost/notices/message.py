"""What a notice says. When it goes out, and to whom, is decided by the orchestrations."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Kind = Literal["alarm", "dead_letter", "recovered", "gap", "retention", "stalled"]


class Notice(TypedDict):
    """A digest of one event in the life of an incident; never holds row values. Times are ISO 8601, UTC.

    ``versions`` are the first and last change version that it is about, if it is about versions and not about rows.
    """

    id: str
    kind: Kind
    relay: str
    rows: int
    round: int
    since: str | None
    at: str
    last_error: str | None
    versions: NotRequired[list[int]]


def subject(notice: Notice) -> str:
    """The subject line of a notice."""
    rows = f"{notice['rows']} row{'' if notice['rows'] == 1 else 's'}"
    first, last = notice.get("versions", (0, 0))
    return {
        "gap": f"[Rowpost] {notice['relay']}: changes {first} to {last} may be lost",
        "retention": f"[Rowpost] {notice['relay']}: changes wait since {notice['since']} and may be lost soon",
        "stalled": f"[Rowpost] {notice['relay']}: the trigger stands still, restart the function app",
        "alarm": f"[Rowpost] {notice['relay']}: {rows} not delivered since {notice['since']}",
        "dead_letter": f"[Rowpost] {notice['relay']}: {rows} given up (dead letters)",
        "recovered": f"[Rowpost] {notice['relay']}: delivery has recovered",
    }[notice["kind"]]


def body(notice: Notice) -> str:
    """The plain text of a notice."""
    first, last = notice.get("versions", (0, 0))
    what = {
        "gap": f"SQL Server no longer has the changes {first} to {last} of {notice['relay']}, which were not handed out before: "
        f"the change retention was over, the table was truncated, or its change tracking was off. Which rows they were cannot be "
        f"known any more. Send the table's present rows with POST /api/relays/{notice['relay']}/resync; rows that were deleted "
        f"then must be compared by hand.",
        "retention": f"The trigger of {notice['relay']} has not come to changes {first} to {last}, and more than half of the "
        f"change retention has passed. Mend the trigger, or raise CHANGE_RETENTION, before they are removed.",
        "stalled": f"The trigger of {notice['relay']} hands nothing out, though changes {first} to {last} are waiting: it ended "
        f"without a word, or fails at every look. Restart the function app; the host's log tells why. Until then recovery delivers "
        f"what waits, some minutes late.",
        "alarm": f"Rows of {notice['relay']} are not delivered after {notice['round']} rounds of recovery. Rowpost keeps trying.",
        "dead_letter": f"Rows of {notice['relay']} could not be delivered within the retry window. They stand in the dead letters; "
        f"mend the cause, then replay them with POST /api/relays/{notice['relay']}/dead-letters/replay.",
        "recovered": f"All rows of {notice['relay']} that were failing are delivered or given up. Nothing is waiting any more.",
    }[notice["kind"]]
    lines = [what, "", f"Relay: {notice['relay']}", f"Rows: {notice['rows']}", f"Failing since: {notice['since'] or '-'}"]
    if "versions" in notice:
        lines = [what, "", f"Relay: {notice['relay']}", f"Change versions: {first} to {last}"]
        lines += [f"Waiting since: {notice['since']}"] if notice["kind"] == "stalled" else []
    lines += [f"As of: {notice['at']}", f"Last error: {notice['last_error'] or '-'}", f"Notice: {notice['id']}"]
    return "\n".join(lines)
