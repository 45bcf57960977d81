"""sp_addextendedproperty, sp_updateextendedproperty, sp_dropextendedproperty and fn_listextendedproperty.

Of the database, of schemas, tables, views and their columns and constraints; that is where tools keep comments.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from emulators.sql_server.catalogue.model import Catalogue, constraints_of
from emulators.sql_server.catalogue.objects import ExtendedProperty, Table
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError

ARGUMENTS = ["name", "value", "level0type", "level0name", "level1type", "level1name", "level2type", "level2name"]


def _place(catalogue: Catalogue, given: dict[str, Any]) -> tuple[int, int, int, str]:
    """Class, major and minor id of what the levels name, and its name in messages. Raises SqlError 15135, 40517."""
    kinds = [(given.get(f"level{level}type") or "").upper() for level in range(3)]
    names = [given.get(f"level{level}name") or "" for level in range(3)]
    shown = ".".join(name for name in names if name) or "object specified"
    missing = SqlError(
        15135, f"Object is invalid. Extended properties are not permitted on '{shown}', or the object does not exist."
    )
    if not kinds[0]:
        return 0, 0, 0, shown
    if kinds[0] not in ("SCHEMA", "USER"):
        raise unsupported(f"extended properties of a {kinds[0]}")
    schema = catalogue.schemas.get(names[0].lower())
    if schema is None:
        raise missing
    if not kinds[1]:
        return 3, schema.schema_id, 0, shown
    if kinds[1] not in ("TABLE", "VIEW"):
        raise unsupported(f"extended properties of a {kinds[1]}")
    found = catalogue.table(schema.name, names[1]) if kinds[1] == "TABLE" else catalogue.view(schema.name, names[1])
    if found is None:
        raise missing
    if not kinds[2]:
        return 1, found.object_id, 0, shown
    if kinds[2] == "COLUMN" and isinstance(found, Table) and (column := found.column(names[2])) is not None:
        return 1, found.object_id, column.column_id, shown
    if kinds[2] == "CONSTRAINT" and isinstance(found, Table):
        for object_id, name, _ in constraints_of(found):
            if name.lower() == names[2].lower():
                return 1, object_id, 0, shown
    if kinds[2] not in ("COLUMN", "CONSTRAINT"):
        raise unsupported(f"extended properties of a {kinds[2]}")
    raise missing


def changer(action: str) -> Callable[[Session, dict[str, Any]], None]:
    """What a procedure does: ``action`` is add, update or drop."""

    def run(session: Session, given: dict[str, Any]) -> None:
        """Raises SqlError 15135, 15217, 15233, 40517."""
        with session.store.writing():
            catalogue = session.store.change_catalogue()
            *place, shown = _place(catalogue, given)
            name = given["name"] or ""
            known = next((item for item in catalogue.properties if _key(item) == (*place, name.lower())), None)
            if action == "add" and known is not None:
                raise SqlError(15233, f"Property cannot be added. Property '{name}' already exists for '{shown}'.")
            if action != "add" and known is None:
                raise SqlError(15217, f"Property cannot be updated or deleted. Property '{name}' does not exist for '{shown}'.")
            catalogue.properties = [item for item in catalogue.properties if item is not known]
            if action != "drop":
                catalogue.properties.append(ExtendedProperty(*place, name, given.get("value")))
            session.store.save_catalogue()

    return run


def _key(item: ExtendedProperty) -> tuple[int, int, int, str]:
    return item.property_class, item.major_id, item.minor_id, item.name.lower()


def listed(session: Session, *arguments: str | None) -> str:
    """Rows [objtype, objname, name, value] of fn_listextendedproperty, as JSON. NULL as the last name means every one."""
    catalogue = session.store.catalogue
    name, *levels = arguments
    given = dict(zip(ARGUMENTS[2:], levels, strict=True))
    kinds = [given[f"level{level}type"] for level in range(3)]
    depth = sum(kind is not None for kind in kinds) - 1
    candidates: list[dict[str, Any]] = [given]
    if depth >= 0 and given[f"level{depth}name"] is None:
        candidates = [{**given, f"level{depth}name": found} for found in _names(catalogue, depth, given)]
    rows = []
    for candidate in candidates:
        try:
            *place, _ = _place(catalogue, candidate)
        except SqlError as error:
            if error.number != 15135:
                raise
            continue
        for item in catalogue.properties:
            if _key(item)[:3] == tuple(place) and (name is None or item.name.lower() == name.lower()):
                kind = kinds[depth].upper() if depth >= 0 and kinds[depth] else None
                rows.append([kind, candidate[f"level{depth}name"] if depth >= 0 else None, item.name, item.value])
    return json.dumps(rows)


def _names(catalogue: Catalogue, depth: int, given: dict[str, Any]) -> list[str]:
    schema = (given["level0name"] or "").lower()
    if depth == 0:
        return [found.name for found in catalogue.schemas.values()]
    if depth == 1:
        holder: Any = catalogue.tables if (given["level1type"] or "").upper() == "TABLE" else catalogue.views
        return [found.name for found in holder.values() if found.schema.lower() == schema]
    table = catalogue.table(schema, given["level1name"] or "")
    if table is None:
        raise sql_error(208, given["level1name"])
    if (given["level2type"] or "").upper() == "COLUMN":
        return [column.name for column in table.columns]
    return [name for _, name, _ in constraints_of(table)]
