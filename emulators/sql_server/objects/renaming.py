"""sp_rename: tables, views, columns, indexes and constraints."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from emulators.sql_server.catalogue.model import constraints_of, quote
from emulators.sql_server.catalogue.objects import SecurityPolicy, Table, View
from emulators.sql_server.objects import security
from emulators.sql_server.parser.batches import parse_condition, parse_expression
from emulators.sql_server.parser.names import split_name
from emulators.sql_server.parser.walk import columns_in
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import Message, SqlError

_CAUTION = "Caution: Changing any part of an object name could break scripts and stored procedures."


def rename(session: Session, given: dict[str, Any]) -> Iterator[Message]:
    """Run sp_rename with its arguments by name. Raises SqlError 15225, 15248, 15335, 15336 and 40517."""
    shown, new = given["objname"] or "", given["newname"] or ""
    kind = (given.get("objtype") or "").upper() or _kind_of(session, shown)
    if kind not in ("OBJECT", "COLUMN", "INDEX"):
        raise unsupported(f"sp_rename of a {kind}") if kind in ("DATABASE", "USERDATATYPE", "STATISTICS") else _ambiguous(kind)
    parts = split_name(shown) or []
    if len(parts) == 4 or (len(parts) == 3 and kind == "OBJECT"):  # with the database's name
        parts = parts[1:]
    with session.store.writing():
        if kind == "OBJECT":
            _rename_object(session, parts, new, shown)
        else:
            table = _table(session, parts[:-1])
            if table is None:
                raise _ambiguous(kind)
            security.require_alter(session, table)
            changed = copy.deepcopy(table)
            (_rename_column if kind == "COLUMN" else _rename_index)(session, changed, parts[-1], new)
            session.store.change_catalogue().put_table(changed)
        session.store.change_catalogue().touch()
        session.store.save_catalogue()
    yield Message(15477, _CAUTION, 0, 1)


def _kind_of(session: Session, shown: str) -> str:
    """What a name without a type means, when it is the name of one thing only. Raises SqlError 15225, 15248."""
    parts = list(split_name(shown) or [])
    catalogue = session.store.catalogue
    schema = (parts[-2] if len(parts) > 1 else "") or session.default_schema
    kinds = ["OBJECT"] if parts and catalogue.object_named(schema, parts[-1]) is not None else []
    table = _table(session, parts[:-1])
    if table is not None:
        kinds += ["COLUMN"] if table.column(parts[-1]) is not None else []
        kinds += ["INDEX"] if any(i.name.lower() == parts[-1].lower() and not i.constraint for i in table.indexes) else []
    if not kinds:
        raise sql_error(15225, shown, session.owner.name, "(null)")
    if len(kinds) > 1:
        raise _ambiguous("(null)")
    return kinds[0]


def _ambiguous(kind: str) -> SqlError:
    return SqlError(15248, f"Either the parameter @objname is ambiguous or the claimed @objtype ({kind}) is wrong.", 11)


def _taken(new: str, kind: str) -> SqlError:
    return SqlError(
        15335,
        f"Error: The new name '{new}' is already in use as a {kind} name and would cause a duplicate that is not permitted.",
        11,
    )


def _dependent(name: str) -> SqlError:
    return SqlError(15336, f"Object '{name}' cannot be renamed because the object participates in enforced dependencies.", 16)


def _table(session: Session, parts: list[str]) -> Table | None:
    if not parts:
        return None
    return session.store.catalogue.table((parts[-2] if len(parts) > 1 else "") or session.default_schema, parts[-1])


def _rename_object(session: Session, parts: list[str], new: str, shown: str) -> None:
    catalogue = session.store.change_catalogue()
    if not parts:
        raise sql_error(15225, shown, session.owner.name, "(null)")
    schema, name = (parts[-2] if len(parts) > 1 else "") or session.default_schema, parts[-1]
    found = catalogue.object_named(schema, name)
    if found is None:
        raise sql_error(15225, shown, session.owner.name, "(null)")
    if catalogue.object_named(schema, new) not in (None, found):
        raise _taken(new, "object")
    item = catalogue.by_id.get(found[0])
    if item is not None:
        security.require_alter(session, item)
        if not isinstance(item, (Table, View)):
            kind = "security policy" if isinstance(item, SecurityPolicy) else "function"
            raise unsupported(f"sp_rename of a {kind}")
        if catalogue.binding(item.object_id) is not None:
            raise _dependent(shown)
        changed: Table | View = copy.deepcopy(item)
        changed.name = new
        del catalogue.holder_of(item)[(item.schema.lower(), item.name.lower())]
        catalogue.put_table(changed) if isinstance(changed, Table) else catalogue.put_view(changed)
        return
    owner = next(table for table in catalogue.tables.values() if any(i == found[0] for i, _, _ in constraints_of(table)))
    security.require_alter(session, owner)
    table = copy.deepcopy(owner)
    for constraint in [*table.indexes, *table.checks, *table.foreign_keys]:
        if constraint.object_id == found[0]:
            constraint.name = new
    for column in table.columns:
        if column.default_id == found[0]:
            column.default_name = new
    catalogue.put_table(table)


def _rename_index(session: Session, table: Table, name: str, new: str) -> None:
    index = next((index for index in table.indexes if index.name.lower() == name.lower()), None)
    if index is None:
        raise _ambiguous("INDEX")
    if any(other is not index and other.name.lower() == new.lower() for other in table.indexes):
        raise _taken(new, "index")
    index.name = new


def _rename_column(session: Session, table: Table, name: str, new: str) -> None:
    column = table.column(name)
    if column is None:
        raise _ambiguous("COLUMN")
    other = table.column(new)
    if other is not None and other is not column:
        raise _taken(new, "COLUMN")
    if new.lower() == "__rowid":
        raise unsupported("a column called __rowid")
    texts = [*(check.text for check in table.checks), *(index.where for index in table.indexes if index.where)]
    used = [columns_in(parse_condition(text)) for text in texts]
    used += [columns_in(parse_expression(other.computed)) for other in table.columns if other.computed]
    bound = session.store.catalogue.binding(table.object_id)
    if bound is not None or any(column.name.lower() in names for names in used):
        raise _dependent(f"{table.full_name}.{column.name}")
    old = column.name
    if column.computed is None:
        session.store.run(f"ALTER TABLE {table.storage} RENAME COLUMN {quote(old)} TO {quote(new)}")

    def follow(names: list[str]) -> list[str]:
        return [new if item.lower() == old.lower() else item for item in names]

    column.name = new
    for index in table.indexes:
        index.columns = list(zip(follow([item for item, _ in index.columns]), [down for _, down in index.columns], strict=True))
        index.include = follow(index.include)
    for check in table.checks:
        check.column = follow([check.column])[0]
    for key in table.foreign_keys:
        key.columns = follow(key.columns)
        if key.referenced_id == table.object_id:
            key.referenced_columns = follow(key.referenced_columns)
    catalogue = session.store.change_catalogue()
    for child, _ in catalogue.referencing(table.object_id):
        if child.object_id == table.object_id:
            continue
        changed = copy.deepcopy(child)
        for key in changed.foreign_keys:
            if key.referenced_id == table.object_id:
                key.referenced_columns = follow(key.referenced_columns)
        catalogue.put_table(changed)
