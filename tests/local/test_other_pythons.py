"""The app on other Pythons and on the SDKs' next versions.

Opt-in, since it needs an interpreter that not every machine has, and a package index:
``ROWPOST_OTHER_PYTHON=python3.13 python3 dev.py test tests/local/test_other_pythons.py``
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.stack import ROOT

OTHER_PYTHON = os.environ.get("ROWPOST_OTHER_PYTHON")  # dev.py test leaves the marked tests out without it
DURABLE_2 = "azure-functions-durable==2.0.0rc3"  # a release candidate: the newest that there was
APP_FOLDERS = ("activities", "entities", "orchestrators", "rowpost", "triggers")

# As the host's worker does: import function_app, ask it for its functions.
INDEX = """
import json, sys
sys.path.insert(0, ".")
import function_app
found = {}
for function in function_app.app.get_functions():
    bindings = [binding.get_dict_repr() for binding in function.get_bindings()]
    found[function.get_function_name()] = sorted(f"{b['type']} {b['name']}" for b in bindings)
json.dump(found, sys.stdout)
"""


def indexed(python: str | Path) -> dict[str, list[str]]:
    """The functions that the app registers under an interpreter, with their bindings."""
    values = json.loads((ROOT / "local.settings.json").read_text())["Values"]
    environment = {**os.environ, **values, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run([str(python), "-c", INDEX], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found: dict[str, list[str]] = json.loads(result.stdout)
    return found


def environment_with(folder: Path, *packages: str) -> Path:
    """A new virtual environment of the other Python with these packages; its interpreter."""
    assert OTHER_PYTHON is not None, "set ROWPOST_OTHER_PYTHON to an interpreter"
    subprocess.run([OTHER_PYTHON, "-m", "venv", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    result = subprocess.run(install, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return python


def requirements_but(*names: str) -> list[str]:
    """The lines of requirements.txt without those of these packages."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    return [line for line in lines if line and re.split(r"[<>=~! \[;]", line)[0] not in names]


def without_the_sdks_own(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """What durable 2.x registers, without the functions that it adds, and with the names of bindings that it wraps."""
    own = "BuiltIn__"
    return {
        name: [binding.replace(" _durable_input", " context") for binding in bindings]
        for name, bindings in found.items()
        if not name.startswith(own)
    }


@pytest.mark.other_python
@pytest.mark.timeout(600)
def test_with_the_same_requirements(tmp_path: Path) -> None:
    python = environment_with(tmp_path / "venv", "-r", str(ROOT / "requirements.txt"))
    assert indexed(python) == indexed(sys.executable)


@pytest.mark.other_python
@pytest.mark.timeout(600)
def test_with_azure_functions_2(tmp_path: Path) -> None:
    python = environment_with(tmp_path / "venv", *requirements_but("azure-functions"), "azure-functions>=2,<3")
    assert indexed(python) == indexed(sys.executable)


@pytest.mark.other_python
@pytest.mark.timeout(600)
def test_with_azure_functions_durable_2(tmp_path: Path) -> None:
    others = requirements_but("azure-functions", "azure-functions-durable")
    python = environment_with(tmp_path / "venv", *others, "azure-functions>=2.3,<3", DURABLE_2)
    assert without_the_sdks_own(indexed(python)) == indexed(sys.executable)


def test_the_docs_name_every_call_of_the_durable_client() -> None:
    """The table in docs/local.md is what a move to the durable SDK 2.x must look at, no more and no less."""
    used = {}
    for path in [ROOT / "function_app.py", *(file for folder in APP_FOLDERS for file in (ROOT / folder).rglob("*.py"))]:
        calls = {
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "client"
            and "durable" in path.read_text(encoding="utf-8")
        }
        if calls:
            used[path.relative_to(ROOT).as_posix()] = calls
    documented = {}
    for line in (ROOT / "docs" / "local.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and cells[1].endswith(".py`"):
            documented[cells[1].strip("`")] = set(re.findall(r"`(\w+)`", cells[2]))
    assert documented == used
