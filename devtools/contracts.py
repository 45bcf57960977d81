"""The contract of a relay as a check: is what arrived what the schema of the relay says?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema_rs

from emulators.downstream.attempt import Attempt
from emulators.odbc import odbc_driver
from rowpost.config.connection_string import translate
from rowpost.config.loading import load_config
from rowpost.contract.schema import headers_schema, relay_schema
from rowpost.database.connection import Database
from rowpost.database.describe import describe_table
from rowpost.database.table import Table
from rowpost.target.shape import Shape, shape_of


class Contract:
    """The schemas of one relay, ready to be asked. They are closed: a member that nobody has described is found too.

    Args:
        table: of the relay, as the catalogue has it.
        shape: of its events.
        narrowed: whether a client may have chosen columns meanwhile: then those that are no key may be missing.
    """

    def __init__(self, table: Table, shape: Shape, *, narrowed: bool = False) -> None:
        self.table, self.shape = table, shape
        schema = relay_schema(table, shape, closed=True)
        if narrowed:
            schema["$defs"]["row"]["required"] = [column.name for column in table.key]
        self._body = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        self._headers = jsonschema_rs.Draft202012Validator(headers_schema(table, shape), validate_formats=True)

    def problem(self, attempt: Attempt) -> str | None:
        """What is wrong with the headers and the body of an attempt; None if they are as the schemas say."""
        headers = {name.lower(): value for name, value in attempt.headers.items()}
        for body in bodies(attempt, headers):
            if (error := next(self._body.iter_errors(body), None)) is not None:
                return _told(error)
        if isinstance(attempt.body, list) or "batch" in headers.get("content-type", ""):
            return None  # of a batch there are no headers of a row
        error = next(self._headers.iter_errors(headers), None)
        return None if error is None else f"headers: {_told(error)}"


def bodies(attempt: Attempt, headers: dict[str, str]) -> Iterator[Any]:
    """What an attempt brought: one body, those of a batch, or none."""
    body = attempt.body
    if isinstance(body, dict) and "ce-id" in headers:  # the record has put the two together
        body = body.get("data")
    if body is not None:
        yield from body if isinstance(body, list) else [body]


def _told(error: Any) -> str:
    """The narrowest thing that is wrong: of several kinds of events the one that the body comes closest to."""
    branches = getattr(error.kind, "context", None)
    if branches:
        nearest = min(branches, key=lambda some: (len(some), -max((len(each.instance_path) for each in some), default=0)))
        if nearest:
            return _told(nearest[0])
    place = "/".join(str(step) for step in error.instance_path)
    return f"{place or 'the body'}: {error.message.splitlines()[0][:300]}"


def contracts_of(config: Path, settings: dict[str, str], connection: str, *, narrowed: bool = False) -> list[Contract]:
    """The contracts of all relays of a configuration, from the catalogue of a database. Nothing is written.

    Raises:
        ConfigError: a relay or the file is not usable.
        DatabaseError: the database cannot be reached.
    """
    found = load_config(config, settings)
    database = Database(translate(connection, "the connection", odbc_driver()))
    return [
        Contract(describe_table(database, relay, "", found)[0], shape_of(relay, found.target(relay.target)), narrowed=narrowed)
        for relay in found.relays
    ]


def broken(attempts: Sequence[Attempt], contracts: Sequence[Contract]) -> Iterator[tuple[Attempt, str]]:
    """The attempts that keep none of the contracts, each with what is wrong with it."""
    for attempt in attempts:
        of_table = [each for each in contracts if attempt.table in (None, each.shape.table)] or contracts
        problems = [problem for each in of_table if (problem := each.problem(attempt)) is not None]
        if of_table and len(problems) == len(of_table):
            yield attempt, problems[-1]
