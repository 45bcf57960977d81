"""``python -m devtools.sim``: run seeds until one fails, or replay one."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from devtools.arguments import count, factor, folder, new_file
from devtools.sim.mutants import MUTANTS
from devtools.sim.plan import Policy
from devtools.sim.runner import Runner, Tally, run_all, tasks, tell
from devtools.sim.seeds import FEATURES

_PROGRESS_SECONDS = 20


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sim", description="Try to break the guarantee; seeds decide everything.")
    parser.add_argument("--seeds", type=count, help="how many (default 100, or 1 with --seed)")
    parser.add_argument("--seed", type=int, help="the first, or the only one; without it, any")
    parser.add_argument("--minutes", type=factor, help="end after so long")
    parser.add_argument("--policy", choices=["rowpost", "naive"], default="rowpost")
    parser.add_argument("--wire", action="store_true", help="real processes, driver and sockets instead of one process")
    parser.add_argument("--jobs", type=count, default=1, help="processes at the same time (default 1)")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with a deliberate defect in the app, to see that it is found")
    parser.add_argument("--features", nargs="*", choices=sorted(FEATURES), default=sorted(FEATURES), help="kinds of actions")
    parser.add_argument("--shrink", type=int, default=60, metavar="RUNS", help="how many runs to spend on a smaller failing plan")
    parser.add_argument("--keep-going", action="store_true", help="tell failures and go on to the end")
    parser.add_argument("--report", type=new_file, metavar="FILE", help="write the tally there as JSON")
    parser.add_argument("--directory", type=folder, help="keep data and logs of the wire there")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or (1 if options.seed is not None else 100)
    first = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory() as scratch:
        return _run(options, first, options.directory or Path(scratch))


def _run(options: argparse.Namespace, first: int, directory: Path) -> int:
    policy: Policy = options.policy
    features = frozenset(options.features)
    tally, failures = Tally(), []
    started = told = time.monotonic()
    print(f"{policy}: seeds {first} to {first + options.seeds - 1}{' over the wire' if options.wire else ''}", flush=True)
    portions = tasks(first, options.seeds, policy, features, options.wire, options.mutant, directory)
    for portion, failed in run_all(portions, options.jobs):
        tally.merge(portion)
        failures += failed
        for seed, what in failed:
            print(f"FAILED seed {seed}: {what}", flush=True)
        if time.monotonic() - told >= _PROGRESS_SECONDS:
            told = time.monotonic()
            progress = f"… {tally.seeds} of {options.seeds} seeds, {len(failures)} failed, {told - started:.0f} s"
            print(progress, file=sys.stderr, flush=True)
        if failures and not options.keep_going:
            break
        if options.minutes is not None and time.monotonic() - started > options.minutes * 60:
            break
    seconds = time.monotonic() - started
    if failures and not options.keep_going:
        seed = failures[0][0]
        with Runner(directory / "again", wire=options.wire, mutant=options.mutant) as runner:
            print(tell(runner, seed, policy, features, options.shrink))
        extra = f" --policy {policy}" * (policy != "rowpost") + " --wire" * options.wire
        extra += f" --features {' '.join(sorted(features))}" if features != FEATURES else ""
        extra += f" --mutant {options.mutant}" if options.mutant else ""
        print(f"\nreplay it: python dev.py sim --seed {seed}{extra}")
    if tally.dimensions:
        print(tally.table())
    print(f"{policy}: {tally}; {seconds:.0f} s; {len(failures)} failed")
    if options.report is not None:
        document = {**tally.to_json(), "first_seed": first, "policy": policy, "wire": options.wire, "mutant": options.mutant}
        document |= {"failed": [seed for seed, _ in failures], "seconds": round(seconds)}
        options.report.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of a set must not depend on the process
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "devtools.sim", *sys.argv[1:]])
    sys.exit(main())
