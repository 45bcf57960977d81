"""SQL Server's types: names, sizes, precedence, and how their values are kept in SQLite.

Inside SQLite every value has a form whose native order is the SQL order, so that indexes and comparisons need no conversion:

* integers and bit: INTEGER; float and real: REAL; binary: BLOB; strings and uniqueidentifier: TEXT
* decimal and money: sortable text (see :func:`encode_decimal`), exact to 38 digits
* datetime, smalldatetime and datetime2: ``YYYY-MM-DD HH:MM:SS.fffffff`` (always seven digits); date and time likewise
* datetimeoffset: the UTC instant in that form, a blank, the offset
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from emulators.sql_server.values.datetimes import internal_text, offset_text
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError, SqlType
from emulators.sql_server.values.utf16 import inner, units

BIT = SqlType("bit")
TINYINT = SqlType("tinyint")
SMALLINT = SqlType("smallint")
INT = SqlType("int")
BIGINT = SqlType("bigint")
FLOAT = SqlType("float", 0, 53)
REAL = SqlType("real", 0, 24)
MONEY = SqlType("money", 0, 19, 4)
SMALLMONEY = SqlType("smallmoney", 0, 10, 4)
DATE = SqlType("date")
TIME = SqlType("time", 0, 0, 7)
DATETIME = SqlType("datetime", 0, 0, 3)
SMALLDATETIME = SqlType("smalldatetime")
DATETIME2 = SqlType("datetime2", 0, 0, 7)
DATETIMEOFFSET = SqlType("datetimeoffset", 0, 0, 7)
UNIQUEIDENTIFIER = SqlType("uniqueidentifier")
NVARCHAR_MAX = SqlType("nvarchar", -1)
VARCHAR_MAX = SqlType("varchar", -1)
VARBINARY_MAX = SqlType("varbinary", -1)
VARIANT = SqlType("sql_variant")
SYSNAME = SqlType("nvarchar", 128)
ROWVERSION = SqlType("rowversion", 8)
BOOLEAN = SqlType("boolean")
"""The type of a condition; no value has it."""

INTEGERS = frozenset({"bit", "tinyint", "smallint", "int", "bigint"})
DECIMALS = frozenset({"decimal", "numeric", "money", "smallmoney"})
FLOATS = frozenset({"float", "real"})
NUMBERS = INTEGERS | DECIMALS | FLOATS
OLD_LARGE_OBJECTS = frozenset({"text", "ntext", "image"})
"""The types before varchar(max): most functions and all comparisons refuse them."""
UNICODE_STRINGS = frozenset({"nchar", "nvarchar", "ntext", "xml"})
STRINGS = UNICODE_STRINGS | {"char", "varchar", "text"}
BINARIES = frozenset({"binary", "varbinary", "image", "rowversion"})
INSTANTS = frozenset({"datetime", "smalldatetime", "datetime2"})
ASSEMBLY_TYPES = {"geography": 130, "geometry": 129, "hierarchyid": 128}
"""CLR types by user_type_id: columns may have them, but hold NULL only."""
TEMPORALS = INSTANTS | {"date", "time", "datetimeoffset"}

INTEGER_RANGES = {
    "bit": (0, 1),
    "tinyint": (0, 255),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_INTEGER_DIGITS = {"bit": 1, "tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}

_PRECEDENCE = [
    "geography",
    "geometry",
    "hierarchyid",
    "datetimeoffset",
    "datetime2",
    "datetime",
    "smalldatetime",
    "date",
    "time",
    "float",
    "real",
    "decimal",
    "numeric",
    "money",
    "smallmoney",
    "bigint",
    "int",
    "smallint",
    "tinyint",
    "bit",
    "ntext",
    "text",
    "image",
    "rowversion",
    "uniqueidentifier",
    "xml",
    "nvarchar",
    "nchar",
    "varchar",
    "char",
    "varbinary",
    "binary",
]
_RANK = {name: len(_PRECEDENCE) - position for position, name in enumerate(_PRECEDENCE)}

SYSTEM_TYPES: dict[str, tuple[int, int]] = {
    "image": (34, 34),
    "text": (35, 35),
    "uniqueidentifier": (36, 36),
    "date": (40, 40),
    "time": (41, 41),
    "datetime2": (42, 42),
    "datetimeoffset": (43, 43),
    "tinyint": (48, 48),
    "smallint": (52, 52),
    "int": (56, 56),
    "smalldatetime": (58, 58),
    "real": (59, 59),
    "money": (60, 60),
    "datetime": (61, 61),
    "float": (62, 62),
    "sql_variant": (98, 98),
    "ntext": (99, 99),
    "bit": (104, 104),
    "decimal": (106, 106),
    "numeric": (108, 108),
    "smallmoney": (122, 122),
    "bigint": (127, 127),
    "varbinary": (165, 165),
    "varchar": (167, 167),
    "binary": (173, 173),
    "char": (175, 175),
    "rowversion": (189, 189),
    "nvarchar": (231, 231),
    "nchar": (239, 239),
    "xml": (241, 241),
}

_SYNONYMS = {"integer": "int", "character": "char", "dec": "decimal", "datetimeoffset": "datetimeoffset"}
_CONTEXT = Context(prec=120, rounding=ROUND_HALF_UP)


def rank(name: str) -> int:
    """The precedence of a type; the lower one is converted."""
    return _RANK.get(name, 0)


def system_type_id(name: str) -> int:
    """system_type_id of sys.types."""
    return 240 if name in ASSEMBLY_TYPES else SYSTEM_TYPES[name][0]


def user_type_id(name: str) -> int:
    """user_type_id of sys.types."""
    return ASSEMBLY_TYPES.get(name) or SYSTEM_TYPES[name][1]


def system_types() -> list[str]:
    """All type names."""
    return list(SYSTEM_TYPES)


def decimal_type(precision: int, scale: int) -> SqlType:
    return SqlType("decimal", 0, precision, scale)


def type_of_binary(length: int) -> SqlType:
    return SqlType("varbinary", max(1, length) if length <= 8000 else -1)


def string_literal_type(value: str, national: bool) -> SqlType:
    """The type of a constant, whose text is as the client wrote it."""
    limit, size = (4000 if national else 8000), units(inner(value))
    return SqlType("nvarchar" if national else "varchar", max(1, size) if size <= limit else -1)


_ARGUMENTS = {"decimal": 2, "numeric": 2, "float": 1, "datetime2": 1, "time": 1, "datetimeoffset": 1}
_ARGUMENTS |= dict.fromkeys(("char", "varchar", "nchar", "nvarchar", "binary", "varbinary"), 1)
"""How many numbers may stand in brackets behind a type."""


def type_from_syntax(name: str, arguments: list[int]) -> SqlType:
    """The type written as ``name(arguments)``; -1 stands for MAX.

    Raises SqlError 131, 192, 1001, 1002, 2715, 2716, 2750, 40517.
    """
    name = _SYNONYMS.get(name.lower(), name.lower())
    if name == "sysname":
        return SYSNAME
    if name == "timestamp":
        name = "rowversion"
    if name in ASSEMBLY_TYPES:
        return SqlType(name, -1)
    if name == "cursor":
        raise sql_error(40517, f"data type {name}")
    if name not in SYSTEM_TYPES:
        raise sql_error(2715, 1, name)
    if len(arguments) > _ARGUMENTS.get(name, 0):
        raise sql_error(2716, name)
    first = arguments[0] if arguments else None
    if first == 0 and name not in ("datetime2", "time", "datetimeoffset"):
        raise SqlError(1001, "Line 1: Length or precision specification 0 is invalid.", 15)
    if name in ("decimal", "numeric"):
        precision, scale = 18 if first is None else first, arguments[1] if len(arguments) > 1 else 0
        if precision > 38:
            raise sql_error(2750, 1, precision, 38)
        if scale > precision:
            raise SqlError(192, "The scale must be less than or equal to the precision.")
        return SqlType(name, 0, precision, scale)
    if name in ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary"):
        limit = 4000 if name[0] == "n" else 8000
        length = 1 if first is None else first
        if length > limit:
            raise SqlError(
                131, f"The size ({length}) given to the type '{name}' exceeds the maximum allowed for any data type ({limit}).", 15
            )
        return SqlType(name, length)
    if name in ("text", "ntext", "image", "xml"):
        return SqlType(name, -1)
    if name in ("datetime2", "time", "datetimeoffset"):
        scale = 7 if first is None else first
        if not 0 <= scale <= 7:
            raise SqlError(1002, f"Line 1: Specified scale {scale} is invalid.", 15)
        return SqlType(name, 0, 0, scale)
    if name == "float":
        if first is not None and first > 53:
            raise sql_error(2750, 1, first, 53)
        return REAL if first is not None and first <= 24 else FLOAT
    return {"real": REAL, "money": MONEY, "smallmoney": SMALLMONEY, "datetime": DATETIME, "rowversion": ROWVERSION}.get(
        name, SqlType(name)
    )


_ALIAS = "type:"


def alias_named(parts: list[str]) -> SqlType:
    """Stands for a type that only the catalogue knows, made by CREATE TYPE."""
    return SqlType(_ALIAS + "\0".join(parts))


def alias_parts(kind: SqlType) -> list[str]:
    """The parts of the name of such a type, else []."""
    return kind.name.removeprefix(_ALIAS).split("\0") if kind.name.startswith(_ALIAS) else []


def display(declared: SqlType, with_arguments: bool = True) -> str:
    """The type as a person writes it; messages use the bare name."""
    name = declared.name
    if not with_arguments:
        return "timestamp" if name == "rowversion" else name
    if name in ("decimal", "numeric"):
        return f"{name}({declared.precision},{declared.scale})"
    if name in ("char", "varchar", "nchar", "nvarchar", "binary", "varbinary"):
        return f"{name}({'max' if declared.length < 0 else declared.length})"
    if name in ("datetime2", "time", "datetimeoffset"):
        return f"{name}({declared.scale})"
    return name


def max_length_bytes(declared: SqlType) -> int:
    """max_length of sys.columns: bytes, -1 for MAX."""
    name = declared.name
    if name in ("nchar", "nvarchar"):
        return -1 if declared.length < 0 else 2 * declared.length
    if name in ("char", "varchar", "binary", "varbinary"):
        return declared.length
    if name in ("decimal", "numeric"):
        return 5 if declared.precision <= 9 else 9 if declared.precision <= 19 else 13 if declared.precision <= 28 else 17
    scale_step = 0 if declared.scale <= 2 else 1 if declared.scale <= 4 else 2
    sizes = {
        "sql_variant": 8016,
        "bit": 1,
        "tinyint": 1,
        "smallint": 2,
        "int": 4,
        "bigint": 8,
        "real": 4,
        "float": 8,
        "money": 8,
        "smallmoney": 4,
        "date": 3,
        "datetime": 8,
        "smalldatetime": 4,
        "datetime2": 6 + scale_step,
        "time": 3 + scale_step,
        "datetimeoffset": 8 + scale_step,
        "uniqueidentifier": 16,
        "rowversion": 8,
        "xml": -1,
        "geography": -1,
        "geometry": -1,
        "hierarchyid": 892,
    }
    return sizes.get(name, 16)


def precision_scale(declared: SqlType) -> tuple[int, int]:
    """precision and scale of sys.columns."""
    name = declared.name
    if name in DECIMALS:
        return declared.precision, declared.scale
    if name in ("datetime2", "time", "datetimeoffset"):
        base = {"datetime2": 19, "time": 8, "datetimeoffset": 26}[name]
        return base + (declared.scale + 1 if declared.scale else 0), declared.scale
    fixed = {
        "bit": (1, 0),
        "tinyint": (3, 0),
        "smallint": (5, 0),
        "int": (10, 0),
        "bigint": (19, 0),
        "real": (24, 0),
        "float": (53, 0),
        "date": (10, 0),
        "datetime": (23, 3),
        "smalldatetime": (16, 0),
    }
    return fixed.get(name, (0, 0))


def as_decimal_type(declared: SqlType) -> SqlType:
    """The decimal type that holds every value of a number type."""
    if declared.name in INTEGERS:
        return decimal_type(_INTEGER_DIGITS[declared.name], 0)
    return decimal_type(declared.precision, declared.scale)


def common_type(left: SqlType, right: SqlType) -> SqlType:
    """The type to which two operands are brought (CASE, UNION, comparison); legality.py knows whether they may be."""
    if "sql_variant" in (left.name, right.name):
        raise unsupported("sql_variant together with another value, except by CAST or CONVERT")
    if left == right:
        return left
    a, b = left.name, right.name
    if a in STRINGS and b in STRINGS:
        unicode = a in UNICODE_STRINGS or b in UNICODE_STRINGS
        length = -1 if -1 in (left.length, right.length) else max(left.length, right.length)
        varying = not (a in ("char", "nchar") and b in ("char", "nchar"))
        if unicode and length > 4000:
            length = 4000
        return SqlType(("nvarchar" if varying else "nchar") if unicode else ("varchar" if varying else "char"), length)
    if a in BINARIES and b in BINARIES:
        return SqlType("varbinary", -1 if -1 in (left.length, right.length) else max(left.length, right.length))
    if a in DECIMALS and b in DECIMALS and not (a in ("money", "smallmoney") and b in ("money", "smallmoney")):
        scale = max(left.scale, right.scale)
        whole = max(left.precision - left.scale, right.precision - right.scale)
        return _capped(whole + scale, scale)
    if (a in DECIMALS and b in INTEGERS) or (a in INTEGERS and b in DECIMALS):
        if a in ("money", "smallmoney") or b in ("money", "smallmoney"):
            return left if a in DECIMALS else right
        return common_type(as_decimal_type(left), as_decimal_type(right))
    higher, lower = (left, right) if _RANK[a] >= _RANK[b] else (right, left)
    if higher.name == lower.name:
        return higher if higher.scale >= lower.scale else lower
    if higher.name in ("datetime2", "datetimeoffset") and lower.name in ("datetime2", "datetime", "time"):
        return SqlType(higher.name, 0, 0, max(higher.scale, lower.scale))
    return higher


def _capped(precision: int, scale: int) -> SqlType:
    if precision > 38:
        whole = precision - scale
        scale = max(0, min(scale, 38 - whole)) if whole < 32 else min(scale, max(6, 38 - whole))
        if scale + whole > 38 and scale > 6:
            scale = max(6, 38 - whole)
        precision = 38
    return decimal_type(precision, scale)


def arithmetic_decimal_type(op: str, left: SqlType, right: SqlType) -> SqlType:
    """Precision and scale of ``left op right`` by the documented rules."""
    p1, s1, p2, s2 = left.precision, left.scale, right.precision, right.scale
    if op in ("+", "-"):
        scale = max(s1, s2)
        precision = scale + max(p1 - s1, p2 - s2) + 1
    elif op == "*":
        scale, precision = s1 + s2, p1 + p2 + 1
    elif op == "/":
        scale = max(6, s1 + p2 + 1)
        precision = p1 - s1 + s2 + scale
    else:
        scale = max(s1, s2)
        precision = min(p1 - s1, p2 - s2) + scale
    if precision > 38:
        if op in ("+", "-"):
            scale = min(scale, 38 - max(p1 - s1, p2 - s2))
        else:
            scale = max(min(scale, 38 - (precision - scale)), min(scale, 6))
        scale, precision = max(0, scale), 38
    return decimal_type(precision, scale)


# --- decimals as sortable text ---

_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def encode_decimal(value: Decimal) -> str:
    """Text whose binary order is the numeric order; equal numbers give equal text whatever their scale."""
    if not value:
        return "P00."
    whole, _, fraction = format(value.copy_abs(), "f").partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if value > 0:
        return f"P{len(whole):02d}{whole}.{fraction}"
    return f"N{99 - len(whole):02d}{whole.translate(_COMPLEMENT)}.{fraction.translate(_COMPLEMENT)}~"


def decode_decimal(text: str) -> Decimal:
    """The inverse of :func:`encode_decimal`."""
    if text[0] == "P":
        return Decimal("0" + text[3:])
    return Decimal("-0" + text[3:-1].translate(_COMPLEMENT))


def quantize(value: Decimal, scale: int) -> Decimal:
    """Rounded half up to ``scale`` digits."""
    return value.quantize(Decimal(1).scaleb(-scale), context=_CONTEXT)


def decimal_context() -> Context:
    """A context in which no intermediate result is rounded."""
    return _CONTEXT


# --- between SQLite and results.py ---


def to_external(declared: SqlType) -> Callable[[Any], Any] | None:
    """What turns the inner form of a value into that of results.py; None when they are the same."""
    name, scale = declared.name, declared.scale
    if name in DECIMALS:
        return lambda v: quantize(decode_decimal(v), scale)
    if name in INSTANTS:
        digits = {"datetime": 3, "smalldatetime": 0}.get(name, scale)
        end = 20 + digits if digits else 19
        return (lambda v: v[:end]) if end != 27 else None
    if name == "time":
        end = 9 + scale if scale else 8
        return lambda v: v[:end]
    if name == "datetimeoffset":
        return lambda v: offset_text(v, scale)
    return None


def to_internal(value: Any, declared: SqlType) -> Any:
    """The inner form of a value given as in results.py."""
    if value is None:
        return None
    name = declared.name
    if name in DECIMALS:
        return encode_decimal(value if isinstance(value, Decimal) else Decimal(str(value)))
    if name in TEMPORALS:
        return internal_text(str(value), name)
    if name in FLOATS:
        return float(value)
    if name in INTEGERS:
        return int(value)
    if name in BINARIES:
        return bytes(value)
    if name == "uniqueidentifier":
        return str(value).upper()
    return inner(value) if isinstance(value, str) else value
