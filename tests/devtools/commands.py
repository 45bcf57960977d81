"""``dev.py init`` and ``dev.py check-config`` as subprocesses, for their tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.config.relay_toml import SETTINGS

ROOT = Path(__file__).resolve().parents[2]
URL = {"DOWNSTREAM_URL": "https://api.example/rows"}
SITE = "test-site"


def dev(command: str, *arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The subcommand with the app settings of this test: those of the machine are hidden by them."""
    program = {"init": "devtools.init_config", "check-config": "devtools.check_config", "schema": "devtools.schema"}.get(
        command, f"devtools.{command}"
    )
    known = {"DOWNSTREAM_URL": "", "SqlConnectionString": "", "WEBSITE_SITE_NAME": SITE, "PYTHONPATH": str(ROOT), **settings}
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS and name != "ROWPOST_CONFIG"}
    done = subprocess.run(
        [sys.executable, "-m", program, "--from", str(cwd), *arguments],
        cwd=ROOT,
        env=environment | known,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def written(path: Path, relays: str = '[[relays]]\ntable = "dbo.Orders"\n', more: str = "") -> Path:
    path.write_text(f'[[targets]]\nname = "api"\nurl = "%DOWNSTREAM_URL%"\n{more}\n{relays}', encoding="utf-8")
    return path


def check(file: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return dev("check-config", file.name, *arguments, cwd=file.parent, **settings)
