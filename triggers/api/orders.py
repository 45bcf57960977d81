"""What an operator can order: pauses, orders about rows, resyncs. The order is written down; recovery carries it out."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import msgspec

from orchestrators.recoveries import ensure_recovery
from orchestrators.resyncs import start_resync
from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.log_lines import in_thread
from rowpost.operations.audit import AuditPage, list_orders
from rowpost.operations.orders import ALL, Action, Filter, Key, Selection, order_rows
from rowpost.operations.pauses import pause, resume
from rowpost.operations.resync import cancel_resyncs, order_resync, rows_to_send
from rowpost.operations.rows import Refused, read_time
from rowpost.relay.batch import Outcome
from rowpost.relay.rows_line import tell_rows
from rowpost.telemetry.journal import Doer
from triggers.api.api import Api, Call, Level, Nothing, Problem, Reply
from triggers.api.rows import granted

_log = logging.getLogger("rowpost.operator_api")
Reason = Annotated[str, msgspec.Meta(max_length=400)]
_SUMMARIES: dict[Action, str] = {
    "retry": "Make rows that wait due now, and call the target again; without a body, all of them.",
    "replay": "Give dead letters a new window; without a body, all of them.",
    "discard": "Give up the present change of rows for good. A later change is sent as usual.",
}


class RowsOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Which rows, exactly one of the first three; ``dry_run``: only say how many."""

    keys: list[Key] | None = None
    filter: Filter | None = None
    all: bool = False
    dry_run: bool = False
    reason: Reason | None = None


class Ordered(msgspec.Struct):
    """``rows``: how many are changed, or would be. ``order``: its id in the audit. ``later``: what is not done yet, in words."""

    relay: str
    action: str
    rows: int
    dry_run: bool
    order: str | None
    later: list[str]


class Why(msgspec.Struct, forbid_unknown_fields=True):
    """A reason, for people."""

    reason: Reason | None = None


class PauseAnswer(msgspec.Struct):
    """``since``: when it was paused or resumed last. ``rows``: rows of the ledger that wait. ``later``: what is not done yet."""

    relay: str
    paused: bool
    since: str | None
    rows: int
    later: list[str]


class ResyncOrder(msgspec.Struct, forbid_unknown_fields=True):
    """``dry_run``: only say about how many rows it would send."""

    dry_run: bool = False


class Resync(msgspec.Struct):
    """``resync``: what it is now. ``rows``: about how many it sends, by the catalogue. ``started``: whether it runs already; else
    the watchdog starts it."""

    relay: str
    resync: str
    rows: int | None
    started: bool


class AuditQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which orders: of a relay, of an action, of a time; ``cursor``: that of the page before."""

    relay: str = ""
    action: str = ""
    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = msgspec.field(default=None, name="to")
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


def add(api: Api) -> None:
    """Add the operations to the API."""
    _add_rows(api, "retry")
    _add_rows(api, "replay")
    _add_rows(api, "discard")
    _add_pauses(api)
    _add_resync(api)

    @api.operation(
        "list_audit", "GET", "audit", Level.READ, summary="Who ordered what, newest first.", query=AuditQuery, answer=AuditPage
    )
    async def list_audit(call: Call[Nothing, AuditQuery]) -> AuditPage:
        asked = call.query
        since, until = _moment("from", asked.since), _moment("to", asked.until)
        found = partial(list_orders, call.app, relay=asked.relay, action=asked.action, since=since, until=until)
        try:
            return await in_thread(partial(found, limit=asked.limit, cursor=asked.cursor))
        except ValueError as error:
            raise Problem(422, str(error), "cursor") from None


def _moment(field: str, text: str | None) -> datetime | None:
    try:
        known = read_time(field, text)
        return None if known is None else datetime.fromisoformat(known[:26]).replace(tzinfo=UTC)
    except Refused as error:
        raise Problem(422, str(error), field) from None


def _add_rows(api: Api, action: Action) -> None:
    route, summary = f"relays/{{relay}}/{action}", _SUMMARIES[action]

    @api.operation(action, "POST", route, Level.OPERATE, summary=summary, body=RowsOrder, answer=Ordered, statuses=(202, 200))
    async def order_about_rows(call: Call[RowsOrder, Nothing]) -> Reply:
        wanted, relay = call.body, call.relay
        chosen = Selection(wanted.keys, wanted.filter, wanted.all)
        if chosen == Selection() and action != "discard":
            chosen = ALL
        give = partial(order_rows, call.app, relay.name, action, chosen, call.caller, dry_run=wanted.dry_run, reason=wanted.reason)
        found = await granted(give)
        if wanted.dry_run:
            return Reply(200, Ordered(found.relay, action, found.rows, True, None, []))
        if action != "retry":
            replayed = found.rows if action == "replay" else 0
            with call.app.telemetry.journal(relay.name, Doer.OPERATOR, call.trace) as journal:
                tell_rows(journal, Outcome(expired=found.waiting), replayed=replayed)
        later = [f"{found.busy} rows were being posted, and are left: repeat the order"] if found.busy else []
        later += await _recover(call.app, call.client, relay)
        return Reply(202, Ordered(found.relay, action, found.rows, False, found.order, later))


def _add_pauses(api: Api) -> None:
    @api.operation(
        "pause",
        "POST",
        "relays/{relay}/pause",
        Level.OPERATE,
        summary="Post nothing of the relay until it is resumed; nothing is lost meanwhile.",
        body=Why,
        answer=PauseAnswer,
    )
    async def pause_relay(call: Call[Why, Nothing]) -> PauseAnswer:
        found = await in_thread(pause, call.app, call.relay.name, call.caller, call.body.reason)
        return PauseAnswer(found.relay, found.paused, found.since, found.rows, [])

    @api.operation(
        "resume",
        "POST",
        "relays/{relay}/resume",
        Level.OPERATE,
        summary="End the pause of the relay: all that waits is due at once.",
        body=Why,
        answer=PauseAnswer,
    )
    async def resume_relay(call: Call[Why, Nothing]) -> PauseAnswer:
        found = await in_thread(resume, call.app, call.relay.name, call.caller, call.body.reason)
        later = await _recover(call.app, call.client, call.relay)
        return PauseAnswer(found.relay, found.paused, found.since, found.rows, later)


def _add_resync(api: Api) -> None:
    @api.operation(
        "start_resync",
        "POST",
        "relays/{relay}/resync",
        Level.OPERATE,
        summary="Send the whole table again, and let the target remove what does not exist.",
        body=ResyncOrder,
        answer=Resync,
        statuses=(202, 200),
    )
    async def order(call: Call[ResyncOrder, Nothing]) -> Reply:
        name = call.relay.name
        rows = await in_thread(rows_to_send, call.app, name)
        if call.body.dry_run:
            return Reply(200, Resync(name, "not ordered", rows, started=False))
        if not await in_thread(partial(order_resync, call.app, name, "ordered by an operator", alone=True, by=call.caller)):
            raise Problem(409, f"a resync of {name} is ordered or under way; DELETE this address to stop it")
        return Reply(202, Resync(name, "ordered", rows, await start_resync(call.client, call.app, call.relay)))

    @api.operation(
        "stop_resync",
        "DELETE",
        "relays/{relay}/resync",
        Level.OPERATE,
        summary="Stop the resync that is ordered or under way.",
        answer=Resync,
        statuses=(202,),
    )
    async def cancel(call: Call[Nothing, Nothing]) -> Resync:
        if not await in_thread(cancel_resyncs, call.app, call.relay.name, call.caller):
            raise Problem(404, f"no resync of {call.relay.name} is ordered or under way")
        return Resync(call.relay.name, "cancelled", None, started=False)


async def _recover(app: App, client: Any, relay: RelayConfig) -> list[str]:
    """Let recovery carry out an order that stands in the database; returns what follows later, in words."""
    if await ensure_recovery(client, app, relay):
        return []
    return ["recovery could not be started or woken now: the watchdog carries out the order"]
