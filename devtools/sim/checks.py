"""The invariants: each takes the record of a run and returns what is wrong with it, one sentence a violation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from devtools.sim.plan import Knobs, clock_text
from devtools.sim.world import Record, key_text
from emulators.downstream import Attempt

BUILT_IN_SECONDS = 60
_SLACK_SECONDS = 2
_LATE_SECONDS = 75  # a hand-out, and one look of the trigger
_LONGEST_RETRY_AFTER_SECONDS = 900
_STALLED_SECONDS = 900  # a protective hold, a round of the watchdog, a lease
_SETTLES_SECONDS = 150  # after a kill or a fault, so long may it take until leases and holds are as planned again


@dataclass(frozen=True)
class Violation:
    """What went wrong; ``key`` names the row, if it is about one."""

    rule: str
    text: str
    key: str | None = None

    def __str__(self) -> str:
        return f"[{self.rule}] {self.text}"


def check(record: Record) -> list[Violation]:
    """All violations of a run."""
    rules: list[Callable[[Record], Iterator[Violation]]] = [delivered]
    if record.plan.policy == "rowpost":
        rules += [quiet, order, cursor, columns, neighbours, schedule, stalled, notices]
    return [violation for rule in rules for violation in rule(record)]


def disturbed(record: Record, begin: float, end: float) -> bool:
    """Whether a kill, a fault of the database or a command fell between two instants, or so shortly before that it still counts."""
    early = begin - _SETTLES_SECONDS
    if any(since <= end and back >= early for since, back, _ in record.kills):
        return True
    faults = [action.at for action in record.plan.actions if action.kind == "sql" and action.at <= end]
    if faults:  # a planned fault may wait long for its statement
        return True
    return any(early <= at <= end for at in record.commands)


def posts_by_row(record: Record) -> dict[str, list[tuple[float, Attempt]]]:
    """Attempts by row, oldest first."""
    found: dict[str, list[tuple[float, Attempt]]] = defaultdict(list)
    for attempt in record.attempts:
        if isinstance(attempt.key, dict):
            found[key_text(attempt.key)].append((record.at(attempt.at), attempt))
    return found


def delivered(record: Record) -> Iterator[Violation]:
    """(1) The latest state of each row was accepted, or the row is in the dead letters."""
    dead = {entry["RowKey"]: entry["ChangeVersion"] for entry in record.ledger if entry["State"] == "dead"}
    knobs = record.plan.knobs
    for text, wanted in record.wanted.items():
        if dead.get(text, -1) >= wanted.version:
            continue
        known = record.state.get(text)
        if known is None:
            yield Violation("delivered", f"{text}: version {wanted.version} never arrived", text)
        elif wanted.deleted != (known.operation == "delete"):
            have = f"{known.operation} {known.version}"
            yield Violation("delivered", f"{text}: the API has {have}, not version {wanted.version}", text)
        elif not wanted.deleted:
            wrong = list(_differences(record.rows[text], known.row or {}, knobs))
            if wrong:
                yield Violation("delivered", f"{text}: the API has version {known.version}, which differs in {wrong}", text)


def _differences(row: dict[str, Any], known: dict[str, Any], knobs: Knobs) -> Iterator[str]:
    for name in knobs.watch or knobs.ceiling:
        if name in known and _plain(known[name]) != _plain(row[name]):
            yield f"{name}: {known[name]} instead of {row[name]}"


def _plain(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, int | float | Decimal) else value


def quiet(record: Record) -> Iterator[Violation]:
    """(7) Everything ends: no live record, no running orchestration, nothing that the trigger still counts as unprocessed."""
    live = [entry for entry in record.ledger if entry["State"] != "dead"]
    for entry in live:
        yield Violation("quiet", f"{entry['RowKey']} is still {entry['State']} (rounds {entry['Rounds']})", entry["RowKey"])
    for each in record.instances:
        if each["runtimeStatus"] in ("Running", "Pending", "ContinuedAsNew", "Failed"):
            yield Violation("quiet", f"orchestration {each['instanceId']} is {each['runtimeStatus']}")
    for text, version in record.open_changes:
        yield Violation("quiet", f"{text}: change {version} lies beyond the cursor {record.cursor} and is not released", text)
    if record.quiet_at is None and not live and not record.open_changes:
        yield Violation("quiet", "it did not become quiet in time")


def order(record: Record) -> Iterator[Violation]:
    """(2) No older version is accepted after a newer one, unless as a repeat of the same event, or after a kill."""
    conflicting = record.counters["conflicting"]
    if conflicting and not record.choices:
        yield Violation("order", f"{conflicting} times two contents came with the same version")
    for text, posts in posts_by_row(record).items():
        seen: set[str | None] = set()
        for at, attempt in posts:
            lost_lease = any(since <= at and back >= at - _SETTLES_SECONDS for since, back, _ in record.kills)
            if attempt.outcome == "stale" and attempt.event_id not in seen and not lost_lease:
                yield Violation("order", f"{text}: version {attempt.version} came after a newer one at {clock_text(at)}", text)
            if attempt.outcome in ("accepted", "repeated", "stale"):
                seen.add(attempt.event_id)


def columns(record: Record) -> Iterator[Violation]:
    """(3) Nothing is posted that ``send`` or the client's choice forbids."""
    knobs = record.plan.knobs
    keys = set(knobs.key_columns)
    for text, posts in posts_by_row(record).items():
        for at, attempt in posts:
            row = attempt.body["data"]["row"] if isinstance(attempt.body, dict) else None
            if row is None:
                continue
            allowed = set(knobs.ceiling) & _chosen(record, at)
            extra = set(row) - keys - allowed
            if extra:
                yield Violation("columns", f"{text}: {sorted(extra)} left at {clock_text(at)}", text)
            due = set(knobs.ceiling) & _chosen(record, at, every=False)
            missing = (due | keys) - set(row)
            if missing:
                yield Violation("columns", f"{text}: {sorted(missing)} were left out at {clock_text(at)}", text)


