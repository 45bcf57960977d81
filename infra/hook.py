"""Run a program of this repository for a hook of azd: with the packages of ``requirements-hooks.lock``, and no others.

``python3 infra/hook.py infra/describe_app.py`` or ``python3 infra/hook.py -m devtools.check_config``; with ``--odbc`` in front, the
program connects to the database. The first run makes an environment of its own in ``.local/hooks``. A hook has secrets in its
environment. So pip gets each package by its hash, installs wheels only, which run no code, and sees none of the settings.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import dev  # noqa: E402  # nothing but the standard library

LOCK = ROOT / "requirements-hooks.lock"
FOR_PIP = ("PATH", "HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL")
PREFIXES_FOR_PIP = ("PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")


def harmless(environment: Mapping[str, str]) -> dict[str, str]:
    """What pip needs of an environment; no setting of the app or of azd."""
    return {name: value for name, value in environment.items() if name in FOR_PIP or name.upper().startswith(PREFIXES_FOR_PIP)}


def python_of(venv: Path) -> Path:
    """The interpreter of a virtual environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ensure(venv: Path, lock: Path) -> Path:
    """Make the environment, unless it was made of this lock for this Python.

    Returns:
        Its interpreter.
    """
    stamp, python = venv / "set-up", python_of(venv)
    wanted = f"{sys.version_info[:2]} {hashlib.sha256(lock.read_bytes()).hexdigest()}"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    environment = harmless(os.environ)
    made = [sys.executable, "-m", "venv", "--clear", str(venv)]
    dev.run_quietly("making the environment of the hooks", made, "On Debian and Ubuntu: apt-get install python3-venv", environment)
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    install += ["--require-hashes", "--only-binary=:all:", "-r", str(lock)]
    hint = "The lines above are pip's; it needs to reach a package index."
    dev.run_quietly("installing the packages of the hooks", install, hint, environment)
    stamp.write_text(wanted)
    return python


def odbc_environment(python: Path, environment: dict[str, str]) -> dict[str, str]:
    """The same, with the driver of the environment of the hooks, unless there is another; looks for what the driver links to."""
    dev.ensure_odbc()
    if os.name != "posix" or "ODBC_DRIVER" in environment:
        return environment
    driver = "from emulators.odbc import odbc_driver; print(odbc_driver())"
    found = subprocess.run([python, "-c", driver], env=environment, cwd=ROOT, capture_output=True, text=True)
    return {**environment, "ODBC_DRIVER": found.stdout.strip()}


def main(arguments: list[str]) -> int:
    """The command line; what is run gets all arguments but ``--odbc``."""
    connects = arguments[:1] == ["--odbc"]
    python = ensure(ROOT / ".local" / "hooks", LOCK)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if connects:
        environment = odbc_environment(python, environment)
    return subprocess.run([python, *arguments[connects:]], env=environment, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
