"""host.json, azure.yaml and local.settings.json against hand-written schemas, and against what they name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from devtools.data import DEMO_CONFIG
from rowpost.config.loading import load_config
from tests.deploy.bicep import ROOT

SCHEMAS = Path(__file__).parent / "schemas"
FILES = {"host.json": "host.json", "azure.yaml": "azure.yaml.json", "local.settings.json": "local.settings.json"}
LOCAL = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))["Values"]


def content(name: str) -> Any:
    text = (ROOT / name).read_text(encoding="utf-8")
    return yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / FILES[name]).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_the_file_holds_what_its_schema_allows(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    jsonschema.validate(content(name), schema(name))


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("host.json", ["extensions", "Sql", "MaxBatchSise"], 100),
        ("host.json", ["extensions", "Sql", "PollingIntervalMs"], 99),
        ("host.json", ["extensions", "durableTask", "hubName"], "row-post"),
        ("host.json", ["logging", "logLevel", "default"], "Info"),
        ("azure.yaml", ["services", "rowpost", "language"], "py"),
        ("azure.yaml", ["hooks", "postprovision", "posix", "continueOnError"], True),
        ("local.settings.json", ["Values", "DOWNSTREAM_URL"], ""),
    ],
)
def test_the_schema_refuses_a_mistake(name: str, path: list[str], value: Any) -> None:
    document = content(name)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema(name))


def test_azure_yaml_names_files_that_exist() -> None:
    project = content("azure.yaml")
    folder = ROOT / project["infra"]["path"]
    assert (folder / f"{project['infra']['module']}.bicep").is_file()
    assert (folder / f"{project['infra']['module']}.parameters.json").is_file()
    (service,) = project["services"].values()
    assert (ROOT / service["project"] / "function_app.py").is_file()
    for name, pair in project["hooks"].items():
        for system, ending in (("posix", "sh"), ("windows", "ps1")):
            assert pair[system]["run"] == f"infra/hooks/{name}.{ending}"
            assert (ROOT / pair[system]["run"]).is_file()


def test_the_time_limit_of_functions_covers_a_batch() -> None:
    (target,) = load_config(DEMO_CONFIG, LOCAL).targets
    hours, minutes, seconds = map(int, content("host.json")["functionTimeout"].split(":"))
    longest = target.batch_budget.seconds + 2 * target.timeout.seconds
    assert hours * 3600 + minutes * 60 + seconds >= 2 * longest


def test_the_application_lock_gives_up_before_the_command_does() -> None:
    assert (
        content("host.json")["extensions"]["Sql"]["AppLockTimeoutMs"] < 30_000
    )  # SqlCommand's default; else that error hides this one


def level(category: str) -> str:
    """What host.json says of a category: the longest name that it begins with decides."""
    levels = content("host.json")["logging"]["logLevel"]
    return str(levels[max((name for name in levels if category.startswith(name)), key=len, default="default")])


def test_lines_that_alerts_read_are_never_sampled_away() -> None:
    assert "Trace" in content("host.json")["logging"]["applicationInsights"]["samplingSettings"]["excludedTypes"].split(";")
    triggers = [relay.function for relay in load_config(DEMO_CONFIG, LOCAL).relays]
    for function in [*triggers, "watchdog", "redeliver_relay", "replay", "resync_step"]:
        assert level(f"Function.{function}.User") == "Information"


def test_what_the_durable_extension_tells_of_each_step_is_not_kept() -> None:
    functions = ["recovery", "notification", "resync", "table_columns", "database_memory"]
    activities = ["survey_relay", "start_notice", "send_notice", "record_told"]
    assert {level(f"Function.{name}.User") for name in [*functions, *activities]} == {"Warning"}
    assert level("DurableTask.AzureStorage") == "Error" and level("DurableTask.Core") == "Warning"


def test_the_listener_writes_no_error_for_each_second_of_an_outage() -> None:
    assert level("Host.Triggers.Sql") == "Critical"


def test_the_deployment_gets_the_very_names_that_the_app_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LOCAL.items():
        monkeypatch.setenv(name, value)
    from rowpost.app import load_app
    from triggers import table_changes

    app = load_app(ROOT, {**LOCAL, "ROWPOST_CONFIG": str(DEMO_CONFIG)})
    registered = []
    for relay in app.config.relays:
        (builder,) = table_changes.blueprint(app, relay)._function_builders
        registered.append(builder._function.get_function_name())
    assert [relay.function for relay in app.config.relays] == registered
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in registered)
