"""A login of OAuth 2 and an API that takes its tokens, both built on Authlib; the login speaks TLS by an authority of its own."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request, ResourceProtector
from authlib.oauth2.rfc6749 import ClientCredentialsGrant, ClientMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator, BearerTokenValidator

from tests.harness.certificates import issue
from tests.harness.http_server import Asked, Given, HttpServer

AUTHORITY = issue("Login Root", authority=True)
LOGIN = issue("login", AUTHORITY)


class _Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, secret: str, way: str, scope: str) -> None:
        self._secret, self._way, self._scope = secret, way, scope

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self._secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self._way

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(each for each in (scope or "").split() if each in self._scope.split())


class _Token:
    def __init__(self, told: dict[str, Any]) -> None:
        self._until, self._scope, self.revoked = time.monotonic() + told.get("expires_in", 3600), told.get("scope"), False

    def is_expired(self) -> bool:
        return time.monotonic() >= self._until

    def is_revoked(self) -> bool:
        return self.revoked

    def get_scope(self) -> str | None:
        return self._scope


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.method, f"https://login.example{asked.path}", headers=asked.headers)
        self._form = dict(parse_qsl(asked.body.decode("ascii"), keep_blank_values=True))
        self.payload = BasicOAuth2Payload(self._form)

    @property
    def form(self) -> dict[str, str]:
        return self._form


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class _Validator(BearerTokenValidator):  # type: ignore[misc]
    def __init__(self, tokens: dict[str, _Token]) -> None:
        super().__init__()
        self._tokens = tokens

    def authenticate_token(self, token_string: str) -> _Token | None:
        return self._tokens.get(token_string)


class OAuth(AuthorizationServer):  # type: ignore[misc]
    """Login and API.

    Attributes:
        clients: by their ids.
        tokens: all that were given, by their texts.
        expires_in: told with each token; None: not told.
        before: called before a request for a token is answered; what it returns is the answer.
        api: the API; it answers 401 as long as ``refuses`` is set.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.clients: dict[str, _Client] = {}
        self.tokens: dict[str, _Token] = {}
        self.expires_in: float | None = 3600
        self.refuses = False
        self.before: Callable[[Asked], Given | None] = lambda _: None
        self._numbers, self._lock = itertools.count(1), threading.Lock()
        self.register_grant(_Grant)
        self.register_token_generator("default", BearerTokenGenerator(self._generate, expires_generator=lambda *_: self.expires_in))
        self._protector = ResourceProtector()
        self._protector.register_token_validator(_Validator(self.tokens))
        self.login = HttpServer(self._give_token, LOGIN.tls(folder))
        self.api = HttpServer(self._take_row)

    def client(self, name: str, secret: str, way: str = "client_secret_basic", scope: str = "") -> None:
        """Register a client."""
        self.clients[name] = _Client(secret, way, scope)

    @property
    def token_url(self) -> str:
        return f"{self.login.url}/oauth/token"

    @property
    def url(self) -> str:
        return f"{self.api.url}/rows"

    def revoke_all(self) -> None:
        for token in self.tokens.values():
            token.revoked = True

    def __enter__(self) -> Self:
        self.login.__enter__()
        self.api.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.api.__exit__(kind, error, trace)
        self.login.__exit__(kind, error, trace)

    # --- what Authlib asks of a server ---

    def query_client(self, client_id: str) -> _Client | None:
        return self.clients.get(client_id)

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        with self._lock:
            self.tokens[token["access_token"]] = _Token(token)

    def create_oauth2_request(self, request: Asked) -> _Request:
        return _Request(request)

    def handle_response(self, status: int, body: Any, headers: Any) -> Given:
        return Given(status, json.dumps(body).encode() if isinstance(body, dict) else str(body).encode(), dict(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        pass

    # --- the two servers ---

    def _generate(self, **_: Any) -> str:
        with self._lock:
            return f"token-{next(self._numbers)}"

    def _give_token(self, asked: Asked) -> Given:
        given = self.before(asked)
        if given is not None:
            return given
        answer: Given = self.create_token_response(asked)
        return answer

    def _take_row(self, asked: Asked) -> Given:
        try:
            if self.refuses:
                return Given(401)
            self._protector.validate_request(None, asked)
        except OAuth2Error as error:
            return Given(error.status_code, b"", {"WWW-Authenticate": "Bearer"})
        return Given()
