"""The blocks of pages that are made from the code: the rooms of the core, the states of a row, and the operations of the API.

``python -m devtools.pages`` brings them up to date; a test tells when they are not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import grimp

from devtools import api_page
from rowpost.rules.lifecycle import ANY, LIVE, NO_RECORD, TRANSITIONS, State

_DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = [_DOCS / "architecture.md", _DOCS / "api.md"]
_BLOCK = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def rooms() -> str:
    """Who imports whom among the rooms of ``rowpost/``, as a flowchart; an arrow that others together stand for is left out."""
    graph = grimp.build_graph("rowpost")
    modules = graph.find_children("rowpost")
    arrows = {
        (upper, lower)
        for upper in modules
        for lower in modules
        if upper != lower and graph.direct_import_exists(importer=upper, imported=lower, as_packages=True)
    }
    reached = {upper: _reachable(upper, arrows) for upper in modules}
    needed = [
        (upper, lower)
        for upper, lower in sorted(arrows)
        if not any((upper, middle) in arrows and lower in reached[middle] for middle in modules - {lower})
    ]
    lines = ["flowchart TB", "  subgraph core [rowpost]"]
    lines += [f"    {_short(upper)} --> {_short(lower)}" for upper, lower in needed]
    outside = ["database -->|T-SQL| S[(SQL Server)]", "target -->|HTTP| D[API]", "notices -->|mail, HTTP| P[people]"]
    return "\n".join([*lines, "  end", *(f"  {line}" for line in outside)])


def _reachable(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        new = {lower for upper, lower in arrows if upper == here} - found
        found |= new
        waiting += new
    return found


def _short(module: str) -> str:
    return module.removeprefix("rowpost.")


def diagram() -> str:
    """The transitions between states as a Mermaid ``stateDiagram``: one arrow for each pair of states, named by its events."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for event, transition in TRANSITIONS.items():
        target = "[*]" if transition.target is NO_RECORD else transition.target
        for source in () if transition.keeps else _sources(transition.sources):
            if source != target:
                arrows.setdefault((source, target), []).append(event.replace("_", " "))
    members = [f"    {state}" for state in State if state in LIVE]
    lines = [f"  {source} --> {target}: {', '.join(events)}" for (source, target), events in arrows.items()]
    return "\n".join(["stateDiagram-v2", "  state live {", *members, "  }", *lines])


def table() -> str:
    """All events as a Markdown table, also those that leave the record as it is."""
    lines = ["| event | from | to | lease | when |", "|---|---|---|---|---|"]
    for event, transition in TRANSITIONS.items():
        sources = "any" if transition.sources == ANY else ", ".join(_sources(transition.sources)).replace("[*]", "no record")
        target = "(stays)" if transition.keeps else transition.target or "no record"
        words = (str(part).replace("_", " ") for part in (event, sources, target, transition.lease, transition.meaning))
        lines.append(f"| {' | '.join(words)} |")
    return "\n".join(lines)


def _sources(sources: Iterable[State | None]) -> list[str]:
    """The sources of arrows: all live states are drawn as one."""
    found = set(sources)
    live = ["live"] if found >= LIVE else [state for state in State if state in found & LIVE]
    return [*(["[*]"] if NO_RECORD in found else []), *live, *([State.DEAD] if State.DEAD in found else [])]


BLOCKS: dict[str, Callable[[], str]] = {
    "rooms": lambda: f"```mermaid\n{rooms()}\n```",
    "lifecycle": lambda: f"```mermaid\n{diagram()}\n```\n\n{table()}",
    "operations": api_page.operations,
    "types": api_page.types,
}


def updated(text: str) -> str:
    """A page with each of its blocks as the code has it now."""
    return _BLOCK.sub(lambda match: f"<!-- generated: {match[1]} -->\n{BLOCKS[match[1]]()}\n<!-- end -->", text)


def main() -> int:
    """Bring the pages up to date."""
    for page in PAGES:
        page.write_text(updated(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
