"""``python -m devtools.sim``: run seeds until one fails, or replay one."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from devtools.sim.checks import Violation, check
from devtools.sim.fleet import Fleet
from devtools.sim.plan import Plan, Policy, make_plan
from devtools.sim.trace import story
from devtools.sim.world import Record, World


@dataclass
class Tally:
    """What was run."""

    seeds: int = 0
    rows: int = 0
    changes: int = 0
    posts: int = 0
    kills: int = 0
    hours: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record) -> None:
        self.seeds += 1
        self.rows += len(record.wanted)
        self.changes += len(record.changes)
        self.posts += len(record.attempts)
        self.kills += len(record.kills)
        self.hours += (record.quiet_at or record.plan.length) / 3600
        self.faults += record.faults

    def __str__(self) -> str:
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"{self.seeds} seeds, {self.rows} rows, {self.changes} changes, {self.posts} posts, {self.kills} hosts killed, "
            f"{self.hours:.0f} virtual hours; injected: {faults or 'nothing'}"
        )


def run_plan(fleet: Fleet, plan: Plan) -> tuple[Record, list[Violation]]:
    """Run one plan and judge it; a run that breaks down is a violation too."""
    world = World(fleet, plan)
    try:
        record = world.run()
    except Exception as error:
        fleet.forget(plan.offset_minutes)
        text = "".join(traceback.format_exception(error)).strip()
        return world.record, [Violation("runs", f"{type(error).__name__}: {error}\n{text}")]
    return record, check(record)


def shrink(fleet: Fleet, plan: Plan, rule: str, budget_seconds: float) -> Plan:
    """A plan with fewer actions that breaks the same rule; the best that was found in time."""
    deadline = time.monotonic() + budget_seconds
    size = max(1, len(plan.actions) // 2)
    while size >= 1:
        start = 0
        while start < len(plan.actions):
            if time.monotonic() > deadline:
                return plan
            smaller = plan.without(set(range(start, start + size)))
            if any(violation.rule == rule for violation in run_plan(fleet, smaller)[1]):
                plan = smaller
            else:
                start += size
        size //= 2
    return plan


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sim", description="Try to break the guarantee: seeds decide changes, faults and kills.")
    parser.add_argument("--seeds", type=int, default=20, help="how many (default 20)")
    parser.add_argument("--seed", type=int, help="the first, or with --seeds 1 the only one; without it, any")
    parser.add_argument("--minutes", type=float, help="end after so long")
    parser.add_argument("--policy", choices=["rowpost", "naive"], default="rowpost")
    parser.add_argument("--shrink", type=float, default=90, metavar="SECONDS", help="time to spend on a smaller failing plan")
    parser.add_argument("--keep-going", action="store_true", help="tell failures and go on to the end")
    parser.add_argument("--directory", type=Path, help="keep data and logs there")
    options = parser.parse_args(arguments)
    if options.seed is not None and arguments is None and not any(arg.startswith("--seeds") for arg in sys.argv):
        options.seeds = 1
    first = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    policy: Policy = options.policy
    with tempfile.TemporaryDirectory() as scratch:
        return _run(options, first, policy, options.directory or Path(scratch))


def _run(options: argparse.Namespace, first: int, policy: Policy, directory: Path) -> int:
    tally, failures, started = Tally(), 0, time.monotonic()
    print(f"{policy}: seeds {first} to {first + options.seeds - 1}", flush=True)
    with Fleet(directory) as fleet:
        for seed in range(first, first + options.seeds):
            if options.minutes is not None and time.monotonic() - started > options.minutes * 60:
                break
            record, violations = run_plan(fleet, make_plan(seed, policy))
            tally.add(record)
            if not violations:
                continue
            failures += 1
            print(f"FAILED seed {seed}: " + "; ".join(str(violation) for violation in violations[:3]), flush=True)
            if options.keep_going:
                continue
            smaller = shrink(fleet, record.plan, violations[0].rule, options.shrink)
            record, found = run_plan(fleet, smaller)
            print(story(record, found or violations))
            print(f"\nreplay it: python dev.py sim --policy {policy} --seed {seed}")
            break
    seconds = time.monotonic() - started
    print(f"{policy}: {tally}; {seconds:.0f} s; {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
