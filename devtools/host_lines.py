"""The host's log as a person follows it in a terminal: short, aligned lines, without what only repeats."""

from __future__ import annotations

import re
import shutil
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(r"\S{10}T(\d\d:\d\d:\d\d)\.\d+Z (\w+) +\[([^\]]*)\] (.*)")
_SUCCEEDED = "Executed (Succeeded"
_ROUTINE = re.compile(r"Executing \(|Executed \(Succeeded|orchestration .* continues as new$|\w+ \{.*\}$")  # the last: for alerts
_FAILED = re.compile(r"Executed \(Failed, Id=\S+, Duration=\d+ms\): ")
_SPEAKER_CHARACTERS = 20
_LEAST_WIDTH = 80
_AGAIN_SECONDS = 300.0  # an error that comes again after such a silence is news


@dataclass(frozen=True)
class HostLine:
    """One event: time of day (UTC), level, who speaks, and the first line of the text."""

    time: str
    level: str
    speaker: str
    text: str

    @property
    def routine(self) -> bool:
        """Whether it says no more than that all is well, or is meant for machines."""
        return _ROUTINE.match(self.text) is not None

    @property
    def loud(self) -> bool:
        """Whether it is a warning or worse."""
        return self.level not in ("info", "debug")

    def shown(self, width: int) -> str:
        """The line as it is printed; what is loud is told in full, anything else is cut to one line."""
        head = f"{self.time}  {self.speaker:<{_SPEAKER_CHARACTERS}}  "
        if not self.loud:
            line = head + self.text
            return line if len(line) <= width else line[: width - 1] + "…"
        text = f"{self.level}: " + _FAILED.sub("failed: ", self.text)
        return textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)


def parse(line: str) -> HostLine | None:
    """The event that begins on a line of the log; None for the lines of tracebacks and for what is no event."""
    match = _LINE.match(line)
    return HostLine(*match.groups()) if match else None


class Follower:
    """Reads what is added to a log.

    Args:
        file: the log; only what comes after this moment counts.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = file.stat().st_size if file.exists() else 0
        self._rest = b""
        self._errors: dict[str, tuple[str, float]] = {}

    def lines(self) -> Iterator[str]:
        """New lines, as wide as the terminal. An error that a function repeats is told once, until a run of it succeeds."""
        if not self._file.exists():
            return
        with self._file.open("rb") as log:
            log.seek(self._position)
            added = log.read()
        self._position += len(added)
        *whole, self._rest = (self._rest + added).split(b"\n")
        width = max(_LEAST_WIDTH, shutil.get_terminal_size((132, 40)).columns)
        for raw in whole:
            event = parse(raw.decode("utf-8", "replace").rstrip("\r"))
            if event is not None and self._is_news(event):
                yield event.shown(width)

    def _is_news(self, event: HostLine) -> bool:
        if event.text.startswith(_SUCCEEDED):
            self._errors.pop(event.speaker, None)
        if event.routine or not event.loud:
            return not event.routine
        text, at = _FAILED.sub("", event.text), time.monotonic()
        before, seen = self._errors.get(event.speaker, ("", at))
        self._errors[event.speaker] = text, at
        return text != before or at - seen > _AGAIN_SECONDS
