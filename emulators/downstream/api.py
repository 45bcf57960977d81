"""Emulator of the HTTP API that rows are posted to: ``python -m emulators.downstream --clock real --port 0``.

POST, PUT or PATCH to any path delivers: one CloudEvent (``application/cloudevents+json``), a batch of them
(``application/cloudevents-batch+json``), plain JSON, an array of that, or lines of it (``application/x-ndjson``). What is
no row change (a chat message, say) is kept as a document. Each event counts as one attempt in the record, with the
instant, the headers and the answered status.

Control, under ``/_control`` (the class :class:`Downstream` has the same as methods):

======================  ================================================================================================
POST mode               how the whole API behaves, see :class:`Mode`
POST rules, GET rules   a list of :class:`Rule`, replaces the present ones; the first that matches an event decides
POST settings           see :class:`Settings`: credentials that are asked for, how batches are answered
GET state               latest accepted state of each row (``?table=`` of one table)
GET attempts            attempts with a number above ``?since=``, ``&limit=`` of them at most
GET counters            requests, events, accepted, repeated, stale, conflicting, resynced, noted, refused
POST reset              forget everything, answer normally again
======================  ================================================================================================

``GET /`` is a page for people. ``POST /oauth2/token`` gives out tokens when the settings ask for OAuth 2 client
credentials.

Differences from a real API: the mode ``refuse`` resets the connection after the request was read, because the control
paths live on the same port (for a refused connection, stop the server); a batch with ``batch = "per_event"`` is
answered 207 and ``{"results": [{"id": …, "status": …}, …]}``, with ``index`` for events without an id; rows are kept by
table and key, whatever the source of the event; without ``--data`` nothing outlives the process, and attempts never do.
"""

from __future__ import annotations

import hmac
import random
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from emulators.clock import Clock
from emulators.controls import made
from emulators.downstream.attempt import Attempt
from emulators.downstream.page import render
from emulators.downstream.rules import Mode, Rule, Settings
from emulators.downstream.store import Change, RowState, Store
from emulators.http_server import Answer, BadRequest, Hangup, HttpServer, Request, parsed

_COUNTERS = ("requests", "events", "accepted", "repeated", "stale", "conflicting", "resynced", "noted", "refused")
_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_CLOUD_EVENT, _CLOUD_EVENT_BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_LINES = "application/x-ndjson"


