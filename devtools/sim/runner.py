"""Running plans one after the other, in process or over the wire; and in several processes at once."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from devtools.sim.checks import check
from devtools.sim.dimensions import DIMENSIONS
from devtools.sim.fleet import Fleet
from devtools.sim.inside.arena import Arena
from devtools.sim.inside.world import InsideWorld
from devtools.sim.judging import Violation
from devtools.sim.mutants import mutated
from devtools.sim.plan import Plan, Policy
from devtools.sim.record import Record
from devtools.sim.seeds import FEATURES, make_plan
from devtools.sim.trace import story
from devtools.sim.wire import WireWorld

_SEEDS_A_TASK = 10
_COLLECT_EVERY = 20


@dataclass
class Tally:
    """What was run."""

    seeds: int = 0
    rows: int = 0
    changes: int = 0
    posts: int = 0
    crashes: int = 0
    stalls: int = 0
    effects: int = 0
    hours: float = 0.0
    overwritten: int = 0
    workers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    dimensions: Counter[str] = field(default_factory=Counter)  # in how many seeds
    took: Counter[str] = field(default_factory=Counter)  # how often what a dimension brings really had an effect
    took_seeds: Counter[str] = field(default_factory=Counter)  # and in how many seeds

    def add(self, record: Record) -> None:
        """Count one run."""
        self.seeds += 1
        records = [record, *record.others]
        apps = {each.lane.app: each for each in records}.values()
        self.rows += sum(len(each.wanted) for each in records)
        self.changes += len(record.changes)
        self.posts += sum(len(each.attempts) for each in records)
        self.crashes += sum(how != "database" for each in apps for _, _, how in each.kills)
        self.stalls += sum(len(each.stalls) for each in apps)
        self.effects += len(record.effects)
        self.hours += (record.quiet_at or record.plan.length) / 3600
        self.overwritten += record.counters.get("conflicting", 0)
        self.workers[str(record.plan.hosts)] += 1
        self.faults += record.faults
        self.dimensions.update(record.plan.dimensions)
        self.took += record.took
        self.took_seeds.update(name for name, count in record.took.items() if count)

    def merge(self, other: Tally) -> None:
        """Add what another process has counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"{self.seeds} seeds, {self.rows} rows, {self.changes} changes, {self.posts} posts, {self.effects} effects, "
            f"{self.crashes} workers crashed, {self.stalls} frozen, {self.hours:.0f} virtual hours; injected: {faults or 'nothing'}"
        )

    def table(self) -> str:
        """What the dimensions did, as a table of a page."""
        lines = ["| dimension | seeds |", "|---|---|"]
        lines += [f"| {name}: {DIMENSIONS[name].what} | {count:,} |" for name, count in sorted(self.dimensions.items())]
        lines += ["", "| what really had an effect | times | seeds |", "|---|---|---|"]
        lines += [f"| {name} | {count:,} | {self.took_seeds[name]:,} |" for name, count in sorted(self.took.items())]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        document = asdict(self)
        return {
            **document,
            "hours": round(self.hours, 1),
            "faults": dict(sorted(self.faults.items())),
            "workers": dict(self.workers),
            **{name: dict(sorted(getattr(self, name).items())) for name in ("dimensions", "took", "took_seeds")},
        }


class Runner:
    """Runs plans one after the other.

    Args:
        directory: for data and logs of the wire; in process nothing is kept.
        wire: whether plans run over the wire.
        mutant: name of a deliberate defect of the app, see mutants.py.
    """

    def __init__(self, directory: Path, *, wire: bool = False, mutant: str | None = None) -> None:
        self.wire, self.mutant = wire, mutant
        self._fleet = Fleet(directory) if wire else None
        self._arena = None if wire else Arena()
        self._runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for each in (self._fleet, self._arena):
            if each is not None:
                each.close()

    def run(self, plan: Plan) -> tuple[Record, list[Violation]]:
        """Run one plan and judge it; a run that breaks down is a violation too."""
        world: InsideWorld | WireWorld
        if self._arena is not None:
            self._runs += 1
            if self._runs % _COLLECT_EVERY == 0:
                gc.collect()
            world = InsideWorld(self._arena, plan)
        else:
            assert self._fleet is not None
            world = WireWorld(self._fleet, plan.for_wire())
        try:
            with mutated(self.mutant):
                record = world.run()
        except Exception as error:
            if self._fleet is not None:
                self._fleet.forget(plan.offset_minutes)
            text = "".join(traceback.format_exception(error)).strip()
            return world.record, [Violation("runs", f"{type(error).__name__}: {error}\n{text}")]
        return record, check(record)

    def shrink(self, plan: Plan, rule: str, tries: int) -> Plan:
        """A plan with fewer actions that breaks the same rule; the best that was found in so many runs."""
        size = max(1, len(plan.actions) // 2)
        while size >= 1:
            start = 0
            while start < len(plan.actions):
                if tries <= 0:
                    return plan
                tries -= 1
                smaller = plan.without(set(range(start, start + size)))
                if any(violation.rule == rule for violation in self.run(smaller)[1]):
                    plan = smaller
                else:
                    start += size
            size //= 2
        return plan


def fingerprint(record: Record) -> str:
    """A hash of everything that happened: equal for two runs of one seed."""
    digest = hashlib.sha256()
    for effect in record.effects:
        digest.update(repr(effect).encode())
    for attempt in record.attempts:
        digest.update(repr((attempt.at, attempt.event_id, attempt.version, attempt.status, attempt.outcome, attempt.body)).encode())
    digest.update(repr((record.ledger, record.kills, record.mails, record.cursor, record.quiet_at)).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Task:
    """Seeds for one process."""

    seeds: range
    policy: Policy
    features: frozenset[str]
    wire: bool
    mutant: str | None
    directory: Path


Failure = tuple[int, str]  # seed, what was broken
_runner: Runner | None = None


def run_task(task: Task) -> tuple[Tally, list[Failure]]:
    """Run the seeds of a task."""
    global _runner
    if _runner is None:
        _runner = Runner(task.directory, wire=task.wire, mutant=task.mutant)
    tally, failures = Tally(), []
    for seed in task.seeds:
        record, violations = _runner.run(make_plan(seed, task.policy, task.features))
        tally.add(record)
        if violations:
            failures.append((seed, "; ".join(str(violation) for violation in violations[:3])))
    return tally, failures


def tasks(
    first: int, count: int, policy: Policy, features: frozenset[str], wire: bool, mutant: str | None, directory: Path
) -> Iterator[Task]:
    """The seeds in portions."""
    for begin in range(first, first + count, _SEEDS_A_TASK):
        seeds = range(begin, min(begin + _SEEDS_A_TASK, first + count))
        yield Task(seeds, policy, features, wire, mutant, directory)


def run_all(portions: Iterator[Task], jobs: int) -> Iterator[tuple[Tally, list[Failure]]]:
    """Run portions in ``jobs`` processes, in the order of their seeds; one job runs in this process."""
    if jobs <= 1:
        yield from map(run_task, portions)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(run_task, portions)


def tell(runner: Runner, seed: int, policy: Policy, features: frozenset[str], tries: int) -> str:
    """The story of a failing seed, as small as it can be made."""
    plan = make_plan(seed, policy, features)
    record, violations = runner.run(plan)
    if not violations:
        return f"seed {seed} does not fail when it is run again"
    smaller = runner.shrink(plan, violations[0].rule, tries)
    if smaller is not plan:
        record, found = runner.run(smaller)
        violations = found or violations
    return story(record, violations)


__all__ = ["FEATURES", "Failure", "Runner", "Tally", "fingerprint", "run_all", "tasks", "tell"]
