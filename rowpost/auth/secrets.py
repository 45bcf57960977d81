"""Secrets as they are now: written in the configuration, or read from a Key Vault, and read again while the app runs."""

from __future__ import annotations

import msgspec

from rowpost.auth.failures import CredentialError
from rowpost.auth.kept import Held, Kept
from rowpost.auth.managed_identity import identity_token, wait_seconds
from rowpost.config.vault import VaultSecret, vault_secret
from rowpost.http.asking import ask
from rowpost.http.failures import describe
from rowpost.rules.answer import retry_after_seconds

READ_AGAIN_SECONDS = 300
_API_VERSION = "7.4"
_WHO = "the Key Vault"


class Secret:
    """A secret of the configuration; safe to use from several threads.

    Args:
        text: the secret itself, or a reference to a Key Vault.
        timeout_seconds: of a request to the vault.
    """

    def __init__(self, text: str, timeout_seconds: float) -> None:
        self._text = text
        place = vault_secret(text)
        self.wait_seconds = 0.0  # how long it may take to have it
        self._kept: Kept[str] | None = None
        if place is not None:
            reader = _Reader(place, timeout_seconds)
            self.wait_seconds = 2 * timeout_seconds + wait_seconds(timeout_seconds)
            self._kept = Kept(reader.read, _WHO, self.wait_seconds, outlives=True)

    @property
    def renewable(self) -> bool:
        """Whether it can be another one without a restart."""
        return self._kept is not None

    def held(self) -> Held[str]:
        """The secret as it is now, or as it was when it could be read last.

        Raises:
            CredentialError: it could never be read.
        """
        return Held(self._text, 0, 0.0, 0.0) if self._kept is None else self._kept.get()

    def renew(self, refused: Held[str]) -> Held[str]:
        """The secret, read after ``refused`` was.

        Raises:
            CredentialError: it cannot be read now.
        """
        return refused if self._kept is None else self._kept.renew(refused)


class _Reader:
    def __init__(self, place: VaultSecret, timeout_seconds: float) -> None:
        self._place, self._timeout_seconds = place, timeout_seconds
        self._token = Kept(lambda: identity_token(place.resource, None, timeout_seconds), _WHO, wait_seconds(timeout_seconds))

    def read(self) -> tuple[str, float]:
        token = self._token.get()
        told = self._ask(token)
        if told is None:
            told = self._ask(self._token.renew(token))
        if told is None:
            raise CredentialError(f"{_WHO}: HTTP 401")
        return told, READ_AGAIN_SECONDS

    def _ask(self, token: Held[str]) -> str | None:
        """The secret; None if the token was refused."""
        url = f"{self._place.address}?api-version={_API_VERSION}"
        try:
            told = ask("GET", url, {"Authorization": f"Bearer {token.value}"}, None, self._timeout_seconds)
        except Exception as error:
            raise CredentialError(f"{_WHO}: {describe(error, _WHO)}") from None
        if told.status == 401:
            return None
        if told.status != 200:
            raise CredentialError(f"{_WHO}: HTTP {told.status}{_HINTS.get(told.status, '')}", retry_after_seconds(told.headers))
        try:
            found = msgspec.json.decode(told.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        value = found.get("value") if isinstance(found, dict) else None
        if not isinstance(value, str) or not value:
            raise CredentialError(f"{_WHO}: an answer without a secret")
        return value


_HINTS = {
    403: ": give the app's identity the role Key Vault Secrets User",
    404: ": there is no such secret, or it is disabled",
}
