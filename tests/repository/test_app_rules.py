"""The rules of the app's source: what it may import, read and log, and that what is deployed runs by itself."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.harness.raw_server import RawServer

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"rowpost", "triggers", "orchestrators", "activities", "entities"}
FILES = {"function_app.py", "host.json", "requirements.txt"}
CONFIG = ROOT / "relay.toml"  # the user's: git ignores it, and it is deployed where there is one
DEMO_CONFIG = ROOT / "devtools" / "demo_relay.toml"
DEVELOPMENT = {"emulators", "tests", "devtools", "infra", "dev"}
CLOCKS = {
    "now",
    "utcnow",
    "today",
    "sleep",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "process_time",
    "time_ns",
    "localtime",
    "gmtime",
}
TIME_LIMITS = {  # how long a socket and the posts of a batch may take, how fast they go, how long a token is good: spans, no dates
    "rowpost/http/exchange.py": ["time", "time.monotonic", "time.monotonic"],
    "rowpost/target/time_budget.py": ["time", "time.monotonic", "time.monotonic"],
    "rowpost/target/pacer.py": [
        "time",
        "time.monotonic",
        "time.sleep",
        "time.monotonic",
        "time.monotonic",
        "time.monotonic",
        "time.monotonic",
    ],
    "rowpost/target/sending.py": ["time", "time.monotonic", "time.monotonic"],
    "rowpost/notices/testing.py": ["time", "time.monotonic", "time.monotonic"],
    "rowpost/auth/kept.py": ["time", *["time.monotonic"] * 5],
    "rowpost/auth/managed_identity.py": ["time"],  # the SDK tells the end by the same clock
    "rowpost/telemetry/journal.py": ["time", *["time.monotonic"] * 4],  # how long a request has taken, for the log
    "rowpost/auth/signatures.py": ["time"],  # the receiver compares it with its own clock
}
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}
CARRIERS = {"values", "row", "changes", "body", "key"}


# --- what is deployed ---


def ignored_patterns() -> list[str]:
    lines = (line.strip() for line in (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines())
    patterns = [line.rstrip("/") for line in lines if line and not line.startswith("#")]
    assert not [pattern for pattern in patterns if "/" in pattern or pattern.startswith("!")], "one name or pattern a line"
    return patterns


def deployed(folder: Path, patterns: list[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if any(fnmatchcase(path.name, pattern) for pattern in patterns):
            continue
        if path.is_dir():
            yield from deployed(path, patterns)
        else:
            yield path


APP = [path for path in deployed(ROOT, ignored_patterns()) if path.suffix == ".py"]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_nothing_is_deployed_but_the_app() -> None:
    found = {path.relative_to(ROOT) for path in deployed(ROOT, ignored_patterns())}
    assert {path.name for path in found if len(path.parts) == 1} == FILES | ({CONFIG.name} if CONFIG.exists() else set())
    assert not any(fnmatchcase(CONFIG.name, pattern) for pattern in ignored_patterns())
    assert subprocess.run(["git", "check-ignore", "--quiet", CONFIG.name], cwd=ROOT).returncode == 0
    assert {path.parts[0] for path in found if len(path.parts) > 1} == PACKAGES
    others = [path for path in found if len(path.parts) > 1 and path.suffix not in (".py", ".sql")]
    assert {path.parent for path in others} == {Path("rowpost/console")}
    assert {path.suffix for path in others} == {".html", ".css", ".js", ".svg"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exactly what is deployed, and nothing else, with the demo's configuration."""
    folder = tmp_path_factory.mktemp("deployed")
    for path in deployed(ROOT, ignored_patterns()):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(DEMO_CONFIG, folder / CONFIG.name)
    return folder


def run(copy: Path, code: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    settings = json.loads((ROOT / "local.settings.json").read_text(encoding="utf-8"))["Values"]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    environment = {name: value for name, value in {**kept, **settings, **changes}.items() if value is not None}
    command = [sys.executable, "-B", "-c", code]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=60)


INDEX = """
import json, sys
import function_app
found = {}
for function in function_app.app.get_functions():
    trigger = function.get_trigger().get_dict_repr()
    found[function.get_function_name()] = trigger
from rowpost.database.statements import render
statement = render("describe_table", {"table_literal": "N''", "leases_literal": "N''"})
print(json.dumps({"functions": found, "modules": sorted(sys.modules), "statement": statement}, default=str))
"""


