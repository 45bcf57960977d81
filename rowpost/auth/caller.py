"""Posting to a target that wants to know who calls."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from rowpost.auth import managed_identity, oauth2
from rowpost.auth.kept import Held, Kept
from rowpost.auth.managed_identity import identity_token
from rowpost.auth.secrets import Secret
from rowpost.auth.signatures import Signer
from rowpost.config.credentials import BasicConfig, presented
from rowpost.config.sections import TargetConfig
from rowpost.http.client import Client, Reply

_UNAUTHORIZED = 401
_ANSWER_BYTES = 1 << 17  # that are read of an answer to a request with several events,
_ANSWER_BYTES_OF_AN_EVENT = 1 << 11  # and so many more for each event that it may have


class Caller:
    """Posts to one target, with what shows who calls; safe to use from several threads.

    A request that is answered with 401 is repeated once, with a token or a password that was fetched anew, if there can be another.
    No step begins once time is over, so that a post takes no longer than one without credentials.
    """

    def __init__(self, config: TargetConfig) -> None:
        seconds = config.timeout.seconds
        self._client = Client(
            seconds,
            connections=config.concurrency,
            tries=2,  # a connection that cannot be made is tried once more at once; a request that was sent never is
            ca=config.ca,
            certificate=presented(config),
            answer_bytes=_ANSWER_BYTES + _ANSWER_BYTES_OF_AN_EVENT * config.batch if config.batch > 1 else None,
        )
        self._signer = None if config.signature is None else Signer(config.signature.secrets, seconds)
        self._authorization = _authorization(config)

    def send(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], identifier: str, over: Callable[[], bool]
    ) -> Reply | None:
        """Send a request once, or twice after a 401.

        Args:
            method: of the request.
            url: the address.
            body: what is sent, and signed.
            headers: further ones.
            identifier: that of the event, which is signed too.
            over: whether nothing more is to be sent.

        Returns:
            The answer; None if nothing was sent, since time was over when the credentials had come.

        Raises:
            CredentialError: there are no credentials.
            Exception: of any kind, as :meth:`Client.send`.
        """
        shown = self._authorization
        held = None if shown is None else shown.held()
        signed = self._signed(identifier, body)
        if (held is not None or signed) and over():
            return None
        reply = self._client.send(method, url, body, {**headers, **signed, **_header(shown, held)})
        if reply.status != _UNAUTHORIZED or shown is None or held is None or not shown.renewable or over():
            return reply
        newer, signed = shown.renew(held), self._signed(identifier, body)
        return reply if over() else self._client.send(method, url, body, {**headers, **signed, **_header(shown, newer)})

    def _signed(self, identifier: str, body: bytes) -> dict[str, str]:
        return {} if self._signer is None else self._signer.headers(identifier, body)


class _Bearer:
    """The header Authorization with a token."""

    renewable = True

    def __init__(self, fetch: Callable[[], tuple[str, float]], who: str, wait_seconds: float) -> None:
        self._kept = Kept(fetch, who, wait_seconds)
        self.held, self.renew = self._kept.get, self._kept.renew

    def header(self, token: str) -> str:
        return f"Bearer {token}"


class _Basic:
    """The header Authorization with user and password (RFC 7617)."""

    def __init__(self, config: BasicConfig, timeout_seconds: float) -> None:
        self._user, self._password = config.user, Secret(config.password, timeout_seconds)
        self.renewable, self.held, self.renew = self._password.renewable, self._password.held, self._password.renew

    def header(self, password: str) -> str:
        return f"Basic {base64.b64encode(f'{self._user}:{password}'.encode()).decode()}"


def _header(shown: _Bearer | _Basic | None, held: Held[str] | None) -> dict[str, str]:
    return {} if shown is None or held is None else {"Authorization": shown.header(held.value)}


def _authorization(config: TargetConfig) -> _Bearer | _Basic | None:
    seconds = config.timeout.seconds
    if config.basic is not None:
        return _Basic(config.basic, seconds)
    if config.oauth2 is not None:
        login = oauth2.ClientCredentials(config.oauth2, seconds)
        return _Bearer(login.fetch, oauth2.WHO, login.wait_seconds)
    identity = config.managed_identity
    if identity is not None:
        wait = managed_identity.wait_seconds(seconds)
        return _Bearer(lambda: identity_token(identity.resource, identity.client_id, seconds), managed_identity.WHO, wait)
    return None
