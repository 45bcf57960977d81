"""What clients can ask of the engine; the endpoints translate it to HTTP."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import replace
from typing import Any

from emulators.functions_host.durable import history
from emulators.functions_host.durable.engine import Effects, Engine
from emulators.functions_host.durable.episodes import LoadedHistory
from emulators.functions_host.durable.history import FINISHED, Event, event, format_instant
from emulators.functions_host.durable.orchestrations import OrchestrationRunner, new_execution_id
from emulators.functions_host.durable.store import Instance, InstanceFilter


class BadRequest(Exception):
    """The request can never succeed."""


class NotFound(Exception):
    """No such instance."""


class Gone(Exception):
    """The instance has finished."""


class InvalidOperation(Exception):
    """The instance's state does not allow it now."""


_FORBIDDEN = frozenset("/\\#?")
_MAX_ID_LENGTH = 256


class Operations:
    """Start, signal, steer and delete instances.

    Args:
        engine: sets the work in motion.
        runner: makes instances.
    """

    def __init__(self, engine: Engine, runner: OrchestrationRunner) -> None:
        self._engine, self._runner, self._store = engine, runner, engine.store
        self._logger: logging.Logger = engine.logger

    def start(self, name: str, instance_id: str | None, text: str | None, version: str = "") -> str:
        """Start an orchestration.

        Args:
            name: of the orchestrator.
            instance_id: its id; None makes one.
            text: its input as JSON text.
            version: free text.

        Returns:
            The instance id.

        Raises:
            BadRequest: no such orchestrator, or an id that is not allowed.
            InvalidOperation: an instance with this id has not finished.
        """
        function = self._engine.functions.find("orchestrationTrigger", name)
        if function is None:
            raise BadRequest(self._engine.functions.missing("orchestrationTrigger", name))
        instance_id = instance_id or uuid.uuid4().hex
        if instance_id.startswith("@"):
            raise BadRequest("Orchestration instance ids must not begin with '@': such ids are entities'.")
        if len(instance_id) > _MAX_ID_LENGTH or any(c in _FORBIDDEN or ord(c) < 32 or 127 <= ord(c) < 160 for c in instance_id):
            raise BadRequest(
                "Orchestration instance ids must not be longer than 256 characters nor contain /, \\, #, ? or control characters."
            )
        existing = self._store.instance(instance_id)
        if existing is not None and existing.status not in FINISHED and not self._engine.config.replace_any_state:
            raise InvalidOperation(f"An Orchestration instance with the status {existing.status} already exists.")
        instant = format_instant(self._engine.clock.now())
        instance = Instance(instance_id, new_execution_id(), function.durable_name, version, text, "Pending", instant, instant)
        with self._store.transaction():
            self._runner.create(instance)
        self._engine.apply(Effects([instance_id]))
        return instance_id

    def _live(self, instance_id: str) -> Instance:
        instance = self._store.instance(instance_id)
        if instance is None:
            raise NotFound(instance_id)
        if instance.status in FINISHED:
            raise Gone(instance_id)
        return instance

    def _post(self, instance_id: str, execution_id: str | None, item: Event) -> None:
        with self._store.transaction():
            self._store.post(instance_id, execution_id, item)
        self._engine.apply(Effects([instance_id]))

    def raise_event(self, instance_id: str, name: str, text: str | None) -> None:
        """Send an external event; ``text`` is its JSON.

        Raises:
            NotFound, Gone: the instance cannot receive it.
        """
        self._live(instance_id)
        self._post(instance_id, None, event(history.EVENT_RAISED, self._engine.clock.now(), Name=name, Input=text))

    def terminate(self, instance_id: str, reason: str | None) -> None:
        """End an instance at once; its reason becomes the output.

        Raises:
            NotFound, Gone: there is nothing to end.
        """
        self._live(instance_id)
        self._post(instance_id, None, event(history.EXECUTION_TERMINATED, self._engine.clock.now(), Input=reason))

    def suspend(self, instance_id: str, reason: str | None) -> None:
        """Deliver nothing to an instance until it is resumed.

        Raises:
            NotFound, Gone: there is nothing to suspend.
            InvalidOperation: it is suspended already.
        """
        if self._live(instance_id).status == "Suspended":
            raise InvalidOperation(f"Cannot suspend orchestration instance {instance_id!r}: it is suspended already.")
        self._post(instance_id, None, event(history.EXECUTION_SUSPENDED, self._engine.clock.now(), Reason=reason))

    def resume(self, instance_id: str, reason: str | None) -> None:
        """End a suspension.

        Raises:
            NotFound, Gone: there is nothing to resume.
            InvalidOperation: it is not suspended.
        """
        if self._live(instance_id).status != "Suspended":
            raise InvalidOperation(f"Cannot resume orchestration instance {instance_id!r}: it is not suspended.")
        self._post(instance_id, None, event(history.EXECUTION_RESUMED, self._engine.clock.now(), Reason=reason))

    def restart(self, instance_id: str, new_id: bool) -> str:
        """Start the same orchestration with the same input again; the id of the new instance.

        Raises:
            BadRequest: unknown instance.
            InvalidOperation: with the same id, and it has not finished.
        """
        instance = self._store.instance(instance_id)
        if instance is None:
            raise BadRequest(f"An orchestrator with the instanceId {instance_id} was not found.")
        return self.start(instance.name, None if new_id else instance_id, instance.input, instance.version)

    def rewind(self, instance_id: str, reason: str | None) -> None:
        """Let a failed instance, and its failed sub-orchestrations, try again what failed.

        Raises:
            NotFound: unknown instance.
            Gone: it ended otherwise.
            InvalidOperation: it has not finished.
        """
        instance = self._store.instance(instance_id)
        if instance is None:
            raise NotFound(instance_id)
        if instance.status not in FINISHED:
            raise InvalidOperation(f"Cannot rewind orchestration instance {instance_id!r}: it is {instance.status}.")
        if instance.status != "Failed":
            raise Gone(instance_id)
        effects = Effects()
        with self._store.transaction():
            self._rewind(instance, reason, effects)
        self._engine.apply(effects)
        self._logger.warning("orchestration %s '%s' rewound: %s", instance.name, instance_id, reason)

    def _rewind(self, instance: Instance, reason: str | None, effects: Effects) -> None:
        loaded = LoadedHistory(instance.execution_id, self._store.history(instance.instance_id))
        failed = {e["TaskScheduledId"] for e in loaded.events if e["EventType"] == history.TASK_FAILED}
        kept: list[Event] = []
        children: list[str] = []
        for item in loaded.events:
            kind = item["EventType"]
            undone = (kind == history.TASK_SCHEDULED and item["EventId"] in failed) or kind in (
                history.TASK_FAILED,
                history.SUB_ORCHESTRATION_FAILED,
            )
            if kind == history.SUB_ORCHESTRATION_FAILED:
                created = next(
                    e
                    for e in loaded.events
                    if e["EventType"] == history.SUB_ORCHESTRATION_CREATED and e["EventId"] == item["TaskScheduledId"]
                )
                children.append(created["InstanceId"])
            if kind == history.EXECUTION_COMPLETED:
                continue
            kept.append(event(history.GENERIC_EVENT, item["Timestamp"], Data=f"Rewound: {reason}") if undone else item)
        now = self._engine.clock.now()
        self._store.erase_work(instance.instance_id, keep_events=False)
        self._runner.forget(instance.instance_id)
        self._store.append_history(instance.instance_id, 0, (json.dumps(item) for item in kept))
        self._store.save_instance(replace(instance, status="Running", output=None, updated_at=format_instant(now)))
        wake_up = event(history.GENERIC_EVENT, now, Data=f"Rewound: {reason}")
        self._store.post(instance.instance_id, instance.execution_id, wake_up)
        effects.instances.append(instance.instance_id)
        for child_id in children:
            child = self._store.instance(child_id)
            if child is not None and child.status == "Failed":
                self._rewind(child, reason, effects)

    def purge(self, instance_id: str) -> bool:
        """Delete a finished instance, or an entity, with its history; False if there is none, or it has not finished."""
        with self._store.transaction():
            if instance_id.startswith("@"):
                return self._store.delete_entity(instance_id)
            instance = self._store.instance(instance_id)
            if instance is None:
                return False
            if instance.status not in FINISHED:
                self._logger.warning("orchestration '%s' is %s: not purged", instance_id, instance.status)
                return False
            self._store.delete_instance(instance_id)
        self._runner.forget(instance_id)
        return True

    def purge_by(self, wanted: InstanceFilter) -> int:
        """Delete all finished instances that meet the conditions; how many."""
        statuses = FINISHED if wanted.statuses is None else FINISHED & wanted.statuses
        found = self._store.instances(replace(wanted, statuses=frozenset(statuses)))
        with self._store.transaction():
            for instance in found:
                self._store.delete_instance(instance.instance_id)
        for instance in found:
            self._runner.forget(instance.instance_id)
        return len(found)

    def signal_entity(self, name: str, key: str, operation: str, text: str | None) -> None:
        """Queue an operation on an entity; ``text`` is the JSON body of the request.

        Raises:
            BadRequest: no such entity function.
        """
        if self._engine.functions.find("entityTrigger", name) is None:
            raise BadRequest(self._engine.functions.missing("entityTrigger", name))
        entity_id = f"@{name.lower()}@{key}"
        request: dict[str, Any] = {
            "op": operation,
            "signal": True,
            "input": text,
            "id": str(uuid.uuid4()),
            "Timestamp": format_instant(self._engine.clock.now()),
        }
        with self._store.transaction():
            self._store.add_entity_request(entity_id, request)
        self._engine.apply(Effects(entities=[entity_id]))
