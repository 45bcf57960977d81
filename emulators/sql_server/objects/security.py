"""Who may do what: passwords, roles, owners, permissions."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from emulators.sql_server.catalogue.masking import Mask
from emulators.sql_server.catalogue.model import Catalogue, CatalogueObject
from emulators.sql_server.catalogue.objects import Schema, SecurityPolicy
from emulators.sql_server.parser.names import split_name
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.errors import sql_error
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
    "ALTER": ("CONTROL", "ALTER ANY SCHEMA"),
    "REFERENCES": ("CONTROL",),
    "TAKE OWNERSHIP": ("CONTROL",),
    "VIEW DEFINITION": ("CONTROL", "ALTER", "ALTER ANY SCHEMA"),
}
PERMISSIONS = {
    "SELECT": "SL",
    "INSERT": "IN",
    "UPDATE": "UP",
    "DELETE": "DL",
    "EXECUTE": "EX",
    "REFERENCES": "RF",
    "ALTER": "AL",
    "CONTROL": "CL",
    "VIEW CHANGE TRACKING": "VWCT",
    "VIEW DEFINITION": "VW",
    "CREATE TABLE": "CRTB",
    "CREATE SCHEMA": "CRSM",
    "CREATE VIEW": "CRVW",
    "CREATE ROLE": "CRRL",
    "CONNECT": "CO",
    "TAKE OWNERSHIP": "TO",
    "ALTER ANY SCHEMA": "ALSM",
    "ALTER ANY ROLE": "ALRL",
    "VIEW DATABASE STATE": "VWDS",
    "CREATE PROCEDURE": "CRPR",
    "ALTER ANY USER": "ALUS",
    "ALTER ANY SECURITY POLICY": "ALSP",
    "ALTER ANY MASK": "AAMK",
    "UNMASK": "UMSK",
    "CREATE FUNCTION": "CRFN",
    "VIEW DATABASE PERFORMANCE STATE": "",
}
"""What can be granted here, with the codes of sys.database_permissions.type; '' where the code is not known."""


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


def is_ddl_admin(session: Session) -> bool:
    """Members of db_ddladmin may make, change and drop all objects and schemas."""
    return "db_ddladmin" in roles_of(session.store.catalogue, session.user)


def allows(session: Session, action: str, object_id: int) -> bool:
    """Whether the session's user has a permission on an object."""
    known = session.store.catalogue.known_rights
    asked = (session.user, action, object_id)
    if asked not in known:
        known[asked] = _allows(session, action, object_id)
    return known[asked]


def _allows(session: Session, action: str, object_id: int) -> bool:
    catalogue = session.store.catalogue
    found = catalogue.by_id.get(object_id)
    schema = catalogue.schemas[found.schema.lower()] if found is not None else None
    return _allowed(session, action, schema, object_id)


def allows_on_schema(session: Session, action: str, schema: Schema) -> bool:
    """Whether the session's user has a permission on a whole schema."""
    return _allowed(session, action, schema, None)


def _allowed(session: Session, action: str, schema: Schema | None, object_id: int | None) -> bool:
    """By ownership, by fixed roles, and by what was granted on the object, on its schema and on the database."""
    if session.user.lower() == "dbo":
        return True
    catalogue = session.store.catalogue
    roles = roles_of(catalogue, session.user)
    if roles & _DATABASE_WIDE:
        return True
    grantees = roles | {session.user.lower()}
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


def allows_on_database(session: Session, permission: str) -> bool:
    """Whether the user has a permission on the whole database: as its owner, by db_ddladmin, or granted."""
    if is_owner(session):
        return True
    roles = roles_of(session.store.catalogue, session.user)
    grantees = roles | {session.user.lower()}
    if "db_ddladmin" in roles and permission.startswith(("CREATE", "ALTER", "DROP")):
        return True
    states = {
        p.state
        for p in session.store.catalogue.permissions
        if p.permission_class == 0 and p.name in (permission, "CONTROL") and p.grantee.lower() in grantees
    }
    return bool(states) and "D" not in states


def require_database(session: Session, permission: str) -> None:
    """Raises SqlError 262."""
    if not allows_on_database(session, permission):
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
    if not _alters(session, found):
        raise sql_error(1088, found.full_name)


def require_alter_by_name(session: Session, kind: str, found: CatalogueObject) -> None:
    """For views and functions. Raises SqlError 3701 when the user may not alter one."""
    if not _alters(session, found):
        raise _hidden("alter", kind, found.name)


def _alters(session: Session, found: CatalogueObject) -> bool:
    return is_ddl_admin(session) or allows(session, "ALTER", found.object_id)


def require_drop(session: Session, kind: str, found: CatalogueObject) -> None:
    """Raises SqlError 3701: an object is dropped by whoever may alter its schema, or has CONTROL on it."""
    schema = session.store.catalogue.schemas[found.schema.lower()]
    if not (creates_in(session, schema) or allows(session, "CONTROL", found.object_id)):
        raise _hidden("drop", kind, found.name)


def require_drop_index(session: Session, found: CatalogueObject, name: str) -> None:
    """Raises SqlError 3701 when the user may not alter the table of an index."""
    if not _alters(session, found):
        raise _hidden("drop", "index", f"{found.name}.{name}")


def creates_in(session: Session, schema: Schema) -> bool:
    """Whether the user may make objects in a schema, if it may make such objects at all."""
    return is_ddl_admin(session) or allows_on_schema(session, "ALTER", schema)


def _hidden(action: str, kind: str, name: str) -> SqlError:
    text = f"Cannot {action} the {kind} '{name}', because it does not exist or you do not have permission."
    return SqlError(3701, text, 14, 20)


def require_new_owner(session: Session, name: str) -> str:
    """The principal that is to own a schema, as it is spelled in the catalogue.

    Nobody but an owner of the database can have IMPERSONATE here, so others may name themselves and their roles only.

    Raises:
        SqlError: 15151, there is no such principal, or the user may not act for it.
    """
    principal = session.store.catalogue.principals.get(name.lower())
    if principal is None:
        raise sql_error(15151, "user", name)
    own = roles_of(session.store.catalogue, session.user) | {session.user.lower()}
    if principal.name in ("sys", "INFORMATION_SCHEMA") or not (is_owner(session) or name.lower() in own):
        raise sql_error(15151, "principal", name)
    return principal.name


def has_permission_by_name(session: Session, securable: str | None, kind: str | None, permission: str | None) -> int | None:
    """HAS_PERMS_BY_NAME for databases, schemas and objects."""
    if permission is None:
        return None
    name = permission.upper()
    catalogue = session.store.catalogue
    if securable is None or (kind or "").upper() in ("DATABASE", "SERVER"):
        return int(allows_on_database(session, name))
    parts = split_name(securable)
    if not parts:
        return None
    if (kind or "").upper() == "SCHEMA":
        schema = catalogue.schemas.get(parts[-1].lower())
        if schema is None:
            return None
        return int(allows_on_schema(session, name, schema))
    found = catalogue.object_named((parts[-2] if len(parts) > 1 else "") or "dbo", parts[-1])
    if found is None:
        return None
    actions = ["SELECT", "INSERT", "UPDATE", "DELETE"] if name == "ANY" else [name]
    return int(any(allows(session, action, found[0]) for action in actions))
