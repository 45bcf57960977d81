"""The reference of the HTTP API in ``docs/api.md``, from its OpenAPI document."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from rowpost.app import App
from rowpost.config.sections import Config, RelayConfig, TargetConfig
from rowpost.database.connection import Database
from triggers.api.openapi import openapi_document
from triggers.operator_api import operations as all_operations

# The operations are the same whatever is relayed.
_ANY = Config(targets=[TargetConfig(name="api", url="https://example.com")], relays=[RelayConfig(table="dbo.Orders")])


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of the app."""
    app = App(_ANY, Database(""))
    return openapi_document(all_operations(app).operations, entra=False)


def operations() -> str:
    """Each operation: what it needs and what it answers."""
    lines = ["| operation | access | what it does | answer |", "|---|---|---|---|"]
    sections: list[str] = []
    for route, methods in document()["paths"].items():
        for method, operation in methods.items():
            call = f"{method.upper()} /api{route}"
            success = ", ".join(status for status, answer in operation["responses"].items() if _is_success(answer))
            answer = next(answer for answer in operation["responses"].values() if _is_success(answer))
            shape = _type(next(iter(answer["content"].values()))["schema"])
            lines.append(f"| `{call}` | {operation['x-access']} | {operation['summary']} | {success}: {shape} |")
            details = _parameters(operation)
            if details:
                sections.append("\n".join([f"### {call}", "", *details]))
    return "\n".join(lines) + "\n\n" + "\n\n".join(sections)


def types() -> str:
    """The documents that requests and answers have."""
    return "\n\n".join(_described(name, schema) for name, schema in sorted(document()["components"]["schemas"].items()))


def _is_success(answer: dict[str, Any]) -> bool:
    return "application/problem+json" not in answer["content"]


def _parameters(operation: dict[str, Any]) -> list[str]:
    query = [each for each in operation["parameters"] if each["in"] == "query"]
    lines = [f"- `{each['name']}`: {_type(each['schema'])}{_more(each['schema'])}" for each in query]
    if "requestBody" in operation:
        body = operation["requestBody"]
        needed = "" if body["required"] else " It may be left out."
        lines.append(f"- The body is {_type(body['content']['application/json']['schema'])}.{needed}")
    return lines


def _described(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}", ""]
    if "description" in schema:
        lines += [schema["description"].partition("\n\nAttributes:")[0].replace("``", "`"), ""]
    meanings = _meanings(schema.get("description", ""))
    fields = schema.get("properties", {})
    if fields:
        lines += ["| field | type | |", "|---|---|---|"]
        for field, each in fields.items():
            told = " ".join(part for part in (meanings.get(field, ""), _more(each).strip()) if part)
            lines.append(f"| `{field}` | {_type(each)} | {told} |")
    return "\n".join(lines).rstrip()


def _meanings(text: str) -> dict[str, str]:
    """What the docstring of a type says of its attributes."""
    _, _, attributes = text.partition("Attributes:\n")
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", attributes, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", said).replace("``", "`") for name, said in found}


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(kind)


def _more(schema: dict[str, Any]) -> str:
    parts = [schema["description"]] if "description" in schema else []
    if "minimum" in schema and "maximum" in schema:
        parts.append(f"{schema['minimum']} to {schema['maximum']}.")
    if schema.get("default") not in (None, [], {}, ""):
        parts.append(f"Default: `{schema['default']}`.")
    return f" {' '.join(parts)}" if parts else ""
