"""A target that answers with exact bytes, and knows which row it was asked about and what it said to that."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from tests.harness.raw_server import RawServer, reset

_HEAD = re.compile(rb"HTTP/[0-9]\.[0-9][ \t]+([0-9]{3})(?:[ \t][^\r\n]*)?\r?\n")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_KEY = re.compile(rb"^Idempotency-Key: *([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


class Then(Enum):
    """What the target does with the connection after its answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True)
class Script:
    """One answer: its bytes, where they are cut into pieces, and what comes then."""

    answer: bytes
    cuts: Sequence[int] = ()
    then: Then = Then.KEEP

    def pieces(self) -> list[bytes]:
        places = [0, *sorted({cut for cut in self.cuts if 0 < cut < len(self.answer)}), len(self.answer)]
        return [self.answer[first:last] for first, last in itertools.pairwise(places) if first < last]


def final_head(answer: bytes) -> tuple[int, int] | None:
    """Status and end of the head of the final answer among these bytes; None if they hold no whole status line of one."""
    here = 0
    while found := _HEAD.match(answer, here):
        status = int(found[1])
        end = _END_OF_HEAD.search(answer, found.end() - 2)
        if not 100 <= status < 200 or status == 101:
            return status, end.end() if end else len(answer)
        if end is None:
            return None
        here = end.end()
    return None


class ScriptedTarget:
    """Answers the row of each idempotency key with its script.

    Attributes:
        said: the final status that was said to each key, or None.
        asked: the keys in the order of the requests, each with the number of its connection.
    """

    def __init__(self, script: Callable[[str], Script]) -> None:
        self._script = script
        self.said: dict[str, int | None] = {}
        self.asked: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self.server = RawServer(self._serve)

    def __enter__(self) -> Self:
        self.server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        return self.server.url

    def _serve(self, connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            while (request := self.server.read_request(connection)) is not None:
                found = _KEY.search(request)
                assert found is not None
                key = found[1].decode()
                script = self._script(key)
                head = final_head(script.answer)
                with self._lock:
                    self.said[key] = head[0] if head else None
                    self.asked.append((key, number))
                for piece in script.pieces():
                    connection.sendall(piece)
                if script.then is Then.RESET:
                    reset(connection)
                if script.then is not Then.KEEP:
                    return
