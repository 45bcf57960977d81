"""What the emulators' code says about their scope, as Markdown: one function a section of emulators/docs/."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from emulators import functions_host
from emulators.downstream import rules as downstream_rules
from emulators.email_service import faults as email_faults
from emulators.functions_host import host_json, settings
from emulators.functions_host.app import indexing
from emulators.functions_host.durable import config as durable_config
from emulators.functions_host.durable import walker
from emulators.functions_host.durable.rpc import ManagementApi
from emulators.functions_host.sql_trigger import connection_string
from emulators.sql_server import engine
from emulators.sql_server.catalogue.view_columns import SYSTEM_VIEWS
from emulators.sql_server.compiler.expressions import GLOBALS
from emulators.sql_server.compiler.functions import aggregates, calls, table
from emulators.sql_server.engine import options, session_functions
from emulators.sql_server.parser import keywords, tree
from emulators.sql_server.procedures import catalogue as catalogue_procedures
from emulators.sql_server.procedures import system as system_procedures
from emulators.sql_server.runtime import registration
from emulators.sql_server.values import datatypes, errors
from emulators.sql_server.wire import faults

ROOT = Path(__file__).resolve().parents[1]
SQL_SERVER = ROOT / "sql_server"

# How T-SQL spells the statements that the syntax tree has. A new kind of statement without an entry is a KeyError.
_STATEMENTS = {
    "AlterDatabase": "ALTER DATABASE … SET (change tracking, compatibility level, row versions)",
    "AlterTable": "ALTER TABLE: ADD, ALTER COLUMN (also MASKED), DROP COLUMN, DROP CONSTRAINT, CHECK CONSTRAINT, CHANGE_TRACKING",
    "BeginTransaction": "BEGIN TRANSACTION",
    "Block": "BEGIN … END",
    "Break": "BREAK",
    "Commit": "COMMIT",
    "Continue": "CONTINUE",
    "CreateFunction": "CREATE, ALTER and CREATE OR ALTER FUNCTION (inline table-valued)",
    "CreateIndex": "CREATE INDEX (UNIQUE, INCLUDE, WHERE)",
    "AlterAuthorization": "ALTER AUTHORIZATION ON SCHEMA",
    "CreateSchema": "CREATE SCHEMA",
    "CreateTable": "CREATE TABLE, also #temporary",
    "CreateType": "CREATE TYPE … FROM",
    "SequenceStatement": "CREATE and ALTER SEQUENCE",
    "CreateView": "CREATE, ALTER and CREATE OR ALTER VIEW",
    "Declare": "DECLARE, also table variables",
    "Delete": "DELETE (FROM, TOP, OUTPUT)",
    "DropObjects": "DROP TABLE, VIEW, FUNCTION, INDEX, SCHEMA, SECURITY POLICY, SEQUENCE, TYPE (IF EXISTS)",
    "Execute": "EXECUTE of a system procedure",
    "ExecuteString": "EXECUTE (text)",
    "If": "IF … ELSE",
    "Insert": "INSERT (VALUES, SELECT, EXECUTE, DEFAULT VALUES, OUTPUT)",
    "Merge": "MERGE (OUTPUT)",
    "PermissionStatement": "GRANT, DENY, REVOKE",
    "PolicyStatement": "CREATE and ALTER SECURITY POLICY (FILTER predicates)",
    "PrincipalStatement": "CREATE, ALTER and DROP LOGIN, USER, ROLE",
    "Print": "PRINT",
    "QueryStatement": "SELECT (CTEs, joins, APPLY, windows, set operations, TOP, OFFSET, FOR JSON)",
    "RaiseError": "RAISERROR",
    "Return": "RETURN",
    "Rollback": "ROLLBACK, also to a savepoint",
    "SaveTransaction": "SAVE TRANSACTION",
    "SetOption": "SET option",
    "SetVariable": "SET @variable",
    "Throw": "THROW",
    "TruncateTable": "TRUNCATE TABLE",
    "CheckIdentity": "DBCC CHECKIDENT",
    "TryCatch": "BEGIN TRY … BEGIN CATCH",
    "Update": "UPDATE (FROM, TOP, OUTPUT)",
    "Use": "USE",
    "WaitFor": "WAITFOR DELAY",
    "While": "WHILE",
}
_SDK_CALLS = {
    "CALL_ACTIVITY": "call_activity",
    "CALL_ACTIVITY_RETRY": "call_activity_with_retry",
    "CALL_SUB": "call_sub_orchestrator",
    "CALL_SUB_RETRY": "call_sub_orchestrator_with_retry",
    "CONTINUE_AS_NEW": "continue_as_new",
    "CREATE_TIMER": "create_timer",
    "WAIT_EVENT": "wait_for_external_event",
    "CALL_ENTITY": "call_entity",
    "CALL_HTTP": "call_http",
    "SIGNAL_ENTITY": "signal_entity",
    "WHEN_ANY": "task_any",
    "WHEN_ALL": "task_all",
}
_MARKS = {"yes": "✓", "absent": "–", "refused": "refused"}


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words, key=str.lower))


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


def _attributes(documentation: str) -> dict[str, str]:
    """The meaning of each field that a docstring's section ``Attributes`` names (several may share one)."""
    section = documentation.partition("Attributes:")[2]
    found: dict[str, str] = {}
    for match in re.finditer(r"(?ms)^ {8}([a-z_, ]+): (.*?)(?=^ {8}[a-z_, ]+: |\Z)", section):
        for name in match[1].split(","):
            found[name.strip()] = re.sub(r"\s+", " ", match[2].replace(":class:", "")).replace("``", "`").strip()
    return found


