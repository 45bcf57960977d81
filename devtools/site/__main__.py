"""``python3 dev.py docs``: build the documentation site into ``.local/site``; a warning is an error.

With ``--links`` it asks each address of another site instead, and names those that are gone. With npm, diagrams are drawn.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from devtools.npm_tools import NpmToolError, available, installed

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / ".local" / "site-static"
_TO_THE_INDEX = (
    '<!doctype html><html lang="en"><title>Rowpost</title><meta http-equiv="refresh" content="0; url=docs/index.html"></html>\n'
)


def get_script() -> None:
    """Put the script that draws Mermaid's diagrams where Sphinx takes it from, if this machine has npm."""
    if not available():
        return
    try:
        script = installed() / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
        STATIC.mkdir(parents=True, exist_ok=True)
        shutil.copy(script, STATIC / script.name)
    except (NpmToolError, OSError) as error:
        print(f"diagrams are not drawn: {error}", file=sys.stderr)


def build(output: Path, builder: str = "html") -> int:
    """Run Sphinx.

    Args:
        output: the folder that gets the site.
        builder: ``html``, or ``linkcheck`` for addresses elsewhere.

    Returns:
        Its exit code: not zero if there was a warning.
    """
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--conf-dir", str(Path(__file__).parent), "--builder", builder]
    command = [sys.executable, "-m", "sphinx", *options, "--doctree-dir", f"{output}-doctrees", str(ROOT), str(output)]
    return subprocess.run(command, cwd=ROOT).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="dev.py docs", description="Build the documentation site.")
    parser.add_argument("--output", type=Path, default=ROOT / ".local" / "site", help="the folder that gets it")
    parser.add_argument("--links", action="store_true", help="ask the addresses of other sites instead")
    options = parser.parse_args(arguments)
    if options.links:
        return build(options.output.with_name(f"{options.output.name}-links"), "linkcheck")
    get_script()
    code = build(options.output)
    if not code:
        (options.output / "index.html").write_text(_TO_THE_INDEX, encoding="utf-8")
        print(f"open {options.output / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
