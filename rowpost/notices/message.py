"""What a notice says. When it goes out, and to whom, is decided by recovery and the watchdog."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

Kind = Literal[
    "alarm",
    "columns",
    "dead_letter",
    "digest",
    "epoch",
    "gap",
    "paused",
    "recovered",
    "reminder",
    "resync",
    "resync_waits",
    "retention",
    "stalled",
    "test",
    "unable",
    "unconfigured",
]
About = Literal["target", "row"]
KEYS_AT_MOST = 5  # of rows that a notice names
DIGEST_LINES = 50
_WITHOUT_ROWS = frozenset(("columns", "digest", "resync_waits", "test", "unable"))


class Notice(TypedDict):
    """What people are told of; never holds row values but keys. Times are ISO 8601, UTC.

    ``versions`` are the first and last change version that it is about, if it is about versions and not about rows. ``about`` says
    whether an incident is the target's, or of rows that fail for their own sake. At its end, ``delivered`` and ``given_up`` say
    what became of its rows, and ``rows`` how many rows of the relay still wait for another reason. ``epoch`` is the one that has
    begun. ``on_gap`` says what follows a gap besides the notice. ``incident`` is the same from the alarm to the end; ``reminders``
    counts those before this one. ``keys`` are those of the oldest rows that it tells of, as canonical JSON. ``notices`` are those
    that are told together in a digest.
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
    about: NotRequired[About]
    delivered: NotRequired[int]
    given_up: NotRequired[int]
    columns: NotRequired[list[str]]
    epoch: NotRequired[int]
    on_gap: NotRequired[Literal["resync", "notify"]]
    incident: NotRequired[str]
    reminders: NotRequired[int]
    keys: NotRequired[list[str]]
    notices: NotRequired[list[Notice]]


