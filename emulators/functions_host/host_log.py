"""The log a person reads: one line per event with the clock's time, the level, and the function that speaks."""

from __future__ import annotations

import contextvars
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emulators.clock import Clock
from emulators.functions_host.settings import ConfigurationError, section

current_function: contextvars.ContextVar[str] = contextvars.ContextVar("current_function", default="")

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


class _ClockFormatter(logging.Formatter):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        instant = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        speaker = current_function.get() or "host"
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info).rstrip()
        return f"{instant} {record.levelname.lower():<8} [{speaker}] " + text.replace("\n", "\n    ")


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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[str(levels.get("default", "Information")).lower()])
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logger = logging.getLogger("functions_host")
    if "Host" in levels:
        logger.setLevel(_LEVELS[str(levels["Host"]).lower()])
    return logger
