"""The endpoint by which App Service gives tokens of managed identities to an app (IDENTITY_ENDPOINT, IDENTITY_HEADER).

As documented for API version 2019-08-01: https://learn.microsoft.com/azure/app-service/overview-managed-identity (REST endpoint).
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.harness.http_server import Asked, Given, HttpServer

HEADER = "identity-header-Ih17"


class IdentityEndpoint(HttpServer):
    """Gives tokens with numbers.

    Attributes:
        before: called before a request is answered; what it returns is the answer.
        seconds: how long a token is good.
    """

    def __init__(self, token: str = "identity-token") -> None:
        super().__init__(self._give)
        self.before: Callable[[Asked], Given | None] = lambda _: None
        self.seconds = 86400
        self._token, self._numbers = token, itertools.count(1)

    def use(self, monkeypatch: pytest.MonkeyPatch, client_id: str | None = None) -> None:
        """Let this process have the identity."""
        for name in ("MSI_ENDPOINT", "MSI_SECRET", "IDENTITY_SERVER_THUMBPRINT", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID"):
            monkeypatch.delenv(name, raising=False)
        for name, value in self.settings(client_id).items():
            monkeypatch.setenv(name, value)

    def settings(self, client_id: str | None = None) -> dict[str, str]:
        """What the platform puts into the environment of an app."""
        found = {"IDENTITY_ENDPOINT": f"{self.url}/msi/token", "IDENTITY_HEADER": HEADER}
        return found if client_id is None else found | {"AZURE_CLIENT_ID": client_id}

    def queries(self) -> list[dict[str, str]]:
        """The fields of each request."""
        return [{name: value for name, (value,) in parse_qs(urlsplit(asked.path).query).items()} for asked in self.asked]

    def _give(self, asked: Asked) -> Given:
        given = self.before(asked)
        if given is not None:
            return given
        query = parse_qs(urlsplit(asked.path).query)
        if asked.method != "GET" or asked.headers.get("X-IDENTITY-HEADER") != HEADER or query.get("api-version") != ["2019-08-01"]:
            return Given(401)
        told = {
            "access_token": f"{self._token}-{next(self._numbers)}",
            "expires_on": str(int(time.time()) + self.seconds),
            "resource": query["resource"][0],
            "token_type": "Bearer",
            "client_id": query.get("client_id", ["system"])[0],
        }
        return Given(200, json.dumps(told).encode(), {"Content-Type": "application/json"})
