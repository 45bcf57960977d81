"""Functions of SQL Server that need the session: names and ids of objects, the user, the last error."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from emulators.sql_server.catalogue.masking import Mask, masked
from emulators.sql_server.catalogue.model import Catalogue, constraints_of
from emulators.sql_server.catalogue.objects import InlineFunction, SecurityPolicy, Table, View
from emulators.sql_server.catalogue.sequences import Sequence
from emulators.sql_server.catalogue.view_columns import SYSTEM_VIEWS, system_view_id
from emulators.sql_server.objects.extended_properties import listed
from emulators.sql_server.objects.security import allows, has_permission_by_name, logins, roles_of, unmasks
from emulators.sql_server.parser.names import split_name
from emulators.sql_server.runtime.registration import guarded
from emulators.sql_server.storage.locks import MODES, LockTimeout
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.datatypes import (
    BIGINT,
    DECIMALS,
    INT,
    SYSNAME,
    encode_decimal,
    max_length_bytes,
    precision_scale,
    system_type_id,
    system_types,
)
from emulators.sql_server.values.errors import unsupported
from emulators.sql_server.values.results import SqlError, SqlType
from emulators.sql_server.values.variants import packer


def _variant(value: str | int | None) -> str | None:
    """What the property functions give: a number is an int, a text an nvarchar(128)."""
    if value is None:
        return None
    return packer(INT)(value) if isinstance(value, int) else packer(SYSNAME)(value)


FUNCTIONS = {
    "k_object_id": 2,
    "k_object_name": 2,
    "k_object_schema_name": 2,
    "k_object_property": 2,
    "k_object_property_ex": 2,
    "k_schema_id": 1,
    "k_schema_name": 1,
    "k_column_property": 3,
    "k_column_name": 2,
    "k_column_length": 2,
    "k_type_id": 1,
    "k_type_name": 1,
    "k_index_property": 3,
    "k_index_column": 3,
    "k_db_name": 1,
    "k_db_id": 1,
    "k_database_property": 2,
    "k_server_property": 1,
    "k_login": 0,
    "k_user_name": 1,
    "k_user_id": 1,
    "k_login_id": 1,
    "k_login_name": 1,
    "k_login_sid": 0,
    "k_login_of_sid": 1,
    "k_has_permission": 5,
    "k_masked": 2,
    "k_is_member": 1,
    "k_is_role_member": 2,
    "k_is_server_role_member": 2,
    "k_has_db_access": 1,
    "k_error": 1,
    "k_scope_identity": 0,
    "k_xact_state": 0,
    "k_row_count": 0,
    "k_transaction_id": 0,
    "k_applock_mode": 3,
    "k_applock_test": 4,
    "k_next_value": 2,
    "k_identity_current": 1,
    "k_identity_seed": 1,
    "k_identity_increment": 1,
    "k_min_valid_version": 1,
    "k_session_context": 1,
    "k_app_name": 0,
    "k_host_name": 0,
}
"""Number of arguments of each, by its name in SQLite; the method has the name without ``k_``."""
_VERSION_NUMBER = "16.0.4165.4"


class SessionFunctions:
    """One method for each function; names as in :func:`register_session_functions`."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def catalogue(self) -> Catalogue:
        return self.session.store.catalogue

    # --- objects ---

    def _object(self, text: str | None) -> tuple[int, str] | None:
        parts = split_name(text) if text else ()
        if not parts:
            return None
        name = parts[-1]
        if name.startswith("#"):
            table = self.session.temporary.get(name.lower())
            return (table.object_id, "U") if table else None
        if ((parts[-3] if len(parts) > 2 else "") or self.session.database).lower() != self.session.owner.name.lower():
            return None
        schema = (parts[-2] if len(parts) > 1 else "") or "dbo"
        if schema.lower() in ("sys", "information_schema"):
            key = f"{schema.lower()}.{name.lower()}"
            return (system_view_id(key), "V") if key in SYSTEM_VIEWS else None
        return self.catalogue.object_named(schema, name)

    def object_id(self, text: str | None, kind: str | None) -> int | None:
        found = self._object(text)
        if found is None or (kind is not None and kind.strip().upper() != found[1]):
            return None
        return found[0]

    def _by_id(self, object_id: int | None) -> tuple[str, str] | None:
        """Schema and name of an object."""
        if object_id is None:
            return None
        found = self.catalogue.by_id.get(object_id)
        if found is not None:
            return found.schema, found.name
        for table in self.catalogue.tables.values():
            for constraint_id, name, _ in constraints_of(table):
                if constraint_id == object_id:
                    return table.schema, name
        for table in self.session.temporary.values():
            if table.object_id == object_id:
                return "dbo", table.name
        for key in SYSTEM_VIEWS:
            if system_view_id(key) == object_id:
                schema, _, name = key.partition(".")
                return schema, name
        return None

    def object_name(self, object_id: int | None, database_id: int | None) -> str | None:
        found = self._by_id(object_id)
        return found[1] if found else None

    def object_schema_name(self, object_id: int | None, database_id: int | None) -> str | None:
        found = self._by_id(object_id)
        return found[0] if found else None

    def _table(self, object_id: int | None) -> Table | View | None:
        if object_id is None:
            return None
        found = self.catalogue.by_id.get(object_id)
        if not isinstance(found, (Table, View)):
            found = None
        return found or next((t for t in self.session.temporary.values() if t.object_id == object_id), None)

    def object_property(self, object_id: int | None, name: str | None) -> int | None:
        module = self.catalogue.by_id.get(object_id or 0)
        if isinstance(module, (InlineFunction, SecurityPolicy)) and name is not None:
            return self._module_property(module, name.lower())
        found = self._table(object_id)
        if found is None or name is None:
            return None
        table = found if isinstance(found, Table) else None
        values = {
            "istable": int(table is not None),
            "isusertable": int(table is not None),
            "isview": int(table is None),
            "ismsshipped": 0,
            "tablehasprimarykey": int(table is not None and table.primary_key is not None),
            "tablehasidentity": int(table is not None and table.identity is not None),
            "tablehaschangetracking": int(table is not None and table.tracking is not None),
            "schemaid": self.schema_id(found.schema),
        }
        return values.get(name.lower())

    def object_property_ex(self, object_id: int | None, name: str | None) -> str | None:
        return _variant(self.object_property(object_id, name))

    def _module_property(self, module: InlineFunction | SecurityPolicy, name: str) -> int | None:
        function = isinstance(module, InlineFunction)
        values = {
            "istable": 0,
            "isusertable": 0,
            "isview": 0,
            "ismsshipped": 0,
            "isinlinefunction": int(function),
            "istablefunction": int(function),
            "isscalarfunction": 0,
            "isschemabound": int(module.schema_bound) if isinstance(module, InlineFunction) else 1,
            "schemaid": self.schema_id(module.schema),
        }
        return values.get(name)

    def schema_id(self, name: str | None) -> int | None:
        schema = self.catalogue.schemas.get((name or "").lower())
        return schema.schema_id if schema else None

    def schema_name(self, schema_id: int | None) -> str | None:
        return next((schema.name for schema in self.catalogue.schemas.values() if schema.schema_id == schema_id), None)

    def column_property(self, object_id: int | None, column_name: str | None, name: str | None) -> int | None:
        table = self._table(object_id)
        if not isinstance(table, Table) or column_name is None or name is None:
            return None
        column = table.column(column_name)
        if column is None:
            return None
        precision, scale = precision_scale(column.type)
        length = column.type.length
        values = {
            "columnid": column.column_id,
            "ordinal": table.columns.index(column) + 1,
            "allowsnull": int(column.nullable),
            "isidentity": int(column.identity is not None),
            "iscomputed": int(column.computed is not None),
            "precision": length if length else precision,
            "scale": scale,
            "isrowguidcol": 0,
            "issparse": 0,
            "iscolumnset": 0,
            "generatedalwaystype": 0,
            "ishidden": 0,
            "charmaxlen": length if length else None,
        }
        return values.get(name.lower())

    def column_name(self, object_id: int | None, column_id: int | None) -> str | None:
        table = self._table(object_id)
        if not isinstance(table, Table):
            return None
        return next((column.name for column in table.columns if column.column_id == column_id), None)

    def column_length(self, table_name: str | None, column_name: str | None) -> int | None:
        found = self._object(table_name)
        table = self._table(found[0]) if found else None
        column = table.column(column_name or "") if isinstance(table, Table) else None
        return max_length_bytes(column.type) if column else None

    def type_id(self, name: str | None) -> int | None:
        parts = split_name(name or "") or ()
        alias = self.catalogue.alias_type(parts[-2] if len(parts) > 1 else "dbo", parts[-1]) if parts else None
        if alias is not None:
            return alias.user_type_id
        lower = (name or "").lower()
        return system_type_id(lower) if lower in system_types() else None

    def type_name(self, number: int | None) -> str | None:
        names = {alias.user_type_id: alias.name for alias in self.catalogue.types.values()}
        return names.get(number or 0) or next((name for name in system_types() if system_type_id(name) == number), None)

    def next_value(self, object_id: int, place: int) -> Any:
        """The next value of a sequence, for the use of the statement that has this number."""
        found = self.catalogue.by_id[object_id]
        assert isinstance(found, Sequence)
        known = self.session.owner.identities
        value = known[object_id] = found.after(known.get(object_id))
        return encode_decimal(Decimal(value)) if found.type.name in DECIMALS else value

    def index_property(self, object_id: int | None, index_name: str | None, name: str | None) -> int | None:
        table = self._table(object_id)
        index = (
            next((i for i in table.indexes if i.name.lower() == (index_name or "").lower()), None)
            if isinstance(table, Table)
            else None
        )
        if index is None or name is None:
            return None
        return {"indexid": index.index_id, "isunique": int(index.unique), "isclustered": int(index.clustered)}.get(name.lower())

    def index_column(self, table_name: str | None, index_id: int | None, place: int | None) -> str | None:
        found = self._object(table_name)
        table = self._table(found[0]) if found else None
        index = next((i for i in table.indexes if i.index_id == index_id), None) if isinstance(table, Table) else None
        return index.columns[place - 1][0] if index and place and 1 <= place <= len(index.columns) else None

    # --- database and server ---

    def db_name(self, number: int | None) -> str | None:
        if number is None:
            return self.session.database
        return {1: "master", 2: "tempdb", 5: self.session.owner.name}.get(number)

    def db_id(self, name: str | None) -> int | None:
        lower = (name or self.session.database).lower()
        return {"master": 1, "tempdb": 2, self.session.owner.name.lower(): 5}.get(lower)

    def database_property(self, database: str | None, name: str | None) -> str | None:
        if self.db_id(database) is None or database is None:
            return None
        options = self.catalogue.options
        values: dict[str, str | int | None] = {
            "status": "ONLINE",
            "updateability": "READ_ONLY" if options.read_only else "READ_WRITE",
            "useraccess": "MULTI_USER",
            "recovery": options.recovery_model,
            "collation": "SQL_Latin1_General_CP1_CI_AS",
            "ischangetrackingenabled": int(options.change_tracking),
            "edition": "Standard",
            "serviceobjective": "S0",
            "version": 957,
            "isautoclose": 0,
            "isautoshrink": 0,
            "isreadcommittedsnapshoton": int(options.read_committed_snapshot),
        }
        return _variant(values.get((name or "").lower()))

    def server_property(self, name: str | None) -> str | None:
        values: dict[str, str | int | None] = {
            "productversion": _VERSION_NUMBER,
            "productlevel": "RTM",
            "edition": "Developer Edition (64-bit)",
            "engineedition": 3,
            "productmajorversion": "16",
            "productminorversion": "0",
            "servername": "rowpost-sql",
            "machinename": "rowpost-sql",
            "instancename": None,
            "collation": "SQL_Latin1_General_CP1_CI_AS",
            "ishadrenabled": 0,
            "isclustered": 0,
            "isintegratedsecurityonly": 0,
            "isfulltextinstalled": 0,
            "processid": None,
            "editionid": -2117995310,
        }
        if (name or "").lower() == "editionid":
            return packer(BIGINT)(values["editionid"])
        return _variant(values.get((name or "").lower()))

    # --- principals ---

    def login(self) -> str:
        return self.session.login

    def login_id(self, name: str | None) -> int | None:
        wanted = (name or "").lower()
        if wanted in self.session.owner.passwords:  # as sa, whatever its name
            return 1
        return next((number for number, login, _ in logins(self.catalogue) if login.lower() == wanted), None)

    def login_name(self, number: int | None) -> str | None:
        if number == 1 and self.session.login.lower() in self.session.owner.passwords:
            return self.session.login
        return next((login for found, login, _ in logins(self.catalogue) if found == number), None)

    def login_sid(self) -> bytes | None:
        own = self.login_id(self.session.login)
        return next((sid for number, _, sid in logins(self.catalogue) if number == own), None)

    def login_of_sid(self, sid: bytes | None) -> str | None:
        return self.login_name(next((number for number, _, found in logins(self.catalogue) if found == sid), None))

    def user_name(self, number: int | None) -> str | None:
        if number is None:
            return self.session.user
        return next((p.name for p in self.catalogue.principals.values() if p.principal_id == number), None)

    def user_id(self, name: str | None) -> int | None:
        principal = self.catalogue.principals.get((name if name is not None else self.session.user).lower())
        return principal.principal_id if principal else None

    def has_permission(
        self, securable: str | None, kind: str | None, permission: str | None, part: str | None, part_kind: str | None
    ) -> int | None:
        if part is not None:
            found = self._object(securable)
            table = self._table(found[0]) if found else None
            if not isinstance(table, Table) or (part_kind or "").upper() != "COLUMN" or table.column(part) is None:
                return None
        return has_permission_by_name(self.session, securable, kind, permission)

    def masked(self, value: Any, key: str) -> Any:
        function, sources, kind = json.loads(key)
        mask = Mask(function, frozenset((table, column) for table, column in sources))
        return value if unmasks(self.session, mask) else masked(function, value, SqlType(*kind))

    def is_member(self, role: str | None) -> int | None:
        return self.is_role_member(role, None)

    def is_role_member(self, role: str | None, user: str | None) -> int | None:
        principal = self.catalogue.principals.get((role or "").lower())
        if principal is None or principal.kind != "R":
            return None
        return int(principal.name.lower() in roles_of(self.catalogue, user or self.session.user))

    def is_server_role_member(self, role: str | None, login: str | None) -> int:
        return int((login or self.session.login).lower() == "sa" and (role or "").lower() in ("sysadmin", "public"))

    def has_db_access(self, name: str | None) -> int | None:
        return 1 if name is not None and self.db_id(name) is not None else None

    # --- the session ---

    def error(self, field: str) -> Any:
        error = self.session.interpreter.handled_error
        if error is None:
            return None
        if field == "procedure":
            return error.procedure or None
        return getattr(error, field)

    def scope_identity(self) -> str | None:
        return self.session.scope_identity

    def xact_state(self) -> int:
        return -1 if self.session.store.doomed else int(self.session.store.count > 0)

    def row_count(self) -> int:
        return self.session.row_count

    def transaction_id(self) -> int:
        return self.session.spid * 1000

    def applock_mode(self, principal: str | None, resource: str | None, owner: str | None) -> str:
        return self.session.owner.locks.mode_held(
            self.session.spid, ("application", (principal or "public").lower(), (resource or ""))
        )

    def applock_test(self, principal: str | None, resource: str | None, mode: str | None, owner: str | None) -> int:
        key = ("application", (principal or "public").lower(), (resource or ""))
        try:
            self.session.owner.locks.acquire(self.session, key, MODES[(mode or "").lower()], 0, True)
        except (LockTimeout, KeyError):
            return 0
        self.session.owner.locks.release(self.session.spid, key, True)
        return 1

    def identity_current(self, table_name: str | None) -> str | None:
        found = self._object(table_name)
        table = self._table(found[0]) if found else None
        if not isinstance(table, Table) or table.identity is None or table.identity.identity is None:
            return None
        row = self.session.store.run('SELECT last FROM "$identity" WHERE object_id = ?', (table.object_id,)).fetchone()
        return encode_decimal(Decimal(row[0] if row and row[0] is not None else table.identity.identity[0]))

    def _identity_part(self, table_name: str | None, place: int) -> str | None:
        found = self._object(table_name)
        table = self._table(found[0]) if found else None
        identity = table.identity.identity if isinstance(table, Table) and table.identity else None
        return encode_decimal(Decimal(identity[place])) if identity else None

    def identity_seed(self, table_name: str | None) -> str | None:
        return self._identity_part(table_name, 0)

    def identity_increment(self, table_name: str | None) -> str | None:
        return self._identity_part(table_name, 1)

    def min_valid_version(self, object_id: int | None) -> int | None:
        table = self._table(object_id)
        if not isinstance(table, Table) or table.tracking is None:
            return None
        if not (allows(self.session, "VIEW CHANGE TRACKING", table.object_id) and allows(self.session, "SELECT", table.object_id)):
            return None
        row = self.session.store.run('SELECT min_valid FROM "$tracking" WHERE object_id = ?', (object_id,)).fetchone()
        return row[0] if row else None

    def session_context(self, key: str | None) -> str | None:
        value: str | None = self.session.context.get((key or "").lower(), (None, False))[0]
        return value

    def app_name(self) -> str:
        return self.session.application

    def host_name(self) -> str:
        return self.session.host


_OF_OBJECTS = frozenset(
    {
        *("k_object_name", "k_object_schema_name", "k_object_property", "k_object_property_ex", "k_column_length", "k_column_name"),
        *("k_column_property", "k_index_column", "k_index_property", "k_identity_current", "k_identity_increment"),
        *("k_identity_seed", "k_min_valid_version"),
    }
)
"""They look into the current database."""


def _here(session: Session, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    if session.other_database:
        raise unsupported(f"{name} in the database {session.other_database}")
    return function(*arguments)


def register_session_functions(session: Session, connection: sqlite3.Connection, report: Callable[[SqlError], None]) -> None:
    """Make them known to the session's connection."""
    functions = SessionFunctions(session)
    for name, count in FUNCTIONS.items():
        function = getattr(functions, name.removeprefix("k_"))
        if name in _OF_OBJECTS:
            function = partial(_here, session, name.removeprefix("k_").upper(), function)
        connection.create_function(name, count, guarded(function, report))
    connection.create_function("k_list_properties", 7, guarded(partial(listed, session), report))
