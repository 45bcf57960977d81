"""How fast a target is called: a rate that is configured, one that is in force since the target asked for less, and pauses.

The rate is a bucket of tokens, one for each event: as many as a second's worth, or as a batch has, may go at once. When the
target says that it is too much (429, or 503 with Retry-After), the rate in force becomes half of what was reached. With each
second's worth of deliveries it grows again by a twentieth of that, up to the configured rate. Without one it grows to twice what
was reached, and then there is none. When the target has asked for nothing for some minutes, what was learnt is forgotten at once.

All instants are seconds of one clock that only goes forward.
"""

from __future__ import annotations

_STEPS = 20  # seconds' worth of deliveries until the rate has grown by what was reached
_AT_LEAST_PER_SECOND = 10.0  # so few events are not what makes a target busy; a lower rate can be configured
_A_BATCH_IN_SECONDS = 60.0  # a full batch goes so often, however often the target asks for less
_IDLE_SECONDS = 2.0
_SPAN_SECONDS = 1.0


class Pace:
    """The pace of one target in one process.

    Args:
        configured: events per second; None if there is no limit.
        batch: how many events a request has at most.
        longest_pause: in seconds, whatever the target asks for.

    Attributes:
        in_force: events per second; None if there is no limit.
    """

    def __init__(self, configured: float | None, batch: int, longest_pause: float) -> None:
        self._configured, self._batch, self._longest = configured, batch, longest_pause
        self.in_force = configured
        self._reached = 0.0  # when the target asked for less
        self._slowed_at = 0.0
        self._paused_until = 0.0
        self._tokens, self._at = self._most, 0.0
        self._spans = [(0.0, 0)]  # the last spans in which it was called: begin, events

    @property
    def _most(self) -> float:
        """How many tokens there are at most."""
        return max(self.in_force or 0.0, float(self._batch))

    def pause(self, now: float) -> float:
        """How many seconds it pauses still."""
        return max(0.0, self._paused_until - now)

    def resume(self) -> None:
        """A pause is over."""
        self._paused_until = 0.0

    def turn(self, events: int, now: float, left: float) -> float | None:
        """Take a turn: in how many seconds so many events may go; None if that is too late, and no turn is taken.

        Args:
            events: of one request, no more than a batch has.
            now: the instant.
            left: how many seconds they can wait.
        """
        wait = self.pause(now)
        if self.in_force is not None:
            gained = max(0.0, now - self._at) * self.in_force
            tokens = min(self._most, self._tokens + gained)
            wait = max(wait, (events - tokens) / self.in_force)
            if wait > left:
                return None
            self._tokens, self._at = tokens - events, now
        elif wait > left:
            return None
        self._count(events, now + wait)
        return wait

    def _count(self, events: int, now: float) -> None:
        begin, count = self._spans[-1]
        if now - begin > _IDLE_SECONDS:
            self._spans = [(now, events)]
        elif now - begin > _SPAN_SECONDS:
            self._spans = [(begin, count), (now, events)]
        else:
            self._spans[-1] = (begin, count + events)

    def _speed(self, now: float) -> float:
        """Events per second that went lately."""
        return sum(count for _, count in self._spans) / max(_SPAN_SECONDS, now - self._spans[0][0])

    def too_much(self, begun: float, now: float, pause: float | None) -> None:
        """The target has said that it was too much.

        Args:
            begun: when the request was sent. Those that were under way when the rate was lowered do not lower it again.
            now: the instant.
            pause: for how many seconds it asked; None if it did not say.
        """
        if pause is not None:
            self._paused_until = max(self._paused_until, now + min(pause, self._longest))
        if begun < self._slowed_at:
            return
        reached = self._speed(now)
        reached = reached if self.in_force is None else min(reached, self.in_force)
        least = max(_AT_LEAST_PER_SECOND, self._batch / _A_BATCH_IN_SECONDS)
        least = least if self._configured is None else min(least, self._configured)
        self._reached = max(reached, 2 * least)
        self._slowed_at = now
        self._tokens, self._at = min(self._tokens, self._most), now
        self.in_force = self._reached / 2 if self._configured is None else min(self._reached / 2, self._configured)

    def forget(self) -> None:
        """The target has asked for nothing for long: what was learnt of it holds no more."""
        self.in_force = self._configured
        self._tokens = min(self._tokens, self._most)

    def delivered(self, events: int) -> None:
        """The target has taken so many events."""
        rate = self.in_force
        if rate is None or rate == self._configured:
            return
        rate += events / rate * self._reached / _STEPS
        if self._configured is not None:
            self.in_force = min(rate, self._configured)
        else:
            self.in_force = rate if rate < 2 * self._reached else None
