"""Long chains of operators. SQLite's parser takes no more than about a hundred levels of parentheses."""

from __future__ import annotations

from dataclasses import replace

from emulators.sql_server.compiler.scope import Typed

STEPS_IN_ONE_TEXT = 16


def balanced(operator: str, operands: list[str]) -> str:
    """Operands of an associative operator, in as few levels of parentheses as there can be."""
    if len(operands) == 1:
        return operands[0]
    middle = len(operands) // 2
    return f"({balanced(operator, operands[:middle])}{operator}{balanced(operator, operands[middle:])})"


class Chain:
    """Operators that are worked out one after the other, as in ``a + b - c``.

    A part of a long chain becomes a common table of one row, and the next part begins with its value. ``in_one_text``: it does not,
    because an aggregate or a window would look at that one row.
    """

    def __init__(self, first: Typed, in_one_text: bool) -> None:
        self.value = first
        self._in_one_text = in_one_text
        self._tables: list[str] = []
        self._steps = 0

    def add(self, value: Typed) -> None:
        """The next step, whose text holds the value so far."""
        self.value = value
        self._steps += 1
        if self._steps < STEPS_IN_ONE_TEXT or self._in_one_text:
            return
        self._tables.append(f"c{len(self._tables)} AS MATERIALIZED (SELECT {value.sql} AS v{self._source()})")
        self.value = replace(value, sql=f"c{len(self._tables) - 1}.v")
        self._steps = 0

    def finish(self) -> Typed:
        """The value of the whole chain."""
        if not self._tables:
            return self.value
        return replace(self.value, sql=f"(WITH {', '.join(self._tables)} SELECT {self.value.sql}{self._source()})")

    def _source(self) -> str:
        return f" FROM c{len(self._tables) - 1}" if self._tables else ""