def _fields(*kinds: Any) -> str:
    """Tables of the fields of data classes, with their defaults and what the docstring says of them."""
    parts = []
    for kind in kinds:
        # inspect.getdoc would take the indentation away that tells a field from the lines of its text
        meanings = _attributes(kind.__doc__ or "")
        rows = []
        for item in fields(kind):
            if item.name in ("struck",):
                continue
            default = "" if item.default is MISSING else f"`{json.dumps(item.default)}`"
            rows.append([f"`{item.name}`", default, meanings.get(item.name, "")])
        summary = re.sub(r"\s+", " ", inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0]).replace("``", "`")
        parts.append(f"`{kind.__name__}`: {summary}\n\n" + _table(["field", "default", "meaning"], rows))
    return "\n\n".join(parts)


def _bullets(documentation: str | None) -> str:
    """The list items of a docstring."""
    items = re.findall(r"(?ms)^\* (.*?)(?=^\* |^\s*$|\Z)", inspect.cleandoc(documentation or ""))
    plain = (re.sub(r"\s+", " ", item).replace("``", "`").strip() for item in items)
    return "\n".join(f"- {item[0].upper()}{item[1:]}" for item in plain)


# --- SQL Server ---


def _concrete(kind: type[Any]) -> list[type[Any]]:
    return [found for child in kind.__subclasses__() for found in (_concrete(child) or [child])]


def statements() -> str:
    # a set: a data class with slots leaves its first class behind until the garbage is collected
    return "\n".join(f"- {line}" for line in sorted({_STATEMENTS[kind.__name__] for kind in _concrete(tree.Statement)}))


