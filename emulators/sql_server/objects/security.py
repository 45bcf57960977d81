"""Logins, users, roles, permissions."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from emulators.sql_server.catalogue.masking import Mask
from emulators.sql_server.catalogue.model import Catalogue, CatalogueObject
from emulators.sql_server.catalogue.objects import Permission, Principal, SecurityPolicy
from emulators.sql_server.parser.names import split_name
from emulators.sql_server.parser.tree import PermissionStatement, PrincipalStatement
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError

_DATABASE_WIDE = frozenset({"db_owner"})
_IMPLIED = {
    "SELECT": ("CONTROL",),
    "INSERT": ("CONTROL",),
    "UPDATE": ("CONTROL",),
    "DELETE": ("CONTROL",),
    "VIEW CHANGE TRACKING": ("CONTROL",),
    "UNMASK": ("CONTROL",),
    "EXECUTE": ("CONTROL",),
    "ALTER": ("CONTROL",),
    "REFERENCES": ("CONTROL",),
    "VIEW DEFINITION": ("CONTROL", "ALTER"),
}
_CODES = {
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "EXECUTE",
    "REFERENCES",
    "ALTER",
    "CONTROL",
    "VIEW CHANGE TRACKING",
    "VIEW DEFINITION",
    "CREATE TABLE",
    "CREATE SCHEMA",
    "CREATE VIEW",
    "CREATE ROLE",
    "CONNECT",
    "TAKE OWNERSHIP",
    "ALTER ANY SCHEMA",
    "ALTER ANY ROLE",
    "VIEW DATABASE STATE",
    "CREATE PROCEDURE",
    "ALTER ANY USER",
    "ALTER ANY SECURITY POLICY",
    "ALTER ANY MASK",
    "UNMASK",
    "CREATE FUNCTION",
    "VIEW DATABASE PERFORMANCE STATE",
}


def hash_password(password: str) -> dict[str, str]:
    """A salted hash, to keep in the catalogue."""
    salt = os.urandom(16)
    return {"salt": salt.hex(), "hash": hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1).hex()}


def check_password(stored: dict[str, Any], password: str) -> bool:
    """Whether the password fits a stored hash."""
    salt = bytes.fromhex(stored["salt"])
    return hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1).hex() == stored["hash"]


def logins(catalogue: Catalogue) -> list[tuple[int, str, bytes]]:
    """principal_id, name and security identifier of every login."""
    made = [login["name"] for login in catalogue.logins.values()]
    identified = [(number, name, hashlib.sha256(name.lower().encode()).digest()[:16]) for number, name in enumerate(made, 257)]
    return [(1, "sa", b"\x01"), *identified]


def roles_of(catalogue: Catalogue, user: str) -> frozenset[str]:
    """All roles of a user, through nesting, lower case, with public."""
    if user not in catalogue.known_roles:
        catalogue.known_roles[user] = _roles_of(catalogue, user)
    return catalogue.known_roles[user]


def _roles_of(catalogue: Catalogue, user: str) -> frozenset[str]:
    roles = {"public"}
    grown = True
    while grown:
        grown = False
        for role in catalogue.principals.values():
            name = role.name.lower()
            if (
                role.kind == "R"
                and name not in roles
                and any(m.lower() == user.lower() or m.lower() in roles for m in role.members)
            ):
                roles.add(name)
                grown = True
    return frozenset(roles)


def is_owner(session: Session) -> bool:
    """dbo and members of db_owner may do everything."""
    return session.user.lower() == "dbo" or "db_owner" in roles_of(session.store.catalogue, session.user)


def allows(session: Session, action: str, object_id: int) -> bool:
    """Whether the session's user has a permission on an object."""
    known = session.store.catalogue.known_rights
    asked = (session.user, action, object_id)
    if asked not in known:
        known[asked] = _allows(session, action, object_id)
    return known[asked]


def _allows(session: Session, action: str, object_id: int) -> bool:
    if session.user.lower() == "dbo":
        return True
    catalogue = session.store.catalogue
    roles = roles_of(catalogue, session.user)
    if roles & _DATABASE_WIDE:
        return True
    grantees = roles | {session.user.lower()}
    found = catalogue.by_id.get(object_id)
    schema = catalogue.schemas[found.schema.lower()] if found is not None else None
    if schema is not None and schema.owner.lower() in grantees:
        return True
    names = {action, *_IMPLIED.get(action, ())}
    granted = (
        action == "SELECT" and "db_datareader" in roles or action in ("INSERT", "UPDATE", "DELETE") and "db_datawriter" in roles
    )
    if (
        action == "SELECT"
        and "db_denydatareader" in roles
        or action in ("INSERT", "UPDATE", "DELETE")
        and "db_denydatawriter" in roles
    ):
        return False
    for permission in catalogue.permissions:
        if permission.grantee.lower() not in grantees or permission.name not in names:
            continue
        covers = (
            permission.permission_class == 0
            or (permission.permission_class == 1 and permission.major_id == object_id)
            or (permission.permission_class == 3 and schema is not None and permission.major_id == schema.schema_id)
        )
        if covers:
            if permission.state == "D":
                return False
            granted = True
    return granted


