"""The example of a consumer as a server in this process, with what its tests and those of the whole app need of it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "consumer"
sys.path.insert(0, str(FOLDER))  # it is a program of its own, and no package

from changes import Change, NoChange, read  # noqa: E402
from consumer import serve  # noqa: E402
from store import Store, open_store  # noqa: E402


class RunningConsumer:
    """The consumer on a port of this machine; it can be stopped and started again at the same port.

    Args:
        store: where it keeps the copy.
        secrets: those of signatures.
    """

    def __init__(self, store: Store, secrets: Sequence[str] = ()) -> None:
        self.store, self._secrets, self._port = store, secrets, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runner: Any = None
        self.start()

    @property
    def url(self) -> str:
        """Where events are taken."""
        return f"http://127.0.0.1:{self._port}/events"

    def start(self) -> None:
        """Listen."""
        self._runner = self._run(serve(self.store, self._port, self._secrets))
        self._port = self._runner.addresses[0][1]

    def stop(self) -> None:
        """Stop to listen; nothing happens if it does not."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._run(runner.cleanup())

    def close(self) -> None:
        """End it."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.store.close()

    def __enter__(self) -> RunningConsumer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)


__all__ = ["FOLDER", "Change", "NoChange", "RunningConsumer", "Store", "open_store", "read"]
