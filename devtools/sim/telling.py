"""The invariants about people: who is told what, when, and how often."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from devtools.sim.judging import Violation, disturbed
from devtools.sim.plan import clock_text
from devtools.sim.record import Record
from devtools.sim.scenario import RECIPIENTS

_REPEATS = 2  # of a notice that can be explained by workers that died while they sent it
_LOOKED_AFTER_SECONDS = 600  # until recovery has surely looked, while nothing is in its way
_INSTANCE = re.compile(r"-r\d+(-s\d+)?$")  # what the id of an instance has behind that of its notice: recipient and start
_SURVEY_SECONDS = 30  # from the beginning of a look to what it has written down
_SETTLED_SECONDS = 12  # a notice tells of the ledger as it was so long before


def notices(record: Record) -> Iterator[Violation]:
    """(6) Each recipient gets each notice once; more often only if a kill, a hang, or an answer that was lost, explains it."""
    plan = record.plan
    told: dict[tuple[str, str], list[float]] = defaultdict(list)
    for at, notice in record.alerts:
        if isinstance(notice, dict):
            told["webhook", notice["id"]].append(at)
    for at, address, body in record.mails:
        told[address, body.rpartition("Notice: ")[2].strip()].append(at)
    apps = 1 if record.every_commit else plan.hosts  # over the wire each host is an app of its own, with its own orchestrations
    for (who, notice_id), times in told.items():
        crashes = sum(times[0] - 1 <= back and since <= times[-1] for since, back, _ in record.kills + record.stalls)
        # While nobody can write, what was told cannot be written down.
        crashes += sum(each.kind == "denied" and each.since <= times[-1] and each.until >= times[0] for each in record.troubles)
        crashes += sum(instance.startswith(notice_id) for instance in record.hung)  # it has told, and writes it down no more
        repeats = min(_REPEATS, crashes if record.every_commit else len(record.kills))
        most = apps * (1 + repeats) + (record.unheard[notice_id] if who == "webhook" else 0)
        if len(times) > most:
            yield Violation("notices", f"{who} was told {len(times)} times of {notice_id}")
    drops = [action.values for action in plan.actions if action.kind == "mail" and action.values["kind"] == "drop"]
    for who in ("webhook", *(RECIPIENTS if plan.settings.email else ())):
        missing = {notice_id for _, notice_id in told} - {notice_id for each, notice_id in told if each == who}
        dropped = sum(fault["times"] for fault in drops if who != "webhook" and fault["mailbox"] in (None, who))
        if len(missing) > dropped:
            yield Violation("notices", f"{who} was never told of {', '.join(sorted(missing))}")


def _of_recovery(record: Record, *kinds: str) -> list[tuple[float, dict[str, Any]]]:
    """Notices of some kinds, one of each id, by the time that they tell of; those of one instant as they were started."""
    found = {notice["id"]: notice for _, notice in record.alerts if isinstance(notice, dict) and notice["kind"] in kinds}
    started: dict[str, int] = {}
    for index, (_, _, kind, detail) in enumerate(record.effects):
        if kind == "durable call" and "/orchestrators/notification/" in detail:
            started.setdefault(_INSTANCE.sub("", detail.rpartition("/")[2]), index)
    entries = [(record.at(f"{notice['at']}+00:00"), started.get(name, 0), notice) for name, notice in found.items()]
    return [(at, notice) for at, _, notice in sorted(entries, key=lambda entry: entry[:2])]


def alarms(record: Record) -> Iterator[Violation]:
    """(6) One alarm for each incident that lasts, and a word when it is over; those of the target and of bad rows side by side."""
    if not record.every_commit:
        return
    told = _of_recovery(record, "alarm", "recovered")
    for about in ("target", "row"):
        yield from _in_turn(record, [entry for entry in told if entry[1]["about"] == about])
    for at, notice in told:
        if notice["kind"] == "recovered" and not notice["given_up"] and not notice["rows"]:
            yield from _nothing_waits(record, at, notice)
    begun: float | None = None
    settings = record.plan.settings
    since: dict[str, float] = {}  # when each row's record was first seen live
    for look in record.looks:
        live = {text: entry for text, entry in look.ledger.items() if entry[0] != "dead"}
        since = {text: since.get(text, look.at) for text in live}
        above = any(
            entry[3] >= settings.notify_after_rounds or look.at - since[text] >= settings.notify_after
            for text, entry in live.items()
        )
        if above and begun is None:
            begun = look.at
        elif not above and begun is not None:
            before = [about for about in ("target", "row") if _open(told, about, begun)]
            during = any(notice["kind"] == "alarm" and begun - _SETTLED_SECONDS <= at <= look.at for at, notice in told)
            if (
                look.at - begun > _LOOKED_AFTER_SECONDS
                and not during
                and not before
                and not disturbed(record, begun, begun + _LOOKED_AFTER_SECONDS)
            ):
                yield Violation(
                    "notices",
                    f"rows stood above the threshold from {clock_text(begun)} to {clock_text(look.at)}, and nobody was told",
                )
            begun = None


def _in_turn(record: Record, told: list[tuple[float, dict[str, Any]]]) -> Iterator[Violation]:
    """Alarm and recovered take turns, beginning with an alarm, and the last alarm is followed by the end."""
    for (_, first), (at, second) in pairwise(told):
        if first["kind"] == second["kind"]:
            yield Violation("notices", f"{second['kind']} {second['id']} of {clock_text(at)} comes after {first['id']}")
    if told and told[0][1]["kind"] == "recovered":
        yield Violation("notices", f"{told[0][1]['id']} tells of the end of nothing")
    if told and told[-1][1]["kind"] == "alarm" and record.quiet_at is not None:
        yield Violation("notices", f"nobody was told that the incident of {told[-1][1]['id']} is over")


def _nothing_waits(record: Record, at: float, notice: dict[str, Any]) -> Iterator[Violation]:
    """An all-clear is true: at some moment of the look that it tells of, no row was waiting."""
    end = at + _SETTLED_SECONDS + _SURVEY_SECONDS
    around = [look for look in record.looks if at <= look.at <= end]
    before = [look for look in record.looks if look.at < at][-1:]
    if all(any(entry[0] != "dead" for entry in look.ledger.values()) for look in before + around):
        yield Violation("notices", f"{notice['id']} is an all-clear, and rows are waiting")


def _open(told: list[tuple[float, dict[str, Any]]], about: str, at: float) -> bool:
    kinds = [notice["kind"] for when, notice in told if notice["about"] == about and when <= at]
    return kinds[-1:] == ["alarm"]


def dead_letters(record: Record) -> Iterator[Violation]:
    """(6) A dead letter has a reason, and people were told of it."""
    if not record.every_commit:
        return
    last = max((at for at, _ in _of_recovery(record, "dead_letter")), default=float("-inf"))
    for entry in record.ledger:
        if entry["State"] != "dead":
            continue
        text = entry["RowKey"]
        if not entry["LastError"]:
            yield Violation("notices", f"{text} has no reason", text)
        died = 0.0
        for before, look in pairwise(record.looks):
            if look.ledger.get(text, ("",))[0] == "dead" and before.ledger.get(text, ("",))[0] != "dead":
                died = look.at
        if died > last + 1 and record.quiet_at is not None:
            yield Violation("notices", f"{text} is dead since {clock_text(died)}, and nobody was told", text)
