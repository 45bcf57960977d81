"""The log a person reads: one line per event with the clock's time, the level, and the function that speaks."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from emulators.clock import Clock
from emulators.functions_host.settings import ConfigurationError, section

current_function: contextvars.ContextVar[str] = contextvars.ContextVar("current_function", default="")

_in_function = threading.local()
_OWN = frozenset({"functions_host", "asyncio", "aiohttp"})  # loggers of the host itself
_GENERAL = "Host.General"

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
_NOISY = ("aiohttp", "asyncio", "azure.core", "azure.identity", "urllib3", "msal")  # their INFO lines would drown the app's


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of the log.

    Attributes:
        number: counts up from 1 since the start of the process.
        at: instant of the clock, ISO text.
        level: ``info``, ``warning`` and so on.
        speaker: the function, or ``host``.
        text: may have several lines.
    """

    number: int
    at: str
    level: str
    speaker: str
    text: str


class RecentLines(logging.Handler):
    """Keeps the last entries of the log for those who look."""

    KEPT = 500

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._numbers = count(1)
        self._lines: deque[Line] = deque(maxlen=self.KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an entry."""
        line = Line(next(self._numbers), _instant(self._clock), record.levelname.lower(), _speaker(), _text(record))
        self._lines.append(line)

    def after(self, number: int) -> list[Line]:
        """The entries that are kept and came after ``number``, oldest first."""
        with self.lock:  # type: ignore[union-attr]  # a handler without one is only possible before __init__
            return [line for line in self._lines if line.number > number]


@contextmanager
def function_thread() -> Iterator[None]:
    """This thread runs a function that is not async: its lines belong to the invocation."""
    _in_function.runs = True
    try:
        yield
    finally:
        _in_function.runs = False


def _invoked() -> bool:
    """Whether the worker would know the invocation: by the task that runs, or by the thread of a function that is not async."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return getattr(_in_function, "runs", False)
    return task is not None and bool(current_function.get())


class _Dropped(logging.Filter):
    """The host keeps no line of an app that comes with no invocation (azure-functions-python-worker 1358): at import, in a
    callback of the loop, in a thread of the app's own."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] in _OWN or _invoked():
            return True
        if record.name not in self._told:
            self._told.add(record.name)
            logging.getLogger("functions_host").warning(
                "a line of the logger %s is dropped, as the real host drops it: it was logged outside of an invocation", record.name
            )
        return False


def of_function(name: str, *, lifecycle: bool = False) -> dict[str, str]:
    """``extra`` of a line about a function: its runs, or what the Durable extension tells of it, under the name of the app's own
    lines."""
    return {"category": f"Function.{name}.User" if lifecycle else f"Function.{name}"}


def category(record: logging.LogRecord) -> str:
    """The category by which the real host decides whether it keeps a line."""
    given = getattr(record, "category", None)
    if given is not None:
        return str(given)
    root, _, rest = record.name.partition(".")
    if root in _OWN:
        return rest if root == "functions_host" and rest else _GENERAL
    return f"Function.{current_function.get()}.User"


class _Levels(logging.Filter):
    """The rule of ``logging.logLevel``: the longest name that a category begins with decides, else ``default``."""

    def __init__(self, levels: Mapping[str, Any]) -> None:
        super().__init__()
        known = {name.lower(): _LEVELS[str(level).lower()] for name, level in levels.items()}
        self._default = known.pop("default", logging.INFO)
        self._named = sorted(known.items(), key=lambda item: -len(item[0]))
        self.lowest = min([self._default, *known.values()])

    def filter(self, record: logging.LogRecord) -> bool:
        found = category(record).lower()
        least = next((level for name, level in self._named if found.startswith(name)), self._default)
        return record.levelno >= least


def _instant(clock: Clock) -> str:
    return clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _speaker() -> str:
    return current_function.get() or "host"


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info).rstrip()
    return text


class _ClockFormatter(logging.Formatter):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        text = _text(record).replace("\n", "\n    ")
        return f"{_instant(self._clock)} {record.levelname.lower():<8} [{_speaker()}] {text}"


def set_up_logging(clock: Clock, host_json: Mapping[str, Any], file: Path | None) -> logging.Logger:
    """Send all logging of the process to ``file`` (appended) or standard error; returns the host's logger.

    Raises:
        ConfigurationError: host.json names a level that does not exist, or the file cannot be opened.
    """
    levels = section(host_json, "logging", "logLevel")
    for category, level in levels.items():
        if str(level).lower() not in _LEVELS:
            raise ConfigurationError(f"host.json: logging.logLevel.{category} is {level!r}: use one of {', '.join(_LEVELS)}")
    try:
        handler: logging.Handler = logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler(sys.stderr)
    except OSError as problem:
        raise ConfigurationError(f"--log {file}: {problem}") from None
    handler.setFormatter(_ClockFormatter(clock))
    handler.addFilter(_Dropped())
    kept = _Levels(levels)
    handler.addFilter(kept)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(kept.lowest)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    return logging.getLogger("functions_host")


def keep_recent(clock: Clock) -> RecentLines:
    """Keep the last entries of all logging from now on, besides where they go."""
    recent, root = RecentLines(clock), logging.getLogger()
    recent.filters[:] = [kept for handler in root.handlers for kept in handler.filters]
    root.addHandler(recent)
    return recent
