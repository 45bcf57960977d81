"""Tokens by client credentials of OAuth 2 (RFC 6749, section 4.4)."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlencode

import msgspec

from rowpost.auth.failures import CredentialError
from rowpost.auth.secrets import Secret
from rowpost.auth.tokens import lifetime, sound
from rowpost.config.credentials import OAuth2Config
from rowpost.http.asking import Told, ask
from rowpost.http.failures import describe
from rowpost.rules.answer import retry_after_seconds

WHO = "the token endpoint"
# RFC 6749, section 5.2. Any other word is the endpoint's own text, and is not quoted.
_CODES = frozenset(
    ("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope")
)


class ClientCredentials:
    """Gets tokens. Nothing is repeated here, but with a secret that was read anew.

    Args:
        config: the section.
        timeout_seconds: of a request to the token endpoint.
    """

    def __init__(self, config: OAuth2Config, timeout_seconds: float) -> None:
        self._config, self._timeout_seconds = config, timeout_seconds
        self._secret = Secret(config.client_secret, timeout_seconds)
        self.wait_seconds = 2 * timeout_seconds + self._secret.wait_seconds  # how long it may take to have a token

    def fetch(self) -> tuple[str, float]:
        """A token, and for how many seconds it is good.

        Raises:
            CredentialError: there is none.
        """
        secret = self._secret.held()
        told = self._ask(secret.value)
        if self._secret.renewable and told.status in (400, 401):
            newer = self._secret.renew(secret)
            if newer.value != secret.value:
                told = self._ask(newer.value)
        if told.status != 200:
            raise CredentialError(f"{WHO}: HTTP {told.status}{_code(told)}", retry_after_seconds(told.headers))
        found = _object(told)
        kind = found.get("token_type", "Bearer")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise CredentialError(f"{WHO}: a token that is not of the type Bearer")
        return sound(found.get("access_token"), WHO), lifetime(found.get("expires_in"))

    def _ask(self, secret: str) -> Told:
        config = self._config
        fields = {"grant_type": "client_credentials", **config.parameters}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if config.scope is not None:
            fields["scope"] = config.scope
        if config.client_authentication == "body":
            fields |= {"client_id": config.client_id, "client_secret": secret}
        else:
            # Encoded first (RFC 6749, section 2.3.1): so both may hold any character, a colon too.
            pair = f"{quote(config.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            return ask("POST", config.token_url, headers, urlencode(fields), self._timeout_seconds, config.ca)
        except Exception as error:
            raise CredentialError(f"{WHO}: {describe(error, WHO)}") from None


def _object(told: Told) -> dict[str, object]:
    """The answer as an object of JSON; an empty one if it is none."""
    try:
        found = msgspec.json.decode(told.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _code(told: Told) -> str:
    code = _object(told).get("error")
    return f" {code}" if isinstance(code, str) and code in _CODES else ""
