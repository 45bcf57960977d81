"""Load ``function_app.py`` as the language worker does, and check its functions by the worker's rules."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions._thirdparty import typing_inspect

from emulators.functions_host.settings import AppSettings

TRIGGERS = frozenset({"httpTrigger", "timerTrigger", "sqlTrigger", "activityTrigger", "orchestrationTrigger", "entityTrigger"})
INPUTS = frozenset({"durableClient", "orchestrationClient"})
OUTPUTS = frozenset({"http"})


class IndexingError(Exception):
    """The app's functions cannot be loaded: the message says which and why."""


@dataclass(frozen=True)
class IndexedFunction:
    """One function of the app.

    Attributes:
        name: its name in the host.
        user_function: what to call, with keyword arguments only.
        is_async: whether ``user_function`` is a coroutine function.
        trigger: the properties of its trigger binding, enums as upper-case text.
        inputs: the properties of its other input bindings, by parameter name.
        return_type: type of the ``$return`` binding, None without one.
        has_return: whether a returned value is wanted.
        wants_context: whether it has a parameter ``context`` for the invocation context.
        retry_policy: settings of its ``@app.retry`` decorator.
    """

    name: str
    user_function: Callable[..., Any]
    is_async: bool
    trigger: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    return_type: str | None
    has_return: bool
    wants_context: bool
    retry_policy: dict[str, str] | None

    @property
    def kind(self) -> str:
        """The type of its trigger, e.g. ``httpTrigger``."""
        return str(self.trigger["type"])

    @property
    def durable_name(self) -> str:
        """The name under which the durable extension knows it."""
        given = {"activityTrigger": "activity", "orchestrationTrigger": "orchestration", "entityTrigger": "entityName"}
        return str(self.trigger.get(given.get(self.kind, "")) or self.name)


def load_app(settings: AppSettings) -> list[IndexedFunction]:
    """Import the app and index its functions, in order of registration.

    Raises:
        IndexingError: the import fails, there is not exactly one app object, or a function breaks a rule.
    """
    script = settings.values.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    path = settings.app / script
    if not path.is_file():
        raise IndexingError(f"{path} does not exist")
    root = str(settings.app)
    os.chdir(root)
    sys.path[:] = [root, *(entry for entry in sys.path if entry != root)]
    try:
        module = importlib.import_module(path.stem)
    except Exception as problem:
        raise IndexingError(f"importing {script} failed: {type(problem).__name__}: {problem}") from problem
    if Path(inspect.getfile(module)).resolve() != path.resolve():
        raise IndexingError(f"import of {path.stem!r} found {inspect.getfile(module)} instead of {path}")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if not apps:
        raise IndexingError(f"could not find a top-level function app instance in {script}")
    if len(apps) > 1:
        raise IndexingError(f"more than one top-level function app instance is defined in {script}")
    try:
        functions = apps[0].get_functions()
    except Exception as problem:
        raise IndexingError(f"indexing {script} failed: {problem}") from problem
    indexed = [index_function(function) for function in functions]
    for kind in ("activityTrigger", "orchestrationTrigger", "entityTrigger"):
        _check_unique([f.durable_name for f in indexed if f.kind == kind], kind)
    return indexed


