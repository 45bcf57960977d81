"""compose.yaml and the Dockerfile, as far as they can be checked without a Docker engine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from devtools.data import DEMO_CONFIG
from devtools.npm_tools import PACKAGES
from devtools.real_database import LOGIN, PASSWORD
from devtools.stack import ROOT
from rowpost.config.connection_string import translate
from rowpost.config.loading import load_config

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LOCAL: dict[str, str] = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))["Values"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EMULATORS = ["api", "mail"]


def listening(service: str) -> set[int]:
    """The ports inside the container that are published."""
    return {int(port.rpartition(":")[2]) for port in SERVICES[service].get("ports", [])}


def test_it_is_a_compose_file() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(ROOT / "compose.yaml")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("service", ["app", "prepare"])
def test_every_setting_that_the_app_reads_is_given(service: str) -> None:
    environment = SERVICES[service]["environment"]
    assert set(LOCAL) <= set(environment)
    config = load_config(DEMO_CONFIG, environment)
    target = translate(environment[config.database.connection], config.database.connection, "driver")
    assert (target.server, target.database) == ("sql,1433", "rowpost")


def test_the_app_has_the_rights_of_its_role_and_the_script_those_of_an_administrator() -> None:
    app, prepare = (SERVICES[name]["environment"]["SqlConnectionString"] for name in ("app", "prepare"))
    assert f"User ID={LOGIN};Password={PASSWORD};" in app
    assert f"User ID=sa;Password={SERVICES['sql']['environment']['MSSQL_SA_PASSWORD']};" in prepare


def test_what_runs_the_host_starts_it_again() -> None:
    assert SERVICES["app"]["restart"] == "unless-stopped"


def test_every_address_is_a_service_that_listens_there() -> None:
    text = "\n".join(SERVICES["app"]["environment"].values())
    found = set(re.findall(r"(?:http://|Server=)(\w+)[:,](\d+)", text))
    assert {name for name, _ in found} == {"sql", "azurite", "api", "mail"}
    for name, port in found:
        assert int(port) in listening(name), f"{name} does not listen on {port}"
    storage = re.findall(r"(Blob|Queue|Table)Endpoint=http://azurite:(\d+)/", SERVICES["app"]["environment"]["AzureWebJobsStorage"])
    assert dict(storage) == {"Blob": "10000", "Queue": "10001", "Table": "10002"}


def test_the_app_waits_for_all_that_it_talks_to() -> None:
    needs = SERVICES["app"]["depends_on"]
    assert needs["prepare"]["condition"] == "service_completed_successfully"
    assert SERVICES["prepare"]["depends_on"]["sql"]["condition"] == "service_healthy"
    assert {"azurite", "api", "mail"} <= set(needs)
    for name, need in [*needs.items(), ("sql", SERVICES["prepare"]["depends_on"]["sql"])]:
        assert (need["condition"] == "service_healthy") <= ("healthcheck" in SERVICES[name]), f"{name} is never healthy"


def test_what_runs_in_containers_serves_the_app_that_runs_outside_with_local_settings_json() -> None:
    assert (
        f"Server=localhost,1433;Database=rowpost;User ID=sa;Password={SERVICES['sql']['environment']['MSSQL_SA_PASSWORD']};"
        in (LOCAL["SqlConnectionString"])
    )
    for service, setting in (("api", "DOWNSTREAM_URL"), ("api", "ALERT_WEBHOOK_URL"), ("mail", "EMAIL_CONNECTION_STRING")):
        inside, outside = SERVICES["app"]["environment"][setting], LOCAL[setting]
        assert inside.replace(f"//{service}:", "//localhost:") == outside
        (port,) = listening(service)
        assert f"127.0.0.1:{port}:{port}" in SERVICES[service]["ports"]


def test_no_port_is_open_to_other_machines() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports and all(port.startswith("127.0.0.1:") for port in ports)


def test_azurite_is_the_same_version_in_its_container_and_from_npm() -> None:
    wanted = json.loads((PACKAGES / "package.json").read_text())["dependencies"]["azurite"]
    assert SERVICES["azurite"]["image"].endswith(f"/azurite:{wanted}")


@pytest.mark.parametrize("service", EMULATORS)
def test_an_emulators_command_serves_what_its_health_check_asks(service: str) -> None:
    python, *arguments = SERVICES[service]["command"]
    (port,) = listening(service)
    assert python == "python" and arguments[-2:] == ["--port", str(port)] and arguments[-4:-2] == ["--host", "0.0.0.0"]
    command = [sys.executable, *arguments[:-4], "--host", "127.0.0.1", "--port", "0"]  # a test opens nothing to others
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            actual = json.loads(process.stdout.readline())["port"]
            (url,) = re.findall(r"'(http://127\.0\.0\.1:\d+/[^']*)'", SERVICES[service]["healthcheck"]["test"][-1])
            assert f":{port}/" in url
            with urlopen(url.replace(f":{port}/", f":{actual}/"), timeout=30) as answer:
                assert answer.status == 200
        finally:
            process.terminate()


def test_the_command_that_prepares_the_database_is_one() -> None:
    python, *arguments = SERVICES["prepare"]["command"]
    assert python == "python" and arguments[:2] == ["-m", "devtools.real_database"]
    result = subprocess.run([sys.executable, *arguments, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0 and "--wait SECONDS" in result.stdout


def test_the_image_holds_what_a_deployment_does() -> None:
    """The Dockerfile copies exactly what .funcignore lets through."""
    ignored = [line.strip() for line in (ROOT / ".funcignore").read_text().splitlines() if line.strip() and line[0] != "#"]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [Path(line) for line in listed.stdout.splitlines()]
    kept = [path for path in paths if not any(fnmatch(part, pattern) for part in path.parts for pattern in ignored)]
    app = DOCKERFILE.partition("FROM app ")[0]
    yours = re.search(r"(?m)^ARG RELAY_TOML=(.+)$", app)
    assert yours is not None and "COPY ${RELAY_TOML} /home/site/wwwroot/relay.toml\n" in app
    app = app.replace("${RELAY_TOML}", yours[1])
    assert "COPY requirements.lock /home/site/wwwroot/requirements.txt\n" in app and "--require-hashes" in app
    app = app.replace("COPY requirements.lock", "COPY requirements.txt")
    copied = {name for line in re.findall(r"(?m)^COPY (.+) /home/site/wwwroot", app) for name in line.split()}
    assert copied == {path.parts[0] for path in kept} | {"relay.toml"}


def test_no_container_of_this_repository_runs_as_root() -> None:
    stages = re.findall(r"(?ms)^FROM \S+ AS (\S+)$(.*?)(?=^FROM |\Z)", DOCKERFILE)
    assert [name for name, _ in stages] == ["app", "app-local", "tools"]
    for name, text in stages:
        assert re.findall(r"(?m)^USER (\w+)$", text)[-1:] == ["65534"], name
    assert "ASPNETCORE_URLS=http://+:8080" in DOCKERFILE and SERVICES["app"]["ports"] == ["127.0.0.1:7071:8080"]


def test_compose_shows_the_demo_unless_a_configuration_is_named() -> None:
    named = re.compile(r"\$\{RELAY_TOML:-(.+)\}")
    found = [
        named.fullmatch(text)
        for text in (SERVICES["app"]["build"]["args"]["RELAY_TOML"], SERVICES["prepare"]["environment"]["ROWPOST_CONFIG"])
    ]
    for match in found:
        assert match is not None and ROOT / match[1] == DEMO_CONFIG
    assert not any(fnmatch(part, pattern) for part in DEMO_CONFIG.relative_to(ROOT).parts for pattern in dockerignored())
    assert not any(fnmatch("relay.toml", pattern) for pattern in dockerignored())


def dockerignored() -> list[str]:
    return [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]


def test_the_key_that_the_docs_give_is_the_one_in_the_image() -> None:
    (text,) = re.findall(r"COPY --chown=65534:65534 <<EOF \S+/host\.json\n(.*?)\nEOF\n", DOCKERFILE, re.DOTALL)
    keys = json.loads(text)
    assert f"code={keys['functionKeys'][0]['value']}" in (ROOT / "docs" / "local.md").read_text(encoding="utf-8")


def test_each_way_takes_at_most_three_commands_on_services_that_exist() -> None:
    text = (ROOT / "docs" / "local.md").read_text(encoding="utf-8")
    blocks = [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    assert len(blocks) == 5 and all(len(block) <= 3 for block in blocks)
    for line in [line.partition("#")[0] for block in blocks for line in block if "docker compose" in line]:
        named = re.findall(r"compose (?:up|exec)((?: [\w-]+)+)", re.sub(r" --\w+", "", line))
        names = named[0].split() if named else []
        assert set(names[:1] if "exec" in line else names) <= set(SERVICES), line
