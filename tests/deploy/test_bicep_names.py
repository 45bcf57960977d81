"""Without a compiler: every file parses, every name is declared and used, every module gets what it asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tree_sitter

from tests.deploy.bicep import FILES, INFRA, MAIN, document, modules, named, nodes, tree

AVM = json.loads((Path(__file__).parent / "avm.json").read_text(encoding="utf-8"))["modules"]
FUNCTIONS = {"concat", "deployer", "empty", "environment", "guid", "items", "last", "loadJsonContent", "loadTextContent", "map"}
FUNCTIONS |= {"replace", "resourceGroup", "split", "string", "subscription", "subscriptionResourceId", "tenant", "toLower"}
FUNCTIONS |= {"toObject", "trim", "union", "uniqueString"}
DECLARATIONS = {"parameter_declaration", "variable_declaration", "module_declaration", "resource_declaration"}
each_file = pytest.mark.parametrize("path", FILES, ids=named)


@each_file
def test_both_parsers_read_it(path: Path) -> None:
    assert document(path)
    wrong = [(node.start_point.row + 1, node.type) for node in nodes(tree(path)) if node.type == "ERROR" or node.is_missing]
    assert wrong == []


def text(node: tree_sitter.Node) -> str:
    assert node.text is not None
    return node.text.decode()


def declared(root: tree_sitter.Node) -> list[str]:
    """The names that a file declares at its top."""
    return [text(child.named_children[0]) for child in root.named_children if child.type in DECLARATIONS]


def local(root: tree_sitter.Node) -> set[str]:
    """Variables of loops and lambdas."""
    found = {text(node) for node in nodes(root) if node.type in ("loop_variable", "loop_enumerator")}
    for node in nodes(root):
        if node.type in ("lambda_expression", "for_statement"):
            first = node.named_children[0]
            found |= {text(item) for item in nodes(first) if item.type == "identifier"}
    return found


def references(root: tree_sitter.Node) -> set[str]:
    """The names that a file reads: all identifiers but declared names, keys of objects, and decorators."""
    found = set()
    for node in nodes(root):
        if node.type != "identifier" or node.parent is None:
            continue
        parent = node.parent
        if parent.type in {*DECLARATIONS, "output_declaration", "object_property"} and parent.named_children[0] == node:
            continue
        above: tree_sitter.Node | None = parent
        while above is not None and above.type != "decorator":
            above = above.parent
        if above is None:
            found.add(text(node))
    return found


@each_file
def test_every_name_is_declared_and_used_and_declared_once(path: Path) -> None:
    names = declared(tree(path))
    assert sorted(names) == sorted(set(names))
    used = references(tree(path))
    assert used - set(names) - local(tree(path)) - FUNCTIONS == set()
    # Resources and modules may stand for themselves; a parameter or variable that nobody reads is a mistake.
    values = set(document(path).get("parameters", {})) | set(document(path).get("variables", {}))
    assert values - used == set()


@each_file
def test_modules_of_this_repository_get_their_parameters_and_give_what_is_read(path: Path) -> None:
    for name, module in modules(path).items():
        if module["version"] is not None:
            continue
        target = (path.parent / module["source"]).resolve()
        parameters = document(target).get("parameters", {})
        required = {key for key, value in parameters.items() if value.get("default") is None}
        assert set(module["params"]) <= set(parameters), f"{name}: unknown parameters"
        assert required <= set(module["params"]), f"{name}: missing parameters"
        assert module["outputs"] <= set(document(target).get("outputs", {})), f"{name}: unknown outputs"


@each_file
def test_verified_modules_are_pinned_and_get_only_parameters_that_their_version_has(path: Path) -> None:
    for name, module in modules(path).items():
        if module["version"] is None:
            continue
        assert re.fullmatch(r"\d+\.\d+\.\d+", module["version"]), name
        interface = AVM[f"{module['source']}:{module['version']}"]
        assert set(module["params"]) <= {*interface["required"], *interface["optional"]}, f"{name}: unknown parameters"
        assert set(interface["required"]) <= set(module["params"]), f"{name}: missing parameters"
        assert module["outputs"] <= set(interface["outputs"]), f"{name}: unknown outputs"


def test_no_module_is_left_over() -> None:
    used = {f"{module['source']}:{module['version']}" for path in FILES for module in modules(path).values() if module["version"]}
    assert used == set(AVM)
    local_files = {
        (path.parent / module["source"]).resolve() for path in FILES for module in modules(path).values() if not module["version"]
    }
    assert local_files == {path.resolve() for path in FILES} - {MAIN.resolve()}


def test_files_that_bicep_loads_exist() -> None:
    loaded = set()
    for path in FILES:
        for match in re.finditer(r"load(?:Json|Text)Content\('([^']+)'\)", path.read_text(encoding="utf-8")):
            target = (path.parent / match[1]).resolve()
            assert target.is_file(), f"{named(path)}: {match[1]}"
            loaded.add(target)
    given = {path.resolve() for path in [*INFRA.glob("*.json"), *INFRA.glob("app/**/*.json"), *INFRA.glob("app/**/*.kql")]}
    assert given - loaded == {(INFRA / "main.parameters.json").resolve()}


def test_resource_types_and_the_scope_of_the_deployment() -> None:
    assert document(MAIN)["globals"]["scope"]["value"] == "subscription"
    types = {}
    for path in FILES:
        for name, resource in document(path).get("resources", {}).items():
            types[f"{named(path)} {name}"] = f"{resource['type']}@{resource['api_version']}"
    assert types == {
        "main.bicep group": "Microsoft.Resources/resourceGroups@2024-11-01",
        "app/secret-reader.bicep vault": "Microsoft.KeyVault/vaults@2023-07-01",
        "app/secret-reader.bicep secret": "Microsoft.KeyVault/vaults/secrets@2023-07-01",
        "app/secret-reader.bicep role": "Microsoft.Authorization/roleAssignments@2022-04-01",
        "app/workbook.bicep workbook": "Microsoft.Insights/workbooks@2023-06-01",
    }
