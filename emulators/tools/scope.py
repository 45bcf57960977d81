"""``python -m emulators.tools.scope``: bring the generated sections of emulators/docs/ up to date with the code.

A section stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``; what NAME means is in emulators/tools/scope_sections.py.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from emulators.tools.scope_sections import SECTIONS

PAGES = Path(__file__).resolve().parents[1] / "docs"
_SECTION = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def updated(text: str) -> str:
    """The page with its sections made anew.

    Raises:
        KeyError: a section that nobody makes.
    """
    return _SECTION.sub(lambda match: f"{match[1]}\n{SECTIONS[match[2]]().strip()}\n\n{match[3]}", text)


def named(text: str) -> set[str]:
    """The sections that a page has."""
    return {match[2] for match in _SECTION.finditer(text)}


def main() -> int:
    """Rewrite what is behind; with ``--check`` only tell. Returns 1 if a page was behind and stays so."""
    behind = False
    for page in sorted(PAGES.glob("*.md")):
        old = page.read_text(encoding="utf-8")
        new = updated(old)
        if new != old:
            behind = True
            print(page.relative_to(PAGES.parents[1]))
            if "--check" not in sys.argv[1:]:
                page.write_text(new, encoding="utf-8")
    return int(behind and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
