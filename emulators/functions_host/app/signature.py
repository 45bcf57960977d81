"""The worker's comparison of a function's parameters and annotations with its bindings; errors are in its words."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions import _thirdparty

from emulators.functions_host.app.conversion import GENERIC, converter, has_implicit_output

typing_inspect: Any = _thirdparty.typing_inspect  # it has no type annotations


class IndexingError(Exception):
    """The app's functions cannot be loaded: the message says which and why.

    Attributes:
        stack: the traceback in the app, if there is one.
    """

    stack: str | None = None


@dataclass(frozen=True)
class Signature:
    """What the worker makes of a function's parameters.

    Attributes:
        input_types: by parameter, the type whose converter reads its value; ``generic`` for texts and bytes.
        return_type: the type whose converter writes the returned value; None if nothing may be returned.
        wants_context: whether it has a parameter ``context`` for the invocation context.
    """

    input_types: dict[str, str]
    return_type: str | None
    wants_context: bool


def read_signature(name: str, user_function: Callable[..., Any], bindings: Mapping[str, Any]) -> Signature:
    """Check the parameters and the annotations of a function.

    Args:
        name: of the function.
        user_function: what the app registered.
        bindings: of the function, by name; the one of the return value is ``$return``.

    Raises:
        IndexingError: they break a rule.
    """

    def refuse(reason: str) -> IndexingError:
        return IndexingError(f"FunctionLoadError: cannot load the {name} function: {reason}")

    parameters = dict(inspect.signature(user_function).parameters)
    try:
        annotations = typing.get_type_hints(user_function)
    except Exception as problem:
        raise IndexingError(f"{type(problem).__name__}: {problem} (annotations of the {name} function)") from None
    bound = {key: binding for key, binding in bindings.items() if key != "$return"}
    wants_context = "context" in parameters and "context" not in bound
    if wants_context:
        del parameters["context"]
        annotation = annotations.get("context", func.Context)
        if not isinstance(annotation, type) or annotation.__name__ != "Context":
            raise refuse(f'the "context" parameter is expected to be of type azure.functions.Context, got {annotation!r}')
    if surplus := set(parameters) - set(bound):
        raise refuse(f"the following parameters are declared in Python but not in function.json: {surplus!r}")
    if surplus := set(bound) - set(parameters):
        raise refuse(f"the following parameters are declared in function.json but not in Python: {surplus!r}")
    input_types = {
        parameter: _input_type(refuse, parameter, bound[parameter], annotations[parameter])
        if parameter in annotations
        else str(bound[parameter].type)
        for parameter in parameters
    }
    return Signature(input_types, _return_type(refuse, name, bindings, annotations), wants_context)


Refuse = Callable[[str], IndexingError]


def _input_type(refuse: Refuse, parameter: str, binding: Any, annotation: Any) -> str:
    origin = typing_inspect.get_origin(annotation) if typing_inspect.is_generic_type(annotation) else None
    if getattr(annotation if origin is None else origin, "__name__", "") == "Out":
        raise refuse(
            f'binding {parameter} is declared to have the "in" direction in function.json, '
            "but its annotation is azure.functions.Out in Python"
        )
    if not isinstance(annotation, type) and not typing_inspect.is_generic_type(annotation):
        raise refuse(f"binding {parameter} has invalid non-type annotation {annotation!r}")
    kind = GENERIC if annotation in (str, bytes) and not has_implicit_output(binding.type) else str(binding.type)
    if not _suits(converter(kind).check_input_type_annotation, annotation, parameter):
        named = getattr(annotation, "__name__", repr(annotation))
        raise refuse(  # the worker asks for "undefined", which the binding of an indexed function never is
            f'{parameter!r} binding type "{binding.type}" and dataType "{binding.data_type}" in function.json do not match '
            f'the corresponding function parameter\'s Python type annotation "{named}"'
        )
    return kind


def _return_type(refuse: Refuse, name: str, bindings: Mapping[str, Any], annotations: Mapping[str, Any]) -> str | None:
    explicit = bindings.get("$return")
    if explicit is None:
        implicit = [str(binding.type) for binding in bindings.values() if has_implicit_output(binding.type)]
        return implicit[-1] if implicit else None
    kind = str(explicit.type)
    if "return" not in annotations:
        return kind
    annotation = annotations["return"]
    if typing_inspect.is_generic_type(annotation) and getattr(typing_inspect.get_origin(annotation), "__name__", "") == "Out":
        raise refuse("return annotation should not be azure.functions.Out")
    if not isinstance(annotation, type):
        raise refuse(f"has invalid non-type return annotation {annotation!r}")
    if not _suits(converter(kind).check_output_type_annotation, annotation, f"return value of {name}"):
        raise refuse(f'Python return annotation "{annotation.__name__}" does not match binding type "{kind}"')
    return kind


def _suits(check: Callable[[Any], Any], annotation: Any, where: str) -> bool:
    try:
        return bool(check(annotation))
    except TypeError as problem:  # the check of most types is issubclass, which takes no typing.List[...]
        raise IndexingError(f"TypeError: {problem} ({where})") from None