def unmasks(session: Session, mask: Mask) -> bool:
    """Whether the user reads what the mask hides: UNMASK on every table that it comes from."""
    return all(allows(session, "UNMASK", object_id) for object_id, _ in mask.sources)


def require(session: Session, needed: list[tuple[str, int]]) -> None:
    """Raises SqlError 229 for the first permission that is missing."""
    if session.user.lower() == "dbo":
        return
    for action, object_id in needed:
        if not allows(session, action, object_id):
            found = session.store.catalogue.by_id.get(object_id)
            name, schema = (found.name, found.schema) if found is not None else ("", "")
            raise sql_error(229, action, name, session.owner.name, schema)


def require_database(session: Session, permission: str) -> None:
    """Raises SqlError 262: DDL needs ownership, db_ddladmin, or the permission on the database."""
    if is_owner(session):
        return
    roles = roles_of(session.store.catalogue, session.user)
    grantees = roles | {session.user.lower()}
    if "db_ddladmin" in roles and permission.startswith(("CREATE", "ALTER", "DROP")):
        return
    states = {
        p.state
        for p in session.store.catalogue.permissions
        if p.permission_class == 0 and p.name in (permission, "CONTROL") and p.grantee.lower() in grantees
    }
    if not states or "D" in states:
        raise sql_error(262, permission, session.owner.name)


def sees_policy(session: Session, policy: SecurityPolicy) -> bool:
    """Whether the user finds a security policy in the catalogue: VIEW DEFINITION, ALTER or ALTER ANY SECURITY POLICY."""
    if is_owner(session):
        return True
    roles = roles_of(session.store.catalogue, session.user)
    grantees = roles | {session.user.lower()}
    states = {
        p.state
        for p in session.store.catalogue.permissions
        if p.permission_class == 0 and p.name == "ALTER ANY SECURITY POLICY" and p.grantee.lower() in grantees
    }
    if "D" not in states and (states or "db_ddladmin" in roles):
        return True
    return any(allows(session, action, policy.object_id) for action in ("VIEW DEFINITION", "ALTER"))


def require_alter(session: Session, found: CatalogueObject) -> None:
    """Raises SqlError 1088 when the user may not alter an object."""
    if (
        is_owner(session)
        or "db_ddladmin" in roles_of(session.store.catalogue, session.user)
        or allows(session, "ALTER", found.object_id)
    ):
        return
    raise sql_error(1088, found.full_name)


def has_permission_by_name(session: Session, securable: str | None, kind: str | None, permission: str | None) -> int | None:
    """HAS_PERMS_BY_NAME for databases, schemas and objects."""
    if permission is None:
        return None
    name = permission.upper()
    catalogue = session.store.catalogue
    if securable is None or (kind or "").upper() in ("DATABASE", "SERVER"):
        try:
            require_database(session, name)
        except SqlError:
            return 0
        return 1
    parts = split_name(securable)
    if not parts:
        return None
    if (kind or "").upper() == "SCHEMA":
        schema = catalogue.schemas.get(parts[-1].lower())
        if schema is None:
            return None
        grantees = roles_of(catalogue, session.user) | {session.user.lower()}
        states = {
            p.state
            for p in catalogue.permissions
            if p.name == name
            and p.grantee.lower() in grantees
            and (p.permission_class == 0 or p.permission_class == 3 and p.major_id == schema.schema_id)
        }
        return int(is_owner(session) or schema.owner.lower() in grantees or bool(states) and "D" not in states)
    found = catalogue.object_named((parts[-2] if len(parts) > 1 else "") or "dbo", parts[-1])
    if found is None:
        return None
    actions = ["SELECT", "INSERT", "UPDATE", "DELETE"] if name == "ANY" else [name]
    return int(any(allows(session, action, found[0]) for action in actions))


# --- statements ---


def run_permission(session: Session, node: PermissionStatement) -> None:
    """GRANT, DENY, REVOKE. Raises SqlError 15151, 40517."""
    if not is_owner(session):
        raise SqlError(4613, "Grantor does not have GRANT permission.")
    with session.store.writing():
        catalogue = session.store.change_catalogue()
        permission_class, major_id = _securable(session, node)
        for name in node.principals:
            principal = catalogue.principals.get(name.lower())
            if principal is None:
                raise sql_error(15151, "user", name)
            for permission, columns in node.permissions:
                _one_permission(catalogue, node, principal, permission, columns, permission_class, major_id)
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
        if name not in _CODES:
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


