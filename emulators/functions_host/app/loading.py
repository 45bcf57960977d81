"""Load ``function_app.py`` as the language worker does, with the errors of the worker."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func

from emulators.functions_host.app.indexing import LoadedFunction, index_function
from emulators.functions_host.app.signature import IndexingError
from emulators.functions_host.settings import AppSettings

_SCRIPT_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py")
_MISSING_MODULE = "Cannot find module. Please check the requirements.txt file for the missing module."


def load_app(settings: AppSettings) -> list[LoadedFunction]:
    """Import the app and index its functions, in order of registration; without those that host.json leaves out.

    Raises:
        IndexingError: the import fails, there is not exactly one app object, or a function breaks a rule.
    """
    script = settings.values.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not _SCRIPT_NAME.fullmatch(script):
        raise IndexingError(f"InvalidFileNameError: Invalid file name: {script}")
    path = settings.app / script
    if not path.is_file():
        raise IndexingError(f"{path} does not exist: functions that are described by function.json files do not run here")
    module = _import(settings.app, path)
    try:
        functions = _app_object(module, script).get_functions()
    except IndexingError:
        raise
    except Exception as problem:
        raise IndexingError(f"{type(problem).__name__}: {problem}") from problem
    indexed = [index_function(function) for function in functions]
    for kind in ("activityTrigger", "orchestrationTrigger", "entityTrigger"):
        _check_unique([f.about.durable_name for f in indexed if f.about.kind == kind], kind)
    return _listed(indexed, settings.host_json.get("functions"))


def _import(folder: Path, path: Path) -> ModuleType:
    root = str(folder)
    os.chdir(root)
    sys.path[:] = [root, *(entry for entry in sys.path if entry != root)]
    try:
        module = importlib.import_module(path.stem)
    except ImportError as problem:
        text = f"{str(problem.msg).rstrip('.')}. {_MISSING_MODULE}"
        raise IndexingError(f"{type(problem).__name__}: {text}") from problem
    except Exception as problem:
        raise IndexingError(f"{type(problem).__name__}: {problem}") from problem
    if Path(inspect.getfile(module)).resolve() != path.resolve():
        raise IndexingError(f"import of {path.stem!r} found {inspect.getfile(module)} instead of {path}")
    return module


def _app_object(module: ModuleType, script: str) -> Any:
    """The one app object among the names of the module; two names for one object are two."""
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if len(apps) > 1:
        kind = type(apps[0]).__name__
        raise IndexingError(f"ValueError: More than one {kind} or other top level function app instances are defined.")
    if not apps:
        raise IndexingError(f"ValueError: Could not find top level function app instances in {script}.")
    return apps[0]


def _check_unique(names: list[str], kind: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise IndexingError(f"two functions with {kind} are registered under the name {name!r}")
        seen.add(name.lower())


def _listed(functions: list[LoadedFunction], names: list[str] | None) -> list[LoadedFunction]:
    """The functions that the list ``functions`` of host.json names; all if it names none."""
    if not names:
        return functions
    known = {function.about.name.lower() for function in functions}
    if unknown := [name for name in names if name.lower() not in known]:
        raise IndexingError(f"host.json: functions names {', '.join(map(repr, unknown))}, which the app does not have")
    wanted = {name.lower() for name in names}
    return [function for function in functions if function.about.name.lower() in wanted]
