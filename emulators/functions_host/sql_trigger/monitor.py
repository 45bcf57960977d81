"""The two loops of a started listener: one consumes changes, the other renews the leases of the batch in hand.

Time: the consumption loop pauses after its work. A pause after an empty check ends, in virtual time, when a lease ends
or somebody changed something; the renewals sleep only while a batch is being processed. So an idle listener costs
nothing in virtual time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from emulators.clock import Clock
from emulators.functions_host.sql_trigger.connection import ANY_ERROR, Connection
from emulators.functions_host.sql_trigger.connection_string import OdbcConnection
from emulators.functions_host.sql_trigger.errors import DatabaseError
from emulators.functions_host.sql_trigger.payload import Change, beyond_dotnet, changes_json
from emulators.functions_host.sql_trigger.renewal import renewed
from emulators.functions_host.sql_trigger.statements import Statements, key_rows

RENEWAL_SECONDS = 15
RENEWALS_BEFORE_CANCEL = 10
RELEASE_TRIES = 3
_HAIR = timedelta(milliseconds=1)  # a lease has ended once its end is earlier than now
_FAILURES_AT_FULL_RATE = 10
_OUTAGE_LOOK = timedelta(seconds=30)
_DEADLOCK = 1205


class LoopEnds(Exception):
    """The consumption loop ends for good: the real one lets this error of a release pass through."""


class State(Enum):
    """Where the consumption loop is in its cycle."""

    CHECKING = "CheckingForChanges"
    PROCESSING = "ProcessingChanges"
    CLEANUP = "Cleanup"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was handed out.

    Attributes:
        keys: values of the key columns, in the order of the lease table.
        version: its change version at hand-out.
        change: what the function gets.
    """

    keys: tuple[Any, ...]
    version: int
    change: Change


def advance_target(rows: list[Row]) -> int:
    """Where a successful batch lets the cursor move: its second highest version (the highest may have more rows)."""
    versions = sorted({row.version for row in rows})
    return versions[-2] if len(versions) > 1 else versions[0]