def _chosen(record: Record, at: float, *, every: bool = True) -> set[str]:
    """The columns that the client may have chosen at an instant: any of the last minute's, or (not ``every``) all."""
    everything = set(record.plan.knobs.ceiling)
    candidates: list[tuple[str, ...] | None] = []
    for since, choice, confirmed in reversed([entry for entry in record.choices if entry[0] <= at]):
        candidates.append(choice)
        if confirmed and since < at - 60:
            break
    else:
        candidates.append(None)
    sets = [everything if choice is None else set(choice) for choice in candidates]
    return set.union(*sets) if every else set.intersection(*sets)


def neighbours(record: Record) -> Iterator[Violation]:
    """(4) While all is up, a row that the API has nothing against arrives within the built-in interval."""
    posts = posts_by_row(record)
    calm = list(_calm_times(record))
    for at, text, version, counts in record.changes:
        end = at + BUILT_IN_SECONDS + 15
        if not counts or not any(begin <= at and end <= finish for begin, finish in calm) or disturbed(record, at - 60, end):
            continue
        mine = posts.get(text, [])
        if any(attempt.outcome not in ("accepted", "repeated") and when < end for when, attempt in mine):
            continue  # it failed before, or fails now: then its own schedule counts
        if any(status_unknown(attempt) for _, attempt in mine):
            continue
        if any(each == text and other != version and at - 60 <= when <= end for when, each, other, _ in record.changes):
            continue
        if not any((attempt.version or 0) >= version and when <= end for when, attempt in mine):
            yield Violation("neighbours", f"{text}: version {version} of {clock_text(at)} did not arrive within a minute", text)


def status_unknown(attempt: Attempt) -> bool:
    """Whether the API took the event and the app never learnt of it."""
    return attempt.status is None


def _calm_times(record: Record) -> Iterator[tuple[float, float]]:
    """The times in which the API as a whole is up."""
    begin: float | None = 0.0
    for action in record.plan.actions:
        if action.kind != "api":
            continue
        up = action.values["mode"] == "slow" or action.values == {"mode": "up"}
        if not up and begin is not None:
            yield begin, action.at
            begin = None
        elif up and begin is None:
            begin = action.at + 2 * BUILT_IN_SECONDS
    if begin is not None:
        yield begin, float("inf")


