"""The invocation context of the worker. Its classes are the worker's own: they are no subclasses of those of the SDK."""

from __future__ import annotations

import inspect
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

invocation_local = threading.local()
"""Its ``invocation_id`` tells the worker to which invocation a thread belongs; the context gives it to the app."""


@dataclass(frozen=True)
class RpcException:
    """The failure before this attempt; empty texts in a first attempt."""

    source: str = ""
    stack_trace: str = ""
    message: str = ""


@dataclass
class RetryContext:
    """Which retry of how many this invocation is; 0 of 0 without a retry policy."""

    retry_count: int = 0
    max_retry_count: int = 0
    rpc_exception: RpcException = field(default_factory=RpcException)


class TraceContext:
    """The trace that an invocation belongs to, in the names of W3C and in those of Python."""

    def __init__(self) -> None:
        self.trace_parent = f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00"
        self.trace_state = ""
        self.attributes: dict[str, str] = {}

    @property
    def Traceparent(self) -> str:  # the worker's name
        return self.trace_parent

    @property
    def Tracestate(self) -> str:
        return self.trace_state

    @property
    def Attributes(self) -> dict[str, str]:
        return self.attributes


class Context:
    """What a parameter named ``context`` receives."""

    def __init__(self, function: str, user_function: Callable[..., Any], invocation_id: str, retry: RetryContext) -> None:
        self.function_name = function
        # the file of what the app registered: of a decorated function it is the decorator's
        self.function_directory = str(Path(inspect.getfile(user_function)).parent)
        self.invocation_id = invocation_id
        self.retry_context = retry
        self.trace_context = TraceContext()

    @property
    def thread_local_storage(self) -> Any:
        """For a thread of the app's own, which sets ``invocation_id`` there."""
        return invocation_local
