"""Remote procedure calls as they come in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emulators.sql_server.tds.reader import ByteReader
from emulators.sql_server.tds.types import read_type_info
from emulators.sql_server.tds.values import read_value
from emulators.sql_server.values.results import SqlError, SqlType

_BY_NUMBER = 0xFFFF
_SEPARATORS = (0xFF, 0xFE, 0x80)  # the next call of the same request; 0x80 is its form before TDS 7.2
_BY_REFERENCE, _DEFAULT = 0x01, 0x02
_MAX_PARAMETERS = 2100
_NUMBERED = {
    1: "sp_cursor",
    2: "sp_cursoropen",
    3: "sp_cursorprepare",
    4: "sp_cursorexecute",
    5: "sp_cursorprepexec",
    6: "sp_cursorunprepare",
    7: "sp_cursorfetch",
    8: "sp_cursoroption",
    9: "sp_cursorclose",
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    14: "sp_prepexecrpc",
    15: "sp_unprepare",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call; ``name`` is as sent, with its @, or empty. ``default``: the parameter's default stands for it."""

    name: str
    value: Any
    type: SqlType
    output: bool
    default: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a request.

    ``procedure`` is lower case without schema and brackets; ``last`` says that no other call follows.
    """

    procedure: str
    arguments: list[Argument]
    last: bool


def read_calls(reader: ByteReader) -> Iterator[Call]:
    """The calls of an RPC request, in order.

    Raises:
        ProtocolError: the request is malformed.
        SqlError: 8003 too many parameters, 8009 a parameter has a type that is not supported, 8023 its value is none of its type.
    """
    while reader.more:
        size = reader.u16()
        if size == _BY_NUMBER:
            number = reader.u16()
            procedure = _NUMBERED.get(number, f"procedure number {number}")
        else:
            procedure = reader.take(2 * size).decode("utf-16-le")
        reader.u16()  # options: recompile, no metadata, reuse metadata; each only saves bytes
        arguments = []
        last = True
        while reader.more:
            if reader.peek() in _SEPARATORS:
                reader.u8()
                last = not reader.more
                break
            if len(arguments) == _MAX_PARAMETERS:
                raise _too_many_parameters()
            name = reader.b_varchar()
            status = reader.u8()
            wire_type = read_type_info(reader)
            value = read_value(reader, wire_type, f'Parameter {len(arguments) + 1} ("{name}")')
            arguments.append(Argument(name, value, wire_type.sql_type, bool(status & _BY_REFERENCE), bool(status & _DEFAULT)))
        yield Call(plain_name(procedure), arguments, last)


def _too_many_parameters() -> SqlError:
    return SqlError(
        8003,
        "The incoming request has too many parameters. The server supports a maximum of 2100 parameters. "
        "Reduce the number of parameters and resend the request.",
    )


def plain_name(procedure: str) -> str:
    """The name of a procedure in lower case, without schema and brackets."""
    return procedure.rpartition(".")[2].strip('[]" ').lower()