class ChangeMonitor:
    """Watches a table for one function.

    Args:
        target: where to connect.
        statements: the T-SQL for the function and table.
        batch_size: most rows of one hand-out.
        interval_seconds: pause between two passes.
        clock: the clock that pauses and renewals run on.
        invoke: runs the function with a JSON text; True if it succeeded.
        cancel: called once when a batch has been renewed ten times.
        logger: told what happens.
    """

    def __init__(
        self,
        target: OdbcConnection,
        statements: Statements,
        batch_size: int,
        interval_seconds: float,
        clock: Clock,
        invoke: Callable[[str], Awaitable[bool]],
        cancel: Callable[[], None],
        logger: logging.Logger,
    ) -> None:
        self._statements = statements
        self._batch_size = batch_size
        self._interval = interval_seconds
        self._clock = clock
        self._invoke = invoke
        self._cancel = cancel
        self._logger = logger
        self._consumer_connection = Connection(target)
        self._renewal_connection = Connection(target)
        self._state = State.CHECKING
        self._rows_to_process: list[Row] = []
        self._rows_to_release: list[Row] = []
        self._renewals = 0
        self._renews = True  # False for good if the first connection of the renewals could not be opened
        self._rows_lock = asyncio.Lock()  # held by a renewal during its round trip, and when the rows or the state change
        self._wake_at: datetime | None = None
        self._failures = 0
        self._stopping = False
        self._pausing = False
        self._started_at = clock.now()
        self._consumer: asyncio.Task[None] | None = None
        self._columns = statements.table.columns
        self._keys = statements.table.keys
        self._table = statements.table.name.display

    @property
    def state(self) -> State:
        """Where the cycle is."""
        return self._state

    def start(self) -> None:
        """Start the loops and return at once; they open their connections by themselves."""
        self._consumer = asyncio.create_task(self._run(), name=f"sql-trigger {self._table}")

    async def stop(self) -> None:
        """End the loops: at once when idle. A function that runs goes on, but its rows are not released."""
        self._stopping = True
        if self._consumer is None:
            return
        if self._pausing:
            self._consumer.cancel()
        if self._state is not State.PROCESSING:
            await asyncio.wait([self._consumer])

    async def wait_closed(self) -> None:
        """Wait until a stopped monitor has ended for good, the function that was running included."""
        if self._consumer is not None:
            await asyncio.wait([self._consumer])

    async def _run(self) -> None:
        async with self._clock.task():
            try:
                await self._open_connections()
                await self._consume()
            except Exception as error:
                self._logger.error("The change consumption loop ends: %s: %s", type(error).__name__, error)
            finally:
                await self._consumer_connection.close()
                await self._renewal_connection.close()

    async def _open_connections(self) -> None:
        try:
            await self._renewal_connection.open()
        except DatabaseError as error:
            self._renews = False
            self._logger.error("The lease renewal loop ends because it cannot connect: %s", error)
        await self._consumer_connection.open()

    # ---- consumption

    async def _consume(self) -> None:
        while not self._stopping:
            handed_out = False
            try:
                await self._consumer_connection.open()
                handed_out = await self._pass()
                self._failures = 0
            except DatabaseError as error:
                self._failures += 1
                self._logger.error("%s: %s", "Lost the connection" if error.broken else "A pass failed", error)
            if self._stopping or not await self._pause(handed_out):
                return

    async def _pass(self) -> bool:
        """Run the states once; returns whether rows were handed out."""
        if self._state is State.CHECKING:
            await self._check()
        handed_out = self._state is State.PROCESSING
        if handed_out:
            await self._process()
            if self._stopping:
                return True
        if self._state is State.CLEANUP:
            await self._clean_up()
        return handed_out

    async def _pause(self, handed_out: bool) -> bool:
        """Pause between two passes; False if the listener was stopped meanwhile."""
        self._pausing = True
        try:
            if handed_out or 0 < self._failures <= _FAILURES_AT_FULL_RATE:
                await self._clock.sleep(self._interval)
            elif self._failures:  # an outage that lasts: in virtual time look now and then
                await self._clock.poll_sleep(self._interval, self._clock.now() + _OUTAGE_LOOK)
            else:
                await self._clock.poll_sleep(self._interval, self._wake_at)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return False
        finally:
            self._pausing = False
        return not self._stopping

    async def _check(self) -> None:
        """Look for rows and lease them. Raises DatabaseError; then no lease was taken and the next pass looks again."""
        if self._statements.table.conflict is not None:
            first, second = self._statements.table.conflict
            raise DatabaseError(
                f'Cannot resolve the collation conflict between "{first}" and "{second}" in the equal to operation.', number=468
            )
        connection, statements = self._consumer_connection, self._statements
        await connection.begin()
        for former, oldest in (await connection.run(statements.pre_invocation()) or [[]])[0]:
            self._logger.debug(
                "[PreInvocation] Moved the cursor of table %s from version %s to %s, the oldest that is retained.",
                self._table,
                former,
                oldest,
            )
        found = (await connection.run(statements.changes(self._batch_size)))[0]
        if unreadable := any(beyond_dotnet(value) for values in found for value in values):
            self._logger.error("Failed to read the changes of table %s: OverflowException: Conversion overflows.", self._table)
        if unreadable or self._stopping:
            await connection.roll_back()
            return
        await self._count(len(found))
        rows = [self._row(values) for values in found]
        if rows:
            await connection.run(statements.acquire(), self._parameter(rows))
        if self._stopping:
            await connection.roll_back()
            return
        await connection.run(statements.commit)
        if self._stopping or not rows:
            return
        async with self._locked_rows():
            self._rows_to_process = rows
            self._state = State.PROCESSING

    async def _count(self, found: int) -> None:
        """Tell the log what is leased. Raises DatabaseError only for a deadlock or a lost connection: it is not needed."""
        self._wake_at = None
        try:
            results = await self._consumer_connection.run(self._statements.counts(), keep_transaction=ANY_ERROR)
        except DatabaseError as error:
            if error.broken or error.number == _DEADLOCK:
                raise
            self._logger.error("Failed to count the leased rows of table %s: %s", self._table, error)
            return
        leased, exhausted, microseconds = results[0][0]
        self._logger.debug(
            "Table %s: %s row(s) to process, %s leased, %s ignored because all attempts were used.",
            self._table,
            found,
            leased or 0,
            exhausted or 0,
        )
        if microseconds is not None:
            self._wake_at = self._clock.now() + timedelta(microseconds=microseconds) + _HAIR

    def _row(self, values: tuple[Any, ...]) -> Row:
        *columns, version, operation = values
        by_name = {column.name: value for column, value in zip(self._columns, columns, strict=True)}
        keys = tuple(by_name[key.name] for key in self._keys)
        return Row(keys, version, Change(operation.strip(), columns))

    def _parameter(self, rows: list[Row]) -> str:
        return key_rows(((row.keys, row.version) for row in rows), self._keys)

    async def _process(self) -> None:
        """Run the function on the rows that were handed out."""
        rows = self._rows_to_process
        try:
            text = changes_json((row.change for row in rows), self._columns, [key.name for key in self._keys])
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            self._logger.error("Failed to write the changes of table %s as JSON: %s", self._table, error)
            await self._clear(keep_unreleased=True)
            return
        renewals = asyncio.create_task(self._renew_while_processing())
        succeeded = False
        try:
            succeeded = await self._invoke(text)
        except Exception as error:
            kind = type(error).__name__
            self._logger.error("The invocation for table %s failed: %s: %s", self._table, kind, error)
        finally:
            async with self._locked_rows():  # a renewal that has begun is waited for
                if succeeded:
                    self._rows_to_release = rows
                self._state = State.CLEANUP
            renewals.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewals

    async def _clean_up(self) -> None:
        """Release what was delivered.

        Raises:
            DatabaseError: the connection is lost, or a deadlock; the next pass tries again.
            LoopEnds: a transaction could not be begun for another reason.
        """
        rows = self._rows_to_release
        if rows:
            for attempt in range(1, RELEASE_TRIES + 1):
                await self._begin_release()
                try:
                    await self._release(rows)
                    break
                except DatabaseError as error:
                    tries = f"try {attempt} of {RELEASE_TRIES}"
                    self._logger.error("Failed to release the leases of table %s (%s): %s", self._table, tries, error)
                    if error.broken:
                        raise
            else:
                self._logger.error("Gave up releasing the leases of table %s: the rows come again.", self._table)
                await self._clear(keep_unreleased=True)
                return
        await self._clear(keep_unreleased=False)

    async def _begin_release(self) -> None:
        try:
            await self._consumer_connection.begin()
        except DatabaseError as error:
            if error.broken or error.number == _DEADLOCK:
                raise
            raise LoopEnds(str(error)) from error

    async def _release(self, rows: list[Row]) -> None:
        version, connection = advance_target(rows), self._consumer_connection
        await connection.run(self._statements.release(), self._parameter(rows))
        results = await connection.run(self._statements.post_invocation(version))
        await connection.run(self._statements.commit)
        unprocessed, last, exhausted = results[-1][0]
        if exhausted is not None:
            self._logger.debug(
                "[PostInvocation] Moved the cursor of table %s from version %s to %s; dropped %s exhausted row(s).",
                self._table,
                last,
                version,
                exhausted,
            )
            self._clock.nudge()
        elif unprocessed:
            self._logger.debug("Table %s: %s row(s) up to version %s are unprocessed.", self._table, unprocessed, version)

    async def _clear(self, keep_unreleased: bool) -> None:
        async with self._locked_rows():
            self._rows_to_process = []
            if not keep_unreleased:
                self._rows_to_release = []
            self._renewals = 0
            self._state = State.CHECKING

    @contextlib.asynccontextmanager
    async def _locked_rows(self) -> AsyncIterator[None]:
        await self._clock.wait(self._rows_lock.acquire())
        try:
            yield
        finally:
            self._rows_lock.release()

    # ---- renewal

    async def _renew_while_processing(self) -> None:
        """Renew each 15 s, counted from the start of the listener, until cancelled."""
        async with self._clock.task():
            while self._renews:
                elapsed = (self._clock.now() - self._started_at).total_seconds()
                ticks = math.floor(elapsed / RENEWAL_SECONDS + 1e-9) + 1
                await self._clock.sleep_until(self._started_at + timedelta(seconds=ticks * RENEWAL_SECONDS))
                async with self._locked_rows():
                    if self._state is State.PROCESSING:
                        await self._renew()

    async def _renew(self) -> None:
        try:
            await self._renewal_connection.open()
            await self._renewal_connection.begin()
        except DatabaseError as error:
            self._logger.error("Failed to begin a transaction to renew the leases of table %s: %s", self._table, error)
            return
        try:
            rows = self._rows_to_process
            found = renewed([row.keys for row in rows], self._keys)
            wanted = [row for row, known in zip(rows, found, strict=True) if known]
            await self._renewal_connection.run(self._statements.renew(), self._parameter(wanted))
            await self._renewal_connection.run(self._statements.commit)
        except DatabaseError as error:
            self._logger.error("Failed to renew the leases of table %s: %s", self._table, error)
            await self._renewal_connection.roll_back()
        self._renewals += 1
        if self._renewals == RENEWALS_BEFORE_CANCEL:
            self._logger.warning(
                "Renewed the leases of table %s %s times: asking the function to stop.", self._table, self._renewals
            )
            self._cancel()