def schedule(record: Record) -> Iterator[Violation]:
    """(5) A row that fails is tried again when its interval or its hold ends, not before, and not much later."""
    knobs = record.plan.knobs
    patient = knobs.breaker_failures >= 100  # rows that the breaker skips count an attempt that the API never saw
    changed = defaultdict(list)
    for at, text, _, _ in record.changes:
        changed[text].append(at)
    for text, posts in posts_by_row(record).items():
        failed = 0
        for (before, first), (at, second) in pairwise(posts):
            ok = first.status is not None and 200 <= first.status < 300
            failed = 0 if ok else failed + 1
            if ok or disturbed(record, before, at):
                failed = failed if ok else 99  # the count is not known any more
                continue
            if first.version != second.version or any(before <= when <= at for when in changed[text]):
                failed = 99
                continue
            gap, least = at - before, float(BUILT_IN_SECONDS)
            most = max(knobs.max_delay, 300.0)
            if failed >= knobs.attempts and failed < 90 and patient:
                least = most = knobs.delay(failed - knobs.attempts + 1)
            elif failed < knobs.attempts and patient:
                most = BUILT_IN_SECONDS
            elif failed >= 90 or not patient:
                least, most = min(least, knobs.first_delay), float("inf")
            asked = _retry_after(record, before, first)
            if asked is not None:
                least, most = max(least, asked), max(most, asked)
            story = f"{text}: tried again at {clock_text(at)} after {gap:.0f} s instead of"
            if gap < least - _SLACK_SECONDS:
                yield Violation("schedule", f"{story} at least {least:.0f} s", text)
            if gap > most + _LATE_SECONDS:
                yield Violation("schedule", f"{story} at most {most:.0f} s", text)


def stalled(record: Record) -> Iterator[Violation]:
    """(5) When everything is up again, a row is delivered when its hold ends: it does not wait for the window to close."""
    plan = record.plan
    limit = plan.length + max(plan.knobs.max_delay, _LONGEST_RETRY_AFTER_SECONDS) + _STALLED_SECONDS
    lasting = {key_text(rule["match"]["key"]) for rule in plan.lasting_rules}
    told: set[str] = set()
    for look in record.looks:
        for text, entry in look.ledger.items():
            if look.at > limit and entry[0] != "dead" and text not in lasting | told:
                told.add(text)
                yield Violation("stalled", f"{text}: still {entry[0]} at {clock_text(look.at)}, though nothing is in its way", text)


def _retry_after(record: Record, at: float, attempt: Attempt) -> float | None:
    """The longest Retry-After that the API may have sent with this answer."""
    if attempt.status not in (408, 425, 429) and (attempt.status or 0) < 500:
        return None
    asked: list[float] = []
    mode: dict[str, Any] = {}
    for action in record.plan.actions:
        if action.kind == "api" and action.at <= at:
            mode = action.values
        if action.kind == "rules" and action.at <= at:
            for rule in action.values["rules"]:
                if rule["status"] == attempt.status and rule["match"].get("key") == attempt.key and rule.get("retry_after"):
                    asked.append(float(rule["retry_after"]))
    if mode.get("status") == attempt.status and mode.get("retry_after"):
        asked.append(float(mode["retry_after"]))
    return max(asked, default=None)


def notices(record: Record) -> Iterator[Violation]:
    """(6) One alarm for each incident and recipient; two if a kill, or an answer that was lost, may explain it."""
    plan = record.plan
    counted: dict[tuple[str, str], int] = defaultdict(int)
    accepted = [a for a in record.alerts if isinstance(a[1], dict)]
    for _, notice in accepted:
        counted["webhook", notice["id"]] += 1
    for _, address, body in record.mails:
        counted[address, body.rpartition("Notice: ")[2].strip()] += 1
    rules = [rule for action in plan.actions if action.kind == "rules" for rule in action.values["rules"]]
    faulty = any(rule["match"].get("path") == "/alerts" for rule in rules)
    for (who, notice_id), count in counted.items():
        most = plan.hosts * (2 if record.kills else 1)  # each host stands for an app of its own, with its own orchestrations
        if who == "webhook" and faulty:
            most += 3  # what the API refused, or took without saying so, comes again
        if count > most:
            yield Violation("notices", f"{who} was told {count} times of {notice_id}")
    reached = any(
        entry[0] != "dead" and entry[3] > plan.knobs.notify_after_rounds for look in record.looks for entry in look.ledger.values()
    )
    if reached and not any(notice["kind"] == "alarm" for _, notice in accepted):
        yield Violation("notices", "rows passed the threshold and nobody was alarmed")


def cursor(record: Record) -> Iterator[Violation]:
    """(8) The trigger's cursor never passes a row that is neither delivered nor in the ledger."""
    told: set[str] = set()
    for look in record.looks:
        for text in look.missed:
            if text not in told:
                told.add(text)
                yield Violation("cursor", f"{text}: the cursor {look.cursor} has passed it at {clock_text(look.at)}", text)
