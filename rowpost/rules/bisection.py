"""The search for the bad rows of a request that was refused as a whole. It knows numbers of rows only, and sends nothing itself.

A set that is known to be bad is halved. If the first half is refused, it is narrowed further, and nothing is known of the second.
If the first half is accepted, the bad row is in the second half, which is not sent as a whole for that. So the search ends at one
row. Then what is left is sent in shares: half of it when one bad row is known, most of it when there are two, all of it when there
are three. If there are more, a share is as large as the density of bad rows suggests. For any three bad rows of 1,000 these are at
most 32 requests, 3·log2(n) + 3.

Many bad rows cost hardly more requests than single posts would: as many, and at most 3·log2(n) + 3 or a quarter of them. When these
are used up, rows are sent alone.

That a request is too large says nothing of its rows. Then both halves are sent, whatever the answer to the first one is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Container, Generator, Sequence
from enum import Enum

from msgspec import Struct

_SHARES = {1: 0.5, 2: 0.7, 3: 1.0}  # of what is left, by the number of bad rows that are known
_SHARE_BY_DENSITY = 0.7  # so many bad rows are expected in a share: about half of the requests are accepted then


class Said(Enum):
    """What was said to a request as a whole."""

    ACCEPTED = "accepted"  # its rows have their answers
    REFUSED = "refused"  # one of its rows, or some, are bad
    TOO_LARGE = "too large"


class Bad(Struct, frozen=True):
    """A bad row.

    Attributes:
        row: its number.
        request: the number of the request whose answer is the row's: the smallest that was refused with it in it. 0 is the one
            with which the search began.
        alone: whether the row was sent alone. If not, it is bad since all others of that request were accepted.
    """

    row: int
    request: int
    alone: bool


class Bisection:
    """One search. :meth:`next` gives the rows of the next request, and :meth:`tell` takes what was said to it, in turns.

    Args:
        rows: the rows of the request that was refused, in order.
        said: what was said to it.
        certain: rows that are never found without having been sent alone.

    Attributes:
        bad: the bad rows that were found so far.
        left: rows of which nothing is known yet but that they were in a request that was refused.
    """

    def __init__(self, rows: Sequence[int], said: Said, certain: Container[int] = ()) -> None:
        self.bad: list[Bad] = []
        self.left = set(rows)
        self._certain = certain
        self._count = len(rows)
        self._requests = 0
        self._parts: deque[list[int]] = deque()  # they are sent as they are
        self._pool: list[int] = []
        self._steps = self._search(list(rows), said)
        self._next = next(self._steps, None)

    def next(self) -> list[int]:
        """The rows of the next request; none if the search is over."""
        return self._next or []

    def tell(self, said: Said) -> None:
        """What was said to that request."""
        try:
            self._next = self._steps.send(said)
        except StopIteration:
            self._next = None

    def _search(self, rows: list[int], said: Said) -> Generator[list[int], Said]:
        yield from self._refused(rows, said)
        share = 0
        while self._parts or self._pool:
            if self._parts:
                some = self._parts.popleft()
            else:
                share = min(self._share(share), len(self._pool))
                some, self._pool = self._pool[:share], self._pool[share:]
            if not self._can_afford(some):
                self._pool = some[1:] + self._pool
                some = some[:1]
            found = len(self.bad)
            said = yield from self._send(some)
            if said is not Said.ACCEPTED:
                yield from self._refused(some, said)
            if len(self.bad) > found:
                share = 0

    def _send(self, rows: list[int]) -> Generator[list[int], Said, Said]:
        self._requests += 1
        said = yield rows
        if said is Said.ACCEPTED:
            self.left.difference_update(rows)
        return said

    def _refused(self, rows: list[int], said: Said) -> Generator[list[int], Said]:
        """Go on from a request that was refused, to one bad row or to parts of a size that is accepted."""
        request, sent = self._requests, True
        while len(rows) > 1:
            middle = len(rows) // 2
            first, second = rows[:middle], rows[middle:]
            if said is Said.TOO_LARGE:
                self._parts.extend((first, second))
                return
            if not self._can_afford(first):
                self._pool = rows + self._pool
                return
            answer = yield from self._send(first)
            if answer is Said.ACCEPTED:
                rows, sent = second, False
            else:
                self._pool = second + self._pool
                rows, said, request, sent = first, answer, self._requests, True
        if not sent and rows[0] in self._certain:
            answer = yield from self._send(rows)
            request, sent = self._requests, True
            if answer is Said.ACCEPTED:
                return
        self.bad.append(Bad(rows[0], request, sent))
        self.left.discard(rows[0])

    def _share(self, before: int) -> int:
        """How many rows are sent next: twice as many as before if nothing bad was found among those."""
        known = len(self.bad)
        if known in _SHARES or known == 0:
            return len(self._pool) if before else max(1, math.ceil(len(self._pool) * _SHARES.get(known, 1.0)))
        if before:
            return 2 * before
        return max(1, int(_SHARE_BY_DENSITY * (self._count - len(self.left)) / known))

    def _can_afford(self, rows: list[int]) -> bool:
        """Whether rows may be sent together: the requests so far and a post for each row that is left are not too many."""
        return len(rows) == 1 or self._requests + 1 + len(self.left) <= requests_at_most(self._count)


def requests_at_most(count: int) -> int:
    """What the search costs at most, whatever rows are bad."""
    return count + min(count // 4, math.floor(3 * math.log2(count)) + 3) if count > 1 else 0
