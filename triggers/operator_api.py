"""The operator's HTTP API: status, dead letters, retry now, resync, the client's choice of columns, and the contract."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from orchestrators.choices import store_choice
from orchestrators.recoveries import ensure_recovery, recovery_state, storage_problem
from orchestrators.resyncs import start_resync
from rowpost.app import App
from rowpost.config.errors import ConfigError
from rowpost.config.sections import RelayConfig
from rowpost.database.connection import DatabaseError
from rowpost.log_lines import in_thread
from rowpost.operations.columns import ColumnsRefused, check_choice, choose, chosen_columns, column_names, effective_columns
from rowpost.operations.contract import asyncapi_of, schema_of
from rowpost.operations.orders import replay_dead_letters, retry_now
from rowpost.operations.resync import cancel_resyncs, order_resync
from rowpost.operations.status import dead_letters, relay_status, target_status
from rowpost.recovery.current import current_recovery
from rowpost.relay.batch import Outcome
from rowpost.relay.rows_line import Doer, rows_line
from rowpost.rules.json_text import to_json
from triggers.looks import LOOK_SECONDS, Looks

_log = logging.getLogger("rowpost.operator_api")
_MAX_BODY_BYTES = 65536
_DEAD_LETTERS_AT_MOST = 1000


def blueprint(app: App) -> df.Blueprint:
    """The routes under ``/api``."""
    functions, looks = df.Blueprint(), Looks()

    @functions.function_name("get_status")
    @functions.route(route="status", methods=["GET"])
    @functions.durable_client_input(client_name="client")
    async def get_status(req: func.HttpRequest, client: str) -> func.HttpResponse:
        away, *relays = await asyncio.gather(
            _away(app, looks, client), *(_status(app, looks, client, r) for r in app.config.relays)
        )
        return _json({"away": away, "targets": target_status(app), "relays": relays})

    @functions.function_name("get_health")
    @functions.route(route="health", methods=["GET"])
    @functions.durable_client_input(client_name="client")
    async def get_health(req: func.HttpRequest, client: str) -> func.HttpResponse:
        found = (_problem(app, looks, relay) for relay in app.config.relays)
        away, *problems = await asyncio.gather(_away(app, looks, client), *found)
        told = {relay.name: problem for relay, problem in zip(app.config.relays, problems, strict=True) if problem is not None}
        return _json({"healthy": not away and not told, "away": away, "problems": told}, 503 if away or told else 200)

    @functions.function_name("get_columns")
    @functions.route(route="relays/{relay}/columns", methods=["GET"])
    async def get_columns(req: func.HttpRequest) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            known = await in_thread(app.table, relay.name)
            chosen = await in_thread(chosen_columns, app, known)
            ceiling = [column.name for column in known.columns]
            return _json(
                {"relay": relay.name, "ceiling": ceiling, "columns": chosen, "effective": effective_columns(known, chosen)}
            )

        return await _answer(app, req, handle)

    @functions.function_name("put_columns")
    @functions.route(route="relays/{relay}/columns", methods=["PUT"])
    @functions.durable_client_input(client_name="client")
    async def put_columns(req: func.HttpRequest, client: str) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            wanted = _body(req).get("columns")
            known = await in_thread(app.table, relay.name)
            choice = check_choice(known, await in_thread(column_names, app, known), wanted)
            return await _choose(app, client, relay, choice)

        return await _answer(app, req, handle)

    @functions.function_name("delete_columns")
    @functions.route(route="relays/{relay}/columns", methods=["DELETE"])
    @functions.durable_client_input(client_name="client")
    async def delete_columns(req: func.HttpRequest, client: str) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            return await _choose(app, client, relay, None)

        return await _answer(app, req, handle)

    @functions.function_name("get_schema")
    @functions.route(route="relays/{relay}/schema", methods=["GET"])
    async def get_schema(req: func.HttpRequest) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            return _json(await in_thread(schema_of, app, relay.name), mimetype="application/schema+json")

        return await _answer(app, req, handle)

    @functions.function_name("get_asyncapi")
    @functions.route(route="asyncapi", methods=["GET"])
    async def get_asyncapi(req: func.HttpRequest) -> func.HttpResponse:
        return await _told(_asyncapi(app))

    @functions.function_name("get_dead_letters")
    @functions.route(route="relays/{relay}/dead-letters", methods=["GET"])
    async def get_dead_letters(req: func.HttpRequest) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            text = req.params.get("limit", "100")
            if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= _DEAD_LETTERS_AT_MOST:
                return _error(400, f"limit: must be a number from 1 to {_DEAD_LETTERS_AT_MOST}")
            letters = await in_thread(dead_letters, app, relay.name, int(text))
            return _json({"relay": relay.name, "dead_letters": letters})

        return await _answer(app, req, handle)

    @functions.function_name("replay_dead_letters")
    @functions.route(route="relays/{relay}/dead-letters/replay", methods=["POST"])
    @functions.durable_client_input(client_name="client")
    async def replay(req: func.HttpRequest, client: str) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            count = await in_thread(replay_dead_letters, app, relay.name)
            _log.info("%s", rows_line(relay.name, Doer.OPERATOR, Outcome(), replayed=count))
            return _json({"relay": relay.name, "rows": count, "later": await _recover(app, client, relay)}, 202)

        return await _answer(app, req, handle)

    @functions.function_name("retry_now")
    @functions.route(route="relays/{relay}/retry", methods=["POST"])
    @functions.durable_client_input(client_name="client")
    async def retry(req: func.HttpRequest, client: str) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            count = await in_thread(retry_now, app, relay.name)
            return _json({"relay": relay.name, "rows": count, "later": await _recover(app, client, relay)}, 202)

        return await _answer(app, req, handle)

    @functions.function_name("start_resync")
    @functions.route(route="relays/{relay}/resync", methods=["POST"])
    @functions.durable_client_input(client_name="client")
    async def order(req: func.HttpRequest, client: str) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            if not await in_thread(partial(order_resync, app, relay.name, "ordered by an operator", alone=True)):
                return _error(409, f"a resync of {relay.name} is ordered or under way; DELETE this address to stop it")
            return _json({"relay": relay.name, "resync": "ordered", "started": await start_resync(client, app, relay)}, 202)

        return await _answer(app, req, handle)

    @functions.function_name("stop_resync")
    @functions.route(route="relays/{relay}/resync", methods=["DELETE"])
    async def cancel(req: func.HttpRequest) -> func.HttpResponse:
        async def handle(relay: RelayConfig) -> func.HttpResponse:
            if not await in_thread(cancel_resyncs, app, relay.name):
                return _error(404, f"no resync of {relay.name} is ordered or under way")
            return _json({"relay": relay.name, "resync": "cancelled"}, 202)

        return await _answer(app, req, handle)

    return functions


async def _choose(app: App, client: Any, relay: RelayConfig, columns: list[str] | None) -> func.HttpResponse:
    choice = await in_thread(choose, app, relay.name, columns)  # in force before it is confirmed
    stored = await store_choice(client, app, relay, choice)
    later = [] if stored else ["the entity table_columns does not show the choice yet: the watchdog tells it"]
    effective = effective_columns(await in_thread(app.table, relay.name), columns)
    return _json({"relay": relay.name, "columns": columns, "effective": effective, "later": later}, 202)


async def _recover(app: App, client: Any, relay: RelayConfig) -> list[str]:
    """Let recovery carry out an order that stands in the database; returns what follows later, in words."""
    if await ensure_recovery(client, app, relay):
        return []
    return ["recovery could not be started or woken now: the watchdog carries out the order"]


async def _away(app: App, looks: Looks, client: Any) -> dict[str, str]:
    """What the app cannot do without, and does not answer: each with what is known of it."""
    database, storage = await asyncio.gather(
        _answered(looks.at("", partial(app.database.run, "SELECT 1;"))),
        storage_problem(client),
    )
    return {name: problem for name, problem in (("database", database), ("storage", storage)) if problem is not None}


async def _problem(app: App, looks: Looks, relay: RelayConfig) -> str | None:
    """Why a relay cannot run; None if it can."""
    return await _answered(looks.at(f"table of {relay.name}", partial(app.table, relay.name)))


async def _status(app: App, looks: Looks, client: Any, relay: RelayConfig) -> dict[str, Any]:
    entry: dict[str, Any] = {"relay": relay.name, "recovery": {"instance": None, "status": "unknown"}}

    def look() -> tuple[dict[str, Any], int]:
        return relay_status(app, relay.name), current_recovery(app, relay.name).number

    async def fill() -> None:
        status, number = await looks.at(f"status of {relay.name}", look)
        entry.update(status)
        entry["recovery"] = await recovery_state(client, relay, number)

    problem = await _answered(fill())
    return entry if problem is None or "waiting" in entry else entry | {"problem": problem}


async def _answered(look: Awaitable[Any]) -> str | None:
    """Wait for a look, not for long; returns why it has brought nothing, if so."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await look
        return None
    except TimeoutError:
        return f"the database has not answered within {LOOK_SECONDS:g} s"
    except (ConfigError, DatabaseError) as error:
        return str(error)


