"""Describe a function of the app by the worker's rules, and refuse what this host does not run."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulators.functions_host.app.retries import RetryPolicy
from emulators.functions_host.app.signature import IndexingError, read_signature

# The properties of each type of binding that this host honours; it refuses all others, which the real one passes over.
TRIGGERS = {
    "httpTrigger": {"authLevel", "methods", "route"},
    "timerTrigger": {"schedule", "runOnStartup", "useMonitor"},
    "sqlTrigger": {"tableName", "connectionStringSetting", "leasesTableName"},
    "activityTrigger": {"activity"},
    "orchestrationTrigger": {"orchestration"},
    "entityTrigger": {"entityName"},
}
INPUTS = {"durableClient": {"taskHub"}, "orchestrationClient": {"taskHub"}}
OUTPUTS: dict[str, set[str]] = {"http": set()}
_OF_EVERY_BINDING = {"type", "name", "direction"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
_RETRIED = "timerTrigger"  # the other triggers that support retries do not run here


@dataclass(frozen=True)
class IndexedFunction:
    """One function of the app.

    Attributes:
        name: its name in the host.
        is_async: whether it is a coroutine function.
        trigger: the properties of its trigger binding, enums as upper-case text.
        inputs: the properties of its other input bindings, by parameter name.
        input_types: by parameter, the type whose converter reads its value.
        return_type: the type whose converter writes the returned value; None if nothing may be returned.
        has_response: whether a ``$return`` binding takes the returned value as the answer of an HTTP request.
        wants_context: whether it has a parameter ``context`` for the invocation context.
        retry_policy: its ``@app.retry``.
    """

    name: str
    is_async: bool
    trigger: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    input_types: dict[str, str]
    return_type: str | None
    has_response: bool
    wants_context: bool
    retry_policy: RetryPolicy | None

    @property
    def kind(self) -> str:
        """The type of its trigger, e.g. ``httpTrigger``."""
        return str(self.trigger["type"])

    @property
    def durable_name(self) -> str:
        """The name under which the durable extension knows it."""
        given = {"activityTrigger": "activity", "orchestrationTrigger": "orchestration", "entityTrigger": "entityName"}
        return str(self.trigger.get(given.get(self.kind, "")) or self.name)


@dataclass(frozen=True)
class LoadedFunction:
    """A function where it runs.

    Attributes:
        about: what the host knows of it.
        user_function: what to call, with keyword arguments only.
    """

    about: IndexedFunction
    user_function: Callable[..., Any]


def index_function(function: Any) -> LoadedFunction:
    """Check one function object of the SDK and describe it.

    Raises:
        IndexingError: it breaks a rule of the worker, or asks for what this host does not do.
    """
    name = function.get_function_name()
    if not _NAME.fullmatch(name) or name.lower() == "host":
        raise IndexingError(f"'{name}' is not a valid function name.")
    user_function = function.get_user_function()
    trigger = function.get_trigger()
    bindings: dict[str, Any] = {}
    for binding in function.get_bindings():
        _check_direction(name, binding)
        _check_kind(name, binding, is_trigger=binding is trigger)
        bindings[binding.name] = binding
    if function.is_http_function() and function.http_type != "function":
        raise _refusal(name, f"this host does not run {function.http_type.upper()} apps")
    signature = read_signature(name, user_function, bindings)
    about = IndexedFunction(
        name=name,
        is_async=inspect.iscoroutinefunction(user_function),
        trigger=_properties(trigger),
        inputs={key: _properties(b) for key, b in bindings.items() if b is not trigger and key != "$return"},
        input_types=signature.input_types,
        return_type=signature.return_type,
        has_response="$return" in bindings,
        wants_context=signature.wants_context,
        retry_policy=_retry_policy(name, trigger.type, function.get_settings_dict("retry_policy")),
    )
    return LoadedFunction(about, user_function)


def _refusal(name: str, reason: str) -> IndexingError:
    return IndexingError(f"function {name}: {reason}")


def _check_direction(name: str, binding: Any) -> None:
    if int(binding.direction) == 2:
        raise IndexingError(f'FunctionLoadError: cannot load the {name} function: "inout" bindings are not supported')
    if binding.name == "$return" and int(binding.direction) != 1:
        raise IndexingError(
            f'FunctionLoadError: cannot load the {name} function: "$return" binding must have direction set to "out"'
        )


def _check_kind(name: str, binding: Any, *, is_trigger: bool) -> None:
    """Refuse a type of binding that does not run here, and properties that would have no effect."""
    if is_trigger and binding.type not in TRIGGERS:
        raise _refusal(name, f"this host does not run triggers of type {binding.type}")
    known = TRIGGERS if is_trigger else OUTPUTS if binding.name == "$return" else INPUTS
    if binding.type not in known or (known is INPUTS and int(binding.direction) == 1):
        raise _refusal(name, f"this host does not support bindings of type {binding.type}")
    properties = _properties(binding)
    if properties.pop("dataType", "STRING") not in ("STRING", "UNDEFINED"):
        raise _refusal(name, f"this host does not support the data type of binding {binding.name}: only texts")
    if unknown := set(properties) - known[binding.type] - _OF_EVERY_BINDING:
        raise _refusal(name, f"this host does not honour {', '.join(sorted(unknown))} of binding {binding.name}")


def _properties(binding: Any) -> dict[str, Any]:
    """The binding as the worker would send it: enums by name, None left out."""
    properties: dict[str, Any] = {}
    for key, value in binding.get_dict_repr().items():
        if isinstance(value, (list, tuple)):
            properties[key] = [getattr(item, "name", item) for item in value]
        elif value is not None:
            properties[key] = value if isinstance(value, (str, int, float, bool)) else getattr(value, "name", value)
    return properties


def _retry_policy(name: str, kind: str, settings: dict[str, str] | None) -> RetryPolicy | None:
    if not settings:
        return None
    if kind != _RETRIED:
        raise _refusal(name, f"this host does not retry functions with a trigger of type {kind}")
    try:
        return RetryPolicy(settings)
    except (KeyError, TypeError, ValueError) as problem:
        raise IndexingError(f"{type(problem).__name__}: {problem} (retry policy of the {name} function)") from None
