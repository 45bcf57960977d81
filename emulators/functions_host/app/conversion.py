"""Values between the host and a function, as the worker converts them: by the SDK's converters, and by its own generic one."""

from __future__ import annotations

import json
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum

GENERIC = "generic"  # of a parameter that is annotated as str or bytes
_INT64 = range(-(2**63), 2**63)


class Generic:
    """The worker's own converter: for the types that the SDK does not know, such as ``sqlTrigger``, and for plain texts."""

    @staticmethod
    def check_input_type_annotation(kind: type) -> bool:
        """Whether a parameter may have this annotation."""
        return issubclass(kind, (str, bytes))

    @staticmethod
    def decode(data: Datum | None, *, trigger_metadata: Any) -> Any:
        """What the parameter receives.

        Raises:
            ValueError: a value of another kind than a text, bytes or JSON.
        """
        if data is None or data.type is None:
            return None
        if data.type not in ("string", "bytes", "json"):
            raise ValueError(f'unexpected type of data received for the "generic" binding : {data.type!r}')
        return data.value

    @staticmethod
    def encode(value: Any, *, expected_type: Any) -> Datum:
        """What is sent to the host.

        Raises:
            NotImplementedError: a value of another type.
        """
        kinds: list[tuple[type | tuple[type, ...], str]] = [(str, "string"), ((bytes, bytearray), "bytes"), (dict, "dict")]
        kinds += [(list, "list"), (int, "int"), (float, "double")]
        if value is None:
            return Datum(None, None)
        for kind, name in kinds:
            if isinstance(value, kind):
                return Datum(value, name)
        raise NotImplementedError


def converter(kind: str) -> Any:
    """The converter of a binding type."""
    registry: Any = func.get_binding_registry()  # type: ignore[no-untyped-call]
    return registry.get(kind) or Generic


def has_implicit_output(kind: str) -> bool:
    """Whether a function with such a binding may return a value without a binding for it."""
    found = converter(kind)
    if found is Generic:
        return kind != "durableClient"
    return bool(getattr(found, "has_implicit_output", lambda: False)())


def decode(kind: str, data: Datum, metadata: dict[str, Datum] | None) -> Any:
    """The value that a parameter receives.

    Raises:
        TypeError, ValueError: it cannot be converted.
    """
    found = converter(kind)
    try:
        return found.decode(data, trigger_metadata=metadata)
    except NotImplementedError:
        raise TypeError(
            f"unable to decode incoming TypedData: unsupported combination of TypedData field {data.type!r} "
            f"and expected binding type {found}"
        ) from None


def encode(kind: str, value: Any) -> Datum:
    """What a returned value becomes on its way to the host.

    Raises:
        TypeError, ValueError: it cannot be converted, or the message to the host cannot hold it.
    """
    found = converter(kind)
    try:
        data: Datum = found.encode(value, expected_type=None)
    except NotImplementedError:
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "{found}" for Python type "{type(value).__name__}"'
        ) from None
    _check_message(data)
    return data


def _check_message(data: Datum) -> None:
    """The message is protobuf: its texts are UTF-8 and its integers have 64 bits."""
    if data.type in ("dict", "list"):
        json.dumps(data.value)
    elif data.type == "int" and data.value not in _INT64:
        raise ValueError(f"Value out of range: {data.value}")
    elif data.type == "http":
        for text in data.value["headers"].values():
            text.value.encode()
    elif isinstance(data.value, str):
        data.value.encode()
    elif data.type == "json" and data.value is not None:
        raise TypeError(f"bad argument type for built-in operation: json is {type(data.value).__name__}")
