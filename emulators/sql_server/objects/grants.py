"""GRANT, DENY, REVOKE, and ALTER AUTHORIZATION."""

from __future__ import annotations

from dataclasses import replace

from emulators.sql_server.catalogue.model import Catalogue
from emulators.sql_server.catalogue.objects import Permission, Principal
from emulators.sql_server.objects.security import PERMISSIONS, allows, allows_on_schema, is_owner, require_new_owner, roles_of
from emulators.sql_server.parser.tree import AlterAuthorization, PermissionStatement
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError


def run_permission(session: Session, node: PermissionStatement) -> None:
    """GRANT, DENY, REVOKE. Raises SqlError 4613, 4617, 4624, 15151, 40517."""
    with session.store.writing():
        catalogue = session.store.change_catalogue()
        permission_class, major_id = _securable(session, node)
        _require_control(session, node, permission_class, major_id)
        for name in node.principals:
            principal = catalogue.principals.get(name.lower())
            if principal is None:
                raise sql_error(15151, "user", name)
            _refuse_special(session, principal, permission_class, major_id)
            for permission, columns in node.permissions:
                _one_permission(catalogue, node, principal, permission, columns, permission_class, major_id)
        session.store.save_catalogue()


def _require_control(session: Session, node: PermissionStatement, permission_class: int, major_id: int) -> None:
    """Permissions are given by whoever has CONTROL. Raises SqlError 4613, 15151, 40517."""
    if is_owner(session):
        return
    catalogue = session.store.catalogue
    schema = next((s for s in catalogue.schemas.values() if permission_class == 3 and s.schema_id == major_id), None)
    if permission_class == 1 and allows(session, "CONTROL", major_id) or schema and allows_on_schema(session, "CONTROL", schema):
        return
    grantees = roles_of(catalogue, session.user) | {session.user.lower()}
    if any(p.state == "W" and p.grantee.lower() in grantees for p in catalogue.permissions):
        raise unsupported(f"{node.action} by a holder of the grant option")
    if permission_class == 0:
        raise SqlError(4613, "Grantor does not have GRANT permission.")
    raise sql_error(15151, node.target_class.lower(), node.target[-1])


def _refuse_special(session: Session, principal: Principal, permission_class: int, major_id: int) -> None:
    """Raises SqlError 4617, 4624."""
    catalogue = session.store.catalogue
    found = catalogue.by_id.get(major_id) if permission_class == 1 else None
    owners = {
        schema.owner.lower()
        for key, schema in catalogue.schemas.items()
        if (permission_class == 3 and schema.schema_id == major_id) or (found is not None and key == found.schema.lower())
    }
    if principal.name.lower() in {"dbo", "sys", "information_schema", session.user.lower()} | owners:
        text = "Cannot grant, deny, or revoke permissions to sa, dbo, entity owner, information_schema, sys, or yourself."
        raise SqlError(4624, text)
    if principal.kind == "R" and principal.fixed and principal.name != "public":
        raise SqlError(4617, "Cannot grant, deny or revoke permissions to or from special roles.")


def change_owner(session: Session, node: AlterAuthorization) -> None:
    """ALTER AUTHORIZATION ON SCHEMA: a new owner, and nothing that was granted before. Raises SqlError 15150, 15151."""
    with session.store.writing():
        catalogue = session.store.change_catalogue()
        schema = catalogue.schemas.get(node.schema.lower())
        if schema is None or not allows_on_schema(session, "TAKE OWNERSHIP", schema):
            raise sql_error(15151, "schema", node.schema)
        if schema.schema_id <= 4:
            raise SqlError(15150, f"Cannot alter the schema '{schema.name}'.")
        owner = require_new_owner(session, node.owner)
        if owner == schema.owner:
            return
        catalogue.schemas[node.schema.lower()] = replace(schema, owner=owner)
        inside = {found.object_id for found in catalogue.by_id.values() if found.schema.lower() == schema.name.lower()}
        catalogue.permissions = [
            p
            for p in catalogue.permissions
            if not (p.permission_class == 3 and p.major_id == schema.schema_id or p.permission_class == 1 and p.major_id in inside)
        ]
        session.store.save_catalogue()


def _one_permission(
    catalogue: Catalogue,
    node: PermissionStatement,
    principal: Principal,
    permission: str,
    columns: list[str],
    permission_class: int,
    major_id: int,
) -> None:
    if columns:
        raise unsupported("permissions on columns")
    names = ["SELECT", "INSERT", "UPDATE", "DELETE", "REFERENCES"] if permission in ("ALL", "ALL PRIVILEGES") else [permission]
    for name in names:
        if name not in PERMISSIONS:
            raise unsupported(f"permission {name}")
        catalogue.permissions = [
            p
            for p in catalogue.permissions
            if not (
                p.permission_class == permission_class
                and p.major_id == major_id
                and p.name == name
                and p.grantee.lower() == principal.name.lower()
            )
        ]
        if node.action != "REVOKE":
            state = "D" if node.action == "DENY" else "W" if node.with_grant else "G"
            catalogue.permissions.append(Permission(permission_class, major_id, columns, principal.name, name, state))


def _securable(session: Session, node: PermissionStatement) -> tuple[int, int]:
    catalogue = session.store.catalogue
    if node.target_class == "DATABASE":
        return 0, 0
    if node.target_class == "SCHEMA":
        schema = catalogue.schemas.get(node.target[-1].lower())
        if schema is None:
            raise sql_error(15151, "schema", node.target[-1])
        return 3, schema.schema_id
    if node.target_class != "OBJECT":
        raise unsupported(f"permissions ON {node.target_class}")
    if node.target[-1].lower().startswith("sp_"):
        return 1, -1
    found = catalogue.object_named((node.target[-2] if len(node.target) > 1 else "") or "dbo", node.target[-1])
    if found is None:
        raise sql_error(15151, "object", node.target[-1])
    return 1, found[0]
