"""sys.*: the rows of views on databases, change tracking, principals and the server."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from emulators.sql_server.catalogue.collations import DEFAULT_COLLATION
from emulators.sql_server.catalogue.view_columns import Row
from emulators.sql_server.objects.security import PERMISSIONS, logins
from emulators.sql_server.system_views.information_schema import InformationSchema
from emulators.sql_server.values.datatypes import (
    encode_decimal,
)
from emulators.sql_server.values.errors import unsupported

_SYS_SCHEMA = 4
_UNITS = {"MINUTES": 1, "HOURS": 2, "DAYS": 3}
_ISOLATION = ["", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"]


class ServerRows(InformationSchema):
    """Rows of each such view, for one session."""

    # --- databases and change tracking ---

    def _sys_databases(self) -> Iterator[Row]:
        options = self.catalogue.options
        for name, number in (("master", 1), ("tempdb", 2), (self.session.owner.name, 5)):
            own = number == 5
            snapshot = options.snapshot_isolation if own else name == "master"
            yield (
                name,
                number,
                options.created,
                options.compatibility_level if own else 160,
                DEFAULT_COLLATION,
                int(own and options.single_user),
                0,
                "ONLINE",
                int(own and options.read_only),
                int(snapshot),
                "ON" if snapshot else "OFF",
                int(own and options.read_committed_snapshot),
                1,
                options.recovery_model,
                0,
                0,
                int(own and options.broker_enabled),
                options.service_broker_guid if own else "00000000-0000-0000-0000-000000000000",
            )

    def _sys_database_recovery_status(self) -> Iterator[Row]:
        """Its own row: everybody sees it, because public has VIEW ANY DATABASE."""
        options = self.catalogue.options
        yield (
            5,
            options.database_guid,
            options.family_guid,
            None,
            options.recovery_fork_guid,
            options.first_recovery_fork_guid,
            None if options.fork_point is None else encode_decimal(Decimal(options.fork_point)),
        )

    def _sys_change_tracking_databases(self) -> Iterator[Row]:
        options = self.catalogue.options
        if options.change_tracking:
            yield 5, int(options.auto_cleanup), options.retention, _UNITS[options.retention_unit], options.retention_unit, None

    def _sys_change_tracking_tables(self) -> Iterator[Row]:
        state = {
            row[0]: row[1:]
            for row in self.session.store.rows('SELECT object_id, min_valid, begin_version, cleanup_version FROM "$tracking"')
        }
        for table in self._tables():
            if table.tracking is not None and table.object_id in state:
                yield table.object_id, int(bool(table.tracking.get("columns"))), *state[table.object_id]

    def _sys_internal_tables(self) -> Iterator[Row]:
        """Those that keep the changes of a table."""
        for table in self._tables():
            if table.tracking is not None and "object_id" in table.tracking:  # a file from before has none
                name, made = f"change_tracking_{table.object_id}", table.tracking["created"]
                own = (name, table.tracking["object_id"], None, _SYS_SCHEMA, table.object_id, "IT", "INTERNAL_TABLE", made, made, 1)
                yield *own, 209, "CHANGE_TRACKING", table.object_id, 0

    def _sys_dm_tran_commit_table(self) -> Iterator[Row]:
        for version, when in self.session.store.rows('SELECT version, time FROM "$commits"'):
            yield version, version, 0, 0, when

    # --- principals ---

    def _sys_database_principals(self) -> Iterator[Row]:
        descriptions = {"S": "SQL_USER", "R": "DATABASE_ROLE", "E": "EXTERNAL_USER"}
        for principal in self.catalogue.principals.values():
            user = principal.kind != "R"
            owner = self.catalogue.principals.get(principal.owner.lower())
            ways = (4, "EXTERNAL") if principal.kind == "E" else (1, "INSTANCE") if principal.login else (0, "NONE")
            yield (
                principal.name,
                principal.principal_id,
                principal.kind,
                descriptions[principal.kind],
                principal.default_schema if user else None,
                principal.created,
                principal.created,
                None if user or owner is None else owner.principal_id,
                bytes.fromhex(principal.sid) or None,
                int(principal.fixed and not user and principal.principal_id >= 16384),
                *ways,
            )

    def _sys_database_role_members(self) -> Iterator[Row]:
        for role in self.catalogue.principals.values():
            for name in role.members:
                member = self.catalogue.principals.get(name.lower())
                if member is not None:
                    yield role.principal_id, member.principal_id

    def _permission_code(self, name: str) -> str:
        if not PERMISSIONS[name]:
            raise unsupported(f"permission {name} in sys.database_permissions")
        return PERMISSIONS[name].ljust(4)

    def _sys_database_permissions(self) -> Iterator[Row]:
        descriptions = {0: "DATABASE", 1: "OBJECT_OR_COLUMN", 3: "SCHEMA"}
        states = {"G": "GRANT", "D": "DENY", "W": "GRANT_WITH_GRANT_OPTION"}
        for permission in self.catalogue.permissions:
            grantee = self.catalogue.principals.get(permission.grantee.lower())
            if grantee is None:
                continue
            yield (
                permission.permission_class,
                descriptions[permission.permission_class],
                permission.major_id,
                0,
                grantee.principal_id,
                1,
                self._permission_code(permission.name),
                permission.name,
                permission.state,
                states[permission.state],
            )

    def _sys_server_principals(self) -> Iterator[Row]:
        for number, name, sid in logins(self.catalogue):
            disabled = not self.catalogue.logins.get(name.lower(), {}).get("enabled", True)
            yield name, number, sid, "S", "SQL_LOGIN", int(disabled), self.catalogue.options.created

    def _sys_sql_logins(self) -> Iterator[Row]:
        for *row, _ in self._sys_server_principals():
            yield tuple(row)

    # --- the server ---

    def _sys_dm_exec_sessions(self) -> Iterator[Row]:
        for session in self.session.owner.sessions():
            yield (
                session.spid,
                session.login,
                session.host,
                session.application,
                "running" if session is self.session else "sleeping",
                session.store.count,
                5,
                1,
                _ISOLATION.index(session.store.isolation),
            )

    def _sys_dm_exec_connections(self) -> Iterator[Row]:
        for session in self.session.owner.sessions():
            yield session.spid, "TCP", "TRUE" if session.encrypted else "FALSE"

    def _sys_dm_tran_locks(self) -> Iterator[Row]:
        short = {"Exclusive": "X", "Shared": "S", "Update": "U", "IntentShared": "IS", "IntentExclusive": "IX"}
        for resource, spid, mode, status in self.session.owner.locks.snapshot():
            assert isinstance(resource, tuple)
            kind = "APPLICATION" if resource[0] == "application" else "DATABASE"
            yield kind, f"0:[{resource[2]}]" if kind == "APPLICATION" else "", short[mode], status, spid, 5

    def _sys_configurations(self) -> Iterator[Row]:
        yield 103, "user connections", 0, 0
