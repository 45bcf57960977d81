"""What passes between the wire (TDS) and the engine (T-SQL): types, values, results and errors.

Values travel as plain Python objects:

=================================================  ==========================================================
SQL type                                           Python value
=================================================  ==========================================================
bit, tinyint, smallint, int, bigint                int
decimal, numeric, money, smallmoney                decimal.Decimal
float, real                                        float
char, varchar, nchar, nvarchar, text, ntext, xml   str
binary, varbinary, image, rowversion               bytes
uniqueidentifier                                   str, upper case, hyphenated
date                                               str ``YYYY-MM-DD``
time                                               str ``HH:MM:SS[.fffffff]`` (digits as the type's scale)
datetime, smalldatetime, datetime2                 str ``YYYY-MM-DD HH:MM:SS[.fffffff]``
datetimeoffset                                     str ``YYYY-MM-DD HH:MM:SS[.fffffff] +HH:MM``
=================================================  ==========================================================

sql_variant: a :class:`Variant`.
NULL is ``None`` everywhere. In a str that the engine gives, a character of plane 16 stands for half a surrogate pair; see utf16.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SqlType:
    """A SQL Server type. ``length`` counts characters (strings) or bytes (binary), -1 is MAX; ``scale`` also serves time types."""

    name: str
    length: int = 0
    precision: int = 0
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Variant:
    """A value of sql_variant with its base type."""

    type: SqlType
    value: Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result set; an unnamed expression has the empty name.

    ``origin`` is the schema and table whose column it shows; empty for an expression.
    """

    name: str
    type: SqlType
    nullable: bool = True
    identity: bool = False
    origin: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a remote procedure call."""

    value: Any
    type: SqlType
    output: bool = False


@dataclass(slots=True)
class ResultSet:
    """Rows of one SELECT or OUTPUT clause."""

    columns: list[Column]
    rows: Iterable[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class RowsAffected:
    """The end of a statement; ``count`` is None under NOCOUNT or for statements without a count."""

    count: int | None
    command: str


@dataclass(frozen=True, slots=True)
class Message:
    """PRINT, RAISERROR below severity 11 and other informational messages. ``at_once``: it does not wait for the answer's end."""

    number: int
    text: str
    severity: int = 0
    state: int = 1
    at_once: bool = False


Event = ResultSet | RowsAffected | Message


class Unpadded(str):
    """A value of a fixed-length type that goes out shorter than the type, as masked values do."""


class UnpaddedBytes(bytes):
    """The same of binary."""


class SqlError(Exception):
    """An error of the server, with the number, severity and state that the real server gives. Severity ≥ 20 ends the connection."""

    def __init__(self, number: int, text: str, severity: int = 16, state: int = 1, line: int = 1, procedure: str = "") -> None:
        super().__init__(text)
        self.number, self.text, self.severity, self.state = number, text, severity, state
        self.line, self.procedure = line, procedure
        self.at_once = False
