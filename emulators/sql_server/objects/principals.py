"""CREATE, ALTER and DROP of logins, users and roles."""

from __future__ import annotations

import os

from emulators.sql_server.catalogue.model import Catalogue
from emulators.sql_server.catalogue.objects import Principal
from emulators.sql_server.objects.security import hash_password, is_owner, require_new_owner
from emulators.sql_server.parser.tree import PrincipalStatement
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError


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
    owner = require_new_owner(session, node.options["owner"]) if "owner" in node.options else "dbo"
    number = max((p.principal_id for p in catalogue.principals.values() if p.principal_id < 16384), default=4) + 1
    catalogue.principals[key] = Principal(
        number,
        node.name,
        kind,
        login,
        node.options.get("default_schema") or "dbo",
        owner,
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
    if any(role.kind == "R" and role.owner.lower() == key for role in catalogue.principals.values()):
        raise SqlError(15421, "The database principal owns a database role and cannot be dropped.")
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
