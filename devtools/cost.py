"""``dev.py cost``: what Rowpost costs on Azure a month, by formula; docs/cost.md explains it.

Each price is a parameter. The defaults are list prices in US dollars, pay as you go, East US, as they were published in 2025. A
price list changes, and yours differs by region and agreement: look yours up, and give it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

HOURS = 730  # of a month, as Azure's price lists count
SECONDS = HOURS * 3600
DAYS = HOURS / 24
LEAST_BILLED_SECONDS = 1.0  # of one execution on Flex Consumption
WATCHDOG_A_DAY = 24 * 60 / 5  # its default schedule


@dataclass(frozen=True)
class Prices:
    """List prices in dollars.

    Attributes:
        baseline: a GB-second of an always-ready instance, whether it works or not.
        execution: a GB-second of work on such an instance, on top.
        on_demand: a GB-second of work on another instance.
        million_executions: of functions.
        database: a month of the database.
        endpoint: an hour of a private endpoint; zone: a month of its DNS zone.
        log_gigabyte: of logs taken in.
        ten_thousand_operations: of storage.
    """

    baseline: float = 0.000004
    execution: float = 0.000016
    on_demand: float = 0.000026
    million_executions: float = 0.40
    database: float = 15.0
    endpoint: float = 0.01
    zone: float = 0.50
    log_gigabyte: float = 2.30
    ten_thousand_operations: float = 0.0004


@dataclass(frozen=True)
class Load:
    """What is relayed.

    Attributes:
        relays: how many.
        rows: changed rows a day, of all relays; batch_rows: how many of them share a batch on the average.
        batch_seconds: from a hand-out to its end; pause_seconds: between two looks of the trigger.
        memory: of an instance, in GB.
        private: whether there is a private endpoint.
        log_bytes: of one batch, the host's own lines included.
        operations: of storage, an hour.
    """

    relays: int
    rows: float
    batch_rows: float = 1.0
    batch_seconds: float = 0.3
    pause_seconds: float = 1.0
    memory: float = 0.5
    private: bool = True
    log_bytes: float = 4000.0
    operations: float = 4000.0


def batches(load: Load) -> float:
    """Batches a day: no more than the triggers can hand out."""
    fastest = 86400 / (load.pause_seconds + load.batch_seconds)
    return min(load.rows / load.batch_rows, load.relays * fastest)


def monthly(load: Load, prices: Prices) -> dict[str, float]:
    """Dollars a month, by item. Free grants are not subtracted."""
    groups = load.relays + 1  # one always-ready instance for each trigger, one for Durable Functions
    work = batches(load) * DAYS * max(LEAST_BILLED_SECONDS, load.batch_seconds) * load.memory
    watchdog = WATCHDOG_A_DAY * DAYS
    return {
        f"{groups} always-ready instances": groups * load.memory * SECONDS * prices.baseline,
        "work of the triggers": work * prices.execution,
        "watchdog": watchdog * LEAST_BILLED_SECONDS * load.memory * prices.on_demand,
        "executions": (batches(load) * DAYS + watchdog) * prices.million_executions / 1e6,
        "database": prices.database,
        "private endpoint": (HOURS * prices.endpoint + prices.zone) if load.private else 0.0,
        "logs": batches(load) * DAYS * load.log_bytes / 1e9 * prices.log_gigabyte,
        "storage": load.operations * HOURS / 10_000 * prices.ten_thousand_operations,
    }


def report(load: Load, prices: Prices) -> list[str]:
    """The items and their sum, one line each."""
    items = monthly(load, prices)
    lines = [f"{name:28}{value:9.2f} $" for name, value in items.items() if value]
    return [*lines, f"{'a month':28}{sum(items.values()):9.2f} $"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dev.py cost", description="What Rowpost costs on Azure a month, by formula.")
    parser.add_argument("--relays", type=int, default=3)
    parser.add_argument("--rows", type=float, default=100_000, help="changed rows a day, of all relays")
    parser.add_argument("--batch-rows", type=float, default=Load(0, 0).batch_rows, help="rows that share a batch; 1 costs the most")
    parser.add_argument("--batch-seconds", type=float, default=Load(0, 0).batch_seconds)
    parser.add_argument("--memory", type=float, default=Load(0, 0).memory, help="of an instance, in GB")
    parser.add_argument("--public", action="store_true", help="without a private endpoint")
    for name, value in vars(Prices()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value, metavar="DOLLARS")
    options = parser.parse_args(arguments)
    if options.relays < 1 or options.rows < 0 or options.batch_rows < 1:
        parser.error("expected at least one relay, no negative number of rows, and at least one row in a batch")
    prices = Prices(**{name: getattr(options, name) for name in vars(Prices())})
    load = Load(
        options.relays,
        options.rows,
        options.batch_rows,
        options.batch_seconds,
        memory=options.memory,
        private=not options.public,
    )
    print("\n".join(report(load, prices)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
