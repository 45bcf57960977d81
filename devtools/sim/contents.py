"""What was in each row at each version, and the invariant that no event is newer than its data."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from devtools.sim.judging import Violation, posts_by_row
from devtools.sim.plan import Settings, clock_text, key_of
from devtools.sim.record import Record, key_text

State = dict[str, Any] | None  # the values of a row, as far as they are known; None: it was deleted


class Contents:
    """Follows the rows of a table."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.history: dict[str, list[tuple[int, State]]] = {}
        """By key text: from which version on the row was so."""

    def apply(self, ops: list[dict[str, Any]], version: int) -> None:
        """One transaction."""
        for op in ops:
            text = self._text(op["id"])
            present = self._present(text)
            if op["do"] == "move":
                self._note(self._text(op["to"]), version, present)
            if op["do"] in ("delete", "move"):
                self._note(text, version, None)
            elif op["do"] == "unwatched":
                self._note(text, version, {**(present or {}), **_values(op["stamp"], "Extra", "Secret")})
            else:
                self._note(text, version, _values(op["stamp"], "Note", "Total", "Extra", "Secret"))

    def written(self, op: dict[str, Any]) -> tuple[str, State]:
        """The key of a row, and the values that a change of it wrote."""
        names = ("Extra", "Secret") if op["do"] == "unwatched" else ("Note", "Total", "Extra", "Secret")
        return self._text(op["id"]), None if op["do"] == "delete" else _values(op["stamp"], *names)

    def _text(self, number: int) -> str:
        return key_text(key_of(self._settings, number))

    def _present(self, text: str) -> State:
        return self.history[text][-1][1] if text in self.history else None

    def _note(self, text: str, version: int, state: State) -> None:
        self.history.setdefault(text, []).append((version, state))


def _values(stamp: int, *names: str) -> dict[str, Any]:
    known = {"Note": f"note {stamp}", "Total": Decimal(f"{stamp}.25"), "Extra": stamp, "Secret": f"secret {stamp}"}
    return {name: known[name] for name in names}


def fresh(record: Record) -> Iterator[Violation]:
    """(2) What is posted under a version is the row as it was then, or as it became since: never as it was before."""
    for text, posts in posts_by_row(record).items():
        history = record.history.get(text, [])
        for at, attempt in posts:
            if attempt.version is None or not isinstance(attempt.body, dict):
                continue
            known = [version for version, _ in history if version <= attempt.version]
            since = max(known, default=0)
            row = attempt.body["data"]["row"]
            if not any(version >= since and _same(row, state) for version, state in history):
                told = f"{text}: version {attempt.version} was posted at {clock_text(at)} with what the row was before"
                yield Violation("fresh", told, text)


def _same(row: dict[str, Any] | None, state: State) -> bool:
    if row is None or state is None:
        return row is None and state is None
    return all(same_value(row[name], value) for name, value in state.items() if name in row)


def same_value(sent: Any, value: Any) -> bool:
    """Whether a value was sent as it is in the database: decimals travel as texts."""
    if not isinstance(value, int | float | Decimal):
        return bool(sent == value)
    return sent is not None and Decimal(str(sent)) == Decimal(str(value))
