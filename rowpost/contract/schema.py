"""The JSON Schema of a relay: what the body of each of its events looks like.

It is open: a reader must pass over members that it does not know, since columns and members can be added. Closed, it knows no more
than what the app sends today: that is what tests want.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from msgspec import Raw

from rowpost.config.sections import Numbers
from rowpost.contract.values import EXACT_IN_A_DOUBLE, NOTHING, Schema, integer, key_schema, literal, nullable, value_schema
from rowpost.database.columns import TableColumn
from rowpost.database.table import Table
from rowpost.rules.placeholders import Placeholder
from rowpost.target.body import JSON
from rowpost.target.shape import Shape

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
EPOCH: Schema = {"type": "integer", "minimum": 0, "maximum": EXACT_IN_A_DOUBLE}
SEQUENCE: Schema = {"type": "string", "pattern": "^(?:[0-9]{10}[.])?[0-9]{20}$"}
RUN: Schema = {"type": "string", "minLength": 1}
_TIME: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[.]\d{3}Z$",
}
_ANYTHING = r"[\s\S]*"
UPSERT, DELETE, BEGUN, COMPLETED = "upsert", "delete", "resync-begun", "resync-completed"
EVENTS = {
    UPSERT: ("rowpost.row.upserted", "a row exists, and has these values"),
    DELETE: ("rowpost.row.deleted", "a row was deleted"),
    BEGUN: ("rowpost.resync.begun", "from now on all rows of the table are sent"),
    COMPLETED: ("rowpost.resync.completed", "all rows that exist were sent since the beginning, and accepted"),
}


def relay_schema(table: Table, shape: Shape, chosen: Sequence[str] | None = None, *, closed: bool = False) -> Schema:
    """The schema of the bodies of a relay's events. ``$defs`` has one for each kind of event that is sent, and ``batch``.

    Args:
        table: of the relay.
        shape: of its events; ``resync`` is None if the target does not get such events.
        chosen: the client's choice of columns; None for all that may leave.
        closed: whether members that are not known today are wrong.
    """
    return _Relay(table, shape, chosen, closed).document()


class _Relay:
    """What the schemas of one relay are made of."""

    def __init__(self, table: Table, shape: Shape, chosen: Sequence[str] | None, closed: bool) -> None:
        self._shape, self._closed, self._key = shape, closed, table.key
        wanted = None if chosen is None else {name.lower() for name in (*chosen, *(column.name for column in table.key))}
        self._columns = [column for column in table.columns if wanted is None or column.name.lower() in wanted]
        self._others = [column.name for column in table.columns if column not in self._columns]
        self._name = table.name

    def document(self) -> Schema:
        """All of it."""
        kinds = self._kinds()
        return {
            "$schema": DIALECT,
            "$id": f"urn:rowpost:relay:{quote(self._name, safe='')}",
            "title": f"Events of the relay {self._name}",
            "anyOf": [_ref(kind) for kind in kinds],
            "$defs": {
                **{kind: {"title": kind, "description": EVENTS[kind][1], **schema} for kind, schema in kinds.items()},
                "key": self._key_object(),
                "row": self._row_object(),
                "batch": {"title": "batch", "type": "array", "minItems": 1, "items": {"$ref": "#"}},
            },
        }

    def _kinds(self) -> dict[str, Schema]:
        """The body of each kind of event that has one."""
        shape, found = self._shape, {}
        if shape.body is not None:
            found[UPSERT] = self._template(shape.body, deleted=False)
        else:
            found[UPSERT] = _ref("row") if shape.form == "row" else self._event(UPSERT)
        if shape.delete_body is not None:
            found[DELETE] = self._template(shape.delete_body, deleted=True)
        elif shape.delete.method != "DELETE":
            found[DELETE] = _ref("key") if shape.form == "row" else self._event(DELETE)
        if shape.resync is not None:
            found |= {kind: self._event(kind) for kind in (BEGUN, COMPLETED)}
        return found

    # --- events ---

    def _event(self, kind: str) -> Schema:
        data = self._change(kind)
        if self._shape.form != "cloudevents":
            return data
        attributes = {"specversion": {"const": "1.0"}, **self._attributes(kind), "datacontenttype": {"const": JSON}}
        return self._object({**attributes, "data": data})

    def _attributes(self, kind: str) -> dict[str, Schema]:
        of_row = kind in (UPSERT, DELETE)
        table = self._shape.table
        return {
            "id": ID,
            "source": {"const": self._shape.source},
            "type": {"const": EVENTS[kind][0]},
            "subject": {"type": "string", "pattern": f"^{literal(table)}/[0-9a-f]{{16}}$"} if of_row else {"const": table},
            "time": _TIME,
            "sequence": SEQUENCE,
        }

    def _change(self, kind: str) -> Schema:
        known: dict[str, Schema] = {"table": {"const": self._shape.table}, "operation": {"const": kind}}
        place: dict[str, Schema] = {"epoch": EPOCH, "version": self._version}
        if kind in (BEGUN, COMPLETED):
            optional = {"cause": {"enum": ["initial", "resync"]}}
            return self._object({**known, "resync": RUN, **place, "since": self._version}, optional)
        row = NOTHING if kind == DELETE else _ref("row")
        more: dict[str, Schema] = {"snapshot": RUN}
        if kind == UPSERT:
            names = [column.name for column in self._columns]
            more["changed"] = {"type": "array", "items": {"enum": names}, "uniqueItems": True}
        return self._object({**known, "key": _ref("key"), **place, "row": row}, more)

    @property
    def _version(self) -> Schema:
        return integer(0, 2**63 - 1, self._shape.numbers)

    # --- rows and keys ---

    def _key_object(self) -> Schema:
        return self._object({column.name: _told(column, key_schema(column, self._shape.numbers)) for column in self._key})

    def _row_object(self) -> Schema:
        return self._object({column.name: _told(column, value_schema(column, self._shape.numbers)) for column in self._columns})

    def _object(self, members: Mapping[str, Schema], optional: Mapping[str, Schema] = {}) -> Schema:
        found = {"type": "object", "properties": {**members, **optional}, "required": list(members)}
        return found | {"additionalProperties": False} if self._closed else found

    # --- templates ---

    def _template(self, template: Any, *, deleted: bool) -> Schema:
        """What a template becomes: its own values, and what stands in its places.

        Its texts are not told in an open schema: they may hold the value of an app setting, and so a secret.
        """
        if isinstance(template, tuple):
            if len(template) == 1 and isinstance(template[0], Placeholder):
                return self._place(template[0], deleted)
            if not self._closed:
                return {"type": "string"}
            if not any(isinstance(part, Placeholder) for part in template):
                return {"const": "".join(str(part) for part in template)}
            parts = (literal(part) if isinstance(part, str) else _ANYTHING for part in template)
            return {"type": "string", "pattern": f"^{''.join(parts)}$"}
        if isinstance(template, dict):
            return self._object({name: self._template(item, deleted=deleted) for name, item in template.items()})
        if isinstance(template, list):
            items = [self._template(item, deleted=deleted) for item in template]
            length = {"minItems": len(items), "maxItems": len(items)}
            return {"type": "array", **({"prefixItems": items} if items else {}), **length}
        return {"const": _number(template) if isinstance(template, Raw) else template}

    def _place(self, place: Placeholder, deleted: bool) -> Schema:
        numbers: Numbers = self._shape.numbers
        if not place.attribute:
            name = place.name.lower()
            if name in (other.lower() for other in self._others):
                return NOTHING  # the client has not chosen it
            some, of = (self._key, key_schema) if deleted else (self._columns, value_schema)
            return next((_told(column, of(column, numbers)) for column in some if column.name.lower() == name), NOTHING)
        if place.name in ("key", "row"):
            return NOTHING if deleted and place.name == "row" else _ref(place.name)
        kind = DELETE if deleted else UPSERT
        known = {**self._attributes(kind), "table": {"const": self._shape.table}, "operation": {"const": kind}}
        known |= {"epoch": EPOCH, "version": self._version, "snapshot": {"type": "string"}}
        return known[place.name]


def headers_schema(table: Table, shape: Shape) -> Schema:
    """The headers that the app sets itself, by name in lower case. In a batch there are none of a row.

    ``traceparent`` may be that of the configuration, so nothing is said of its form.
    """
    names: dict[str, Schema] = {
        "idempotency-key": ID,
        "rowpost-version": {"type": "string", "pattern": "^[0-9]{1,19}$"},
        "rowpost-epoch": {"type": "string", "pattern": "^[0-9]{1,10}$"},
    }
    optional: dict[str, Schema] = {"rowpost-snapshot": RUN, "traceparent": {"type": "string"}}
    if shape.form == "cloudevents-binary" and shape.body is None:
        attributes = {
            "specversion": {"const": "1.0"},
            "id": ID,
            "source": RUN,
            "type": {"enum": [kind for kind, _ in EVENTS.values()]},
            "subject": RUN,
            "time": _TIME,
            "sequence": SEQUENCE,
        }
        optional |= {f"ce-{name}": schema for name, schema in attributes.items()}
    return {
        "title": f"Headers of the relay {table.name}",
        "type": "object",
        "properties": {**names, **optional},
        "required": list(names),
    }


def _told(column: TableColumn, schema: Schema) -> Schema:
    return {"description": column.declaration, **schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _number(digits: Raw) -> Decimal | int:
    """The number of a template, as JSON text has it."""
    number = Decimal(bytes(digits).decode())
    return int(number) if number == number.to_integral_value() and abs(number) <= EXACT_IN_A_DOUBLE else number


__all__ = ["BEGUN", "COMPLETED", "DELETE", "DIALECT", "EVENTS", "UPSERT", "Schema", "headers_schema", "nullable", "relay_schema"]
