"""What all connections of a server share."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from emulators.clock import Clock
from emulators.sql_server.wire.contract import EngineDatabase
from emulators.sql_server.wire.faults import Faults
from emulators.sql_server.wire.statistics import Statistics


@dataclass
class Shared:
    """What all connections of a server share.

    Attributes:
        database: the engine.
        clock: dates the statistics.
        database_name: for the texts of injected errors.
        tls: contexts for Encrypt=yes and Encrypt=strict; None: no encryption.
    """

    database: EngineDatabase
    clock: Clock
    database_name: str = "rowpost"
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None
    faults: Faults = field(default_factory=Faults)
    statistics: Statistics = field(default_factory=Statistics)
