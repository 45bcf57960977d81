"""The Bicep files as two parsers see them: pycep gives values, tree-sitter gives names and where they stand."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_bicep
from pycep import BicepParser

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
MAIN = INFRA / "main.bicep"
FILES = sorted(INFRA.rglob("*.bicep"))
_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))


def named(path: Path) -> str:
    """The file's name in test ids and messages."""
    return path.relative_to(INFRA).as_posix()


@functools.cache
def document(path: Path) -> dict[str, Any]:
    """What pycep makes of a file. Names and string literals look alike in it."""
    parsed: dict[str, Any] = json.loads(json.dumps(BicepParser().parse(text=path.read_text(encoding="utf-8"))))
    return parsed


@functools.cache
def tree(path: Path) -> tree_sitter.Node:
    """The syntax tree of a file."""
    return _PARSER.parse(path.read_bytes()).root_node


def nodes(root: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """A node and all below it."""
    yield root
    for child in root.children:
        yield from nodes(child)


def modules(path: Path) -> dict[str, dict[str, Any]]:
    """Module name -> ``{"source", "version", "params", "outputs"}``; ``outputs`` are those that the file reads."""
    found = {}
    text = path.read_text(encoding="utf-8")
    for name, module in document(path).get("modules", {}).items():
        config = module["config"]
        while isinstance(config.get("config"), dict):  # of a loop, or behind a condition
            config = config["config"]
        detail = module["detail"]
        found[name] = {
            "source": detail["path"],
            "version": detail.get("tag"),
            "params": config.get("params", {}),
            "outputs": set(re.findall(rf"\b{name}!?\.outputs\.(\w+)", text)),
        }
    return found


def verified(source: str) -> tuple[str, dict[str, Any]]:
    """The one use of a registry module of that path: the file's name and the module's parameters."""
    uses = [(named(path), module) for path in FILES for module in modules(path).values() if module["source"] == source]
    assert len(uses) == 1, f"{source} is used {len(uses)} times"
    return uses[0][0], uses[0][1]["params"]


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a parsed document, with the keys that lead to it."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from walk(item, f"{path}[]")
