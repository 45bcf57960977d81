"""What the simulation's API was sent, thrown at the example in another order and partly twice: its copy is the source."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import simplejson
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devtools.sim.consumer import differences, taken_events
from devtools.sim.dimensions import DIMENSIONS
from devtools.sim.record import Record, key_text
from devtools.sim.runner import Runner
from devtools.sim.seeds import FEATURES, make_plan
from emulators.http_server import to_json
from tests.harness.example_consumer import RunningConsumer, open_store

_TYPES = {False: "application/cloudevents+json", True: "application/cloudevents-batch+json"}
_EXAMPLES = 6
PLAIN = FEATURES - set(DIMENSIONS)
WANTED = {
    "restores": lambda plan: "restores" in plan.dimensions,  # all is sent again under a new epoch
    "snapshots": lambda plan: "snapshots" in plan.dimensions,
    "resync": lambda plan: any(action.values.get("do") == "resync" for action in plan.actions),
    "choices": lambda plan: any(action.values.get("do") == "columns" for action in plan.actions),
    "plain": lambda plan: not any(action.kind == "command" for action in plan.actions),
}
CASES = [(what, first) for what in WANTED for first in (1, 500) if what not in ("restores", "snapshots") or what in DIMENSIONS]


def record_with(runner: Runner, what: str, first: int) -> Record:
    """The record of the first plan from a seed on that has something, and in which it has come to an end."""
    features = PLAIN | ({what} & set(DIMENSIONS))
    plans = (make_plan(seed, "rowpost", features) for seed in itertools.count(first))
    for plan in filter(WANTED[what], plans):
        record, violations = runner.run(plan)
        assert violations == []
        kinds = [event["type"] for event in taken_events(record)]
        if len(kinds) > 5 and (what in ("choices", "plain") or "rowpost.resync.completed" in kinds):
            return record
    raise AssertionError("the seeds are endless")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("sim")) as found:
        yield found


def copy_of(consumer: RunningConsumer, record: Record) -> dict[str, dict[str, Any] | None]:
    """What the example has, by key as the simulation writes it."""
    found: dict[str, dict[str, Any] | None] = {}
    for key, data in consumer.store.rows(record.lane.table).items():
        values = json.loads(key)
        text = key_text({name: values[name] for name in record.plan.settings.key_columns})
        found[text] = simplejson.loads(data, use_decimal=True)
    return found


def post(consumer: RunningConsumer, events: list[dict[str, Any]], *, batch: bool) -> None:
    body = to_json(events if batch else events[0])
    answer = requests.post(consumer.url, body.encode(), headers={"Content-Type": _TYPES[batch]}, timeout=30)
    assert answer.status_code == (207 if batch else 200), answer.text
    if batch:
        assert [result["status"] for result in answer.json()["results"]] == [200] * len(events)


@pytest.mark.parametrize(("what", "first"), CASES)
def test_the_copy_is_the_source(runner: Runner, what: str, first: int, tmp_path: Path) -> None:
    record = record_with(runner, what, first)
    events = taken_events(record)
    number = iter(range(1000))

    @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(order=st.randoms(use_true_random=False), shuffled=st.booleans())
    def replay(order: random.Random, shuffled: bool) -> None:
        sent = [*events, *order.choices(events, k=len(events) // 3)]
        if shuffled:
            order.shuffle(sent)
        with RunningConsumer(open_store(str(tmp_path / f"copy{next(number)}.db"))) as consumer:
            while sent:
                size = order.choice((1, 1, 20))
                post(consumer, sent[:size], batch=size > 1)
                del sent[:size]
            wrong = list(differences(record, copy_of(consumer, record)))
        assert [violation for violation in wrong if violation.key not in record.excused] == []

    replay()
