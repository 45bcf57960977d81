"""What a run leaves behind: facts only; checks.py judges them."""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from devtools.sim.lane import MAIN, Lane
from devtools.sim.plan import Plan
from emulators.downstream.attempt import Attempt


@dataclass
class Wanted:
    """What the API must know of a row in the end: the last transaction that counts.

    ``version`` is the change version of the last transaction that touched a watched column, or inserted or deleted the row.
    """

    version: int
    deleted: bool
    since: float


@dataclass
class Look:
    """What the database said at one instant."""

    at: float
    cursor: int | None
    ledger: dict[str, tuple[Any, ...]]
    """By key text: state, version, attempts, rounds; in process also seconds to the next attempt, and to NotBefore."""
    missed: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)  # of the records, where rows can be spoiled
    leases: dict[str, tuple[int, int, float | None]] = field(default_factory=dict)
    """By key text: version, count, seconds to its end."""
    open_seconds: float | None = None  # until the circuit breaker is half-open; None: it is closed, half-open, or there is none
    openings: int = 0  # how often it opened since it was closed
    worked_at: float | None = None  # when the target last showed that it works, after failures: who waited for it is due since
    base: int | None = None  # the version that the masks behind ``watch`` begin at


@dataclass(frozen=True)
class Trouble:
    """Something that keeps the app from its work for a while.

    Kinds: ``unreadable`` (a row that the trigger cannot read), ``denied`` (the database refuses the app; or, with the name of a
    table, a right on that is withdrawn),
    ``hang`` (an orchestration does not move), ``unconfigured`` (the relay is not in relay.toml).
    """

    kind: str
    since: float
    until: float


@dataclass(frozen=True)
class Choice:
    """A client's choice of columns: it takes effect between its request and the answer; if that is no 202, perhaps."""

    since: float
    until: float  # infinite if no answer came
    columns: tuple[str, ...] | None
    confirmed: bool = True


@dataclass
class Record:
    """All that a run leaves behind for the checks."""

    plan: Plan
    attempts: list[Attempt] = field(default_factory=list)
    alerts: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    mails: list[tuple[float, str, str]] = field(default_factory=list)
    wanted: dict[str, Wanted] = field(default_factory=dict)
    changes: list[tuple[float, str, int, bool]] = field(default_factory=list)  # at, key, version, whether it must be posted
    history: dict[str, list[tuple[int, dict[str, Any] | None]]] = field(default_factory=dict, repr=False)
    """By key: from which version on the row was so; None: deleted. See contents.py."""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    kills: list[tuple[float, float, str]] = field(default_factory=list)  # from, to, how
    choices: list[Choice] = field(default_factory=list)
    in_force: list[str] | None = None  # at the end: the choice that claims read
    known: list[str] | None = None  # and the one that the entity knows
    commands: list[float] = field(default_factory=list)  # that change when rows are posted
    faults: Counter[str] = field(default_factory=Counter)
    counters: dict[str, int] = field(default_factory=dict)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    leases: list[tuple[Any, ...]] = field(default_factory=list)
    open_changes: list[tuple[str, int]] = field(default_factory=list)
    cursor: int | None = None
    instances: list[dict[str, Any]] = field(default_factory=list)
    quiet_at: float | None = None
    start: datetime | None = None
    stalls: list[tuple[float, float, str]] = field(default_factory=list)  # from, to, worker
    frozen: list[tuple[float, float]] = field(default_factory=list)  # the same of all apps: any may hold the extension's lock
    shifts: list[tuple[float, int]] = field(default_factory=list)  # at, minutes by which the server's local time jumped
    effects: list[tuple[int, str, str, str]] = field(default_factory=list)  # microseconds, worker, kind, detail
    problems: list[str] = field(default_factory=list)  # what the harness itself noticed
    every_commit: bool = False  # whether ``looks`` has the ledger after every write of it, and the workers share one hub
    unanswered: set[int] = field(default_factory=set)  # numbers of attempts whose answer came too late to be seen
    unheard: Counter[str] = field(default_factory=Counter)  # by notice id: how often the webhook took it and its answer was lost
    open_timers: int = 0
    excused: dict[str, int] = field(default_factory=dict)
    unpromised: dict[str, int] = field(default_factory=dict)  # the same, and the app had not begun to relay the table yet
    """Rows whose last change tracking has forgotten before it was delivered or in the ledger, and its version."""
    cleaned: list[float] = field(default_factory=list)  # when change tracking forgot changes
    deaf: list[tuple[float, float, str]] = field(default_factory=list)  # from, to, worker: its trigger had ended without a word
    miscounted: list[str] = field(default_factory=list)  # where the app's numbers are not those of the world
    logged: list[str] = field(default_factory=list, repr=False)  # the lines of the log that machines read
    renewals: list[float] = field(default_factory=list)  # when the trigger renewed leases of the relay
    struck: list[float] = field(default_factory=list)  # when a planned fault of the database struck
    lane: Lane = MAIN
    others: list[Record] = field(default_factory=list, repr=False)  # of the plan's other relays
    of_target: list[Record] = field(default_factory=list, repr=False)  # of the relays of the same app and target, this one too
    strangers: list[str] = field(default_factory=list)  # what was found at, or with, somebody whose it is not
    took: Counter[str] = field(default_factory=Counter)  # how often what a dimension brings really had an effect
    spoiled: list[tuple[float, str]] = field(default_factory=list)  # when rows became such that nobody can read them
    troubles: list[Trouble] = field(default_factory=list)
    restores: list[float] = field(default_factory=list)  # when the database went back to a backup
    own: list[tuple[float, str, dict[str, Any] | None, int]] = field(default_factory=list)
    """What the other side wrote itself: when, the key, the values (None: it deleted the row), and the version."""
    paused: list[list[float]] = field(default_factory=list)  # from, to: when the relay was paused
    discarded: dict[str, int] = field(default_factory=dict)  # by key: the version that an order has given up
    ordered: Counter[str] = field(default_factory=Counter)  # rows that orders have changed, by action
    audit: Counter[str] = field(default_factory=Counter)  # the same, as the audit counts them
    hung: dict[str, float] = field(default_factory=dict)  # orchestrations that were made to hang: since when

    def at(self, instant: str) -> float:
        """Seconds after the start of an ISO 8601 instant."""
        assert self.start is not None
        return (datetime.fromisoformat(instant) - self.start).total_seconds()


_KEYS = json.JSONEncoder(separators=(",", ":"))


def key_text(key: dict[str, Any]) -> str:
    """A key as the checks compare it."""
    return _KEYS.encode(key)


@functools.lru_cache(4096)
def parsed_key(text: str) -> dict[str, Any]:
    """The key of such a text; not to be changed."""
    found: dict[str, Any] = json.loads(text)
    return found
