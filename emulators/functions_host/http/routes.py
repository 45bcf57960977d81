"""HTTP routes: templates with constraints, in the order in which the web framework of the real host prefers them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from emulators.functions_host.settings import ConfigurationError

Check = Callable[[str], bool]


def _converts(convert: Callable[[str], object]) -> Check:
    def check(text: str) -> bool:
        try:
            convert(text)
        except (ValueError, ArithmeticError):
            return False
        return True

    return check


def _integer(bits: int) -> Check:
    return lambda text: re.fullmatch(r"[+-]?\d+", text) is not None and -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1)


def _number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


_PLAIN: dict[str, Check] = {
    "int": _integer(32),
    "long": _integer(64),
    "bool": lambda text: text.lower() in ("true", "false"),
    "guid": _converts(uuid.UUID),
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]*", text) is not None,
    "decimal": _number,
    "double": _number,
    "float": _number,
    "datetime": _converts(datetime.fromisoformat),
    "required": bool,
    "file": lambda text: "." in text.rsplit("/", 1)[-1].strip("."),
    "nonfile": lambda text: "." not in text.rsplit("/", 1)[-1].strip("."),
}


def _constraint(text: str) -> Check:
    name, bracket, inner = text.partition("(")
    name = name.lower()
    if not bracket:
        if name in _PLAIN:
            return _PLAIN[name]
        raise ValueError(f"unknown constraint {text!r}")
    if not inner.endswith(")"):
        raise ValueError(f"constraint {text!r} has no closing bracket")
    inner = inner[:-1]
    if name == "regex":
        pattern = re.compile(inner.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
        return lambda value: pattern.search(value) is not None
    numbers = [int(part) for part in inner.split(",")]
    if name == "min" and len(numbers) == 1:
        return lambda value: _integer(64)(value) and int(value) >= numbers[0]
    if name == "max" and len(numbers) == 1:
        return lambda value: _integer(64)(value) and int(value) <= numbers[0]
    if name == "range" and len(numbers) == 2:
        return lambda value: _integer(64)(value) and numbers[0] <= int(value) <= numbers[1]
    if name == "minlength" and len(numbers) == 1:
        return lambda value: len(value) >= numbers[0]
    if name == "maxlength" and len(numbers) == 1:
        return lambda value: len(value) <= numbers[0]
    if name == "length" and len(numbers) in (1, 2):
        return lambda value: numbers[0] <= len(value) <= numbers[-1]
    raise ValueError(f"unknown constraint {text!r}")


@dataclass(frozen=True)
class _Parameter:
    name: str
    checks: tuple[Check, ...]
    optional: bool
    default: str | None
    catch_all: bool


@dataclass(frozen=True)
class _Segment:
    """A part between slashes: literal text, one parameter, or a mixture as a pattern."""

    literal: str | None = None
    parameter: _Parameter | None = None
    pattern: re.Pattern[str] | None = None
    parameters: tuple[_Parameter, ...] = ()

    @property
    def rank(self) -> int:
        """Smaller is preferred."""
        if self.literal is not None:
            return 1
        if self.parameter is None:
            return 2
        return (4 if self.parameter.catch_all else 2) + (0 if self.parameter.checks else 1)


def _split(template: str) -> list[str]:
    """Cut at slashes that stand outside braces."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(template):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth == 0:
            parts.append(template[start:position])
            start = position + 1
    parts.append(template[start:])
    return [part for part in parts if part]


def _split_constraints(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == ":" and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _parameter(text: str) -> _Parameter:
    catch_all = text.startswith("*")
    name, *constraints = _split_constraints(text.lstrip("*"))
    default: str | None = None
    optional = False
    last = constraints[-1] if constraints else name
    if last.endswith("?"):
        optional, last = True, last[:-1]
    elif "=" in last and not last.lower().startswith("regex("):
        last, _, default = last.partition("=")
    if constraints:
        constraints[-1] = last
    else:
        name = last
    if not re.fullmatch(r"\w+", name):
        raise ValueError(f"{text!r} is no valid parameter")
    return _Parameter(name, tuple(_constraint(constraint) for constraint in constraints), optional, default, catch_all)


_BRACES = re.compile(r"\{((?:[^{}]|\{\{|\}\})*)\}")


def _segment(text: str) -> _Segment:
    found = list(_BRACES.finditer(text))
    if not found:
        if "{" in text or "}" in text:
            raise ValueError(f"unbalanced braces in {text!r}")
        return _Segment(literal=text)
    if len(found) == 1 and found[0].span() == (0, len(text)):
        return _Segment(parameter=_parameter(found[0][1]))
    pattern, end, parameters = "", 0, []
    for match in found:
        parameter = _parameter(match[1])
        if parameter.optional or parameter.catch_all or parameter.default is not None:
            raise ValueError(f"a parameter inside {text!r} cannot be optional, have a default or catch all")
        parameters.append(parameter)
        pattern += re.escape(text[end : match.start()]) + f"(?P<{parameter.name}>.+?)"
        end = match.end()
    pattern += re.escape(text[end:])
    return _Segment(pattern=re.compile(pattern, re.IGNORECASE), parameters=tuple(parameters))


class Route:
    """One template, e.g. ``orders/{id:int}/{*rest}``.

    Raises:
        ConfigurationError: the template is not valid.
    """

    def __init__(self, template: str) -> None:
        self.template = template.strip("/")
        try:
            self._segments = [_segment(part) for part in _split(self.template)]
            for position, segment in enumerate(self._segments[:-1]):
                if segment.parameter and (segment.parameter.catch_all or segment.parameter.optional):
                    raise ValueError(f"segment {position + 1} may not be optional or catch all: only the last may")
        except (ValueError, re.error) as problem:
            raise ConfigurationError(f"route {template!r} is not valid: {problem}") from None

    @property
    def precedence(self) -> tuple[int, ...]:
        """Sorts routes: the smaller is tried first."""
        return tuple(segment.rank for segment in self._segments)

    def match(self, path: str) -> dict[str, str] | None:
        """The route values for a raw (percent-encoded) path below the prefix, or None.

        An optional value that is absent has no key.
        """
        parts = [unquote(part) for part in path.strip("/").split("/")] if path.strip("/") else []
        values: dict[str, str] = {}
        for position, segment in enumerate(self._segments):
            parameter = segment.parameter
            if parameter is not None and parameter.catch_all:
                rest = "/".join(parts[position:]) or parameter.default or ""
                parts = parts[:position]
                if rest and not all(check(rest) for check in parameter.checks):
                    return None
                if rest or not parameter.optional:
                    values[parameter.name] = rest
                break
            if position >= len(parts):
                if parameter is None or not (parameter.optional or parameter.default is not None):
                    return None
                if parameter.default is not None:
                    values[parameter.name] = parameter.default
                continue
            if not self._take(segment, parts[position], values):
                return None
        return values if len(parts) <= len(self._segments) else None

    @staticmethod
    def _take(segment: _Segment, part: str, values: dict[str, str]) -> bool:
        if segment.literal is not None:
            return segment.literal.lower() == part.lower()
        if segment.parameter is not None:
            if not all(check(part) for check in segment.parameter.checks):
                return False
            values[segment.parameter.name] = part
            return True
        assert segment.pattern is not None
        match = segment.pattern.fullmatch(part)
        if match is None or not all(check(match[p.name]) for p in segment.parameters for check in p.checks):
            return False
        values.update(match.groupdict())
        return True
