"""Settings of the SQL triggers of one app: ``extensions.Sql`` of host.json, overridden by app settings.

The two sources have different limits, and the values are checked at different moments of a start, so each has a reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulators.functions_host.sql_trigger.errors import ListenerError

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Setting:
    host_json_key: str
    app_settings: tuple[str, ...]  # the first that is set counts; the second is an older name
    default: int
    host_json_minimum: int
    app_setting_minimum: int


_BATCH_SIZE = _Setting("MaxBatchSize", ("Sql_Trigger_MaxBatchSize", "Sql_Trigger_BatchSize"), 100, 1, 1)
_POLLING_INTERVAL = _Setting("PollingIntervalMs", ("Sql_Trigger_PollingIntervalMs",), 1000, 100, 1)
_MAX_CHANGES_PER_WORKER = _Setting("MaxChangesPerWorker", ("Sql_Trigger_MaxChangesPerWorker",), 1000, 1, 1)
_APP_LOCK_TIMEOUT = _Setting("AppLockTimeoutMs", ("Sql_Trigger_AppLockTimeoutMs",), 30_000, 1000, 1000)
_ALL = (_BATCH_SIZE, _POLLING_INTERVAL, _MAX_CHANGES_PER_WORKER, _APP_LOCK_TIMEOUT)


def _look_up(mapping: Mapping[str, Any], key: str) -> Any:
    """Configuration keys do not regard case."""
    if key in mapping:
        return mapping[key]
    folded = key.casefold()
    return next((value for name, value in mapping.items() if name.casefold() == folded), None)


def _integer(value: Any) -> int | None:
    """The value as a 32-bit integer, None if it is none."""
    if isinstance(value, bool):
        return None
    try:
        number = int(value) if isinstance(value, int) else int(str(value).strip())
    except ValueError:
        return None
    return number if -_INT32_MAX - 1 <= number <= _INT32_MAX else None


class TriggerSettings:
    """The settings of all SQL triggers of a host.

    Args:
        app_settings: the app's settings (environment), by name.
        host_json: the parsed host.json.

    Raises:
        ListenerError: a value in host.json is no integer or below its limit there.
    """

    def __init__(self, app_settings: Mapping[str, str], host_json: Mapping[str, Any]) -> None:
        self._app_settings = app_settings
        extensions = _look_up(host_json, "extensions") or {}
        section = _look_up(extensions, "Sql") or {}
        self._host_values = {setting.host_json_key: self._from_host_json(section, setting) for setting in _ALL}

    @staticmethod
    def _from_host_json(section: Mapping[str, Any], setting: _Setting) -> int:
        value = _look_up(section, setting.host_json_key)
        if value is None:
            return setting.default
        number = _integer(value)
        if number is None or number < setting.host_json_minimum:
            raise ListenerError(
                f"host.json: extensions.Sql.{setting.host_json_key} must be an integer of at least "
                f"{setting.host_json_minimum}, not {value!r}."
            )
        return number

    def _value(self, setting: _Setting) -> int:
        for name in setting.app_settings:
            value = _look_up(self._app_settings, name)
            if value is None or value == "":
                continue
            number = _integer(value)
            if number is None or number < setting.app_setting_minimum:
                minimum = setting.app_setting_minimum
                demand = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
                newest = setting.app_settings[0]  # also if the older name has the value
                raise ListenerError(f"Invalid value for configuration setting '{newest}'. Ensure that the value is {demand}.")
            return number
        return self._host_values[setting.host_json_key]

    @property
    def batch_size(self) -> int:
        """Most rows of one hand-out. Raises ListenerError."""
        return self._value(_BATCH_SIZE)

    @property
    def polling_interval_seconds(self) -> float:
        """Pause between two passes. Raises ListenerError."""
        return self._value(_POLLING_INTERVAL) / 1000

    @property
    def max_changes_per_worker(self) -> int:
        """Unprocessed rows one worker is meant to have, for scaling. Raises ListenerError."""
        return self._value(_MAX_CHANGES_PER_WORKER)

    @property
    def app_lock_timeout_ms(self) -> int:
        """Longest wait for the application lock. Raises ListenerError."""
        return self._value(_APP_LOCK_TIMEOUT)