def test_the_app_is_indexed_from_what_is_deployed_with_no_database_in_reach(copy: Path) -> None:
    with RawServer() as database:
        connection = f"Server=127.0.0.1,{database.port};Database=rowpost;User ID=sa;Password=x;Encrypt=false"
        done = run(copy, INDEX, SqlConnectionString=connection)
        assert done.returncode == 0, done.stderr
        assert database.connections == 0, "a database that is down must not keep the app from starting"
    report = json.loads(done.stdout.splitlines()[-1])
    functions = report["functions"]
    assert {name: trigger["type"] for name, trigger in functions.items()} == {
        "relay_dbo_Airports": "sqlTrigger",
        "relay_dbo_Weather": "sqlTrigger",
        "relay_dbo_Flights": "sqlTrigger",
        "watchdog": "timerTrigger",
        "clean_history": "timerTrigger",
        "list_relays": "httpTrigger",
        "get_relay": "httpTrigger",
        "get_openapi": "httpTrigger",
        "get_console": "httpTrigger",
        "get_health": "httpTrigger",
        "get_columns": "httpTrigger",
        "put_columns": "httpTrigger",
        "delete_columns": "httpTrigger",
        "list_rows": "httpTrigger",
        "get_groups": "httpTrigger",
        "get_row": "httpTrigger",
        "get_row_by_columns": "httpTrigger",
        "get_row_values": "httpTrigger",
        "get_row_values_by_columns": "httpTrigger",
        "get_timeline": "httpTrigger",
        "get_preview": "httpTrigger",
        "list_incidents": "httpTrigger",
        "acknowledge_incident": "httpTrigger",
        "get_schema": "httpTrigger",
        "get_asyncapi": "httpTrigger",
        "test_notices": "httpTrigger",
        "replay": "httpTrigger",
        "resync": "orchestrationTrigger",
        "resync_step": "activityTrigger",
        "start_resync": "httpTrigger",
        "stop_resync": "httpTrigger",
        "retry": "httpTrigger",
        "discard": "httpTrigger",
        "pause": "httpTrigger",
        "resume": "httpTrigger",
        "list_audit": "httpTrigger",
        "recovery": "orchestrationTrigger",
        "notification": "orchestrationTrigger",
        "survey_relay": "activityTrigger",
        "redeliver_relay": "activityTrigger",
        "start_notice": "activityTrigger",
        "send_notice": "activityTrigger",
        "record_told": "activityTrigger",
        "table_columns": "entityTrigger",
        "database_memory": "entityTrigger",
    }
    flights = functions["relay_dbo_Flights"]
    assert (flights["tableName"], flights["connectionStringSetting"]) == ("[dbo].[Flights]", "SqlConnectionString")
    assert flights["leasesTableName"] == "Leases_rowpost_dbo_Flights_29b5e964"
    levels = {name: trigger["authLevel"] for name, trigger in functions.items() if trigger["type"] == "httpTrigger"}
    pages = str(levels.pop("get_console")).lower()
    assert pages in ("anonymous", "authlevel.anonymous", "0"), "the pages hold no data, and ask for the key themselves"
    assert report["statement"].startswith("-- rowpost: describe_table.sql"), "the statements are deployed too"
    assert {str(level).lower() for level in levels.values()} <= {"function", "authlevel.function", "1"}, levels
    assert not DEVELOPMENT & set(report["modules"])
    heavy = {"azure.communication", "azure.identity"} & set(report["modules"])
    assert not heavy, "imported only when a mail is sent: a cold start does not pay for it"
    # Some of its API is there anyway: the SDK of Durable Functions imports it.
    of_telemetry = re.compile(r"opentelemetry\.(sdk|metrics|exporter)|google|rowpost\.telemetry\.signals")
    assert not [name for name in report["modules"] if of_telemetry.match(name)], "metrics and spans cost nothing if they are off"


def test_a_missing_configuration_ends_the_start_with_the_command_that_makes_it(copy: Path) -> None:
    done = run(copy, "import function_app", ROWPOST_CONFIG=str(copy / "nowhere.toml"))
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0 and "nowhere.toml: cannot be read" in last and "make it with `python3 dev.py init`" in last


@pytest.mark.parametrize("setting", ["DOWNSTREAM_URL", "SqlConnectionString"])
def test_a_missing_setting_ends_the_start_with_one_sentence(copy: Path, setting: str) -> None:
    done = run(copy, "import function_app", **{setting: None})
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("rowpost.config.errors.ConfigError: ") and setting in last and "missing or empty" in last


