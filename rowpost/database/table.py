"""What the app knows of a relay and its table: the key, the columns, and the fragments of SQL that name them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rowpost.config.sections import RelayConfig
from rowpost.database import filters
from rowpost.database.columns import TableColumn
from rowpost.database.names import literal, quote
from rowpost.database.statements import render
from rowpost.rules.json_text import JsonValue


def quoted_name(name: str) -> str:
    """``schema.table`` in brackets."""
    return ".".join(quote(part) for part in name.split("."))


def lease_table(relay: RelayConfig, site: str) -> str:
    """The lease table of the trigger of a relay, in brackets."""
    return f"[az_func].{quote(relay.lease_table(site))}"


def trigger_id(site: str, function: str) -> str:
    """How the SQL trigger extension names a function of a site in its tables: part of a hash, written as a .NET GUID writes it."""
    return uuid.UUID(bytes_le=hashlib.sha256((site + function).encode()).digest()[:16]).hex[:16]


@dataclass(frozen=True)
class Table:
    """The tracked table of a relay, checked and ready.

    Attributes:
        relay: its configuration.
        site: the app that the relay belongs to.
        columns: those that may leave.
        watch: the columns of which an update counts; None for all, empty for none.
        trigger_id: how the trigger extension names the relay's function.
        warnings: what is not as it should be, though the table can be relayed.
        wide: columns that can hold numbers which the trigger's extension cannot read.
        masks: the columns, none of which is sent, that the app's user reads as masks.
        conditioned: the columns that the condition of the relay is on, and the key.
        tracked: the columns that change tracking lists when they change; empty if it lists none.
        mattering: those of them whose change must reach the target.
        unseen: the columns that may leave of which it does not say when they change.
        lost: names in `send` and `watch` that the table has no column for, if it is relayed all the same.
    """

    relay: RelayConfig
    site: str
    key: tuple[TableColumn, ...]
    columns: tuple[TableColumn, ...]
    watch: tuple[str, ...] | None
    trigger_id: str = ""
    warnings: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    masks: frozenset[str] = frozenset()
    conditioned: tuple[str, ...] = ()
    tracked: tuple[str, ...] = ()
    mattering: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def statement(self, name: str, **values: object) -> str:
        """The statement ``sql/<name>.sql`` for this relay; rendered once.

        Args:
            name: of the file, without ``.sql``.
            values: the fragments that are the caller's, such as the size of a chunk.
        """
        known = (name, *values.items())
        if known not in self._rendered:
            self._rendered[known] = render(name, self.fragments | values)
        return self._rendered[known]

    @property
    def name(self) -> str:
        """The relay's name."""
        return self.relay.name

    @cached_property
    def _rendered(self) -> dict[tuple[object, ...], str]:
        return {}

    def key_of(self, values: Sequence[Any]) -> dict[str, JsonValue]:
        """The key, by column name, from the values of ``{read_key_of_…}``."""
        return {column.name: column.key_value(value) for column, value in zip(self.key, values, strict=True)}

    @property
    def has_base(self) -> bool:
        """Whether anything is told by what changed since the base of the masks."""
        filtered = filters.filters_changes(self.relay) or filters.deletes_what_leaves(self.relay)
        return self.watch is not None or bool(self.tracked) or filtered

    @cached_property
    def known_masks(self) -> dict[bytes, tuple[str, ...]]:
        """The columns that may have changed, by the mask that says so, as far as masks were read."""
        return {}

    @cached_property
    def key_places(self) -> tuple[int, ...]:
        """Where the columns of the key stand among the columns."""
        return tuple(self.columns.index(column) for column in self.key)

    @cached_property
    def fragments(self) -> dict[str, object]:
        """What the statements need of this table. Those of an alias or of two end with it: ``{same_key_l_k}``.

        The statements use these aliases: k, and q beside it, for keys that are read from JSON, l for the trigger's leases, t for
        the table, c for its changes, w for its changes since the base of the masks.
        """
        sql, leases = quoted_name(self.relay.table), lease_table(self.relay, self.site)
        found: dict[str, object] = {
            "table": sql,
            "table_literal": literal(sql),
            "relayed_table": literal(self.relay.table),
            "relay": literal(self.relay.name),
            "app": literal(self.site),
            "target": literal(self.relay.target),
            "leases": leases,
            "leases_literal": literal(leases),
            "trigger_id": literal(self.trigger_id),
            "first_key": quote(self.key[0].name),
            "key_columns": ", ".join(quote(column.name) for column in self.key),
            "key_from_item": self._from_json("$.key"),
            "key_from_text": self._from_json("$"),
            "key_of_record": self._key_of_record(),
            "no_key_columns": ", ".join(f"CAST(NULL AS int) AS c{number}" for number, _ in enumerate(self.key)),
            "key_present_in_k": " AND ".join(f"{name} IS NOT NULL" for name in self._names("k")),
            "declare_key": ", ".join(f"@key{i} {column.declaration}" for i, column in enumerate(self.key, 1)),
            "set_key": ", ".join(f"@key{i} = {name}" for i, name in enumerate(self._names("k"), 1)),
            "behind_key": self._behind_key(),
            "bytes_of_t": self._bytes(),
            "read_columns_of_t": ", ".join(column.select("t") for column in self.columns),
            "matching_of_t": filters.matching(self.relay, self.conditioned),
            "listed_columns": ", ".join(f"({literal(name)})" for name in self.tracked) or "(N'')",
        }
        for alias in "klct":
            names = self._names(alias)
            found[f"key_of_{alias}"] = ", ".join(names)
            # The lease table has wider types: datetime2(7) of a datetime2(0), nchar(6) of nchar(3). So its values look different.
            read = [f"CONVERT({c.declaration}, {name})" if alias == "l" else name for c, name in zip(self.key, names, strict=True)]
            found[f"read_key_of_{alias}"] = ", ".join(c.read(name) for c, name in zip(self.key, read, strict=True))
        for left, right in ("lk", "tk", "lc", "tc", "cl", "ck", "wk", "wc", "nk", "nc", "qk"):
            pairs = zip(self._names(left), self._names(right), strict=True)
            found[f"same_key_{left}_{right}"] = " AND ".join(f"{a} = {b}" for a, b in pairs)
        return found | self._watching(found)

    def _bytes(self) -> str:
        """The size of a row's columns that may leave, in bytes; a little too large for columns that are small."""
        small = sum(column.max_length for column in self.columns if column.is_small)
        large = [f" + COALESCE(DATALENGTH({column.select('t')}), 0)" for column in self.columns if not column.is_small]
        return f"CAST({small} AS bigint)" + "".join(large)

    def _names(self, alias: str) -> list[str]:
        """The key columns of an alias. Read from JSON they have numbers: so none has the name of another value of the object."""
        return [f"{alias}.{_in_json(i) if alias in 'kq' else quote(column.name)}" for i, column in enumerate(self.key, 1)]

    def _from_json(self, path: str) -> str:
        return ", ".join(column.from_json(_in_json(i), path) for i, column in enumerate(self.key, 1))

    def _key_of_record(self) -> str:
        """The key of a record g of the ledger. It is NULL if it is none of the table's: the table may have been made anew."""
        read = ", ".join(column.from_record(_in_json(i), f"j.{_in_json(i)}") for i, column in enumerate(self.key, 1))
        texts = ", ".join(column.text_from_json(_in_json(i), "$") for i, column in enumerate(self.key, 1))
        return f"(SELECT {read} FROM OPENJSON(g.RowKey) WITH ({texts}) j)"

    def _behind_key(self) -> str:
        """``(a, b) > (@key1, @key2)``, spelled out, since T-SQL compares no tuples. The first term lets the key's index be used."""
        names = self._names("t")
        steps = []
        for index, name in enumerate(names):
            same = [f"{before} = @key{i}" for i, before in enumerate(names[:index], 1)]
            steps.append(f"({' AND '.join([*same, f'{name} > @key{index + 1}'])})")
        return f"{names[0]} >= @key1 AND ({' OR '.join(steps)})"

    @cached_property
    def to_look(self) -> dict[str, object]:
        """What of these fragments is another for a claim that only looks: it stops no row, and does not ask which columns have
        changed, which may take long while many changes wait."""
        table = quoted_name(self.relay.table)
        if filters.skipped(self.relay, self.watch, table) or filters.deletes_what_leaves(self.relay):
            return {"guard_leases": ""}
        return {"guard_leases": "", "claim_base": "", "join_claimed": "", "mask_of_w": "NULL"}

    def _watching(self, known: dict[str, object]) -> dict[str, object]:
        """The filter that leaves a change out, and what is known of its columns: declarations, joins, and expressions.

        Inserts, deletes and an unknown mask always count for `watch`. The mask is relative to a base of our own: the trigger's
        cursor can pass a change that was not delivered, if its row has changed again since.
        """
        relay, table = self.relay, quoted_name(self.relay.table)
        skipped = filters.skipped(relay, self.watch, table)
        changes = f"LEFT JOIN CHANGETABLE(CHANGES {table}, @base) w ON "
        found: dict[str, object] = {"watch_base": "", "claim_base": "", "join_watched_c": "", "join_claimed": ""}
        found |= {"skipped_by": "NULL", "not_claimed_for": "NULL", "mask_of_w": filters.mask(table) if self.tracked else "NULL"}
        near = bool(self.tracked) or filters.deletes_what_leaves(relay)
        found["new_row"] = filters.new(table) if filters.deletes_what_leaves(relay) else "0"
        if skipped:
            found["skipped_by"] = found["not_claimed_for"] = filters.skipped_by(table, skipped)
            found["watch_base"] = found["claim_base"] = filters.base(relay.name, table)
            found["join_watched_c"] = f"{changes}{known['same_key_w_c']}"
        elif near:
            found["claim_base"] = filters.near_base(relay.name, table)
        if skipped or near:
            found["join_claimed"] = f"{changes}{known['same_key_w_k']}"
        if filters.tells_what_is_new(relay):
            recent = f"\n  LEFT JOIN CHANGETABLE(CHANGES {table}, @recent) n ON "
            found["watch_base"] = filters.base(relay.name, table)
            found["join_watched_c"] = f"{found['join_watched_c']}{recent}{known['same_key_n_c']}"
            found["join_claimed"] = f"{found['join_claimed']}{recent}{known['same_key_n_k']}"
        else:
            found["recent"] = ""
        # These fragments are files that most tables do not need.
        if relay.ignore_context is None:
            found |= {"echoes": "", "context": "", "marks_of_w": "", "all_marks": ""}
        else:
            found |= filters.echoes(relay, table, self.mattering)
            found["join_claimed"] = f"{found['join_claimed']}\n  LEFT JOIN @echoes e ON e.Number = k.number"
            found["not_claimed_for"] = f"CASE WHEN e.Number IS NOT NULL THEN N'ignore_context' ELSE {found['skipped_by']} END"
        if relay.where is None:
            found["left_rows"] = ""
        return found


def _in_json(number: int) -> str:
    return f"[key.{number}]"
