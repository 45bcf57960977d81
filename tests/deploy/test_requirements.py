"""requirements.txt as the remote build reads it: Linux, the Python of infra/app/functions.bicep, wheels only; and its lock."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dev import LOCKED
from infra.hook import harmless
from infra.package import lay_out, lock_of
from tests.deploy.bicep import ROOT, verified

REQUIREMENTS = ROOT / "requirements.txt"


def lines(file: Path = REQUIREMENTS) -> list[str]:
    """The requirements of a file, with those of the file that it includes."""
    text = file.read_text(encoding="utf-8")
    for name in re.findall(r"(?m)^-r (\S+)$", text):
        text = text.replace(f"-r {name}", (file.parent / name).read_text(encoding="utf-8"))
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_every_requirement_has_a_ceiling_and_none_is_the_platforms_own() -> None:
    for line in lines(ROOT / "requirements-telemetry.txt"):
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+,<[0-9.]+(; python_version (<|>=) \"3\.13\")?", line), line
    assert not [line for line in lines() if line.startswith(("azure-functions-worker", "mssql-python", "pytest"))]


# --- locks ---


def pinned(name: str) -> list[tuple[Requirement, list[str]]]:
    """The requirements of a lock, each with its hashes."""
    entries = re.split(r"\n(?=\S)", (ROOT / f"{name}.lock").read_text(encoding="utf-8").strip())
    found = []
    for entry in entries:
        first, *hashes = re.split(r" \\\n\s+", entry)
        found.append((Requirement(first), hashes))
    return found


def environment(python: str) -> dict[str, str]:
    platform = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
    return {**platform, "python_version": python, "python_full_version": f"{python}.5", "platform_python_implementation": "CPython"}


def locked(name: str, python: str) -> dict[str, str]:
    """Package and version, for one Python."""
    counted = [each for each, _ in pinned(name) if each.marker is None or each.marker.evaluate(environment(python))]
    versions = {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in counted}
    assert len(versions) == len(counted), "one version of each"
    return versions


def counts(requirement: Requirement, python: Mapping[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**python, "extra": ""})


@pytest.mark.parametrize("name", LOCKED)
def test_a_lock_has_an_exact_version_and_hashes_of_each_package(name: str) -> None:
    for requirement, hashes in pinned(name):
        assert re.fullmatch(r"==[0-9][^,*]*", str(requirement.specifier)) and not requirement.url
        assert hashes and all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", each) for each in hashes), requirement.name


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("name", LOCKED)
def test_a_lock_fits_its_requirements(name: str, python: str) -> None:
    """Without the package index: each range holds the locked version, and what is installed here asks for nothing else."""
    have = locked(name, python)
    for line in filter(None, (line.partition("#")[0].strip() for line in lines(ROOT / f"{name}.txt"))):
        wanted = Requirement(line)
        if counts(wanted, environment(python)):
            assert have[canonicalize_name(wanted.name)] in wanted.specifier, f"{line}: run `python3 dev.py lock`"
    for package in have:
        try:
            needed = [Requirement(each) for each in requires(package) or []]
        except PackageNotFoundError:
            continue
        missing = [each.name for each in needed if counts(each, environment(python)) and canonicalize_name(each.name) not in have]
        assert missing == [], f"{package} needs {missing}: run `python3 dev.py lock`"


def test_the_locks_have_the_same_versions() -> None:
    """But for OpenTelemetry: what sends to Application Insights asks for exact versions of it."""
    first, *others = (locked(name, "3.12") for name in LOCKED)
    for other in others:
        both = [name for name in other if name in first and not name.startswith("opentelemetry-")]
        assert both and {name: first[name] for name in both} == {name: other[name] for name in both}
    assert set(first) < set(locked("requirements-telemetry", "3.12"))


@pytest.mark.parametrize(
    ("text", "lock"),
    [
        ("", "requirements.lock"),
        ("[telemetry]\nopentelemetry = false", "requirements.lock"),
        ("[telemetry]\nopentelemetry = true", "requirements-telemetry.lock"),
        ("telemetry = 1", "requirements.lock"),
        ("no TOML", "requirements.lock"),
    ],
)
def test_packages_for_telemetry_are_deployed_only_where_relay_toml_asks_for_it(tmp_path: Path, text: str, lock: str) -> None:
    (tmp_path / "relay.toml").write_text(text)
    assert lock_of(tmp_path) == lock


def test_the_package_has_the_lock_as_its_requirements_and_nothing_that_is_ignored(tmp_path: Path) -> None:
    root, package = tmp_path / "root", tmp_path / "root" / ".local" / "package"
    for path in (
        "rowpost/__pycache__/x.pyc",
        "rowpost/app.py",
        "tests/x.py",
        "local.settings.json",
        "docs/x.md",
        ".local/package/old",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    for name in (".funcignore", "requirements.txt", "requirements.lock", "requirements-hooks.lock", "host.json"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    with pytest.raises(FileNotFoundError, match=r"relay\.toml is missing"):
        lay_out(root, package)
    (root / "relay.toml").touch()
    for _ in range(2):
        lay_out(root, package)
        files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
        assert files == {"requirements.txt", "host.json", "relay.toml", "rowpost/app.py"}
        assert (package / "requirements.txt").read_bytes() == (ROOT / "requirements.lock").read_bytes()


def test_pip_sees_no_setting_of_the_hooks() -> None:
    secrets = {"DOWNSTREAM_API_KEY": "s", "AZURE_CLIENT_SECRET": "s", "ALERT_WEBHOOK_URL": "s", "SqlConnectionString": "s"}
    assert harmless({**secrets, "PATH": "/bin", "PIP_INDEX_URL": "i", "https_proxy": "p"}) == {
        "PATH": "/bin",
        "PIP_INDEX_URL": "i",
        "https_proxy": "p",
    }


@pytest.mark.online  # asks the package index: dev.py test leaves it out without ROWPOST_ONLINE
def test_the_deployed_python_finds_a_wheel_of_every_package(tmp_path: Path) -> None:
    version = verified("avm/res/web/site")[1]["functionAppConfig"]["runtime"]["version"]
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--only-binary=:all:"]
    command += [
        "--implementation",
        "cp",
        "--python-version",
        version,
        "--target",
        str(tmp_path / "target"),
        "--report",
        str(report),
    ]
    for platform in ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "linux_x86_64"):
        command += ["--platform", platform]
    done = subprocess.run([*command, "-r", str(REQUIREMENTS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {item["metadata"]["name"].lower() for item in json.loads(report.read_text())["install"]}
    assert {re.split("[>=]", line)[0] for line in lines()} <= found
