"""Call one function: convert the bindings, run sync functions on threads and async ones on the loop, log start and end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum

from emulators.clock import Clock
from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.invocation_book import InvocationBook
from emulators.functions_host.host_log import current_function, function_thread, of_function
from emulators.functions_host.settings import AppSettings, ConfigurationError, parse_time_span

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


class FunctionFailed(Exception):
    """A function raised, or returned what cannot be converted. The text is ``ClassName: message``; the cause is the exception."""

    def __init__(self, problem: BaseException) -> None:
        super().__init__(f"{type(problem).__name__}: {problem}")


class _RpcException(func._abc.RpcException):
    def __init__(self, message: str) -> None:
        self._message = message

    @property
    def source(self) -> str:
        return ""

    @property
    def stack_trace(self) -> str:
        return ""

    @property
    def message(self) -> str:
        return self._message


class RetryContext(func._abc.RetryContext):
    """Which attempt of how many this invocation is (0 = first)."""

    def __init__(self, count: int, maximum: int, error: str) -> None:
        self._count, self._maximum, self._error = count, maximum, error

    @property
    def retry_count(self) -> int:
        return self._count

    @property
    def max_retry_count(self) -> int:
        return self._maximum

    @property
    def exception(self) -> func._abc.RpcException:
        return _RpcException(self._error)


class _TraceContext(func._abc.TraceContext):
    def __init__(self) -> None:
        self._parent = f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-00"

    @property
    def trace_state(self) -> str:
        return ""

    @property
    def trace_parent(self) -> str:
        return self._parent

    @property
    def attributes(self) -> dict[str, str]:
        return {}


class InvocationContext(func.Context):
    """What a parameter named ``context`` receives."""

    def __init__(self, function: str, directory: str, invocation_id: str, retry: RetryContext | None) -> None:
        self._function, self._directory, self._id, self._retry = function, directory, invocation_id, retry
        self._local = threading.local()
        self._trace = _TraceContext()

    @property
    def invocation_id(self) -> str:
        return self._id

    @property
    def thread_local_storage(self) -> Any:
        return self._local

    @property
    def function_name(self) -> str:
        return self._function

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def trace_context(self) -> func._abc.TraceContext:
        return self._trace

    @property
    def retry_context(self) -> RetryContext | None:  # type: ignore[override]  # absent on a first attempt, as in the worker
        return self._retry


class RetryPolicy:
    """The ``@app.retry`` policy of a function.

    Raises:
        ConfigurationError: a value that is no number or time span, or an unknown strategy.
    """

    def __init__(self, function: str, settings: dict[str, str]) -> None:
        try:
            self.maximum = int(settings["max_retry_count"])
            self.strategy = settings["strategy"]
            if self.strategy == "fixed_delay":
                self._first = self._last = parse_time_span(settings["delay_interval"]).total_seconds()
            elif self.strategy == "exponential_backoff":
                self._first = parse_time_span(settings["minimum_interval"]).total_seconds()
                self._last = parse_time_span(settings["maximum_interval"]).total_seconds()
            else:
                raise ValueError(f"unknown strategy {self.strategy!r}")
        except (KeyError, ValueError) as problem:
            raise ConfigurationError(f"function {function}: its retry policy is not valid: {problem}") from None

    def delay_seconds(self, attempt: int) -> float:
        """The pause before retry ``attempt`` (1 = first retry)."""
        return min(self._last, self._first * 2.0 ** min(attempt - 1, 60)) if self._first < self._last else self._first


class Invoker:
    """Runs functions.

    Args:
        settings: of the app.
        clock: pauses between retries.
        logger: receives start, end and failure of each invocation.
    """

    def __init__(self, settings: AppSettings, clock: Clock, logger: logging.Logger) -> None:
        self._clock, self._logger = clock, logger
        self._directory = str(settings.app)
        threads = int(settings.values.get("PYTHON_THREADPOOL_THREAD_COUNT") or min(32, (os.cpu_count() or 1) + 4))
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="function")
        # Orchestrators and entities are short, pure computations: activities that block their threads must not hold them up.
        self._durable_threads = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="durable")
        self.client_text: Callable[[dict[str, Any]], str] = lambda binding: "{}"
        self.running = 0
        self.book = InvocationBook(clock)

    async def invoke(self, function: IndexedFunction, value: Datum, reason: str, retry: RetryContext | None = None) -> Any:
        """Run ``function`` once, with ``value`` as its trigger input.

        Returns:
            What it returned, not yet converted.

        Raises:
            FunctionFailed: it raised, or its input could not be converted.
        """
        invocation = str(uuid.uuid4())
        told = of_function(function.name)
        token = current_function.set(function.name)
        started = time.perf_counter()
        self._logger.info("Executing (%s, Id=%s)", reason, invocation, extra=told)
        self.running += 1
        entry = self.book.begin(function.name)
        error: str | None = None
        try:
            arguments = self._arguments(function, value, invocation, retry)
            if function.is_async:
                result = await function.user_function(**arguments)
            else:
                result = await self._on_thread(function, arguments)
            if result is not None and not function.has_return:
                raise RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
            duration = (time.perf_counter() - started) * 1000
            self._logger.info("Executed (Succeeded, Id=%s, Duration=%dms)", invocation, duration, extra=told)
            return result
        except (Exception, SystemExit) as problem:
            error = f"{type(problem).__name__}: {problem}"
            # A failed orchestrator is reported by the durable engine, with its state.
            if function.kind not in ("orchestrationTrigger", "entityTrigger"):
                self._logger.error(
                    "Executed (Failed, Id=%s, Duration=%dms): %s: %s\n%s",
                    invocation,
                    (time.perf_counter() - started) * 1000,
                    type(problem).__name__,
                    problem,
                    app_traceback(problem),
                    extra=told,
                )
            raise FunctionFailed(problem) from problem
        finally:
            self.running -= 1
            self.book.end(entry, error)
            if function.kind != "orchestrationTrigger":
                self._clock.nudge()
            current_function.reset(token)

    async def invoke_with_retries(self, function: IndexedFunction, value: Callable[[], Datum], reason: str) -> bool:
        """Run ``function``, and again by its retry policy while it fails; True if it succeeded in the end.

        To be called from a clock task: the pauses are sleeps of the clock.
        """
        policy = RetryPolicy(function.name, function.retry_policy) if function.retry_policy else None
        attempt = 0
        context: RetryContext | None = None
        while True:
            try:
                await self.invoke(function, value(), reason, context)
                return True
            except FunctionFailed as failure:
                if policy is None or (policy.maximum != -1 and attempt >= policy.maximum):
                    return False
                attempt += 1
                context = RetryContext(attempt, policy.maximum, str(failure))
                self._logger.warning("%s: retry %d in %g s", function.name, attempt, policy.delay_seconds(attempt))
                await self._clock.sleep(policy.delay_seconds(attempt))

    def _arguments(self, function: IndexedFunction, value: Datum, invocation: str, retry: RetryContext | None) -> dict[str, Any]:
        registry = func.get_binding_registry()
        converter = registry.get(function.kind)
        decoded = converter.decode(value, trigger_metadata={}) if converter is not None else value.value
        arguments: dict[str, Any] = {function.trigger["name"]: decoded}
        for name, binding in function.inputs.items():
            client = registry.get("durableClient")
            arguments[name] = client.decode(Datum(self.client_text(binding), "string"), trigger_metadata=None)
        if function.wants_context:
            arguments["context"] = InvocationContext(function.name, self._directory, invocation, retry)
        return arguments

    async def _on_thread(self, function: IndexedFunction, arguments: dict[str, Any]) -> Any:
        context = contextvars.copy_context()

        def call() -> Any:
            with function_thread():
                return context.run(function.user_function, **arguments)

        pool = self._durable_threads if function.kind in ("orchestrationTrigger", "entityTrigger") else self._threads
        return await asyncio.get_running_loop().run_in_executor(pool, call)

    def close(self) -> None:
        """Take no more work; threads that still run are left behind."""
        for pool in (self._threads, self._durable_threads):
            pool.shutdown(wait=False, cancel_futures=True)
