"""CREATE, ALTER and DROP of sequences and alias types."""

from __future__ import annotations

import copy

from emulators.sql_server.catalogue.sequences import FIRST_ALIAS_ID, AliasType, Sequence, range_of
from emulators.sql_server.objects import security
from emulators.sql_server.objects.modules import ModuleDdl
from emulators.sql_server.parser.batches import parse_expression
from emulators.sql_server.parser.tree import CreateType, Name, NextValue, SequenceStatement
from emulators.sql_server.parser.walk import deep_walk
from emulators.sql_server.values.datatypes import BIGINT, INTEGERS, alias_parts
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError, SqlType

_NO_BASE = frozenset({"rowversion", "xml", "geography", "geometry", "hierarchyid", "sql_variant", "text", "ntext", "image"})


class SequenceDdl(ModuleDdl):
    """Sequences and alias types of one session."""

    def sequence(self, node: SequenceStatement) -> None:
        """CREATE and ALTER SEQUENCE. Raises SqlError 208, 2714, 11700 to 11706."""
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            if node.action == "CREATE":
                security.require_database(self.session, "CREATE SEQUENCE")
                schema = self.schema_of(node.name)
                if catalogue.object_named(schema.name, node.name[-1]) is not None:
                    raise sql_error(2714, node.name[-1])
                found = self._new_sequence(node, schema.name, catalogue.new_id())
                self.session.owner.identities.pop(found.object_id, None)
            else:
                found = self._altered_sequence(node)
            catalogue.put_sequence(found)
            self.store.save_catalogue()

    def _new_sequence(self, node: SequenceStatement, schema: str, object_id: int) -> Sequence:
        name, kind = node.name[-1], self.base_of(node.type) if node.type is not None else BIGINT
        if not (kind.name in INTEGERS - {"bit"} or kind.name in ("decimal", "numeric") and kind.scale == 0):
            raise SqlError(
                11702,
                f"The sequence object '{name}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a "
                "scale of 0, or any user-defined data type that is based on one of the integer data types.",
            )
        low, high = range_of(kind)
        given = node.options
        increment = given.get("INCREMENT", 1) or 0
        minimum, maximum = _or(given.get("MINVALUE"), low), _or(given.get("MAXVALUE"), high)
        start = _or(given.get("START"), minimum if increment >= 0 else maximum)
        now = self.session.owner.local_text()
        cache = given.get("CACHE")
        made = Sequence(
            object_id,
            schema,
            name,
            kind,
            start,
            increment,
            minimum,
            maximum,
            bool(given.get("CYCLE")),
            cache != 0,
            cache or None,
            now,
            now,
        )
        _check(made, low, high)
        return made

    def _altered_sequence(self, node: SequenceStatement) -> Sequence:
        found = self.store.catalogue.sequence((node.name[-2] if len(node.name) > 1 else "") or "dbo", node.name[-1])
        if found is None:
            raise sql_error(208, ".".join(node.name))
        security.require_alter(self.session, found)
        changed, given = copy.copy(found), node.options
        low, high = range_of(found.type)
        changed.increment = _or(given.get("INCREMENT"), found.increment)
        if "MINVALUE" in given:
            changed.minimum = _or(given["MINVALUE"], low)
        if "MAXVALUE" in given:
            changed.maximum = _or(given["MAXVALUE"], high)
        changed.cycling = bool(given.get("CYCLE", found.cycling))
        if "CACHE" in given:
            changed.cached, changed.cache_size = given["CACHE"] != 0, given["CACHE"] or None
        if "RESTART" in given:
            changed.start = _or(given["RESTART"], found.start)
            self.store.run('DELETE FROM "$identity" WHERE object_id = ?', (found.object_id,))
            self.session.owner.identities.pop(found.object_id, None)
        changed.modified = self.session.owner.local_text()
        _check(changed, low, high)
        return changed

    def drop_sequence(self, name: Name, if_exists: bool) -> None:
        """Raises SqlError 3701, 3729."""
        catalogue = self.store.change_catalogue()
        found = catalogue.sequence((name[-2] if len(name) > 1 else "") or "dbo", name[-1])
        if found is None:
            if if_exists:
                return
            raise sql_error(3701, "sequence object", ".".join(name))
        security.require_alter(self.session, found)
        for table in catalogue.tables.values():
            for column in table.columns:
                if column.default is not None and _draws(column.default, found):
                    raise sql_error(3729, "DROP SEQUENCE", ".".join(name), column.default_name)
        self.store.run('DELETE FROM "$identity" WHERE object_id = ?', (found.object_id,))
        self.session.owner.identities.pop(found.object_id, None)
        catalogue.remove(found)

    # --- alias types ---

    def create_type(self, node: CreateType) -> None:
        """Raises SqlError 219, 222."""
        security.require_database(self.session, "CREATE TYPE")
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            schema = self.schema_of(node.name)
            if catalogue.alias_type(schema.name, node.name[-1]) is not None:
                raise SqlError(219, f"The type '{'.'.join(node.name)}' already exists, or you do not have permission to create it.")
            shown = ".".join(alias_parts(node.base)) or node.base.name
            if shown != node.base.name or node.base.name in _NO_BASE:
                raise SqlError(222, f'The base type "{shown}" is not a valid base type for the alias data type.')
            number = max([FIRST_ALIAS_ID - 1, *(known.user_type_id for known in catalogue.types.values())]) + 1
            catalogue.types[schema.name.lower(), node.name[-1].lower()] = AliasType(
                number, schema.name, node.name[-1], node.base, node.nullable
            )
            self.store.save_catalogue()

    def drop_type(self, name: Name, if_exists: bool) -> None:
        """Raises SqlError 218, 3732."""
        catalogue = self.store.change_catalogue()
        found = catalogue.alias_type((name[-2] if len(name) > 1 else "") or "dbo", name[-1])
        if found is None:
            if if_exists:
                return
            raise sql_error(218, ".".join(name))
        security.require_database(self.session, "CREATE TYPE")
        for table in catalogue.tables.values():
            if any(column.alias_id == found.user_type_id for column in table.columns):
                raise sql_error(3732, ".".join(name), table.name)
        del catalogue.types[found.schema.lower(), found.name.lower()]

    def base_of(self, kind: SqlType) -> SqlType:
        """The type itself, or what an alias stands for. Raises SqlError 2715."""
        return self.store.catalogue.resolved(kind)[0]


def _or(value: int | bool | None, default: int) -> int:
    return default if value is None else int(value)


def _check(found: Sequence, low: int, high: int) -> None:
    if found.increment == 0:
        raise SqlError(11700, f"The increment for sequence object '{found.name}' cannot be zero.")
    if not low <= found.minimum < found.maximum <= high:
        raise unsupported("a sequence whose MINVALUE or MAXVALUE is outside of its type")
    if not found.minimum <= found.start <= found.maximum:
        raise sql_error(11703, found.name)


def _draws(text: str, found: Sequence) -> bool:
    return any(
        isinstance(part, NextValue) and part.name[-1].lower() == found.name.lower() for part in deep_walk(parse_expression(text))
    )
