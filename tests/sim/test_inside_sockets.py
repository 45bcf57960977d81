"""The sockets of the simulation: what the app makes of an answer is what it makes of the same bytes from a real connection."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

import rowpost.http.connections
import rowpost.http.exchange
from devtools.sim.inside.manners import Bytes, Manners
from devtools.sim.inside.network import Network
from devtools.sim.inside.scheduler import MICROSECONDS, Scheduler, Strand
from devtools.sim.inside.sockets import Sockets
from devtools.sim.inside.waiting import Deadlines, threading_for
from emulators.http_server import Answer, Request
from rowpost.http.client import Client
from tests.harness.raw_server import RawServer

STATUSES = (202, 422, 500, 307, 202, 204)
COUNT = 90
TIMEOUT_SECONDS = 5.0


class Script(Manners):
    """The same manners for both sides: they are drawn once."""

    def __init__(self, answers: list[Bytes]) -> None:
        self._answers = iter(answers)

    def drawn(self, answer: Answer) -> Bytes:
        return next(self._answers)


def script() -> list[Bytes]:
    scheduler = Scheduler(random.Random(0), datetime(2026, 3, 2, tzinfo=UTC))
    manners = Manners(random.Random(7), scheduler)
    return [manners.drawn(Answer(STATUSES[number % len(STATUSES)])) for number in range(COUNT)]


def outcome(post: Callable[[], int]) -> str:
    try:
        return str(post())
    except Exception as error:
        return type(error).__name__


def inside(monkeypatch: pytest.MonkeyPatch, answers: list[Bytes]) -> tuple[list[str], list[str]]:
    """The outcomes inside the simulation, and the attempts that it takes for unanswered."""
    scheduler = Scheduler(random.Random(1), datetime(2026, 3, 2, tzinfo=UTC))
    network = Network(scheduler, lambda: 0.01)
    numbers = Counter[str]()
    lost: list[str] = []

    def serve(request: Request) -> Answer:
        numbers["requests"] += 1
        return Answer(202)

    network.serve("api.example", serve)
    network.numbered = lambda authority: numbers["requests"]
    network.unanswered = lambda authority, number: lost.append(str(number))
    sockets = Sockets(network, scheduler, lambda: 0.01, Script(answers), lambda what: None)
    for module in (rowpost.http.connections, rowpost.http.exchange):
        monkeypatch.setattr(module, "socket", sockets.module())
    monkeypatch.setattr(rowpost.http.exchange, "threading", threading_for(lambda: scheduler))
    monkeypatch.setattr(rowpost.http.exchange, "_deadlines", Deadlines(lambda: scheduler))
    outcomes: list[str] = []

    def post_all() -> None:
        client = Client(TIMEOUT_SECONDS, connections=1)
        outcomes.extend(outcome(lambda: client.post("http://api.example/rows", b"x", {}).status) for _ in answers)

    scheduler.spawn(Strand(None, post_all))
    scheduler.run_until(scheduler.start + 3600 * MICROSECONDS, lambda: len(outcomes) == len(answers))
    monkeypatch.undo()
    return outcomes, lost


def outside(answers: list[Bytes]) -> list[str]:
    """The outcomes at a real connection."""
    left = iter(answers)

    def handle(connection: socket.socket, number: int) -> None:
        while server.read_request(connection) is not None:
            found = next(left)
            for seconds, content in found.parts:
                time.sleep(seconds / 20)
                connection.sendall(content)
            if found.closes:
                return

    with RawServer(handle) as server:
        client = Client(TIMEOUT_SECONDS, connections=1)
        return [outcome(lambda: client.post(server.url, b"x", {}).status) for _ in answers]


def test_the_app_makes_the_same_of_each_answer_as_at_a_real_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = script()
    found, lost = inside(monkeypatch, answers)
    real = outside(answers)
    assert found == real
    assert [number for number, answer in enumerate(answers) if answer.broken] == [
        number for number, text in enumerate(found) if not text.isdigit()
    ]
    assert lost == [str(number + 1) for number, answer in enumerate(answers) if answer.broken]
    statuses = [text for answer, text in zip(answers, found, strict=True) if not answer.broken]
    wanted = [str(STATUSES[number % len(STATUSES)]) for number, answer in enumerate(answers) if not answer.broken]
    assert statuses == wanted, "each request got its own answer"


def test_every_manner_is_drawn() -> None:
    kinds = {what.split(" ")[0] for answer in script() for what in answer.what}
    assert kinds == {"interim", "odd", "an", "broken:", "in"}
