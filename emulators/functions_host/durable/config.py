"""host.json ``extensions.durableTask``: what the engine honours, what it can ignore, and what it refuses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from emulators.functions_host.settings import AppSettings, ConfigurationError, section

WITHOUT_EFFECT = {
    "storageProvider": "the state is in SQLite; a type other than AzureStorage is refused",
    "tracing": "there is no telemetry",
    "traceInputsAndOutputs": "there is no telemetry",
    "traceReplayEvents": "there is no telemetry",
    "logReplayEvents": "there is no telemetry",
    "extendedSessionsEnabled": "it is not for Python",
    "extendedSessionIdleTimeoutInSeconds": "it is not for Python",
    "rollbackEntityOperationsOnExceptions": "it is not for Python",
    "maxGrpcMessageSizeInBytes": "it is not for Python",
    "grpcHttpClientTimeout": "it is not for Python",
    "useGracefulShutdown": "it has no effect there either",
    "useAppLease": "one host has a data directory",
    "entityMessageReorderWindowInMinutes": "the queue of entity requests is in order anyway",
}


_HONOURED = (
    "hubName",
    "overridableExistingInstanceStates",
    "maxConcurrentActivityFunctions",
    "maxConcurrentOrchestratorFunctions",
    "maxConcurrentEntityFunctions",
    "maxEntityOperationBatchSize",
    "maxOrchestrationActions",
)


def _by_known_names(given: dict[str, Any]) -> dict[str, Any]:
    """The names regard no case."""
    known = {name.lower(): name for name in _HONOURED}
    return {known.get(name.lower(), name): value for name, value in given.items()}


@dataclass(frozen=True)
class DurableConfig:
    """Settings of the engine; the defaults are the extension's."""

    hub_name: str
    max_activities: int
    max_orchestrators: int
    max_entities: int
    max_entity_batch: int = 5000
    max_actions: int = 100_000
    replace_any_state: bool = False

    @classmethod
    def read(cls, settings: AppSettings) -> DurableConfig:
        """Read host.json.

        Raises:
            ConfigurationError: an unknown key, or a value of the wrong kind.
        """
        given = _by_known_names(section(settings.host_json, "extensions", "durableTask"))
        cores = os.cpu_count() or 1

        def number(name: str, default: int) -> int:
            value = given.pop(name, default)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"host.json: extensions.durableTask.{name} must be a positive number, not {value!r}")
            return value

        hub: Any = given.pop("hubName", None) or settings.values.get("WEBSITE_SITE_NAME") or "TestHubName"
        states = given.pop("overridableExistingInstanceStates", "NonRunningStates")
        if states not in ("NonRunningStates", "AnyState"):
            raise ConfigurationError(
                f"host.json: extensions.durableTask.overridableExistingInstanceStates is {states!r}: NonRunningStates or AnyState"
            )
        config = cls(
            hub_name=settings.resolve(str(hub)),
            max_activities=number("maxConcurrentActivityFunctions", 10 * cores),
            max_orchestrators=number("maxConcurrentOrchestratorFunctions", 10 * cores),
            max_entities=number("maxConcurrentEntityFunctions", 10 * cores),
            max_entity_batch=number("maxEntityOperationBatchSize", 5000),
            max_actions=number("maxOrchestrationActions", 100_000),
            replace_any_state=states == "AnyState",
        )
        storage = str(section({"given": given.get("storageProvider", {})}, "given").get("type", "AzureStorage"))
        if storage.lower() not in ("azurestorage", "azure storage"):
            raise ConfigurationError(
                f"host.json: extensions.durableTask.storageProvider.type is {storage!r}: only AzureStorage is known"
            )
        if unknown := {key for key in given if key.lower() not in {name.lower() for name in WITHOUT_EFFECT}}:
            raise ConfigurationError(f"host.json: extensions.durableTask has unknown keys {sorted(unknown)}")
        return config
