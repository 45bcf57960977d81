"""Arguments of a call meet the parameters that a statement declares."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.tds.rpc import Argument
from emulators.sql_server.values.conversions import converter
from emulators.sql_server.values.datatypes import STRINGS, display, to_external, to_internal, type_from_syntax
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import Parameter, SqlError, SqlType, Variant
from emulators.sql_server.values.utf16 import outer
from emulators.sql_server.values.variants import packer
from emulators.sql_server.wire.declarations import Declaration

_WITH_ARGUMENTS = frozenset(
    {"decimal", "numeric", "char", "varchar", "nchar", "nvarchar", "binary", "varbinary", "time", "datetime2", "datetimeoffset"}
)
_TEXT = SqlType("nvarchar", -1)

Outputs = list[tuple[int, str, str]]
"""Position, name as sent, and name of each parameter whose value goes back."""


def engine_type(sent: SqlType) -> SqlType:
    """A type from the wire in the engine's form: with the precision and scale that the type implies."""
    return sent if sent.name in _WITH_ARGUMENTS else type_from_syntax(sent.name, [])


def convert(value: Any, sent: SqlType, declared: SqlType) -> Any:
    """``value``, which came as ``sent``, as the declared type. Long strings are cut, as in an assignment.

    Raises:
        SqlError: 8114, the value has no form in the declared type.
    """
    if value is None or sent == declared:
        return value
    if sent.name == "sql_variant":
        raise sql_error(257, sent.name, display(declared, False))
    source = engine_type(sent)
    if source == declared:
        return value
    try:
        converted = converter(source, declared)(to_internal(value, source))
    except SqlError as error:
        raise SqlError(8114, f"Error converting data type {source.name} to {declared.name}.", 16, 5) from error
    if isinstance(converted, str) and declared.name in STRINGS:
        return outer(converted)
    outward = to_external(declared)
    return converted if outward is None else outward(converted)


def inward(value: Any) -> Any:
    """The value as the engine takes it: a sql_variant packed. Raises SqlError 206."""
    if not isinstance(value, Variant):
        return value
    kind = engine_type(value.type)
    return packer(kind)(to_internal(value.value, kind))


def bind(declarations: tuple[Declaration, ...], arguments: list[Argument], statement: str) -> tuple[dict[str, Parameter], Outputs]:
    """The parameters of a statement by name, and those for output.

    Raises:
        SqlError: 8144 too many arguments, 8145 not a parameter, 8178 one is missing, 8114 see :func:`convert`.
    """
    if len(arguments) > len(declarations):
        raise SqlError(8144, "Procedure or function  has too many arguments specified.", 16, 2)
    by_name = {declaration.name: declaration for declaration in declarations}
    parameters: dict[str, Parameter] = {}
    outputs: Outputs = []
    for index, argument in enumerate(arguments):
        name = argument.name.lstrip("@").lower()
        declaration = by_name.get(name) if name else declarations[index]
        if declaration is None:
            raise SqlError(8145, f"{argument.name} is not a parameter for procedure .", 16, 2)
        if argument.default:
            continue
        value = inward(convert(argument.value, argument.type, declaration.type))
        parameters[declaration.name] = Parameter(value, declaration.type, argument.output)
        if argument.output:
            outputs.append((index, argument.name, declaration.name))
    for declaration in declarations:
        if declaration.name not in parameters:
            parameters[declaration.name] = Parameter(_default(declaration, declarations, statement), declaration.type)
    return parameters, outputs


def _default(declaration: Declaration, declarations: tuple[Declaration, ...], statement: str) -> Any:
    text = declaration.default
    if text is None:
        declared = ",".join(f"@{known.name} {known.type.name}" for known in declarations)
        raise SqlError(
            8178,
            f"The parameterized query '({declared}){statement[:100]}' expects the parameter '@{declaration.name}', "
            "which was not supplied.",
        )
    if text.upper() == "NULL":
        return None
    if text[:1] == "'" or text[:2].upper() == "N'":
        text = text[text.index("'") + 1 : -1].replace("''", "'")
    return convert(text, _TEXT, declaration.type)
