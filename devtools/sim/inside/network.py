"""HTTP inside the simulation: the app's own client libraries, down to the adapter, call the emulated services directly."""

from __future__ import annotations

import io
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError
from urllib3.response import HTTPResponse

from devtools.sim.inside.scheduler import Scheduler
from emulators.http_server import Answer, BadRequest, Hangup, Request

Service = Callable[[Request], Answer]


class Network:
    """Services by the authority of their URL.

    Args:
        scheduler: of the simulation.
        pause: draws how long a message takes one way, in seconds.
    """

    def __init__(self, scheduler: Scheduler, pause: Callable[[], float]) -> None:
        self._scheduler, self._pause = scheduler, pause
        self._services: dict[str, Service] = {}
        self.requests = 0
        # Told when a client does not learn what was answered: to whom, and the number of the attempt there.
        self.unanswered: Callable[[str, int], None] = lambda authority, number: None
        self.numbered: Callable[[str], int] = lambda authority: 0  # the number of the latest attempt at a service

    def serve(self, authority: str, service: Service) -> None:
        """Let a service answer what is sent to an authority."""
        self._services[authority] = service

    def listens(self, authority: str) -> bool:
        """Whether somebody answers there."""
        return authority in self._services

    def ask(self, authority: str, request: Request) -> tuple[Answer | None, float, int]:
        """Let a service answer: its answer, or None for a reset; after how many seconds; the number of the attempt."""
        strand = self._scheduler.current
        assert strand is not None
        self.requests += 1
        strand.answering, strand.delay = True, 0.0
        answer: Answer | None
        try:
            answer = self._services[authority](request)
        except BadRequest as error:
            answer = Answer(400, {"error": str(error)})
        except Hangup:
            answer = None
        finally:
            strand.answering = False
        return answer, strand.delay, self.numbered(authority)

    def send(self, adapter: HTTPAdapter, request: requests.PreparedRequest, timeout: Any = None, **_: Any) -> requests.Response:
        """HTTPAdapter.send.

        Raises:
            requests.RequestException: no connection, no answer in time, or the connection was reset.
            Crash: the client's process died.
        """
        scheduler = self._scheduler
        parts = urlsplit(str(request.url))
        if not self.listens(parts.netloc):
            raise requests.ConnectionError(f"nobody listens at {parts.netloc}", request=request)
        body = request.body or b""
        headers = request.headers.copy()
        headers["Host"] = parts.netloc
        arrived = Request(
            str(request.method),
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers,  # type: ignore[arg-type]  # looked up in any case, as the server's own
            body if isinstance(body, bytes) else str(body).encode(),
        )
        limit = timeout[1] if isinstance(timeout, tuple) else timeout
        told = f"{request.method} {parts.path} {request.headers.get('Idempotency-Key', '')}"
        scheduler.effect("http", self._pause(), told)
        answer, delay, number = self.ask(parts.netloc, arrived)
        if limit is not None and delay > float(limit):
            self.unanswered(parts.netloc, number)
            scheduler.effect("http answer", float(limit), f"{told}: none in time")
            raise requests.ReadTimeout("no answer in time", request=request)
        scheduler.effect("http answer", max(delay, self._pause()), f"{told}: {answer.status if answer else 'reset'}")
        if answer is None:
            raise requests.ConnectionError(ProtocolError("Connection aborted."), request=request)
        content = b"" if answer.status in (204, 205) else answer.encoded()
        sent = {"Date": format_datetime(scheduler.now(), usegmt=True), "Content-Length": str(len(content)), **answer.headers}
        if content:
            sent["Content-Type"] = answer.content_type
        raw = HTTPResponse(io.BytesIO(content), sent, answer.status, preload_content=False)
        return adapter.build_response(request, raw)
