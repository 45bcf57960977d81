"""What the simulation's API was sent, thrown at the example in another order and partly twice: its copy is the source."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import simplejson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devtools.sim.consumer import differences, taken_events
from devtools.sim.record import Record, key_text
from devtools.sim.runner import Runner
from devtools.sim.seeds import FEATURES, make_plan
from emulators.http_server import to_json
from tests.harness.example_consumer import RunningConsumer, open_store

_TYPES = {False: "application/cloudevents+json", True: "application/cloudevents-batch+json"}
_EXAMPLES = 6
SEEDS = (20051, 20053, 8005, 8008, 700001, 100)  # restores, resyncs, choices of columns, several relays, outages


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


@pytest.mark.parametrize("seed", SEEDS)
def test_the_copy_is_the_source(runner: Runner, seed: int, tmp_path: Path) -> None:
    record, violations = runner.run(make_plan(seed, "rowpost", FEATURES))
    assert violations == []
    events = taken_events(record)
    assert len(events) > 10
    number = iter(range(1000))

    @settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
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
