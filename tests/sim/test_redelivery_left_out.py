"""A redelivery that the circuit breaker leaves out must not take a newer change from the trigger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from devtools.sim.plan import Action, Plan, Settings
from devtools.sim.runner import Runner

ROWS = (1, 2, 3, 4)  # more than the breaker lets through in an outage
SETTINGS = Settings(
    attempts=1, first_delay=30, max_delay=1800, window=1800, concurrency=1, breaker_failures=2, detach_after_rounds=2, probe=300
)


def change(at: float, do: str) -> Action:
    return Action(at, "change", {"ops": [{"do": do, "id": number, "stamp": int(at)} for number in ROWS]})


# All rows change twice behind the open circuit breaker. When it is half-open recovery redelivers them, and the batch stops before
# some are tried. These get a lease that calls the second change done, while the ledger knows of the first only: it would die with
# the window of the first failure.
PLAN = Plan(
    0,
    "rowpost",
    0,
    1,
    SETTINGS,
    (
        change(2, "insert"),
        Action(54, "api", {"path": "/rows", "mode": "down", "status": 500}),
        change(74, "update"),
        change(1539, "update"),
        change(1644, "update"),
    ),
    (),
    1800,
    0.02,
)


def test_a_change_during_an_outage_is_not_given_up_with_the_window_of_an_older_one() -> None:
    with Runner(Path()) as runner:
        for seed in range(4):
            _, violations = runner.run(replace(PLAN, seed=seed))
            assert [violation for violation in violations if violation.rule == "delivered"] == [], seed
