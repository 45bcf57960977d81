"""How the e-mail emulator can be told to behave: a mode of the whole service, faults of mailboxes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from emulators.controls import Delivery


@dataclass
class EmailMode:
    """How the whole service behaves; ``down`` answers every send and status with ``status``."""

    mode: Literal["up", "down"] = "up"
    status: int = 503
    retry_after: int | None = None
    answer: Delivery = "normal"


@dataclass
class Fault:
    """What happens to sends to a mailbox.

    Attributes:
        mailbox: address of a recipient, in any case; None is every one.
        kind: ``throttle`` answers 429; ``reject`` answers 400; ``drop`` accepts, and the operation fails: nothing is
            delivered.
        times: so many sends, then the fault is spent; None is for ever.
        until: ISO 8601 instant of the clock at which it ends.
        retry_after: seconds, of a ``throttle``; None sends no such header.
        code: of the error; None is the usual one of the kind.
    """

    mailbox: str | None = None
    kind: Literal["throttle", "reject", "drop"] = "throttle"
    times: int | None = None
    until: str | None = None
    retry_after: int | None = None
    code: str | None = None

    def applies(self, recipients: list[str], now: datetime) -> bool:
        if self.times is not None and self.times <= 0:
            return False
        if self.until is not None and now >= datetime.fromisoformat(self.until):
            return False
        return self.mailbox is None or self.mailbox.lower() in (address.lower() for address in recipients)