def test_the_core_needs_no_functions_and_imports_nothing_heavy(copy: Path) -> None:
    modules = [named(path).removesuffix(".py").replace("/", ".") for path in APP if named(path).startswith("rowpost/")]
    modules.remove("rowpost.telemetry.signals")  # is imported where it is used: only if metrics and spans are sent
    code = f"import importlib, json, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
    done = run(copy, code + "print(json.dumps(sorted(sys.modules)))")
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert len(modules) >= 15 and "rowpost" in loaded
    assert not loaded & {"azure", "aiohttp", "opentelemetry", "cryptography", "pandas", "numpy"}


# --- what the source says ---


def imports(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def clock_reads(tree: ast.AST) -> list[str]:
    found = [name for name in imports(tree) if name.partition(".")[0] == "time"]
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS:
            owner = ast.unparse(node.value).rpartition(".")[2]
            if node in called or owner in ("datetime", "date", "dt", "time", "asyncio"):  # passed on, it is as good as called
                found.append(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if alias.name in CLOCKS]
    return found


def revealing_logs(tree: ast.AST) -> list[str]:
    """Log calls that mention anything of a name by which row values travel."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        logs = isinstance(called, ast.Attribute) and called.attr in LOGGING and "log" in ast.unparse(called.value).lower()
        if not logs and not (isinstance(called, ast.Name) and called.id == "print"):
            continue
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            names = {part.id for part in ast.walk(argument) if isinstance(part, ast.Name)}
            names |= {part.attr for part in ast.walk(argument) if isinstance(part, ast.Attribute)}
            names |= {str(part.value) for part in ast.walk(argument) if isinstance(part, ast.Constant) and part is not argument}
            if names & CARRIERS:
                found.append(ast.unparse(node))
    return found


def test_the_rules_see_what_they_forbid() -> None:
    clocks = ["datetime.now()", "dt.datetime.utcnow()", "date.today()", "import time", "from time import time", "asyncio.sleep(1)"]
    clocks += ["field(default_factory=datetime.now)", "import time as t", "from asyncio import sleep"]
    assert [source for source in clocks if not clock_reads(ast.parse(source))] == []
    assert not clock_reads(ast.parse("datetime.fromisoformat(claim.now)"))
    logs = [
        "_log.info('%s', row)",
        "log.error(f'{change.key}')",
        "logging.warning('x', extra={'a': values})",
        "print(item['body'])",
    ]
    assert all(revealing_logs(ast.parse(source)) for source in logs)
    assert not revealing_logs(ast.parse("_log.info('%s: %d rows', table.name, len(settlements))"))
    assert imports(ast.parse("from azure import functions")) == {"azure", "azure.functions"}


@pytest.mark.parametrize("path", APP, ids=named)
def test_a_file_of_the_app_keeps_the_rules(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = imports(tree)
    assert not {name for name in found if name.partition(".")[0] in DEVELOPMENT}, "the app runs without what develops it"
    allowed = TIME_LIMITS.get(path.relative_to(ROOT).as_posix(), [])
    assert clock_reads(tree) == allowed, "times come from the database, the target or the orchestration"
    assert revealing_logs(tree) == [], "row values are nobody's business but the target's"
    if named(path).startswith("rowpost/"):
        outside = {name for name in found if name.startswith(("azure.functions", "azure.durable_functions"))}
        assert not outside | {name for name in found if name.partition(".")[0] in PACKAGES - {"rowpost"} | {"function_app"}}


def test_the_emulators_do_not_import_the_app() -> None:
    for path in (ROOT / "emulators").rglob("*.py"):
        found = {name.partition(".")[0] for name in imports(ast.parse(path.read_text(encoding="utf-8")))}
        assert not found & (PACKAGES | {"function_app", "tests", "devtools"}), named(path)


# The host writes "[Hidden Credential]" over all that follows one of these in an exception: a remedy would be lost.
MASKED = ("token=", "accountkey=", "sharedaccesskey=", "data source=", "server=", "password=", "pwd=", "sig=", "code=", "key=")


def test_no_text_holds_what_the_host_masks() -> None:
    found = [
        (file.name, node.value)
        for file in APP
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(text in node.value.lower() for text in MASKED)
    ]
    assert found == []
