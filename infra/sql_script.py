"""Scripts for ``sqlcmd``: batches between ``GO`` lines, ``:setvar`` and ``$(Name)``.

A line counts as ``GO`` or as a command only outside of strings, quoted names and block comments, as in sqlcmd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_GO = re.compile(r"[ \t]*GO(?:[ \t]+(?P<count>[\w$()]+))?\s*(?:--.*)?", re.IGNORECASE)
_COMMAND = re.compile(r"[ \t]*:(?P<name>[A-Za-z]+)\b\s*(?P<rest>.*?)\s*")
_SETVAR = re.compile(r'(?P<name>[^\s"$()]+)(?:[ \t]+(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>\S+)))?')
_VARIABLE = re.compile(r"\$\(([^\s()]+)\)")
_TOKEN = re.compile(r"--|/\*|\*/|''|\"\"|\]\]|['\"\[\]]")
_CLOSING = {"'": "'", '"': '"', "[": "]"}


class ScriptError(ValueError):
    """The script asks for something that there is not; the text names it with its line."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What stands between two ``GO`` lines."""

    text: str
    line: int
    """Of the script, where the text begins (line numbers of the server count from there); the first is 1."""
    count: int = 1
    """How often to run it: ``GO n``."""


def read_script(script: str, variables: Mapping[str, str] | None = None) -> Iterator[Batch]:
    """The batches of a script, one after the other, without those that hold only blanks and comments.

    Args:
        script: the text.
        variables: values of ``$(Name)`` at the beginning; names count without their case.

    Raises:
        ScriptError: a variable without a value, a count that is none, a command other than ``:setvar`` and ``:on error``.
    """
    known = {name.lower(): value for name, value in (variables or {}).items()}
    lines: list[str] = []
    first, inside = 1, ""
    for number, line in enumerate(script.removeprefix("\ufeff").split("\n"), 1):
        if not inside and (command := _COMMAND.fullmatch(line)):
            _run_command(command["name"].lower(), command["rest"], number, known)
            lines.append("")
            continue
        if not inside and (end := _GO.fullmatch(line)):
            count = _count(_filled(end["count"] or "1", number, known), number)
            yield from _batch(lines, first, count)
            lines, first = [], number + 1
            continue
        text, inside = _line(line, inside, number, known)
        lines.append(text)
    yield from _batch(lines, first, 1)


def _batch(lines: list[str], first: int, count: int) -> Iterator[Batch]:
    text = "\n".join(lines)
    if count and re.sub(r"--.*|/\*[\s\S]*?\*/", "", text).strip():
        yield Batch(text, first, count)


def _run_command(name: str, rest: str, number: int, known: dict[str, str]) -> None:
    if name == "setvar" and (given := _SETVAR.fullmatch(rest)):
        value = given["plain"] if given["quoted"] is None else given["quoted"].replace('""', '"')
        if value is None:
            known.pop(given["name"].lower(), None)
        else:
            known[given["name"].lower()] = value
    elif name != "on" or rest.lower() != "error exit":  # which is how every script is run
        raise ScriptError(f"line {number}: {f':{name} {rest}'.rstrip()} is not supported")


def _count(text: str, number: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ScriptError(f"line {number}: GO {text}: that is no count")
    return int(text)


def _filled(text: str, number: int, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = known.get(match[1].lower())
        if found is None:
            raise ScriptError(f"line {number}: '{match[1]}' scripting variable not defined")
        return found

    return _VARIABLE.sub(value, text)


def _line(line: str, inside: str, number: int, known: Mapping[str, str]) -> tuple[str, str]:
    """The line with its variables filled in, except in comments, and what it leaves open: '' or ``'``, ``"``, ``]``, or as many
    ``*`` as comments are nested."""
    done: list[str] = []
    start = 0

    def take(stop: int) -> None:
        nonlocal start
        part = line[start:stop]
        done.append(part if inside.startswith("*") else _filled(part, number, known))
        start = stop

    for match in _TOKEN.finditer(line):
        token = match[0]
        if inside.startswith("*"):
            if token in ("/*", "*/"):
                take(match.end())
                inside = inside + "*" if token == "/*" else inside[1:]
        elif inside:
            if token == inside:
                inside = ""
        elif token == "/*":
            take(match.start())
            inside = "*"
        elif token == "--":
            take(match.start())
            return "".join(done) + line[start:], ""
        elif token in _CLOSING:
            inside = _CLOSING[token]
    take(len(line))
    return "".join(done), inside
