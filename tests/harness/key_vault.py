"""A Key Vault with secrets, as its REST interface answers (https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret)."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.harness.http_server import Asked, Given, HttpServer


class KeyVault(HttpServer):
    """Gives its secrets to whoever has one of its tokens.

    Attributes:
        secrets: by their names; each can be changed at any time.
        takes: whether a token is one of its own.
        before: called before a request is answered; what it returns is the answer.
    """

    def __init__(self) -> None:
        super().__init__(self._give)
        self.secrets: dict[str, str] = {}
        self.takes: Callable[[str], bool] = lambda token: token.startswith("identity-token-")
        self.before: Callable[[Asked], Given | None] = lambda _: None

    def reference(self, name: str) -> str:
        """What stands in relay.toml."""
        return f"@Microsoft.KeyVault(SecretUri={self.url}/secrets/{name})"

    def _give(self, asked: Asked) -> Given:
        given = self.before(asked)
        if given is not None:
            return given
        parts = urlsplit(asked.path)
        kind, _, token = asked.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not self.takes(token):
            return Given(
                401, b'{"error": {"code": "Unauthorized"}}', {"WWW-Authenticate": 'Bearer resource="https://vault.azure.net"'}
            )
        if asked.method != "GET" or not parse_qs(parts.query).get("api-version"):
            return Given(400)
        name = parts.path.removeprefix("/secrets/")
        if name not in self.secrets:
            return Given(404, b'{"error": {"code": "SecretNotFound"}}')
        told = {"value": self.secrets[name], "id": f"{self.url}/secrets/{name}/0a1b", "attributes": {"enabled": True}}
        return Given(200, json.dumps(told).encode(), {"Content-Type": "application/json"})