def refusals() -> list[str]:
    """The texts of all refusals in the code of the emulator; … stands for what varies."""
    found: set[str] = set()
    for file in sorted(SQL_SERVER.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("unsupported", "not_supported") and (text := _text(node.args[0])) and text.strip("… "):
                found.add(text)
    return sorted(found, key=str.lower)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def refused_statements() -> str:
    rest = {"Functions": keywords.REFUSED_FUNCTIONS, "Procedures": system_procedures.REFUSED}
    return "\n\n".join([_words(refusals()), *(f"{title}: {_words(names)}" for title, names in rest.items())])


def functions() -> str:
    methods = {name[4:].upper() for name in dir(calls.FunctionCompiler) if name.startswith("_fn_")}
    scalar = methods | set(table.SIMPLE_FUNCTIONS) | calls.MATH | set(calls.NOW)
    scalar -= set(refusals())
    windows = set(aggregates.WINDOW_ONLY) | aggregates.WINDOW_VALUES
    globals_ = {f"@@{name.upper()}" for name in GLOBALS}
    groups = {
        "Scalar": scalar | {"CAST", "TRY_CAST", "CONVERT", "TRY_CONVERT"},
        "Aggregates": set(aggregates.AGGREGATES),
        "Windows": windows,
        "Table-valued": {"OPENJSON", "CHANGETABLE", "STRING_SPLIT", "GENERATE_SERIES", "fn_listextendedproperty"},
        "Variables of the server": globals_,
    }
    return "\n\n".join(f"**{title}**: {_words(names)}" for title, names in groups.items())


def function_files() -> str:
    """Where each function is: the file that compiles its calls, and the files of the SQLite functions that do the work."""
    compiled: dict[str, set[str]] = {}

    def add(module: str, names: Iterable[str]) -> None:
        compiled.setdefault(module, set()).update(names)

    add(aggregates.__name__, {*aggregates.AGGREGATES, *aggregates.WINDOW_ONLY, *aggregates.WINDOW_VALUES})
    add(calls.__name__, {*calls.MATH, *calls.NOW})
    for name, (target, *_) in table.SIMPLE_FUNCTIONS.items():
        add(table.__name__, [f"{name} → {target}"])
    for name, method in inspect.getmembers(calls.FunctionCompiler, inspect.isfunction):
        if name.startswith("_fn_"):
            targets = sorted(set(re.findall(r"\bk_\w+", inspect.getsource(method))))
            add(method.__module__, [" → ".join([name.removeprefix("_fn_").upper(), ", ".join(targets)]).removesuffix(" → ")])
    running: dict[str, set[str]] = {session_functions.__name__: set(session_functions.FUNCTIONS)}
    for file in (SQL_SERVER / "runtime").glob("*.py"):
        module = importlib.import_module(f"emulators.sql_server.runtime.{file.stem}")
        if functions := getattr(module, "FUNCTIONS", None):
            running[module.__name__] = set(functions)
    running[registration.__name__] = set(registration.OTHERS)
    rows = (sorted([f"`{_file(module)}`", _words(names)] for module, names in found.items()) for found in (compiled, running))
    first, second = _table(["compiled in", "functions"], next(rows)), _table(["runs in", "functions of SQLite"], next(rows))
    return f"{first}\n\n{second}"


def _file(module: str) -> str:
    return module.removeprefix("emulators.").replace(".", "/") + ".py"


def types() -> str:
    types_ = set(datatypes.SYSTEM_TYPES) | {"sysname"}
    return f"{_words(types_)}\n\nAs columns that hold only NULL: {_words(datatypes.ASSEMBLY_TYPES)}"


def views() -> str:
    return _words(name.replace("information_schema", "INFORMATION_SCHEMA") for name in SYSTEM_VIEWS)


def procedures() -> str:
    own, catalogue = set(system_procedures.PROCEDURES), set(catalogue_procedures.PROCEDURES)
    return f"Called by batches and clients: {_words(own | catalogue)}"


def set_options() -> str:
    rows = []
    for name, rule in options.RULES.items():
        shown = " or ".join(f"`{value}`" for value in sorted(rule.accepted)) if rule.accepted else "none"
        taken = shown if rule.accepted is not None else rule.kind
        rows.append([f"`{name}`", taken, "acts" if rule.act else "–", rule.why])
    rows.append(["`IDENTITY_INSERT`", "a table with an identity, ON, OFF", "acts", "one table at a time"])
    return _table(["option", "accepted", "", "meaning"], sorted(rows))


def error_numbers() -> str:
    return ", ".join(str(number) for number in sorted(errors.CATALOGUE))


def engine_differences() -> str:
    return _bullets(engine.__doc__)


def sql_faults() -> str:
    numbers = ", ".join(str(number) for number in sorted(faults.KNOWN))
    actions = f"Actions: {_words(faults.ACTIONS)}."
    return f"{_fields(faults.Fault)}\n\n{actions}\n\nErrors with the real severity, state and text: {numbers}."


def fault_outcomes() -> str:
    seen = json.loads((ROOT / "docs" / "faults.json").read_text(encoding="utf-8"))
    rows = []
    for name, what in seen.items():
        error = f"`{what['error']}`" if what["error"] else "none"
        rows.append([name, error, str(what["number"] or "–"), what["text"] or "–", what["connection"], what["transaction"]])
    return _table(["fault", "exception and SQLSTATE", "number", "text", "connection afterwards", "transaction"], rows)


def clients() -> str:
    table = json.loads((ROOT / "docs" / "clients.json").read_text(encoding="utf-8"))
    names = list(table["clients"])
    rows = [[title, *(_MARKS[table["clients"][name][key]] for name in names)] for key, title in table["features"].items()]
    return _table(["feature", *names], rows)


# --- Functions host ---


def host_differences() -> str:
    return _bullets(functions_host.__doc__)


def bindings() -> str:
    rows = [
        ["triggers", _words(indexing.TRIGGERS)],
        ["inputs", _words(indexing.INPUTS)],
        ["outputs", _words(indexing.OUTPUTS)],
    ]
    return _table(["kind", "types"], rows)


def durable_actions() -> str:
    known = {name for name, value in vars(walker).items() if name.isupper() and type(value) is int}
    return _words(_SDK_CALLS[name] for name in known)


def durable_settings() -> str:
    source = inspect.getsource(durable_config.DurableConfig.read)
    names = set(re.findall(r'number\("(\w+)"|given\.pop\("(\w+)"', source))
    honoured = {first or second for first, second in names}
    rows = _table(["without effect", "because"], _grouped(durable_config.WITHOUT_EFFECT))
    return f"Honoured: {_words(honoured)}\n\n{rows}\n\nAny other key fails the start."


def host_settings() -> str:
    honoured = _words(host_json.HONOURED - {"extensions.durableTask.*"})
    rows = _table(["without effect", "because"], _grouped(host_json.WITHOUT_EFFECT))
    refused = _words(settings.REFUSED)
    rest = f"Any other key fails the start. So do these app settings, if they ask for something: {refused}"
    return f"Honoured: {honoured}\n\n{rows}\n\n{rest}"


def binding_properties() -> str:
    kinds = indexing.TRIGGERS | indexing.INPUTS | indexing.OUTPUTS
    return _table(["type", "properties"], [[f"`{kind}`", _words(names) or "none"] for kind, names in sorted(kinds.items())])


def _grouped(reasons: dict[str, str]) -> list[list[str]]:
    """Names with the same reason in one row."""
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        found.setdefault(reason, []).append(name)
    return [[_words(names), reason] for reason, names in found.items()]


def management_urls() -> str:
    tree = ast.parse(textwrap.dedent(inspect.getsource(ManagementApi.management_urls)))
    document = next(node for node in ast.walk(tree) if isinstance(node, ast.Dict))
    rows = []
    for key, value in zip(document.keys, document.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(value, ast.JoinedStr):
            short = {"base": "…/instances/ID", "query": "…"}
            parts = [
                short[ast.unparse(part.value)] if isinstance(part, ast.FormattedValue) else _text(part) for part in value.values
            ]
            path = "".join(parts)
            rows.append([f"`{key.value}`", f"`{path}`"])
    return _table(["link", "address"], rows)


# --- SQL trigger ---


def scenarios() -> str:
    found = []
    for file in (ROOT / "tests" / "sql_trigger").glob("test_scenarios_of_*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and (match := re.fullmatch(r"test_scenario_(\d\d)_(\w+)", node.name)):
                found.append((match[1], node.lineno, match[2], node.name))
    rows = [[str(int(number)), name.replace("_", " "), f"`{test}`"] for number, _, name, test in sorted(found)]
    return _table(["", "scenario", "test"], rows)


def connection_keywords() -> str:
    known = _words(connection_string.KEYWORDS)
    return f"Translated: {known}\n\nRead and without effect: {_words(connection_string.WITHOUT_EFFECT)}"


# --- downstream API, e-mail ---


def downstream() -> str:
    return _fields(downstream_rules.Mode, downstream_rules.Rule, downstream_rules.Settings)


def email() -> str:
    return _fields(email_faults.EmailMode, email_faults.Fault)


SECTIONS: dict[str, Callable[[], str]] = {
    "bindings": bindings,
    "clients": clients,
    "connection-keywords": connection_keywords,
    "downstream": downstream,
    "durable-actions": durable_actions,
    "durable-settings": durable_settings,
    "email": email,
    "engine-differences": engine_differences,
    "error-numbers": error_numbers,
    "fault-outcomes": fault_outcomes,
    "function-files": function_files,
    "functions": functions,
    "binding-properties": binding_properties,
    "host-differences": host_differences,
    "host-settings": host_settings,
    "management-urls": management_urls,
    "procedures": procedures,
    "refused-statements": refused_statements,
    "scenarios": scenarios,
    "set-options": set_options,
    "sql-faults": sql_faults,
    "statements": statements,
    "types": types,
    "views": views,
}
