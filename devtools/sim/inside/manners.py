"""What the way between the API and the app makes of an answer: interim ones before it, pieces, bodies that are no use to anybody.

One that the app cannot understand for certain is *broken*: the app must take it for a failure of its own row, and no other's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from email.utils import format_datetime

from devtools.sim.inside.scheduler import Scheduler
from emulators.http_server import Answer

_INTERIM = {100: "Continue", 102: "Processing", 103: "Early Hints", 199: "Odd"}
_GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b"no gzip at all"
_STRAY = b"HTTP/1.1 202 Stray\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Bytes:
    """An answer as it comes.

    Attributes:
        parts: seconds after the one before, and what comes then.
        closes: whether the connection ends behind them.
        broken: whether no answer can be made of it.
        what: of its manners; empty for none.
    """

    parts: list[tuple[float, bytes]] = field(default_factory=list)
    closes: bool = False
    broken: bool = False
    what: list[str] = field(default_factory=list)


def _has_statuses(answer: Answer) -> bool:
    """Whether its body says what became of each event of a batch."""
    return isinstance(answer.body, dict) and "results" in answer.body


class Manners:
    """Draws what becomes of each answer.

    Args:
        rng: of the seed.
        scheduler: for the dates.
    """

    def __init__(self, rng: random.Random, scheduler: Scheduler) -> None:
        self._rng, self._scheduler = rng, scheduler

    def plain(self, answer: Answer) -> Bytes:
        """As an ordinary server sends it."""
        return Bytes([(0.0, self._head(answer, f"Content-Length: {len(answer.encoded())}") + answer.encoded())])

    def drawn(self, answer: Answer) -> Bytes:
        """With what the seed makes of it."""
        rng, found = self._rng, self.plain(answer)
        chance = rng.random()
        if chance < 0.25:
            self._interim(found)
        elif chance < 0.4 and (not _has_statuses(answer) or answer.status == 207):  # of another success nobody could know it
            self._body(found, answer)
        elif chance < 0.48:
            found.parts = [(0.0, found.parts[0][1] + _STRAY)]  # if it came later, nobody could know it from the answer to come
            found.what.append("an answer that nobody asked for behind it")
        elif chance < 0.56:
            self._break(found)
        if rng.random() < 0.25:
            found.parts = [part for each in found.parts for part in self._pieces(each)]
            found.what.append("in pieces")
        return found

    def _head(self, answer: Answer, *fields: str) -> bytes:
        lines = [f"HTTP/1.1 {answer.status} Answer", f"Date: {format_datetime(self._scheduler.now(), usegmt=True)}", *fields]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _interim(self, found: Bytes) -> None:
        rng = self._rng
        numbers = rng.choices(list(_INTERIM), k=rng.choice([1, 1, 2, 5]))
        before = [
            (rng.choice([0.0, 0.2]), f"HTTP/1.1 {number} {_INTERIM[number]}\r\nLink: </x>\r\n\r\n".encode()) for number in numbers
        ]
        found.parts = [*before, (rng.choice([0.0, 0.2, 1.0]), found.parts[0][1])]
        found.what += [f"interim answer {number}" for number in numbers]

    def _body(self, found: Bytes, answer: Answer) -> None:
        kind = self._rng.choice(["gzip", "redirect", "until the end", "chunks", "long"])
        found.what.append(f"odd body: {kind}")
        found.broken = _has_statuses(answer)
        if kind == "redirect":
            fields = ("Location: //[", "Content-Encoding: gzip", f"Content-Length: {len(_GZIP)}")
            found.parts = [(0.0, self._head(answer, *fields) + _GZIP)]
        elif kind == "gzip":
            found.parts = [(0.0, self._head(answer, "Content-Encoding: gzip", f"Content-Length: {len(_GZIP)}") + _GZIP)]
        elif kind == "chunks":
            head = self._head(answer, "Transfer-Encoding: chunked")
            found.parts = [(0.0, head + b"5;x=y\r\nhello\r\n"), (0.1, b"0\r\nTrailer: x\r\n\r\n")]
        elif kind == "long":
            found.parts = [(0.0, self._head(answer, "Content-Length: 900000") + b"x" * 1000)]
        else:
            found.parts, found.closes = [(0.0, self._head(answer, "Connection: close") + b"the rest")], True

    def _break(self, found: Bytes) -> None:
        kind = self._rng.choice(["status line", "cut off", "interim without end", "no answer"])
        found.what.append(f"broken: {kind}")
        found.broken = found.closes = True
        whole = found.parts[0][1]
        if kind == "status line":
            found.parts = [(0.0, b"HTTP/1.1 OK\r\n" + whole.partition(b"\r\n")[2])]
        elif kind == "cut off":
            found.parts = [(0.0, whole[:9])]
        elif kind == "interim without end":
            found.parts = [(0.1, b"HTTP/1.1 102 Processing\r\n\r\n")]
        else:
            found.parts = []

    def _pieces(self, part: tuple[float, bytes]) -> list[tuple[float, bytes]]:
        pause, content = part
        cut = self._rng.randrange(1, len(content)) if len(content) > 1 else 1
        pieces = [(pause, content[:cut]), (self._rng.choice([0.0, 0.05]), content[cut:])]
        return [(seconds, piece) for seconds, piece in pieces if piece]
