"""Run entities: one batch of operations, one transaction."""

from __future__ import annotations

import json
from typing import Any

from azure.functions.meta import Datum

from emulators.functions_host.app.failures import FunctionFailed
from emulators.functions_host.durable import history
from emulators.functions_host.durable.engine import Effects, Engine
from emulators.functions_host.durable.history import event, format_instant
from emulators.functions_host.durable.store import EntityRow

Queued = tuple[int, dict[str, Any]]


def split_entity_id(entity_id: str) -> tuple[str, str]:
    """Name and key of an id ``@name@key``.

    Raises:
        ValueError: another form.
    """
    if not entity_id.startswith("@") or entity_id.count("@") < 2:
        raise ValueError(f"{entity_id!r} is no entity id @name@key")
    _, name, key = entity_id.split("@", 2)
    return name, key


class EntityRunner:
    """Runs batches for the engine."""

    _FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 1.0, 60.0

    def __init__(self, engine: Engine) -> None:
        self._engine, self._store, self._clock, self._logger = engine, engine.store, engine.clock, engine.logger
        self._failures: dict[str, int] = {}

    async def run_batch(self, entity_id: str) -> bool:
        """One batch; False if nothing was queued."""
        requests = self._store.entity_requests(entity_id, self._engine.config.max_entity_batch)
        if not requests:
            return False
        name, key = split_entity_id(entity_id)
        function = self._engine.functions.find("entityTrigger", name)
        if function is None:
            self._refuse(entity_id, requests, self._engine.functions.missing("entityTrigger", name))
            return True
        row = self._store.entity(entity_id)
        batch = [{"name": r["op"], "input": r["input"], "isSignal": bool(r.get("signal"))} for _, r in requests]
        context = {
            "self": {"name": name, "key": key},
            "exists": row.present if row else False,
            "state": row.state if row and row.present else None,
            "batch": batch,
        }
        try:
            returned = await self._engine.invoker.invoke(function, Datum(json.dumps(context), "string"), f"entity {entity_id}")
        except FunctionFailed as failure:
            await self._back_off(entity_id, failure)
            return True
        self._failures.pop(entity_id, None)
        self._commit(entity_id, row, requests, json.loads(returned.value))
        return True

    async def _back_off(self, entity_id: str, failure: FunctionFailed) -> None:
        """The SDK itself failed, not an operation: nothing was done, the batch is tried again after a pause."""
        failures = self._failures[entity_id] = self._failures.get(entity_id, 0) + 1
        pause = min(self._LAST_RETRY_SECONDS, self._FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 10))
        self._logger.error("entity %s: its batch failed as a whole, again in %g s: %s", entity_id, pause, failure)
        await self._clock.sleep(pause)

    def _commit(self, entity_id: str, row: EntityRow | None, requests: list[Queued], answer: dict[str, Any]) -> None:
        now = self._clock.now()
        instant = format_instant(now)
        effects = Effects()
        with self._store.transaction():
            self._store.delete_entity_requests(number for number, _ in requests)
            created = row.created_at if row else instant
            state = answer["entityState"] if answer["entityExists"] else None
            self._store.save_entity(EntityRow(entity_id, bool(answer["entityExists"]), state, created, instant))
            for (_, request), result in zip(requests, answer["results"], strict=True):
                if result["isError"]:
                    self._logger.error("entity %s: operation %s failed: %s", entity_id, request["op"], result["result"])
                if request.get("signal"):
                    continue
                response = {"result": result["result"] if isinstance(result["result"], str) else "null"}
                if result["isError"]:
                    response["exceptionType"] = "Error"
                self._respond(request, response, effects)
        self._engine.apply(effects)

    def _refuse(self, entity_id: str, requests: list[Queued], reason: str) -> None:
        """No such entity function any more: answer every call with an error."""
        effects = Effects()
        with self._store.transaction():
            self._store.delete_entity_requests(number for number, _ in requests)
            for _, request in requests:
                if not request.get("signal"):
                    self._respond(request, {"result": json.dumps(reason), "exceptionType": "Error"}, effects)
        self._engine.apply(effects)
        self._logger.error("entity %s: %s", entity_id, reason)

    def _respond(self, request: dict[str, Any], response: dict[str, str], effects: Effects) -> None:
        raised = event(history.EVENT_RAISED, self._clock.now(), Name=request["id"], Input=json.dumps(response))
        self._store.post(request["parent"], request["parentExecution"], raised)
        effects.instances.append(request["parent"])
