"""A relay of a plan: one table to one target, by one app. Each has a record of its own, and is judged on its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from rowpost.config.sections import RelayConfig
from rowpost.database.table import trigger_id

TABLE = "dbo.Orders"
SITES = ("rowpost-local", "rowpost-other")  # names of the apps


@dataclass(frozen=True)
class Lane:
    """A relay of a plan.

    Attributes:
        app: the number of its app.
        table: its table.
        target: its target's name; that of the address as well.
        name: its own name, if that is not the table's.
    """

    app: int = 0
    table: str = TABLE
    target: str = "api"
    name: str = ""

    @cached_property
    def relay(self) -> RelayConfig:
        """As the app knows it."""
        return RelayConfig(table=self.table, target=self.target, name=self.name)

    @property
    def site(self) -> str:
        """The name of its app."""
        return SITES[self.app]

    @property
    def leases(self) -> str:
        """The trigger's lease table, without its schema."""
        return self.relay.lease_table(self.site)

    @property
    def function(self) -> str:
        """How the trigger extension names the relay's function."""
        return trigger_id(self.site, self.relay.function)

    def __str__(self) -> str:
        return f"{self.relay.name} of {self.site} to {self.target}"


MAIN = Lane()
