"""The patterns that the documentation of Durable Functions teaches, as small apps, run unmodified on the host emulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from emulators.clock import VirtualTime
from emulators.launch import FunctionsHost
from emulators.tests.functions_host.world import APPS, START

SAMPLES = APPS / "samples"
HOUR = 3600.0


class Sample:
    """A sample that runs, and how one uses it: over HTTP only."""

    def __init__(self, host: FunctionsHost, time: VirtualTime) -> None:
        self.host, self.time = host, time

    def start(self, path: str, data: Any = None) -> str:
        """Start an orchestration by the sample's own endpoint; its id."""
        answer = self.host.request("POST", f"/api/{path}", json=data)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def status(self, instance: str) -> dict[str, Any]:
        """Its status by the management endpoint."""
        found: dict[str, Any] = self.host.request("GET", f"/runtime/webhooks/durabletask/instances/{instance}").json()
        return found

    def ends(self, instance: str, within_seconds: float = 0.0) -> bool:
        """Let time run until it has completed."""
        return self.time.advance(within_seconds, until=lambda: self.status(instance)["runtimeStatus"] == "Completed")

    def output(self, instance: str, within_seconds: float = 0.0) -> Any:
        """What it returned."""
        assert self.ends(instance, within_seconds), self.status(instance)
        return self.status(instance)["output"]


@pytest.fixture
def run(tmp_path: Path, virtual_time: VirtualTime) -> Callable[..., AbstractContextManager[Sample]]:
    @contextmanager
    def running(name: str, **settings: str) -> Iterator[Sample]:
        with FunctionsHost(SAMPLES / name, tmp_path, virtual_time.spec, settings) as host:
            yield Sample(host, virtual_time)

    return running


Run = Callable[..., AbstractContextManager[Sample]]


def test_chaining(run: Run) -> None:
    with run("chaining") as sample:
        assert sample.output(sample.start("parcels/3")) == "S 4.50"
        assert sample.output(sample.start("parcels/12")) == "L 12.90"
        refused = sample.output(sample.start("parcels/31"))["refused"]
        assert "weigh" in refused and "too heavy" in refused


def test_fan_out_and_in(run: Run) -> None:
    with run("fan_out") as sample:
        pages = ["one two three", "", "four five"] + ["word " * 40] * 20
        counted = sample.output(sample.start("count", {"text": "\f".join(pages)}))
        assert counted == {"pages": 23, "words": 805}


def test_human_interaction_with_an_answer(run: Run) -> None:
    with run("approval") as sample:
        instance = sample.start("leave", {"who": "Ada"})
        assert not sample.ends(instance, 71 * HOUR)
        assert sample.status(instance)["customStatus"] == "waiting for the manager"
        assert sample.host.request("POST", f"/api/leave/{instance}/answer", json="enjoy").status_code == 204
        assert sample.output(instance).startswith("Ada: ")
        assert "enjoy" in sample.output(instance)


def test_human_interaction_without_an_answer(run: Run) -> None:
    with run("approval") as sample:
        instance = sample.start("leave", {"who": "Ada"})
        assert sample.output(instance, 73 * HOUR) == "Ada: nobody answered"
        assert (sample.time.now() - START).total_seconds() == 72 * HOUR


def test_monitor(run: Run, tmp_path: Path) -> None:
    skies, told = tmp_path / "skies.json", tmp_path / "told"
    skies.write_text(json.dumps({"Oslo": "rain", "Bergen": "rain"}))
    with run("monitor", SKIES=str(skies), TOLD=str(told)) as sample:
        oslo, bergen = sample.start("watch/Oslo"), sample.start("watch/Bergen")
        assert not sample.ends(oslo, 1.25 * HOUR)
        skies.write_text(json.dumps({"Oslo": "clear", "Bergen": "rain"}))
        assert sample.output(oslo, HOUR) == {"sky": "clear", "looks": 4}
        assert (sample.time.now() - START).total_seconds() == 1.5 * HOUR
        assert told.read_text() == "Oslo\n"
        assert sample.output(bergen, 6 * HOUR) == {"sky": "rain", "looks": 13}
        assert told.read_text() == "Oslo\n"


def test_counter_entity(run: Run) -> None:
    with run("counter") as sample:

        def value(key: str) -> str:
            sample.time.advance(0)
            return sample.host.request("GET", f"/api/tallies/{key}").text

        assert value("a") == "none"
        for step in (5, 7, 1):
            assert sample.host.request("POST", f"/api/tallies/a/{step}").status_code == 202
        assert sample.host.request("POST", "/api/tallies/b/2").status_code == 202
        assert (value("a"), value("b")) == ("13", "2")
        assert sample.output(sample.start("tallies/a/limit/20")) == [13, 13]
        assert sample.output(sample.start("tallies/a/limit/10")) == [13, 0]
        assert (value("a"), value("b")) == ("0", "2")
