"""What the host accepts as an app, and what it refuses, by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emulators.functions_host.settings import ConfigurationError, load_settings
from emulators.tests.functions_host.world import APPS

ROOT = Path(__file__).parents[3]
Make = Callable[..., Path]
HEAD = """
import typing
import azure.functions as func
import azure.durable_functions as df
app = df.DFApp()
"""


def start_and_fail(app: Path, tmp_path: Path, *options: str) -> str:
    """Start a host that must not start; what it says on standard error."""
    command = [sys.executable, "-m", "emulators.functions_host", "--app", str(app), "--data", str(tmp_path / "data"), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    return errors[0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "could not find a top-level function app instance"),
        (HEAD + "other = func.FunctionApp()", "more than one top-level function app"),
        (HEAD + "same = app", "more than one top-level function app"),
        ("import nothing_like_this", "importing function_app.py failed: ModuleNotFoundError"),
        ("def broken(:", "importing function_app.py failed: SyntaxError"),
        (
            HEAD + '@app.activity_trigger(input_name="x")\ndef a(x): pass\n@app.activity_trigger(input_name="x")\ndef a(x): pass',
            "does not have a unique function name",
        ),
        (HEAD + '@app.function_name("lonely")\ndef a(x): pass', "does not have a trigger"),
        (HEAD + '@app.activity_trigger(input_name="x")\ndef a(y): pass', "declared in Python but not as bindings: ['y']"),
        (HEAD + '@app.activity_trigger(input_name="x")\ndef a(): pass', "bindings are declared but are no parameters"),
        (HEAD + '@app.activity_trigger(input_name="x")\ndef a(x: dict[str, int]): pass', "invalid non-type annotation"),
        (HEAD + '@app.activity_trigger(input_name="x")\ndef a(x: dict | None): pass', "invalid non-type annotation"),
        (HEAD + '@app.activity_trigger(input_name="x")\ndef a(x: typing.Optional[dict]): pass', "invalid non-type annotation"),
        (HEAD + '@app.activity_trigger(input_name="x")\ndef a(x: "Nowhere"): pass', "its annotations cannot be resolved"),
        (
            HEAD + '@app.orchestration_trigger(context_name="ctx")\ndef o(ctx): yield',
            "is expected to be of type azure.functions.Context",
        ),
        (HEAD + "@app.route()\ndef h(req: dict): pass", "does not suit its binding of type httpTrigger"),
        (HEAD + '@app.timer_trigger(arg_name="t", schedule="0 0 * * * *")\ndef t(t: str): pass', "does not suit its binding"),
        (
            HEAD + '@app.generic_trigger(arg_name="x", type="sqlTrigger", tableName="T", connectionStringSetting="S")\n'
            "def s(x: func.SqlRowList): pass",
            "does not suit its binding of type sqlTrigger",
        ),
        (
            HEAD + '@app.queue_trigger(arg_name="m", queue_name="q", connection="c")\ndef q(m: func.QueueMessage): pass',
            "this host does not run triggers of type queueTrigger",
        ),
        (
            HEAD + '@app.timer_trigger(arg_name="t", schedule="0 0 * * * *")\n'
            '@app.queue_output(arg_name="out", queue_name="q", connection="c")\ndef t(t: func.TimerRequest, out): pass',
            "this host does not support bindings of type queue",
        ),
        (HEAD + '@app.timer_trigger(arg_name="t", schedule="often")\ndef t(t: func.TimerRequest): pass', "'often' is no schedule"),
        (
            HEAD + '@app.timer_trigger(arg_name="t", schedule="%Missing%")\ndef t(t: func.TimerRequest): pass',
            "'%Missing%' does not resolve to a value",
        ),
        (HEAD + '@app.route(route="{x:number}")\ndef h(req: func.HttpRequest): pass', "unknown constraint 'number'"),
        (
            HEAD + '@app.activity_trigger(input_name="x", activity="Same")\ndef a(x): pass\n'
            '@app.activity_trigger(input_name="x", activity="same")\ndef b(x): pass',
            "two functions with activityTrigger are registered under the name 'same'",
        ),
    ],
)
def test_an_app_that_breaks_a_rule_does_not_start(make_app: Make, tmp_path: Path, source: str, message: str) -> None:
    assert message in start_and_fail(make_app(source), tmp_path)


@pytest.mark.parametrize(
    ("host_json", "message"),
    [
        ("{", "host.json: "),
        ('{"version": "1.0"}', 'version must be "2.0"'),
        ('{"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}', "logging.logLevel.default is 'Loud'"),
        ('{"version": "2.0", "extensions": {"durableTask": {"hubNam": "x"}}}', "unknown keys ['hubNam']"),
        ('{"version": "2.0", "extensions": {"durableTask": {"maxConcurrentActivityFunctions": 0}}}', "must be a positive number"),
    ],
)
def test_a_host_json_that_is_not_valid_is_refused(make_app: Make, tmp_path: Path, host_json: str, message: str) -> None:
    assert message in start_and_fail(make_app(HEAD, host_json), tmp_path)


def test_a_second_host_on_the_same_data_is_refused(make_app: Make, tmp_path: Path) -> None:
    app = make_app(HEAD)
    command = [sys.executable, "-m", "emulators.functions_host", "--app", str(app), "--data", str(tmp_path / "data")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as first:
        try:
            assert first.stdout is not None
            assert json.loads(first.stdout.readline())["functions"] == []
            assert "another host is running with the data directory" in start_and_fail(app, tmp_path)
        finally:
            first.terminate()
        assert first.wait(20) == 0


def test_names_of_the_ready_line_are_in_order_of_registration(tmp_path: Path) -> None:
    settings = ["--setting", f"NOTES={tmp_path / 'notes'}", "--setting", "EveryFiveMinutes=0 */5 * * * *"]
    command = [
        sys.executable,
        "-m",
        "emulators.functions_host",
        "--app",
        str(APPS / "everything"),
        "--data",
        str(tmp_path),
        *settings,
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as host:
        try:
            assert host.stdout is not None
            ready = json.loads(host.stdout.readline())
        finally:
            host.terminate()
        assert host.wait(20) == 0
    assert ready["functions"][:3] == ["hello", "plain", "boom"]
    assert ready["port"] != ready["rpc_port"]


def test_precedence_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    values = {"A": "file", "B": "file", "C": "file"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values, "ConnectionStrings": {"Sql": "text"}}))
    monkeypatch.setenv("B", "environment")
    monkeypatch.setenv("C", "environment")
    settings = load_settings(tmp_path, None, ["C=command line", "D=a=b"])
    assert [settings.values[name] for name in "ABCD"] == ["file", "environment", "command line", "a=b"]
    assert settings.skipped == ["B"]
    assert settings.connection_string("Sql") == "text"
    assert settings.resolve("x%A%y") == "xfiley"
    with pytest.raises(ConfigurationError, match="'Other' is missing"):
        settings.connection_string("Other")
    with pytest.raises(ConfigurationError, match="NAME=VALUE"):
        load_settings(tmp_path, None, ["oops"])
    assert "A" not in os.environ