class Downstream:
    """The API, in this process.

    Args:
        clock: instants of the record; the page and ``until`` follow it too.
        data: file that keeps what was accepted.
        keep_attempts: so many of the latest attempts are kept.
        host: the address to listen on.
    """

    def __init__(self, clock: Clock, data: Path | None = None, keep_attempts: int = 200_000, host: str = "127.0.0.1") -> None:
        self.clock = clock
        self.store = Store(data)
        self.mode = Mode()
        self.settings = Settings()
        self.rules: list[Rule] = []
        self._attempts: deque[Attempt] = deque(maxlen=keep_attempts)
        self._counters: Counter[str] = Counter()
        self._tokens: dict[str, datetime] = {}
        self._random = random.Random(0)
        self._changed = threading.Condition()
        self._server = HttpServer(clock, self._answer, host)

    # --- life ---

    def start(self, port: int = 0) -> int:
        """Serve on ``port`` (0: the port of the last time, or any free one); returns the port."""
        return self._server.start(port)

    def stop(self) -> None:
        """End all connections; the state stays, and :meth:`start` serves it again at the same port."""
        self._server.stop()

    def close(self) -> None:
        """Stop for good: closes the file."""
        self.stop()
        self.store.close()

    def __enter__(self) -> Downstream:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self._server.port}"

    # --- control ---

    def set_mode(self, mode: str = "up", **values: Any) -> None:
        """Behave so from now on; values as in :class:`Mode`."""
        with self._changed:
            self.mode = made(Mode, {"mode": mode, **values})
            self._random = random.Random(self.mode.seed)

    def set_rules(self, rules: list[dict[str, Any]]) -> None:
        """Replace the rules; each as in :class:`Rule`."""
        with self._changed:
            self.rules = [made(Rule, rule) for rule in rules]

    def add_rule(self, **values: Any) -> Rule:
        """One more rule, after the present ones."""
        with self._changed:
            self.rules.append(made(Rule, values))
            return self.rules[-1]

    def set_settings(self, **values: Any) -> None:
        """Replace the settings; values as in :class:`Settings`."""
        with self._changed:
            self.settings = made(Settings, values)
            self._tokens.clear()

    def reset(self) -> None:
        """Forget all that came, answer normally again."""
        with self._changed:
            self.mode, self.settings, self.rules = Mode(), Settings(), []
            self._attempts.clear()
            self._counters.clear()
            self.store.reset()

    # --- what came ---

    def attempts(self, since: int = 0, limit: int | None = None) -> list[Attempt]:
        """Attempts with a number above ``since``, oldest first; the numbers begin at 1."""
        with self._changed:
            found = [attempt for attempt in self._attempts if attempt.number > since]
        return found[:limit]

    def numbers_beside(self, number: int) -> set[int]:
        """The numbers of the attempts of one request, of which the last one is given."""
        with self._changed:
            mine = next((attempt.request for attempt in reversed(self._attempts) if attempt.number == number), None)
            return {attempt.number for attempt in self._attempts if attempt.request == mine} | {number}

    def state(self, table: str | None = None) -> list[RowState]:
        """The latest accepted state of each row (of one table); deleted rows have the operation ``delete``."""
        return self.store.rows(table)

    def find(self, table: str, key: dict[str, Any] | str) -> RowState | None:
        """The latest accepted state of one row."""
        return self.store.find(table, key)

    def counters(self) -> dict[str, int]:
        """Totals since the start, or since the last reset."""
        with self._changed:
            return {name: self._counters[name] + self.store.counters[name] for name in _COUNTERS}

    def wait_for(self, condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
        """Wait until ``condition()`` holds; it is asked again after every request.

        Raises:
            TimeoutError: it did not within ``timeout_seconds`` of real time.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout_seconds):
                raise TimeoutError(f"not within {timeout_seconds} s; counters: {self.counters()}")

    # --- answering ---

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/_control/"):
            return self._control(request)
        if request.path == "/oauth2/token" and request.method == "POST":
            return self._give_token(request)
        if request.method == "GET" and request.path == "/":
            return Answer(200, self._page(), content_type="text/html; charset=utf-8")
        if request.method not in _METHODS:
            return Answer(405, {"error": f"deliver with one of {', '.join(_METHODS)}"}, {"Allow": ", ".join(_METHODS)})
        with self._changed:
            self._counters["requests"] += 1
            mode, delay = self._present_mode(request.path), 0.0
            answer = self._refusal(request, mode) or self._deliver(request, mode)
            if mode.mode == "slow":
                delay = mode.seconds
            self._changed.notify_all()
        if delay:
            time.sleep(delay)
        if answer.status == 0:
            raise Hangup
        return answer

    def _page(self) -> str:
        tables = {name: self.state(name) for name in self.store.tables()}
        return render(self.clock.now(), self.mode.mode, self.counters(), tables, self.attempts())

    def _present_mode(self, path: str) -> Mode:
        if self.mode.until is not None and self.clock.now() >= datetime.fromisoformat(self.mode.until):
            self.mode = Mode()
        return self.mode if path.startswith(self.mode.path) else Mode()

    def _refusal(self, request: Request, mode: Mode) -> Answer | None:
        """The answer to a delivery that is refused as a whole, before anybody looks at its events."""
        if mode.mode == "refuse":
            answer, outcome = Answer(0), "reset"
        elif mode.mode == "down" or (mode.mode == "flaky" and self._random.random() < mode.rate):
            answer, outcome = Answer(mode.status, {"error": "unavailable"}, _retry_after(mode.retry_after)), "down"
        elif not self._authorised(request):
            answer = Answer(401, {"error": "who are you?"}, {"WWW-Authenticate": 'Bearer realm="downstream"'})
            outcome = "unauthorised"
        elif self.settings.batch == "unsupported" and _is_batch(request):
            answer, outcome = Answer(415, {"error": "one event at a time"}), "unsupported"
        elif self._too_large(request):
            answer, outcome = Answer(413, {"error": "less at a time"}), "too_large"
        else:
            return None
        try:
            changes = self._changes(request)
        except BadRequest:
            changes = [Change.read(None)]
        for change in changes:
            self._record(request, change, answer.status or None, outcome, whole=outcome == "too_large" and len(changes) > 1)
        return answer

    def _too_large(self, request: Request) -> bool:
        """Whether a batch is larger than the settings allow."""
        events, size = self.settings.batch_events, self.settings.batch_bytes
        if (events is None and size is None) or not _is_batch(request):
            return False
        if size is not None and len(request.body) > size:
            return True
        return events is not None and len(self._changes(request)) > events

    def _authorised(self, request: Request) -> bool:
        auth, oauth = self.settings.auth, self.settings.oauth
        if auth is not None and request.path.startswith(auth.get("path", "/")):
            return hmac.compare_digest(request.headers.get(auth["header"], "").encode(), auth["value"].encode())
        if oauth is not None:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            return token in self._tokens and self.clock.now() < self._tokens[token]
        return True

    def _give_token(self, request: Request) -> Answer:
        oauth = self.settings.oauth
        if oauth is None:
            return Answer(404, {"error": "no OAuth 2 here: see /_control/settings"})
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        if (form.get("client_id"), form.get("client_secret")) != (oauth["client_id"], oauth["client_secret"]):
            return Answer(401, {"error": "invalid_client"})
        lifetime = int(oauth.get("lifetime_seconds", 3600))
        token = secrets.token_urlsafe(16)
        with self._changed:
            self._tokens[token] = self.clock.now() + timedelta(seconds=lifetime)
        return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": lifetime})

    def _changes(self, request: Request) -> list[Change]:
        media_type = _media_type(request)
        if media_type == _LINES:
            return [Change.read(parsed(line)) for line in request.content().splitlines() if line]
        document = None if request.method == "DELETE" and not request.body else request.json()
        if media_type == _CLOUD_EVENT_BATCH:
            if not isinstance(document, list):
                raise BadRequest("a batch is a JSON array")
            return [Change.read(self._event(event)) for event in document]
        if media_type == _CLOUD_EVENT:
            self._event(document)
        elif isinstance(document, list):
            return [Change.read(item) for item in document]
        elif "ce-id" in request.headers:
            document = self._event(_binary(request, document))
        return [Change.read(document, request.headers.get("Idempotency-Key"))]

    @staticmethod
    def _event(event: Any) -> Any:
        missing = [name for name in ("specversion", "id", "source", "type") if name not in event]
        if missing:
            raise BadRequest(f"a CloudEvent has {', '.join(missing)} too")
        return event

    def _deliver(self, request: Request, mode: Mode) -> Answer:
        try:
            changes = self._changes(request)
        except BadRequest as error:
            self._record(request, Change.read(None), 400, "malformed")
            return Answer(400, {"error": str(error)})
        rules = [self._rule_for(change, request.path) for change in changes]
        batch = _is_batch(request)
        refusal = next((rule for rule in rules if rule and not rule.accept), None)
        spoiled = refusal if batch and self.settings.batch == "all_or_nothing" else None
        lost = any(rule is not None and rule.accept and rule.answer == "reset_after_accept" for rule in rules)
        results, hang_up = [], mode.answer == "reset_after_accept" or (lost and spoiled is None)
        for index, (change, rule) in enumerate(zip(changes, rules, strict=True)):
            status = rule.status if rule else self.settings.accepted_status
            if spoiled is not None:
                outcome, status = "spoiled" if rule is None or rule.accept else "refused", spoiled.status
            elif rule is None or rule.accept:
                outcome = self.store.apply(change, self.clock.now().isoformat())
            else:
                outcome = "refused"
            omitted = batch and self.settings.batch == "per_event" and rule is not None and rule.omit
            if rule is None or not omitted:
                retry = {} if rule is None or not isinstance(rule.retry_after, int) else {"retry_after": rule.retry_after}
                name = {"index": index} if change.event_id is None else {"id": change.event_id}
                results.append({**name, "status": status, **retry})
            whole = spoiled is not None and len(changes) > 1
            self._record(request, change, None if hang_up or omitted else status, outcome, whole=whole)
        if hang_up:
            return Answer(0)
        if batch and self.settings.batch == "per_event":
            return Answer(self.settings.per_event_status, {"results": results})
        rule = refusal or next((rule for rule in rules if rule), None)
        if rule is None:
            return Answer(self.settings.accepted_status)
        body = {"error": "refused"} if rule.body is None else rule.body
        return Answer(rule.status, body, _retry_after(rule.retry_after))

    def _rule_for(self, change: Change, path: str) -> Rule | None:
        for rule in self.rules:
            if rule.applies(change, path):
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None

    def _record(self, request: Request, change: Change, status: int | None, outcome: str, *, whole: bool = False) -> None:
        self._counters["events"] += 1
        if outcome not in ("accepted", "repeated", "stale", "resynced", "noted"):
            self._counters["refused"] += 1
        self._attempts.append(
            Attempt(
                number=self._counters["events"],
                request=self._counters["requests"],
                at=self.clock.now().isoformat(),
                method=request.method,
                path=request.path,
                headers=dict(request.headers.items()),
                event_id=change.event_id,
                table=change.table,
                key=change.key,
                version=change.version,
                operation=change.operation,
                status=status,
                outcome=outcome,
                body=change.document,
                whole=whole,
            )
        )

    # --- control over HTTP ---

    def _control(self, request: Request) -> Answer:
        action = (request.method, request.path.removeprefix("/_control/"))
        query = request.query
        if action == ("POST", "mode"):
            self.set_mode(**_object(request))
        elif action == ("POST", "rules"):
            rules = request.json()
            if not isinstance(rules, list):
                raise BadRequest("rules are a JSON array")
            self.set_rules(rules)
        elif action == ("POST", "settings"):
            self.set_settings(**_object(request))
        elif action == ("POST", "reset"):
            self.reset()
        elif action == ("GET", "rules"):
            return Answer(200, [asdict(rule) for rule in self.rules])
        elif action == ("GET", "state"):
            return Answer(200, [asdict(state) for state in self.state(query.get("table"))])
        elif action == ("GET", "attempts"):
            limit = int(query["limit"]) if "limit" in query else None
            return Answer(200, [asdict(attempt) for attempt in self.attempts(int(query.get("since", 0)), limit)])
        elif action == ("GET", "counters"):
            return Answer(200, self.counters())
        else:
            return Answer(404, {"error": f"no such control: {request.method} {request.path}"})
        return Answer(204)


def _object(request: Request) -> dict[str, Any]:
    value = request.json()
    if not isinstance(value, dict):
        raise BadRequest("a JSON object is expected")
    return value


def _binary(request: Request, data: Any) -> dict[str, Any]:
    """A CloudEvent of binary mode, as one object."""
    named = ((name.lower().removeprefix("ce-"), name, value) for name, value in request.headers.items())
    return {short: unquote(value) for short, name, value in named if short != name.lower()} | {"data": data}


def _media_type(request: Request) -> str:
    return request.headers.get("Content-Type", "").split(";")[0].strip().lower()


def _is_batch(request: Request) -> bool:
    """Whether a request has several events, or could have."""
    kind = _media_type(request)
    return kind in (_CLOUD_EVENT_BATCH, _LINES) or (kind == "application/json" and request.content().lstrip().startswith(b"["))


def _retry_after(value: int | str | None) -> dict[str, str]:
    return {} if value is None else {"Retry-After": str(value)}
