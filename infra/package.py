"""Lay out what is deployed, in ``.local/package``: what ``.funcignore`` lets through, with locked requirements.

``python3 infra/package.py``; it needs nothing but Python. The build on Azure installs ``requirements.txt`` of what it gets. There
that file is ``requirements.lock``: exact versions with hashes, which pip then asks of each package. With ``opentelemetry = true``
in relay.toml it is ``requirements-telemetry.lock``, which has the packages for metrics and spans too.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / ".local" / "package"


def ignored(root: Path) -> list[str]:
    """The names and patterns of ``.funcignore``; each holds in every folder."""
    lines = (line.strip().rstrip("/") for line in (root / ".funcignore").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def lock_of(root: Path) -> str:
    """The name of the lock that fits ``relay.toml``. A file that cannot be read is told of by the hook that checks it."""
    try:
        document = tomllib.loads((root / "relay.toml").read_text(encoding="utf-8-sig"))
        wanted = document.get("telemetry", {}).get("opentelemetry") is True
    except (ValueError, AttributeError):
        wanted = False
    return "requirements-telemetry.lock" if wanted else "requirements.lock"


def lay_out(root: Path, package: Path) -> None:
    """Make the folder anew.

    Raises:
        FileNotFoundError: there is no ``relay.toml`` or no lock.
    """
    if not (root / "relay.toml").is_file():
        raise FileNotFoundError(f"{root / 'relay.toml'} is missing")
    lock = root / lock_of(root)
    if not lock.is_file():
        raise FileNotFoundError(f"{lock} is missing")
    patterns = ignored(root)

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]

    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(root, package, ignore=left_out)
    shutil.copyfile(lock, package / "requirements.txt")


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
