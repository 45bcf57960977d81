"""Connections that give whole answers, each within the time of its exchange; and the adapter of requests that uses them."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family
from urllib3.util.retry import Retry

from rowpost.http.answers import WholeAnswer, has_nothing
from rowpost.http.exchange import Body, Exchange, present
from rowpost.http.logs import silence

silence()

# The body was read as it came, and nothing is ever decoded: nobody shall take these at their word.
_OF_THE_BODY = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class Answered(HTTPResponse):
    """An answer as urllib3 has it. ``whole``: whether its body is all there, if it was asked for."""

    whole = True


class _Connection(HTTPConnection):
    """What both kinds of connection have in common. A connection in doubt is closed: the next request makes a new one."""

    response_class = WholeAnswer
    _all_sent = False
    _alert: ssl.SSLError | None = None

    def _new_conn(self) -> socket.socket:
        """As urllib3's (2.8.0, connection.py), with the exchange watching the socket before it is connected."""
        try:
            self._dns_host.encode("idna")
        except UnicodeError:
            raise LocationParseError("the name of the host") from None
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        problem = OSError("no address")
        for family, kind, protocol, _, address in found:
            sock = socket.socket(family, kind, protocol)
            try:
                present().watch(sock)
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(self.timeout)
                sock.connect(address)
                return sock
            except OSError as error:
                sock.close()
                problem = error
        if isinstance(problem, TimeoutError) or present().expired:
            raise ConnectTimeoutError(self, "connection timed out") from problem
        raise NewConnectionError(self, "no connection") from problem

    @property
    def is_connected(self) -> bool:
        """Whether it is open, and nothing has come that nobody asked for. TLS may hold such bytes too, so they are asked for."""
        if self.sock is None:
            return False
        self.sock.settimeout(0)  # `request` sets it anew
        try:
            self.sock.recv(1)
        except OSError as error:
            if isinstance(error, ssl.SSLError) and not has_nothing(error):
                self._alert = error  # with TLS 1.3 a server refuses a client's certificate after the handshake
            return has_nothing(error)
        return False

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request, on a connection on which nothing has come yet."""
        self._all_sent, self._alert = False, None
        if self.sock is None:
            self.connect()
        else:
            present().watch(self.sock)
        if not self.is_connected:
            raise self._alert or ConnectionError("an answer before the request, or an end")
        super().request(*args, **options)
        self._all_sent = True

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3, whose response is not that of http.client
        """Read the answer as far as it ever will be."""
        self.sock.settimeout(self.timeout)
        answer = http.client.HTTPConnection.getresponse(self)  # urllib3's own would write lines of the answer to the log
        assert isinstance(answer, WholeAnswer)
        if not self._all_sent:  # urllib3 reads what a target says that does not want the rest; that is no consent
            self.close()
            if 200 <= answer.status < 300:
                raise ConnectionError("a success before the request was sent")
        fields = HTTPHeaderDict()
        for name, value in answer.fields:
            if name.lower() not in _OF_THE_BODY:
                fields.add(name, value)
        found = Answered(
            io.BytesIO(answer.content), fields, answer.status, answer.version, preload_content=False, decode_content=False
        )
        found.whole = answer.whole
        return found


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Adapter(HTTPAdapter):
    """Sends requests, and reads each answer before it gives it.

    One request takes at most twice its timeout: once to connect, once to answer. The timeout itself is for each of the
    operations of which a request consists. What is read of an answer has bounds too, see :mod:`rowpost.http.answers`.

    Args:
        timeout_seconds: of a request.
        body: what is done with the bodies of answers.
        connections: how many are kept.
        tries: how often a connection is tried. A request that was sent is never repeated.
        trust: TLS that decides whom to trust; without it, those that the public trusts.
        body_bytes: how long a body may be; without it, as long as the small things that the app asks for.
    """

    def __init__(
        self,
        timeout_seconds: float,
        body: Body,
        *,
        connections: int = 1,
        tries: int = 1,
        trust: ssl.SSLContext | None = None,
        body_bytes: int | None = None,
    ) -> None:
        again = tries - 1
        retries = Retry(total=again, connect=again, read=0, redirect=0, status=0, other=0)
        self._seconds, self._body, self._trust, self._body_bytes = timeout_seconds, body, trust, body_bytes
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=retries)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the connections those of this module."""
        if self._trust is not None:
            options["ssl_context"] = self._trust
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def cert_verify(self, conn: Any, url: str, verify: bool | str, cert: Any) -> None:
        """As requests', which would add the public's authorities to those of ``trust``."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if self._trust is not None:
            conn.ca_certs = None

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, and read its answer.

        Raises:
            requests.RequestException: there was none; or whatever else a library raises.
        """
        with Exchange(2 * self._seconds, self._body, self._body_bytes) as exchange:
            try:
                response = super().send(
                    request, stream=stream, timeout=self._seconds, verify=verify, cert=cert, proxies=dict(proxies or {})
                )
            except requests.ConnectTimeout:
                raise
            except Exception as error:
                if exchange.expired:
                    raise requests.ReadTimeout from error
                raise
            response.raw.release_conn()
            return response
