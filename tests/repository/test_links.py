"""Links in all Markdown files: files and headings exist; addresses elsewhere are only well formed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1`*~* *$")
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^()\s>]*(?:\([^()\s]*\)[^()\s>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"(?m)^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s+\"[^\"]*\")?\s*$")
_HEADING = re.compile(r"(?m)^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$")
_TAG = re.compile(r"""<a\s+(?:[^>]*\s)?(?:id|name)=["']([^"']+)["']""")


def markdown_files() -> list[Path]:
    """All that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / line for line in sorted(set(listed)) if (ROOT / line).exists()]


def links(text: str) -> Iterator[str]:
    """The targets of a text's links; what stands in code is none."""
    prose = _CODE.sub("", _FENCE.sub("", text))
    for pattern in (_LINK, _REFERENCE):
        yield from (match[1] for match in pattern.finditer(prose))


def anchors(text: str) -> set[str]:
    """The fragments that a text's headings and tags can be reached by, as GitHub forms them."""
    found: set[str] = set()
    for match in _HEADING.finditer(_FENCE.sub("", text)):
        title = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", match[1])
        slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        number = 0
        while (name := slug if not number else f"{slug}-{number}") in found:
            number += 1
        found.add(name)
    return found | set(_TAG.findall(text))


def problem(link: str, source: Path) -> str | None:
    """What is wrong with a link of ``source``, or None."""
    try:
        parts = urlsplit(link)
    except ValueError as error:
        return str(error)
    if parts.scheme in ("http", "https"):
        return None if parts.hostname and not re.search(r"[\s\\<>\"]", link) else "not an address"
    if parts.scheme == "mailto":
        return None if "@" in parts.path else "not an e-mail address"
    if parts.scheme:
        return f"unknown scheme {parts.scheme}"
    if parts.path.startswith("/"):
        return "begins with a slash: it leads somewhere else on each site"
    target = (source.parent / unquote(parts.path)).resolve() if parts.path else source
    if not target.exists():
        return "no such file"
    if ROOT not in [target, *target.parents]:
        return "leads out of the repository"
    if parts.fragment and target.suffix == ".md" and unquote(parts.fragment) not in anchors(target.read_text(encoding="utf-8")):
        return "no such heading"
    return None


@pytest.mark.parametrize("path", markdown_files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    found = {link: problem(link, path) for link in links(path.read_text(encoding="utf-8"))}
    assert {link: why for link, why in found.items() if why} == {}


def test_there_is_something_to_check() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in markdown_files()}
    assert {"README.md", "CONTRIBUTING.md", "docs/local.md"} <= names
    assert sum(len(list(links(path.read_text(encoding="utf-8")))) for path in markdown_files()) > 10


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    assert problem("docs/nowhere.md", readme) == "no such file"
    assert problem("docs/local.md#nothing", readme) == "no such heading"
    assert problem("docs/local.md#3-containers", readme) is None
    assert problem("../x.md", ROOT / "docs" / "local.md") == "no such file"
    assert problem("https://", readme) == "not an address"
    assert problem("htp://example.com", readme) == "unknown scheme htp"
    assert problem("/docs/local.md", readme) is not None


def test_links_are_told_from_code() -> None:
    text = "[a](b.md) `[c](d.md)` ![e](f.png 'x')\n```\n[g](h.md)\n```\n[i]: j.md\n[k](<l m.md>) [n](o.md \"p\")\n"
    assert list(links(text)) == ["b.md", "o.md", "j.md"]


def test_headings_become_githubs_fragments() -> None:
    text = "# What it is, and isn't\n## `func start`\n## [Local](x.md)\n## Twice\n## Twice\n```\n# not one\n```\n"
    assert anchors(text) == {"what-it-is-and-isnt", "func-start", "local", "twice", "twice-1"}
