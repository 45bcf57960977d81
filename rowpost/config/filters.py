"""Which changes of a relay are sent, as relay.toml says it: what the file alone can tell of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from rowpost.config.sections import Operation, RelayConfig
from rowpost.rules.condition import Condition, read_condition
from rowpost.rules.context import read_context

Refuse = Callable[[str, str], None]


def check_filters(field: str, relay: RelayConfig, refuse: Refuse) -> None:
    """Refuse what cannot be meant; the database says more of the condition."""
    operations = relay.operations
    if operations is not None and not operations:
        refuse(f"{field}.operations", "is empty; name some of insert, update and delete, or remove the key to mean all")
    elif operations is not None and len(set(operations)) < len(operations):
        refuse(f"{field}.operations", "names an operation twice")
    for name, read in (("where", read_condition), ("ignore_context", read_context)):
        written = getattr(relay, name)
        if written is not None:
            try:
                read(written)
            except ValueError as error:
                refuse(f"{field}.{name}", str(error))
    if relay.where is None and relay.leaving != "delete":
        refuse(f"{field}.leaving", "is of no use without where; remove it")


def operations_of(relay: RelayConfig) -> Sequence[Operation] | None:
    """The operations that are sent; None for all."""
    return None if relay.operations is None or len(relay.operations) == len(get_args(Operation)) else relay.operations


def condition_of(relay: RelayConfig) -> Condition | None:
    """The condition of a relay; None if it has none."""
    return None if relay.where is None else read_condition(relay.where)


def context_of(relay: RelayConfig) -> bytes | None:
    """The context whose changes are not sent; None if there is none."""
    return None if relay.ignore_context is None else read_context(relay.ignore_context)