def run_principal(session: Session, node: PrincipalStatement) -> None:
    """CREATE, ALTER, DROP of LOGIN, USER, ROLE."""
    if not is_owner(session):
        raise SqlError(15247, "User does not have permission to perform this action.")
    with session.store.writing():
        catalogue = session.store.change_catalogue()
        if node.kind == "LOGIN":
            _login(catalogue, node)
        elif node.action == "CREATE":
            _create_principal(session, catalogue, node)
        elif node.action == "DROP":
            _drop_principal(catalogue, node)
        else:
            _alter_principal(catalogue, node)
        session.store.save_catalogue()


def _login(catalogue: Catalogue, node: PrincipalStatement) -> None:
    key = node.name.lower()
    if node.action == "CREATE":
        if key in catalogue.logins or key == "sa":
            raise sql_error(15025, node.name)
        if "password" not in node.options:
            raise unsupported("CREATE LOGIN without a password")
        catalogue.logins[key] = {"name": node.name, "enabled": True, **hash_password(node.options["password"])}
        return
    if key not in catalogue.logins:
        if node.options.get("if_exists"):
            return
        raise sql_error(15151, "login", node.name)
    if node.action == "DROP":
        del catalogue.logins[key]
        return
    login = dict(catalogue.logins[key])
    if "password" in node.options:
        login.update(hash_password(node.options["password"]))
    if "enabled" in node.options:
        login["enabled"] = node.options["enabled"]
    catalogue.logins[key] = login


def _create_principal(session: Session, catalogue: Catalogue, node: PrincipalStatement) -> None:
    key = node.name.lower()
    if key in catalogue.principals:
        raise sql_error(15023, node.name)
    external = node.options.get("source") == "EXTERNAL" or str(node.options.get("type", "")).upper() in ("E", "X")
    kind = "R" if node.kind == "ROLE" else "E" if external else "S"
    login = ""
    if node.kind == "USER" and kind == "S" and not node.options.get("without_login"):
        login = node.options.get("login") or node.name
        if "password" in node.options:
            catalogue.logins[key] = {"name": node.name, "enabled": True, **hash_password(node.options["password"])}
        elif login.lower() not in catalogue.logins and login.lower() != "sa":
            raise sql_error(15007, login)
    number = max((p.principal_id for p in catalogue.principals.values() if p.principal_id < 16384), default=4) + 1
    catalogue.principals[key] = Principal(
        number,
        node.name,
        kind,
        login,
        node.options.get("default_schema") or "dbo",
        node.options.get("owner") or "dbo",
        created=session.owner.local_text(),
        sid=node.options["sid"].hex() if "sid" in node.options else os.urandom(16).hex(),
    )


def _drop_principal(catalogue: Catalogue, node: PrincipalStatement) -> None:
    key = node.name.lower()
    principal = catalogue.principals.get(key)
    if principal is None or (principal.kind == "R") != (node.kind == "ROLE"):
        if node.options.get("if_exists"):
            return
        raise sql_error(15151, node.kind.lower(), node.name)
    if principal.fixed:
        raise SqlError(15150, f"Cannot drop the {node.kind.lower()} '{node.name}'.")
    if principal.kind == "R" and principal.members:
        raise SqlError(15144, "The role has members. It must be empty before it can be dropped.")
    if any(schema.owner.lower() == key for schema in catalogue.schemas.values()):
        raise SqlError(15138, "The database principal owns a schema in the database, and cannot be dropped.")
    del catalogue.principals[key]
    for role in catalogue.principals.values():
        role.members = [member for member in role.members if member.lower() != key]
    catalogue.permissions = [p for p in catalogue.permissions if p.grantee.lower() != key]


def _alter_principal(catalogue: Catalogue, node: PrincipalStatement) -> None:
    principal = catalogue.principals.get(node.name.lower())
    if principal is None:
        raise sql_error(15151, node.kind.lower(), node.name)
    options = node.options
    for word in ("add_member", "drop_member"):
        if word not in options:
            continue
        member = catalogue.principals.get(options[word].lower())
        if member is None:
            raise sql_error(15151, "user", options[word])
        rest = [name for name in principal.members if name.lower() != member.name.lower()]
        principal.members = [*rest, member.name] if word == "add_member" else rest
    if "default_schema" in options:
        principal.default_schema = options["default_schema"]
    if "login" in options:
        principal.login = options["login"]
    if "name" in options:
        raise unsupported(f"ALTER {node.kind} … WITH NAME")
