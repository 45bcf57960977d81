"""Something that is fetched, kept for a time, and fetched anew: once for all threads that want it."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Generic, TypeVar

from rowpost.auth.failures import CredentialError

T = TypeVar("T")
_PAUSE_SECONDS = 5  # after a failure, while what is kept is still of use
_MARGIN_SECONDS = 60  # before the end of something it is fetched anew …
_MARGIN_SHARE = 0.1  # … or in the last tenth of its time, if that is shorter


@dataclass(frozen=True, eq=False, repr=False)  # its value is a secret
class Held(Generic[T]):
    """What was fetched. Its times are spans on this machine, and no dates.

    Attributes:
        value: the thing itself.
        number: tells one fetch from another, which may have given the same.
        fresh_until: from then on it is fetched anew, if that is possible.
        valid_until: from then on it is of no use.
    """

    value: T
    number: int
    fresh_until: float
    valid_until: float


class Kept(Generic[T]):
    """Keeps what ``fetch`` gives: the thing, and for how many seconds it is good. Safe to use from several threads.

    Args:
        fetch: gets it.
        who: is asked, for the text of a failure.
        wait_seconds: how long a thread waits for another's fetch.
        outlives: whether the last one is of use until there is another.
    """

    def __init__(self, fetch: Callable[[], tuple[T, float]], who: str, wait_seconds: float, *, outlives: bool = False) -> None:
        self._fetch, self._who, self._wait_seconds, self._outlives = fetch, who, wait_seconds, outlives
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._held: Held[T] | None = None
        self._flight: Future[Held[T]] | None = None

    def get(self) -> Held[T]:
        """The thing, which is fetched if there is none that is fresh.

        Raises:
            CredentialError: there is none.
        """
        with self._lock:
            held, now = self._held, time.monotonic()
            if held is not None and now < held.fresh_until:
                return held
            flight, first = self._board()
        try:
            return self._land(flight, first)
        except CredentialError:
            if held is None or time.monotonic() >= held.valid_until:
                raise
            with self._lock:
                if self._held is held:  # of use for a while: it is not asked for at each request meanwhile
                    again = min(held.valid_until, time.monotonic() + _PAUSE_SECONDS)
                    self._held = Held(held.value, held.number, again, held.valid_until)
            return held

    def renew(self, refused: Held[T]) -> Held[T]:
        """Another one than ``refused``: that which somebody else has got meanwhile, or a new one.

        Raises:
            CredentialError: there is none.
        """
        with self._lock:
            held = self._held
            if held is not None and held.number != refused.number and time.monotonic() < held.valid_until:
                return held
            flight, first = self._board()
        return self._land(flight, first)

    def _board(self) -> tuple[Future[Held[T]], bool]:
        """The fetch that is under way, or a new one, which is the caller's to do. The lock is held."""
        if self._flight is not None:
            return self._flight, False
        self._flight = Future()
        return self._flight, True

    def _land(self, flight: Future[Held[T]], first: bool) -> Held[T]:
        if first:
            self._fly(flight)
        try:
            return flight.result(self._wait_seconds)
        except FutureTimeoutError:
            raise CredentialError(f"{self._who}: no answer in time") from None

    def _fly(self, flight: Future[Held[T]]) -> None:
        began = time.monotonic()  # before it: what takes long to come is older
        try:
            value, seconds = self._fetch()
            margin = min(_MARGIN_SECONDS, seconds * _MARGIN_SHARE)
            ends = math.inf if self._outlives else began + seconds
            held = Held(value, next(self._numbers), began + seconds - margin, ends)
        except CredentialError as error:
            self._end(flight, None, error)
        except Exception as error:  # of a library: its text may hold anything
            self._end(flight, None, CredentialError(f"{self._who}: request failed ({type(error).__name__})"))
        except BaseException:
            self._end(flight, None, CredentialError(f"{self._who}: the request was broken off"))
            raise
        else:
            self._end(flight, held, None)

    def _end(self, flight: Future[Held[T]], held: Held[T] | None, failure: CredentialError | None) -> None:
        with self._lock:
            self._flight = None
            if held is not None:
                self._held = held
        if held is not None:
            flight.set_result(held)
        else:
            flight.set_exception(failure)
