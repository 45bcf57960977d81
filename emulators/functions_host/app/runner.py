"""Run the functions of an app in this process, as the worker does: sync ones on one pool of threads, async ones on the loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from azure.functions.meta import Datum

from emulators.functions_host.app.context import Context, RetryContext, invocation_local
from emulators.functions_host.app.conversion import decode, encode
from emulators.functions_host.app.failures import FunctionFailed
from emulators.functions_host.app.indexing import IndexedFunction, LoadedFunction

_THREADS = "PYTHON_THREADPOOL_THREAD_COUNT"
_invocation: contextvars.ContextVar[str | None] = contextvars.ContextVar("invocation", default=None)


class Worker(Protocol):
    """What runs functions for a host."""

    async def call(self, function: IndexedFunction, invocation: str, inputs: Mapping[str, Datum], retry: RetryContext) -> Datum:
        """Run a function; what it returned, converted.

        Raises:
            FunctionFailed: it did not succeed.
        """


def invocation_of_this_line() -> str | None:
    """The invocation that the worker would give a log line of this thread and task; None if it knows none.

    A task that the app starts belongs to the invocation. A thread of its own, or a callback of the loop, does not.
    """
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is not None and (found := _invocation.get()) is not None:
        return found
    return getattr(invocation_local, "invocation_id", None)


def thread_count(values: Mapping[str, str]) -> int | None:
    """Threads for functions that are not async; None is Python's own number, also if the setting is no positive number."""
    text = values.get(_THREADS)
    if text is None:
        return None
    try:
        count = int(text)
    except ValueError:
        logging.getLogger("azure_functions_worker").warning("%s must be an integer", _THREADS)
        return None
    if count < 1:
        logging.getLogger("azure_functions_worker").warning(
            "%s must be set to a value between 1 and sys.maxint. Reverting to default value for max_workers", _THREADS
        )
        return None
    return count


class Runner:
    """Runs functions.

    Args:
        functions: of the app.
        values: the app's settings.
    """

    def __init__(self, functions: Iterable[LoadedFunction], values: Mapping[str, str]) -> None:
        self._functions = {function.about.name: function for function in functions}
        self._threads = ThreadPoolExecutor(thread_count(values), thread_name_prefix="function")

    async def call(self, function: IndexedFunction, invocation: str, inputs: Mapping[str, Datum], retry: RetryContext) -> Datum:
        """See :class:`Worker`. What is no :class:`Exception`, such as SystemExit, passes through."""
        loaded = self._functions[function.name]
        token = _invocation.set(invocation)
        try:
            return await self._call(loaded, invocation, inputs, retry)
        except Exception as problem:
            raise FunctionFailed.of(problem) from problem
        finally:
            _invocation.reset(token)

    async def _call(self, loaded: LoadedFunction, invocation: str, inputs: Mapping[str, Datum], retry: RetryContext) -> Datum:
        about = loaded.about
        arguments = {name: decode(about.input_types[name], data, {}) for name, data in inputs.items()}
        if about.wants_context:
            arguments["context"] = Context(about.name, loaded.user_function, invocation, retry)
        if about.is_async:
            result = await loaded.user_function(**arguments)
        else:
            result = await self._on_thread(loaded.user_function, arguments, invocation)
        if about.return_type is not None:
            return encode(about.return_type, result)
        if result is not None:
            raise RuntimeError(f"function {about.name!r} without a $return bindingreturned a non-None value")
        return Datum(None, None)

    async def _on_thread(self, user_function: Callable[..., Any], arguments: dict[str, Any], invocation: str) -> Any:
        def call() -> Any:
            invocation_local.invocation_id = invocation
            try:
                return user_function(**arguments)
            finally:
                invocation_local.invocation_id = None

        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def close(self, *, wait: bool = False) -> None:
        """Take no more work; threads that still run are left behind, unless they are waited for."""
        self._threads.shutdown(wait=wait, cancel_futures=True)
