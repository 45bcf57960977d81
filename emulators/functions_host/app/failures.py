"""How an invocation fails, as text: what failed crosses from the worker to the host."""

from __future__ import annotations

import asyncio
import traceback
from enum import Enum
from pathlib import Path

_HOST_FILES = (
    str(Path(__file__).parents[1]),
    *(str(Path(asyncio.__file__).parents[1] / name) for name in ("concurrent", "importlib")),
    "<frozen importlib",
)


def app_traceback(problem: BaseException) -> str:
    """The traceback as text, from the first frame that is not the host's."""
    frame = problem.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_HOST_FILES):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(problem), problem, frame)).rstrip()


def error_text(problem: BaseException) -> str:
    """``ClassName: message``, as the worker tells the host."""
    try:
        return f"{type(problem).__name__}: {problem}"
    except Exception:
        return "Unhandled exception in function. Could not serialize original exception message."


class Cause(Enum):
    """Whose fault a failure is."""

    FUNCTION = "it raised, or a value could not be converted"
    TIMEOUT = "it ran longer than functionTimeout"
    WORKER = "the worker ended"


class FunctionFailed(Exception):
    """An invocation failed. The text is ``ClassName: message``.

    Attributes:
        stack: the traceback in the app, if there is one.
        cause: whose fault it is.
    """

    def __init__(self, text: str, stack: str | None = None, cause: Cause = Cause.FUNCTION) -> None:
        super().__init__(text)
        self.stack, self.cause = stack, cause

    @classmethod
    def of(cls, problem: BaseException) -> FunctionFailed:
        """The failure that an exception is."""
        return cls(error_text(problem), app_traceback(problem))