def _count(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"


def _moment(instant: str | None) -> str:
    """An instant as people read it: "2026-03-01 08:15:00 UTC"."""
    return "-" if not instant else f"{instant[:19].replace('T', ' ')} UTC"


def subject(notice: Notice) -> str:
    """The subject line of a notice: one line, whatever a table is called."""
    rows = _count(notice["rows"])
    first, last = notice.get("versions", (0, 0))
    said = {
        "gap": f"changes {first} to {last} may be lost",
        "retention": f"changes wait since {_moment(notice['since'])} and may be lost soon",
        "stalled": "the trigger stands still" + ("" if "columns" in notice else ", restart the function app"),
        "alarm": f"{rows} not delivered since {_moment(notice['since'])}",
        "reminder": f"{rows} still not delivered since {_moment(notice['since'])}",
        "dead_letter": f"{rows} given up (dead letters)",
        "recovered": _subject_of_the_end(notice),
        "unable": "cannot be relayed, its changes wait",
        "resync": f"a resync is incomplete, {rows} given up",
        "resync_waits": "a resync waits",
        "unconfigured": f"{rows} wait, and the relay is not in relay.toml",
        "epoch": "change versions have begun again",
        "columns": "columns have changed, relaying goes on",
        "paused": f"paused since {_moment(notice['since'])}, {rows} wait",
        "digest": f"{len(notice.get('notices', []))} notices in one, since there were many",
        "test": "a test of the notices, nothing has happened",
    }[notice["kind"]]
    about = f"{notice['relay']}: " if notice["relay"] else ""
    return " ".join(f"[Rowpost] {about}{said}".split())


def _subject_of_the_end(notice: Notice) -> str:
    given_up, waiting = notice.get("given_up", 0), notice["rows"]
    if given_up:
        return f"{_count(given_up)} GIVEN UP, {notice.get('delivered', 0)} delivered"
    if waiting:
        return f"{_count(notice.get('delivered', 0))} delivered, {_count(waiting)} still waiting for another reason"
    return "delivery has recovered"


def _body_of_the_end(notice: Notice) -> str:
    relay, delivered, given_up = notice["relay"], notice.get("delivered", 0), notice.get("given_up", 0)
    text = f"Nothing of this incident is waiting any more: {_count(delivered)} delivered, {given_up} given up. "
    if notice["rows"]:
        text += f"{_count(notice['rows'])} of {relay} still wait for another reason. "
    if given_up:
        text += (
            f"What was given up is not delivered. See it with GET /api/relays/{relay}/rows?state=dead, mend the cause, and send it "
            f"with POST /api/relays/{relay}/replay. "
        )
    return f"{text}The present state: GET /api/relays."


def _body_of_a_standstill(notice: Notice) -> str:
    first, last = notice.get("versions", (0, 0))
    text = f"The trigger of {notice['relay']} hands nothing out, though changes {first} to {last} are waiting: "
    meanwhile = "Until then recovery delivers what waits, some minutes late."
    why = "To see why, set the log level Host.Triggers.Sql to Error in host.json."
    if "columns" in notice:
        names = ", ".join(notice["columns"])
        return (
            f"{text}probably a waiting row has a number of more than 28 digits in one of the columns {names}, which the trigger "
            f"cannot read. Declare them with at most 28 digits, or mend the number. {meanwhile} If there is no such number, "
            f"restart the function app. {why}"
        )
    return f"{text}it ended without a word, or fails at every look. Restart the function app. {why} {meanwhile}"


def _repair(notice: Notice) -> str:
    relay = notice["relay"]
    if notice.get("on_gap") == "resync":
        return (
            "A resync was ordered: it sends the table's present rows, and lets the API remove those that do not exist any more. "
            f"GET /api/relays shows how far it is. If the API does not take the events of a resync, compare deleted rows of "
            f"{relay} by hand."
        )
    return (
        f"Nothing else is done (on_gap = notify). POST /api/relays/{relay}/resync sends the table's present rows, and lets the API "
        f"remove those that do not exist any more."
    )


def _body_of_a_digest(notice: Notice) -> str:
    told = notice.get("notices", [])
    lines = [f"- {subject(each).removeprefix('[Rowpost] ')}" for each in told[:DIGEST_LINES]]
    if len(told) > DIGEST_LINES:
        lines.append(f"- and {len(told) - DIGEST_LINES} more: see GET /api/relays")
    return "\n".join(["More notices came than this recipient gets in that time (throttle). They are, oldest first:", *lines])


def explanation(notice: Notice) -> str:
    """What has happened, and what to do about it."""
    relay, reason = notice["relay"], notice["last_error"] or "-"
    first, last = notice.get("versions", (0, 0))
    cause = {
        "target": " They wait for the target.",
        "row": " They fail for their own sake: other rows are delivered.",
    }.get(notice.get("about", ""), "")
    return {
        "gap": f"SQL Server no longer has the changes {first} to {last} of {relay}, which were not handed out before: "
        f"the change retention was over, the table was truncated, or its change tracking was off. Which rows they were cannot be "
        f"known any more. {_repair(notice)}",
        "retention": f"The trigger of {relay} has not come to changes {first} to {last}, and more than half of the "
        f"change retention has passed. Mend the trigger, or raise CHANGE_RETENTION, before they are removed.",
        "stalled": _body_of_a_standstill(notice),
        "reminder": f"Rows of {relay} are still not delivered.{cause} Rowpost keeps trying. Each reminder takes twice as long as "
        f"the one before. None follows once the incident is acknowledged.",
        "digest": _body_of_a_digest(notice),
        "test": "Somebody has asked for a test of the notices. If you can read this, this channel works. Nothing is to be done.",
        "alarm": f"Rows of {relay} are not delivered, after {notice['round']} rounds of recovery.{cause} Rowpost keeps trying.",
        "dead_letter": f"Rows of {relay} could not be delivered within the retry window. They stand in the dead letters; "
        f"mend the cause, then replay them with POST /api/relays/{relay}/replay.",
        "recovered": _body_of_the_end(notice),
        "resync": f"A resync of {relay} is incomplete: some of its rows were given up, so the API was not told to remove what does "
        f"not exist. See them with GET /api/relays/{relay}/rows?state=dead, mend the cause, send them with POST "
        f"/api/relays/{relay}/replay, then order a resync again with POST /api/relays/{relay}/resync: only that "
        f"repairs deletes.",
        "unable": f"{relay} cannot be relayed: {reason}. Its changes wait in the database until this is mended. Rowpost looks "
        f"again every few minutes, and tells this once a day.",
        "resync_waits": f"A resync of {relay} waits: {reason}. Until it has ended, the API may have rows that do not exist any "
        f"more, and may lack others. Changes are relayed meanwhile. Rowpost goes on trying, and tells this once a day.",
        "unconfigured": f"Rows of {relay} wait, and the relay is not in relay.toml any more: nobody delivers them. Put it back "
        f"into relay.toml, and delivery goes on; or, if they are not needed, remove its rows from rowpost.Ledger.",
        "columns": f"Columns of {relay} that are sent have changed: {reason}. Rows are relayed as they are now, without what "
        f"is gone. See to it that the API takes them so. Nothing is lost: what the API refuses is tried again. This is told once.",
        "paused": f"{relay} is paused: nothing of it is posted. Its rows wait in the ledger, and none is lost or given up "
        f"meanwhile. POST /api/relays/{relay}/resume ends the pause. This is told once a day.",
        "epoch": f"The change versions of {relay} have begun again: {reason}. They are now of the epoch "
        f"{notice.get('epoch', 0)}. A consumer takes an event with a greater epoch for newer, whatever its version is; `sequence` "
        f"says so as text. {_repair(notice)}",
    }[notice["kind"]]


def facts(notice: Notice) -> list[tuple[str, str]]:
    """What is known, each fact with its name."""
    kind, first_last = notice["kind"], notice.get("versions")
    found = [("Relay", notice["relay"])] if notice["relay"] else []
    since = ("Failing since", _moment(notice["since"]))
    if first_last is not None:
        found += [("Change versions", "{} to {}".format(*first_last))]
        found += [("Waiting since", since[1])] if kind == "stalled" else []
    elif kind == "recovered":
        found += [("Delivered", str(notice.get("delivered", 0))), ("Given up", str(notice.get("given_up", 0)))]
        found += [("Rows", f"{notice['rows']} still waiting for another reason"), since]
    elif kind == "epoch":
        found += [("Epoch", str(notice.get("epoch", 0)))]
    elif kind == "paused":
        found += [("Rows", str(notice["rows"])), ("Paused since", since[1])]
    elif kind not in _WITHOUT_ROWS:
        found += [("Rows", str(notice["rows"])), since]
    if notice.get("keys"):
        found.append(("Oldest keys", ", ".join(notice["keys"])))
    found.append(("As of", _moment(notice["at"])))
    if kind not in ("digest", "test"):
        found.append(("Last error", notice["last_error"] or "-"))
    return found


def body(notice: Notice, console: str | None = None, runbook: str | None = None) -> str:
    """The plain text of a notice, with the addresses that it leads to."""
    leads = [("Console", console), ("Runbook", runbook), ("Notice", notice["id"])]
    lines = [*facts(notice), *((name, text) for name, text in leads if text)]
    return "\n".join([explanation(notice), "", *(f"{name}: {text}" for name, text in lines)])
