"""Lay out what is deployed, in ``.local/package``: what ``.funcignore`` lets through, with locked requirements.

``python3 infra/package.py``; it needs nothing but Python. The build on Azure installs ``requirements.txt`` of what it gets. There
that file is ``requirements.lock``: exact versions with hashes, which pip then asks of each package.
"""

from __future__ import annotations

import shutil
import sys
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / ".local" / "package"


def ignored(root: Path) -> list[str]:
    """The names and patterns of ``.funcignore``; each holds in every folder."""
    lines = (line.strip().rstrip("/") for line in (root / ".funcignore").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def lay_out(root: Path, package: Path) -> None:
    """Make the folder anew.

    Raises:
        FileNotFoundError: there is no ``relay.toml`` or no lock.
    """
    for name in ("relay.toml", "requirements.lock"):
        if not (root / name).is_file():
            raise FileNotFoundError(f"{root / name} is missing")
    patterns = ignored(root)

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]

    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(root, package, ignore=left_out)
    shutil.copyfile(root / "requirements.lock", package / "requirements.txt")


def main() -> int:
    """The command line."""
    try:
        lay_out(ROOT, PACKAGE)
    except FileNotFoundError as error:
        print(f"{error}; make relay.toml with `python3 dev.py init`", file=sys.stderr)
        return 1
    print(f"{PACKAGE} holds what is deployed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
