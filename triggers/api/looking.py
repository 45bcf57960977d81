"""What the app knows of its relays now, or why it does not know it: within five seconds, whatever is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from orchestrators.recoveries import recovery_state, storage_problem
from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import DatabaseError
from rowpost.operations.standing import Found, Standing, stands
from rowpost.operations.status import relay_status
from rowpost.recovery.current import current_recovery
from rowpost.rules.relay_state import RelayFacts, relay_state
from rowpost.watchdog.history import as_found, last_status
from triggers.api.looks import LOOK_SECONDS, Looks


class Looking:
    """Looks at all that the app needs; who asks at the same time shares a look."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.looks = Looks()
        self.standing = Standing()
        self._meanwhile: set[asyncio.Future[Any]] = set()  # looks that nobody waits for

    async def away(self, client: Any) -> dict[str, str]:
        """What the app cannot do without, and does not answer: each with what is known of it."""
        database, storage = await asyncio.gather(
            answered(self.looks.at("", partial(self.app.database.run, "SELECT 1;"))),
            storage_problem(client),
        )
        return {name: problem for name, problem in (("database", database), ("storage", storage)) if problem is not None}

    async def problem(self, relay: RelayConfig) -> str | None:
        """Why a relay cannot run; None if it can."""
        return await answered(self.looks.at(f"table of {relay.name}", partial(self.app.table, relay.name)))

    async def status(self, client: Any, relay: RelayConfig) -> dict[str, Any]:
        """The state of a relay, or its name and the ``problem``. Counts that took the database long are those of a moment ago."""
        entry: dict[str, Any] = {"relay": relay.name, "recovery": {"instance": None, "status": "unknown"}}

        async def fill() -> None:
            status, number = await asyncio.gather(
                self._counts(relay),
                self.looks.at(f"recovery of {relay.name}", lambda: current_recovery(self.app, relay.name).number),
            )
            entry.update(status)
            entry["recovery"] = await recovery_state(client, relay, number)

        problem = await answered(fill())
        if problem is None or "waiting" in entry:
            return entry
        state, sentence = relay_state(RelayFacts(problem=problem))
        return entry | {"problem": problem, "state": state, "sentence": sentence}

    async def _counts(self, relay: RelayConfig) -> dict[str, Any]:
        def look() -> Found:
            return as_found(relay_status(self.app, relay.name))

        kept = partial(last_status, self.app, relay.name)
        found: dict[str, Any] = await self.lately(relay.name, f"status of {relay.name}", look, kept)
        return found

    async def lately(
        self, relay: str, question: str, look: Callable[[], Found], kept: Callable[[], Found | None] = lambda: None
    ) -> Any:
        """The answer to a question about a relay. If it took long before, the last one: a new one is looked for meanwhile.

        Args:
            relay: its name.
            question: the same for all who ask the same.
            look: finds the answer.
            kept: the last one that another process has found, for the first who asks.

        Raises:
            Exception: whatever ``look`` or ``kept`` raises.
        """

        def note() -> Any:
            found = look()
            self.standing.note(relay, question, found)
            return found.answer

        def new() -> Awaitable[Any]:
            return self.looks.at(question, note)

        if not self.standing.has_begun(relay, question):
            self.standing.begin(relay, question, await self.looks.at(f"last {question}", kept))
        known = self.standing.known(relay, question)
        if known is None:
            return await new()
        good, fresh = await self.looks.at(f"age of {question}", partial(stands, self.app, known))
        if not good:
            return await new()
        if not fresh:
            self._meanwhile.add(task := asyncio.ensure_future(answered(new())))
            task.add_done_callback(self._meanwhile.discard)
        return known.answer


async def answered(look: Awaitable[Any]) -> str | None:
    """Wait for a look, not for long; returns why it has brought nothing, if so."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await look
        return None
    except TimeoutError:
        return f"the database has not answered within {LOOK_SECONDS:g} s"
    except (ConfigError, DatabaseError) as error:
        return str(error)
