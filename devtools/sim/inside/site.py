"""An app of a plan: its configuration, its task hub, and the API that its people are told by."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devtools.sim.inside.arena import Arena
from devtools.sim.inside.hub import Hub
from devtools.sim.inside.scheduler import Scheduler
from devtools.sim.inside.sql import SqlServer
from devtools.sim.lane import MAIN, SITES, Lane
from devtools.sim.plan import Plan
from devtools.sim.scenario import address_setting, relay_toml
from emulators.functions_host.host_json import load_host_json
from emulators.functions_host.settings import AppSettings

ROOT = Path(__file__).resolve().parents[3]
NAIVE_APP = Path(__file__).resolve().parents[1] / "naive_app"
API_KEY = "local-key"
MAIL = "mail.example"


def authority(target: str) -> str:
    """The address of a target."""
    return f"{target}.example"


class Site:
    """One app.

    Args:
        arena: has a place for its configuration.
        plan: of the seed.
        number: of the app.
        scheduler, pause: of the simulation.
    """

    def __init__(self, arena: Arena, plan: Plan, number: int, scheduler: Scheduler, pause: Callable[[], float]) -> None:
        self.number, self.name, self._arena, self._plan = number, SITES[number], arena, plan
        self.lanes = tuple(lane for lane in plan.lanes if lane.app == number)
        self.left_out: frozenset[str] = frozenset()  # relays that are not in its configuration at present
        self.hub = Hub(scheduler, pause)
        self.config = self.configure()
        self.settings = self._settings()

    @property
    def alerts(self) -> str:
        """The target whose API has the webhook for its people."""
        return self.lanes[0].target

    def configure(self, left_out: frozenset[str] = frozenset()) -> Path:
        """Write relay.toml, without some relays; workers that start from now on read it."""
        self.left_out = left_out
        lanes = tuple(lane for lane in self.lanes if lane.relay.name not in left_out)
        return self._arena.settings_file(f"relay-{self.number}.toml", relay_toml(self._plan.settings, lanes))

    def has(self, lane: Lane) -> bool:
        """Whether a relay is in its configuration at present."""
        return lane.app == self.number and lane.relay.name not in self.left_out

    def _settings(self) -> AppSettings:
        connection = f"Server=tcp:sql.example,1433;Database=rowpost;User ID=sa;Password={SqlServer.password};Encrypt=False"
        values = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "WEBSITE_SITE_NAME": self.name,
            "ODBC_DRIVER": "ODBC Driver 18 for SQL Server",
            "ROWPOST_CONFIG": str(self.config),
            "SqlConnectionString": connection,
            "DOWNSTREAM_API_KEY": API_KEY,
            "EMAIL_CONNECTION_STRING": f"endpoint=http://{MAIL}/;accesskey=cm93cG9zdC1lbXVsYXRvcg==",
            "EMAIL_SENDER": "rowpost@example.com",
            "ALERT_WEBHOOK_URL": f"http://{authority(self.alerts)}/alerts",
        }
        values |= {address_setting(lane.target): f"http://{authority(lane.target)}/rows" for lane in self.lanes}
        app = ROOT
        if self._plan.policy == "naive":
            app = NAIVE_APP
            key = json.dumps(self._plan.settings.key_columns)
            values |= {"NAIVE_TABLE": MAIN.table, "NAIVE_LEASES": MAIN.leases, "NAIVE_KEY": key, "NAIVE_ODBC": "APP=rowpost"}
        return AppSettings(app, _host_json(app), values)


@functools.cache
def _host_json(app: Path) -> dict[str, Any]:
    return load_host_json(app)
