"""What the host accepts as an app, and what it refuses, by name."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.loading import load_app
from emulators.functions_host.app.signature import IndexingError
from emulators.functions_host.host_json import load_host_json
from emulators.functions_host.settings import AppSettings, ConfigurationError, load_settings
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


def load(app: Path, monkeypatch: pytest.MonkeyPatch) -> list[IndexedFunction]:
    """The functions of an app, loaded in this process."""
    monkeypatch.chdir(app)  # and back again
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "function_app", raising=False)
    importlib.invalidate_caches()
    try:
        return [function.about for function in load_app(AppSettings(app, load_host_json(app), {}))]
    finally:
        sys.modules.pop("function_app", None)


ACTIVITY = '@app.activity_trigger(input_name="x")\n'
TIMER = '@app.timer_trigger(arg_name="t", schedule="0 0 * * * *")\n'
SQL = '@app.sql_trigger(arg_name="x", table_name="T", connection_string_setting="S")\n'
MATCH = "in function.json do not match the corresponding function parameter's Python type annotation"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "ValueError: Could not find top level function app instances in function_app.py."),
        (
            HEAD + "other = func.FunctionApp()",
            "ValueError: More than one DFApp or other top level function app instances are defined.",
        ),
        (HEAD + "same = app", "ValueError: More than one DFApp"),
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'. Cannot find module."),
        ("def broken(:", "SyntaxError: invalid syntax"),
        (HEAD + ACTIVITY + "def a(x): pass\n" + ACTIVITY + "def a(x): pass", "does not have a unique function name"),
        (HEAD + f'@app.function_name("{"a" * 129}")\n{ACTIVITY}def a(x): pass', f"'{'a' * 129}' is not a valid function name."),
        (HEAD + f'@app.function_name("HOST")\n{ACTIVITY}def a(x): pass', "'HOST' is not a valid function name."),
        (HEAD + '@app.function_name("lonely")\ndef a(x): pass', "does not have a trigger"),
        (HEAD + ACTIVITY + "def a(y): pass", "the following parameters are declared in Python but not in function.json: {'y'}"),
        (HEAD + ACTIVITY + "def a(): pass", "the following parameters are declared in function.json but not in Python: {'x'}"),
        (HEAD + ACTIVITY + "def a(x: dict[str, int]): pass", "binding x has invalid non-type annotation dict[str, int]"),
        (HEAD + ACTIVITY + "def a(x: dict | None): pass", "invalid non-type annotation"),
        (HEAD + ACTIVITY + "def a(x: typing.Optional[dict]): pass", "invalid non-type annotation"),
        (HEAD + ACTIVITY + 'def a(x: "Nowhere"): pass', "NameError: name 'Nowhere' is not defined"),
        (HEAD + ACTIVITY + "def a(x: func.Out[str]): pass", 'binding x is declared to have the "in" direction in function.json'),
        (
            HEAD + '@app.orchestration_trigger(context_name="ctx")\ndef o(ctx): yield',
            'the "context" parameter is expected to be of type azure.functions.Context',
        ),
        (HEAD + ACTIVITY + "def a(x, context: int): pass", "azure.functions.Context, got <class 'int'>"),
        (HEAD + "@app.route()\ndef h(req: dict): pass", f'\'req\' binding type "httpTrigger" and dataType "None" {MATCH} "dict"'),
        (HEAD + "@app.route()\ndef h(req: typing.List[str]): pass", "TypeError: issubclass() arg 1 must be a class"),
        (HEAD + TIMER + "def t(t: int): pass", f'binding type "timerTrigger" and dataType "None" {MATCH} "int"'),
        (HEAD + SQL + "def s(x: func.SqlRowList): pass", f'binding type "sqlTrigger" and dataType "None" {MATCH} "SqlRowList"'),
        (HEAD + SQL + "def s(x: list): pass", f'{MATCH} "list"'),
        (HEAD + "@app.route()\ndef h(req) -> dict: pass", 'Python return annotation "dict" does not match binding type "http"'),
        (HEAD + "@app.route()\ndef h(req) -> bytes: pass", 'Python return annotation "bytes" does not match binding type "http"'),
        (HEAD + "@app.route()\ndef h(req) -> None: pass", 'Python return annotation "NoneType" does not match'),
        (HEAD + "@app.route()\ndef h(req) -> str | None: pass", "has invalid non-type return annotation str | None"),
        (HEAD + "@app.route()\ndef h(req) -> func.Out[str]: pass", "return annotation should not be azure.functions.Out"),
        (
            HEAD + '@app.queue_trigger(arg_name="m", queue_name="q", connection="c")\ndef q(m: func.QueueMessage): pass',
            "this host does not run triggers of type queueTrigger",
        ),
        (
            HEAD
            + TIMER
            + '@app.queue_output(arg_name="out", queue_name="q", connection="c")\ndef t(t: func.TimerRequest, out): pass',
            "this host does not support bindings of type queue",
        ),
        (
            HEAD + '@app.activity_trigger(input_name="x", activity="Same")\ndef a(x): pass\n'
            '@app.activity_trigger(input_name="x", activity="same")\ndef b(x): pass',
            "two functions with activityTrigger are registered under the name 'same'",
        ),
        (
            HEAD + SQL.replace('S")', 'S", batch_size=5)') + "def s(x: str): pass",
            "function s: this host does not honour batchSize of binding x",
        ),
        (
            HEAD + SQL.replace('S")', 'S", data_type=func.DataType.BINARY)') + "def s(x: str): pass",
            "this host does not support the data type of binding x",
        ),
        (
            HEAD + "@app.route()\n@app.durable_client_input(client_name='c', connection_name='Other')\nasync def h(req, c): pass",
            "does not honour connectionName of binding c",
        ),
        (
            HEAD + '@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:10")\n' + SQL + "def s(x): pass",
            "function s: this host does not retry functions with a trigger of type sqlTrigger",
        ),
        (
            HEAD
            + '@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="1.00:00:00")\n'
            + TIMER
            + "def t(t): pass",
            "ValueError: time data '1.00:00:00' does not match format '%H:%M:%S'",
        ),
        (
            HEAD
            + '@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:00.5")\n'
            + TIMER
            + "def t(t): pass",
            "ValueError: unconverted data remains: .5",
        ),
        (
            HEAD + '@app.retry(strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:01:00", '
            'maximum_interval="00:00:10")\n' + TIMER + "def t(t): pass",
            "The minimumInterval must not be greater than the maximumInterval.",
        ),
    ],
)
def test_an_app_that_breaks_a_rule_is_not_loaded(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    with pytest.raises(IndexingError) as found:
        load(make_app(source), monkeypatch)
    assert message in str(found.value)


@pytest.mark.parametrize(
    "source",
    [
        "@app.route()\ndef f(req: str) -> func.HttpResponse: pass",
        "@app.route()\ndef f(req: bytes) -> str: pass",
        "@app.route()\ndef f(req: func.HttpRequest): pass",
        TIMER + "def f(t: str) -> dict: pass",
        TIMER + "def f(t: func.TimerRequest) -> None: pass",
        SQL + "def f(x: bytes) -> typing.Any: pass",
        SQL + "def f(x): pass",
        ACTIVITY + "def f(x: typing.List[int], context: func.Context) -> typing.Dict[str, int]: pass",
        '@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="0:0:9")\n' + TIMER + "def f(t): pass",
    ],
)
def test_what_the_worker_accepts_is_accepted(make_app: Make, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    assert [function.name for function in load(make_app(HEAD + source), monkeypatch)] == ["f"]


def test_host_json_may_list_the_functions_that_run(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = HEAD + ACTIVITY + "def a(x): pass\n" + ACTIVITY + "def b(x): pass\n"
    app = make_app(source, '{"version": "2.0", "functions": ["B"]}')
    assert [function.name for function in load(app, monkeypatch)] == ["b"]
    with pytest.raises(IndexingError, match="functions names 'c', which the app does not have"):
        load(make_app(source, '{"version": "2.0", "functions": ["c"]}'), monkeypatch)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (HEAD + "raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import os\nos._exit(3)", "the worker ended with code 3 while it loaded the app"),
        (HEAD + '@app.timer_trigger(arg_name="t", schedule="often")\ndef t(t: func.TimerRequest): pass', "'often' is no schedule"),
        (
            HEAD + '@app.timer_trigger(arg_name="t", schedule="%Missing%")\ndef t(t: func.TimerRequest): pass',
            "'%Missing%' does not resolve to a value",
        ),
        (HEAD + '@app.route(route="{x:number}")\ndef h(req: func.HttpRequest): pass', "unknown constraint 'number'"),
    ],
)
def test_an_app_that_cannot_run_does_not_start(make_app: Make, tmp_path: Path, source: str, message: str) -> None:
    assert message in start_and_fail(make_app(source), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "host.json: "),
        ('{"version": "1.0"}', 'version must be "2.0"'),
        ('{"version": "2.0", "http": {"customHeaders": {"X-A": "1"}}}', "this host does not know http.customHeaders.X-A"),
        ('{"version": "2.0", "retry": {"strategy": "fixedDelay"}}', "this host does not know retry.strategy"),
        ('{"version": "2.0", "customHandler": {}}', "this host does not know customHandler"),
        (
            '{"version": "2.0", "extensions": {"http": {"maxRequestBodySize": 5}}}',
            "does not know extensions.http.maxRequestBodySize",
        ),
        (
            '{"version": "2.0", "extensions": {"http": {"dynamicThrottlesEnabled": true}}}',
            "does not support extensions.http.dynamic",
        ),
        ('{"version": "2.0", "concurrency": {"dynamicConcurrencyEnabled": true}}', "does not support concurrency.dynamic"),
        ('{"version": "2.0", "functions": "a"}', "functions must be a list of names"),
        ('{"version": "2.0", "functions": [1]}', "functions must be a list of names"),
        ('{"version": "2.0", "extensions": {"http": {"routePrefix": 5}}}', "extensions.http.routePrefix must be a text"),
        ('{"version": "2.0", "extensions": {"http": {"customHeaders": {"a b": "x"}}}}', "a b must be a header of HTTP"),
        (
            '{"version": "2.0", "extensions": {"http": {"customHeaders": {"a": "x\\ny"}}}}',
            "customHeaders.a must be a header of HTTP",
        ),
        ('{"version": "2.0", "extensions": {"http": {"customHeaders": {"a": 5}}}}', "customHeaders.a must be a header of HTTP"),
        (
            '{"version": "2.0", "extensions": {"Sql": {"MaxBatchSize": 5, "maxBatchSize": 6}}}',
            "extensions.Sql.MaxBatchSize and extensions.Sql.maxBatchSize are one key",
        ),
        ('{"version": "2.0", "functionTimeout": "5 minutes"}', "functionTimeout: '5 minutes' is not a time span"),
        ('{"version": "2.0", "functionTimeout": "00:00:00"}', "FunctionTimeout must be greater than 00:00:01"),
    ],
)
def test_a_host_json_that_is_not_valid_is_refused(make_app: Make, content: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        assert load_settings(make_app(HEAD, content), None, []).function_timeout is None
    assert message in str(found.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}', "logging.logLevel.default is 'Loud'"),
        ('{"version": "2.0", "extensions": {"durableTask": {"hubNam": "x"}}}', "unknown keys ['hubNam']"),
        ('{"version": "2.0", "extensions": {"durableTask": {"maxConcurrentActivityFunctions": 0}}}', "must be a positive number"),
        ('{"version": "2.0", "extensions": {"http": {"maxConcurrentRequests": 0}}}', "must be a positive number or -1"),
    ],
)
def test_a_host_json_with_a_wrong_value_fails_the_start(make_app: Make, tmp_path: Path, content: str, message: str) -> None:
    assert message in start_and_fail(make_app(HEAD, content), tmp_path)


def test_app_settings_replace_values_of_host_json(make_app: Make) -> None:
    app = make_app(HEAD, '{"version": "2.0", "extensions": {"Sql": {"MaxBatchSize": 100}}}')
    names = ["functionTimeout=00:02:00", "extensions__sql__maxBatchSize=7", "functions__0=a", "functions__1=b"]
    found = load_settings(app, None, [f"AzureFunctionsJobHost__{name}" for name in names])
    assert found.host_json["extensions"]["Sql"] == {"MaxBatchSize": 7}
    assert found.host_json["functions"] == ["a", "b"]
    assert found.function_timeout == timedelta(minutes=2)
    with pytest.raises(ConfigurationError, match=r"this host does not know retry\.strategy"):
        load_settings(app, None, ["AzureFunctionsJobHost__retry__strategy=fixedDelay"])


@pytest.mark.parametrize(
    ("given", "plan", "timeout"),
    [
        (None, "", timedelta(minutes=30)),
        (None, "Dynamic", timedelta(minutes=5)),
        ("00:10:00", "Dynamic", timedelta(minutes=10)),
        ("00:10:01", "Dynamic", None),
        ("-1", "Dynamic", None),
        ("01:00:00", "FlexConsumption", timedelta(hours=1)),
        ("1.00:00:00", "", timedelta(days=1)),
    ],
)
def test_the_plan_decides_on_the_time_of_a_function(
    make_app: Make, given: str | None, plan: str, timeout: timedelta | None
) -> None:
    app = make_app(HEAD, json.dumps({"version": "2.0"} | ({"functionTimeout": given} if given else {})))
    settings = load_settings(app, None, [f"WEBSITE_SKU={plan}"])
    if timeout is None:
        with pytest.raises(ConfigurationError, match=r"(?i)functionTimeout"):
            assert settings.function_timeout
    else:
        assert settings.function_timeout == timeout


def test_the_dedicated_plan_may_have_no_time_out(make_app: Make) -> None:
    assert load_settings(make_app(HEAD, '{"version": "2.0", "functionTimeout": "-1"}'), None, []).function_timeout is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("FUNCTIONS_WORKER_PROCESS_COUNT=2", "FUNCTIONS_WORKER_PROCESS_COUNT is '2'"),
        ("PYTHON_ENABLE_WORKER_EXTENSIONS=1", "does not support it"),
        ("PYTHON_ENABLE_OPENTELEMETRY=true", "does not support it"),
        ("AzureWebJobsFeatureFlags=EnableProxies", "does not support it"),
        ("FUNCTIONS_WORKER_RUNTIME=node", "only python runs here"),
    ],
)
def test_settings_that_ask_for_more_are_refused(make_app: Make, setting: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        load_settings(make_app(HEAD), None, [setting])
    assert message in str(found.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"Host": {"CORS": "*"}}, "this host does not support Host.CORS"),
        ({"Host": {"LocalHttpPort": "7071"}}, "Host.LocalHttpPort is '7071'"),
        ({"Hosts": {}}, "this host does not know Hosts"),
        ({"IsEncrypted": True}, "encrypted settings are not supported"),
    ],
)
def test_local_settings_that_ask_for_more_are_refused(make_app: Make, content: dict[str, Any], message: str) -> None:
    app = make_app(HEAD)
    (app / "local.settings.json").write_text(json.dumps(content))
    with pytest.raises(ConfigurationError) as found:
        load_settings(app, None, [])
    assert message in str(found.value)


def test_local_settings_may_choose_the_port(make_app: Make) -> None:
    app = make_app(HEAD)
    (app / "local.settings.json").write_text('{"Host": {"LocalHttpPort": 7099}}')
    assert load_settings(app, None, []).port == 7099


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