async def _answer(
    app: App, req: func.HttpRequest, handle: Callable[[RelayConfig], Awaitable[func.HttpResponse]]
) -> func.HttpResponse:
    """Find the relay that the route names, and turn what users can cause into one clear answer."""
    name = req.route_params["relay"]
    relay = app.config.relay(name)
    if relay is None:
        return _error(404, f"there is no relay {name!r}; configured are {', '.join(each.name for each in app.config.relays)}")
    return await _told(handle(relay))


async def _asyncapi(app: App) -> func.HttpResponse:
    return _json(await in_thread(asyncapi_of, app))


async def _told(answer: Awaitable[func.HttpResponse]) -> func.HttpResponse:
    """The answer, or why there is none."""
    try:
        return await answer
    except ColumnsRefused as error:
        return _error(400, str(error))
    except ConfigError as error:
        return _error(409, str(error))
    except DatabaseError as error:
        return _error(503, f"{error}; try again")


def _body(req: func.HttpRequest) -> dict[str, Any]:
    raw = req.get_body()
    if len(raw) > _MAX_BODY_BYTES:
        raise ColumnsRefused(f"body: larger than {_MAX_BODY_BYTES} bytes")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ColumnsRefused('body: expected a JSON object such as {"columns": ["Id", "Total"]}')
    return document


def _json(document: dict[str, Any], status: int = 200, mimetype: str = "application/json") -> func.HttpResponse:
    return func.HttpResponse(to_json(document), status_code=status, mimetype=mimetype)


def _error(status: int, message: str) -> func.HttpResponse:
    return _json({"error": message}, status)
