"""Sphinx's settings. The pages stay plain Markdown that GitHub shows too, so what only the site needs is done here."""

from __future__ import annotations

import subprocess
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / ".local" / "site-static"  # what devtools.site puts there: the script that draws diagrams
# The contents, by reader, in the order of reading. A page that is not named stands at the end of the third part.
CONTENTS = {
    "Use it": [
        "README",
        "quickstart",
        "local",
        "deploy",
        "recipes",
        "payload",
        "consumer",
        "authentication",
        "requests",
        "batches",
    ],
    "Know what you get": ["filters", "snapshots", "guarantee", "verified", "when-not", "faq"],
    "Operate it": ["runbook", "operations", "sizing", "cost", "upgrade", "security", "glossary", "CHANGELOG", "SECURITY"],
    "Change it": ["CONTRIBUTING", "architecture"],
}

TITLES = {"README": "What it is", "SECURITY": "Report a weakness"}  # in the contents, where the page's own does not help

project = "Rowpost"
author = "Rowpost contributors"
extensions = ["myst_parser"]
root_doc = "docs/index"
language = "en"


def _pages() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if not name.startswith((".", "tests/"))]


include_patterns = _pages()
nitpicky = True
myst_heading_anchors = 6
suppress_warnings = ["myst.header"]  # a page may leave out a level of headings

html_theme = "furo"
html_title = "Rowpost"
html_static_path = [str(STATIC)] if STATIC.is_dir() else []
html_js_files = [file.name for file in sorted(STATIC.glob("*.js"))]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
html_use_index = False

# --- links to other sites: `python3 dev.py docs --links` ---

linkcheck_timeout = 20
linkcheck_retries = 3
linkcheck_workers = 4
linkcheck_rate_limit_timeout = 60
linkcheck_anchors = False  # pages that are made by scripts have theirs only in a browser
linkcheck_report_timeouts_as_broken = False  # a slow site is no mistake of a page
linkcheck_allow_unauthorized = True
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1|[\w.-]*\.?example(\.com)?)([:/]|$)"]


# --- what only the site needs ---


def contents() -> dict[str, list[str]]:
    """The parts of the site, each with its pages as Sphinx names them."""
    at_root = {name.removesuffix(".md") for name in include_patterns if "/" not in name}
    known = {name.removesuffix(".md") for name in include_patterns}
    found = {part: [name if name in at_root else f"docs/{name}" for name in names] for part, names in CONTENTS.items()}
    named = {root_doc, *(name for names in found.values() for name in names)}
    found["Operate it"] += sorted(name for name in known - named if name.startswith("docs/"))
    found["Emulators and examples"] = sorted(name for name in known - named if not name.startswith("docs/"))
    return {part: [name for name in names if name in known] for part, names in found.items()}


def _add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """The tables of contents, below the page that GitHub shows as the index."""
    for part, pages in contents().items() if name == root_doc else ():
        entries = "\n".join(f"{TITLES[page]} </{page}>" if page in TITLES else f"/{page}" for page in pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {part}\n\n{entries}\n```\n"


def _draw_diagrams(app: Sphinx, document: nodes.document) -> None:
    """A block of Mermaid is drawn in the browser; without the script its text stands there."""
    for block in list(document.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            text = block.astext().replace("&", "&amp;").replace("<", "&lt;")
            block.replace_self(nodes.raw("", f'<pre class="mermaid">{text}</pre>', format="html"))


def _give_githubs_anchors(app: Sphinx, document: nodes.document) -> None:
    """Headings can be reached as on GitHub; docutils would make other names of ``Notice: dead_letter``."""
    for section in document.findall(nodes.section):
        slug = section.get("slug")
        if slug and slug not in section["ids"]:
            section["ids"].append(slug)


def setup(app: Sphinx) -> None:
    """Sphinx calls it once."""
    app.connect("source-read", _add_contents)
    app.connect("doctree-read", _draw_diagrams)
    app.connect("doctree-read", _give_githubs_anchors)
