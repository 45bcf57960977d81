"""A kill or a stall that waits for its effect."""

from __future__ import annotations

import re

from devtools.sim.plan import Action
from devtools.sim.scenario import STATEMENTS


class Doom:
    """Strikes at the effect that its action describes."""

    def __init__(self, action: Action) -> None:
        self.action = action
        values = action.values
        self.left = int(values["skip"])
        how, late = values["how"], bool(values.get("late"))
        self.kinds: frozenset[str] | None = None
        self.pattern: re.Pattern[str] | None = None
        if how == "post":
            self.kinds = frozenset({"http answer" if late else "http"})
        elif how == "durable":
            self.kinds = frozenset({"durable done"} if late else {"durable", *(["durable call"] if action.kind == "stall" else [])})
        elif how != "effect":
            self.kinds = frozenset({"sql answer" if late else "sql"})
            self.pattern = re.compile(STATEMENTS[how][1])

    def strikes(self, kind: str, detail: str) -> bool:
        """Whether this effect is the one."""
        if self.kinds is not None and kind not in self.kinds:
            return False
        if self.pattern is not None and not self.pattern.search(detail):
            return False
        self.left -= 1
        return self.left < 0
