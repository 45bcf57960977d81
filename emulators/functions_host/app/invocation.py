"""Call one function: hand it to the worker, watch its time, log start and end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from azure.functions.meta import Datum

from emulators.clock import Clock
from emulators.functions_host.app.context import RetryContext, RpcException
from emulators.functions_host.app.failures import Cause, FunctionFailed
from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.invocation_book import InvocationBook
from emulators.functions_host.app.runner import Worker
from emulators.functions_host.host_log import current_function, of_function

_GRACE_SECONDS = 2.0  # in which a function that has timed out may still end by itself


class Invoker:
    """Runs functions.

    Args:
        worker: where they run.
        clock: time-outs and pauses between retries.
        logger: receives start, end and failure of each invocation.
        timeout: functionTimeout; None is none.
        restart: ends the worker for an invocation that has timed out.
    """

    def __init__(
        self,
        worker: Worker,
        clock: Clock,
        logger: logging.Logger,
        timeout: timedelta | None = None,
        restart: Callable[[str], Any] | None = None,
    ) -> None:
        self._worker, self._clock, self._logger = worker, clock, logger
        self._timeout, self._restart = timeout, restart
        self._overdue: set[asyncio.Task[None]] = set()
        self.client_text: Callable[[dict[str, Any]], str] = lambda binding: "{}"
        self.running = 0
        self.executing: dict[str, str] = {}  # the function of each invocation
        self.book = InvocationBook(clock)

    async def invoke(self, function: IndexedFunction, value: Datum, reason: str, retry: RetryContext | None = None) -> Datum:
        """Run ``function`` once, with ``value`` as its trigger input.

        Returns:
            What it returned, converted.

        Raises:
            FunctionFailed: it raised, a value could not be converted, or it did not end.
        """
        invocation = str(uuid.uuid4())
        told = of_function(function.name)
        token = current_function.set(function.name)
        started = time.perf_counter()
        self._logger.info("Executing (%s, Id=%s)", reason, invocation, extra=told)
        self.running += 1
        self.executing[invocation] = function.name
        entry = self.book.begin(function.name)
        error: str | None = None
        try:
            result = await self._within_time(function, value, invocation, retry or RetryContext())
            duration = (time.perf_counter() - started) * 1000
            self._logger.info("Executed (Succeeded, Id=%s, Duration=%dms)", invocation, duration, extra=told)
            return result
        except FunctionFailed as failure:
            error = str(failure)
            # A failed orchestrator is reported by the durable engine, with its state.
            if function.kind not in ("orchestrationTrigger", "entityTrigger") or failure.cause is not Cause.FUNCTION:
                self._logger.error(
                    "Executed (Failed, Id=%s, Duration=%dms): %s%s",
                    invocation,
                    (time.perf_counter() - started) * 1000,
                    failure,
                    f"\n{failure.stack}" if failure.stack else "",
                    extra=told,
                )
            raise
        finally:
            self.running -= 1
            self.executing.pop(invocation, None)
            self.book.end(entry, error)
            if function.kind != "orchestrationTrigger":
                self._clock.nudge()
            current_function.reset(token)

    async def invoke_with_retries(self, function: IndexedFunction, value: Callable[[], Datum], reason: str) -> bool:
        """Run ``function``, and again by its retry policy while it fails; True if it succeeded in the end.

        To be called from a clock task: the pauses are sleeps of the clock.
        """
        policy = function.retry_policy
        attempt = 0
        context = RetryContext(0, policy.maximum if policy else 0)
        while True:
            try:
                await self.invoke(function, value(), reason, context)
                return True
            except FunctionFailed as failure:
                if policy is None or (policy.maximum != -1 and attempt >= policy.maximum):
                    return False
                attempt += 1
                context = RetryContext(attempt, policy.maximum, RpcException(stack_trace=failure.stack or "", message=str(failure)))
                pause = policy.delay_seconds(attempt)
                self._logger.warning("%s: retry %d in %g s", function.name, attempt, pause)
                await self._clock.sleep(pause)

    async def _within_time(self, function: IndexedFunction, value: Datum, invocation: str, retry: RetryContext) -> Datum:
        inputs = {function.trigger["name"]: value}
        for name, binding in function.inputs.items():
            inputs[name] = Datum(self.client_text(binding), "string")
        call = self._worker.call(function, invocation, inputs, retry)
        if self._timeout is None:
            return await call
        running = asyncio.ensure_future(call)
        out_of_time = asyncio.ensure_future(self._sleep(self._timeout.total_seconds()))
        try:
            await asyncio.wait({running, out_of_time}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            running.cancel()
            raise
        finally:
            out_of_time.cancel()
        if running.done():
            return running.result()
        self._logger.error(
            "Timeout value of %s exceeded by function 'Functions.%s' (Id: '%s'). Initiating cancellation.",
            self._timeout,
            function.name,
            invocation,
        )
        overdue = asyncio.ensure_future(self._end_overdue(running, invocation))
        self._overdue.add(overdue)
        overdue.add_done_callback(self._overdue.discard)
        text = f"FunctionTimeoutException: Timeout value of {self._timeout} was exceeded by function: Functions.{function.name}"
        raise FunctionFailed(text, cause=Cause.TIMEOUT)

    async def _sleep(self, seconds: float) -> None:
        async with self._clock.task():
            await self._clock.sleep(seconds)

    async def _end_overdue(self, running: asyncio.Future[Datum], invocation: str) -> None:
        """Nothing can stop a function of Python: its worker ends, and whatever else runs there."""
        grace = asyncio.ensure_future(self._sleep(_GRACE_SECONDS))
        awaited: set[asyncio.Future[Any]] = {running, grace}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        grace.cancel()
        if not running.done() and self._restart is not None:
            await self._restart(invocation)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, FunctionFailed):
            await running
