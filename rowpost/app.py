"""The app's parts, put together once per process and handed to every function."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rowpost.config.connection_string import translate
from rowpost.config.errors import ConfigError
from rowpost.config.host_json import batch_rows
from rowpost.config.loading import load_config
from rowpost.config.requests import column_mistakes, column_warnings
from rowpost.config.sections import Config, RelayConfig
from rowpost.config.transport_security import insecure
from rowpost.database.connection import Database, odbc_driver
from rowpost.database.describe import describe_table, load_table
from rowpost.database.table import Table
from rowpost.rules.epoch import Seen, Verified
from rowpost.target.delivery import Deliverer
from rowpost.target.sample import try_sample
from rowpost.target.shape import Shape, shape_of
from rowpost.telemetry.exporters import connect
from rowpost.telemetry.telemetry import Telemetry


class KnownLife:
    """What this process knows of the life of the database; safe to use from several threads.

    Attributes:
        known: what was verified, and the highest version seen since; None before the first look.
        highest_epoch: that is known of any relay of the app.
    """

    def __init__(self) -> None:
        self.known: Verified | None = None
        self.highest_epoch = 0
        self._memory_away = False
        self._lock = threading.Lock()

    def verify(self, life: Verified, epoch: int) -> None:
        """A look has compared the database with what is remembered of it."""
        with self._lock:
            self.known, self.highest_epoch = life, max(self.highest_epoch, epoch)

    def goes_on(self, before: Verified | None, seen: Seen) -> bool:
        """Whether what a batch saw can be the life that was known before the batch looked; remembers it if so."""
        if before is None:
            return True
        if before.contradicts(seen):
            return False
        with self._lock:
            known = self.known
            if known is not None and (known.life, known.mark) == (before.life, before.mark):
                newest = max(known.version, seen.version or 0)
                self.known = Verified(known.mark, known.life, max(known.number, seen.number), newest)
        return True

    def memory_is_away(self, *, away: bool) -> bool:
        """Note whether the memory outside the database answers; returns whether it has just stopped to."""
        with self._lock:
            before, self._memory_away = self._memory_away, away
            return away and not before


class App:
    """Configuration, database, targets and the relays' tables that were looked up so far.

    Attributes:
        site: the app's own name: that of its site on Azure.
        batch_rows: how many rows the trigger hands out at most.
        warnings: what is not as it should be, though the app can run: for the log of the first invocation.
        life: what this process knows of the life of the database.
        telemetry: what is told of the work.
    """

    def __init__(
        self, config: Config, database: Database, site: str = "", warnings: Sequence[str] = (), batch_rows: int = 0
    ) -> None:
        self.config = config
        self.database = database
        self.site = site
        self.warnings = tuple(warnings)
        self.batch_rows = batch_rows
        self.life = KnownLife()
        self.telemetry = Telemetry(config)
        self.deliverers = {target.name: Deliverer(target) for target in config.targets}
        self._tables: dict[str, Table] = {}
        self._shapes: dict[str, Shape] = {}
        self._loading = {relay.name: threading.Lock() for relay in config.relays}

    def table(self, name: str) -> Table:
        """The checked table of the relay of that name; looked up in the database at its first use.

        Raises:
            ConfigError: it is not configured, or cannot be relayed.
            DatabaseError: the database cannot be reached.
        """
        config = self._relay(name)
        with self._loading[config.name]:
            if config.name not in self._tables:
                self._tables[config.name] = self.look_up(name)
            return self._tables[config.name]

    def look_up(self, name: str) -> Table:
        """The relay's table as the catalogue has it now, checked. It is not taken: see :meth:`take`.

        Raises:
            ConfigError: as :meth:`table`.
            DatabaseError: the database cannot be reached.
        """
        return self._checked(load_table(self.database, self._relay(name), self.site, self.config, self.batch_rows))

    def describe(self, name: str) -> Table:
        """The relay's table as the catalogue has it now. Nothing is written: it is not taken, and no relay is registered.

        Raises:
            ConfigError: it is not configured, or its columns cannot be relayed.
            DatabaseError: the database cannot be reached.
        """
        found, _ = describe_table(self.database, self._relay(name), self.site, self.config, self.batch_rows)
        return self._checked(found)

    def take(self, table: Table) -> None:
        """From now on the table is this one; what is under way goes on with the one that it began with."""
        with self._loading[table.name]:
            if self._tables.get(table.name) != table:
                self._tables[table.name] = table

    def forget(self, name: str) -> None:
        """The table is not what it was: who uses it next looks it up, and may find that it cannot be relayed."""
        relay = self._relay(name)
        with self._loading[relay.name]:
            self._tables.pop(relay.name, None)

    def _relay(self, name: str) -> RelayConfig:
        config = self.config.relay(name)
        if config is None:
            known = ", ".join(relay.name for relay in self.config.relays)
            raise ConfigError(f"there is no relay {name!r} in relay.toml; it has {known}")
        return config

    def shape(self, relay: RelayConfig) -> Shape:
        """How the events of a relay look."""
        if relay.name not in self._shapes:
            self._shapes[relay.name] = shape_of(relay, self.config.target(relay.target))
        return self._shapes[relay.name]

    def _checked(self, table: Table) -> Table:
        """The table, if the requests and bodies of its relay fit its columns; with what is to be said of them."""
        relay, key = table.relay, [column.name for column in table.key]
        for mistake in column_mistakes(relay, key, [column.name for column in table.columns]):
            field, _, text = mistake.partition(": ")
            raise ConfigError(f"relays.{field} of {relay.name}: {text}")
        keys, columns = ({column.name: column.type for column in some} for some in (table.key, table.columns))
        if (problem := try_sample(self.shape(relay), keys, columns)) is not None:
            raise ConfigError(f"relays of {relay.name}: {problem}")
        warnings = [f"relays.upsert of {relay.name}: {text}" for text in column_warnings(relay, key)]
        return replace(table, warnings=(*table.warnings, *warnings)) if warnings else table


def load_app(root: Path, settings: Mapping[str, str] = os.environ) -> App:
    """Build the app from ``relay.toml`` (or the file that the setting ``ROWPOST_CONFIG`` names) and the app settings.

    Nothing is connected yet: a database that is down must not keep the app from starting. Nothing is logged either: what is logged
    at import reaches nobody.

    Raises:
        ConfigError: the file or the connection string is not usable.
    """
    path = Path(settings.get("ROWPOST_CONFIG") or root / "relay.toml")
    config = load_config(path, settings)
    if config.api.auth == "entra" and settings.get("WEBSITE_AUTH_ENABLED", "").lower() != "true":
        raise ConfigError(f'{path.name}: api.auth: "entra" needs App Service authentication; turn it on, or write auth = "keys"')
    setting = config.database.connection
    connection = translate(settings.get(setting, ""), setting, odbc_driver())
    site, warnings = settings.get("WEBSITE_SITE_NAME", ""), insecure(config, connection)
    signals, warning = connect(settings) if config.telemetry.opentelemetry else (None, None)
    warnings = [*warnings, *([warning] if warning else [])]
    app = App(config, Database(connection), site, warnings, batch_rows(root, settings))
    app.telemetry.signals = signals
    return app