def _check_unique(names: list[str], kind: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise IndexingError(f"two functions with {kind} are registered under the name {name!r}")
        seen.add(name.lower())


def _properties(binding: Any) -> dict[str, Any]:
    """The binding as the worker would send it: enums by name, None left out."""
    properties: dict[str, Any] = {}
    for key, value in binding.get_dict_repr().items():
        if isinstance(value, (list, tuple)):
            properties[key] = [getattr(item, "name", item) for item in value]
        elif value is not None:
            properties[key] = value if isinstance(value, (str, int, float, bool)) else getattr(value, "name", value)
    return properties


def index_function(function: Any) -> IndexedFunction:
    """Check one function object of the SDK and describe it.

    Raises:
        IndexingError: it breaks a rule of the worker, or has a binding that this host does not run.
    """
    name = function.get_function_name()

    def refuse(reason: str) -> IndexingError:
        return IndexingError(f"cannot load the {name} function: {reason}")

    user_function = function.get_user_function()
    trigger = _properties(function.get_trigger())
    if trigger["type"] not in TRIGGERS:
        raise refuse(f"this host does not run triggers of type {trigger['type']}")
    if function.is_http_function() and function.http_type != "function":
        raise refuse(f"this host does not run {function.http_type.upper()} apps")
    inputs: dict[str, dict[str, Any]] = {}
    return_type: str | None = None
    for binding in function.get_bindings():
        if binding is function.get_trigger():
            continue
        if binding.name == "$return":
            if int(binding.direction) != 1:
                raise refuse('"$return" binding must have direction set to "out"')
            if binding.type not in OUTPUTS:
                raise refuse(f"this host does not support output bindings of type {binding.type}")
            return_type = binding.type
        elif int(binding.direction) == 2:
            raise refuse('"inout" bindings are not supported')
        elif int(binding.direction) == 1 or binding.type not in INPUTS:
            raise refuse(f"this host does not support bindings of type {binding.type}")
        else:
            inputs[binding.name] = _properties(binding)
    wants_context = _check_parameters(refuse, user_function, trigger, inputs)
    converter = func.get_binding_registry().get(trigger["type"])
    implicit = converter is None or bool(converter.has_implicit_output())  # unknown types go through the generic binding, which has
    return IndexedFunction(
        name=name,
        user_function=user_function,
        is_async=inspect.iscoroutinefunction(user_function),
        trigger=trigger,
        inputs=inputs,
        return_type=return_type,
        has_return=return_type is not None or implicit,
        wants_context=wants_context,
        retry_policy=function.get_settings_dict("retry_policy"),
    )


def _check_parameters(
    refuse: Callable[[str], IndexingError],
    user_function: Callable[..., Any],
    trigger: dict[str, Any],
    inputs: dict[str, dict[str, Any]],
) -> bool:
    """Compare parameters with bindings and annotations with converters; tells whether the invocation context is wanted."""
    bound = {trigger["name"]: trigger["type"], **{name: binding["type"] for name, binding in inputs.items()}}
    signature = inspect.signature(user_function)
    try:
        annotations = typing.get_type_hints(user_function)
    except Exception as problem:
        raise refuse(f"its annotations cannot be resolved: {problem}") from None
    parameters = set(signature.parameters)
    wants_context = False
    if "context" in parameters and "context" not in bound:
        annotation = annotations.get("context")
        if annotation is not None and getattr(annotation, "__name__", None) != "Context":
            raise refuse('the "context" parameter is expected to be of type azure.functions.Context')
        parameters.discard("context")
        wants_context = True
    if missing := parameters - set(bound):
        raise refuse(f"the following parameters are declared in Python but not as bindings: {sorted(missing)}")
    if missing := set(bound) - parameters:
        raise refuse(f"the following bindings are declared but are no parameters of the Python function: {sorted(missing)}")
    for parameter, kind in bound.items():
        annotation = annotations.get(parameter)
        if annotation is None:
            continue
        if not (isinstance(annotation, type) or typing_inspect.is_generic_type(annotation)) or _is_subscripted(annotation):
            raise refuse(f"binding {parameter} has invalid non-type annotation {annotation!r}")
        _check_annotation(refuse, parameter, kind, annotation)
    return wants_context


def _is_subscripted(annotation: Any) -> bool:
    """Whether it is a built-in generic such as ``dict[str, int]``, which the worker's inspection does not know."""
    return type(annotation) is type(list[int])


def _check_annotation(refuse: Callable[[str], IndexingError], parameter: str, kind: str, annotation: Any) -> None:
    converter = func.get_binding_registry().get(kind)
    if not isinstance(annotation, type):
        accepted = converter is not None and kind == "activityTrigger"
    elif converter is None:
        accepted = issubclass(annotation, (str, bytes, bytearray))
    else:
        accepted = bool(converter.check_input_type_annotation(annotation))
    # The decorator of durable clients rewrites the annotation of the client to str, which that converter accepts.
    if not accepted:
        raise refuse(f"the type {annotation!r} of parameter {parameter} does not suit its binding of type {kind}")
