"""How a target knows the app: the sections of ``relay.toml`` under ``[[targets]]``, and what is wrong with them.

A secret of these sections may be a reference to a Key Vault, which the app reads itself: see :mod:`rowpost.config.vault`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from rowpost.config.addresses import is_http_address
from rowpost.config.authorities import read_authorities
from rowpost.config.client_certificates import ClientCertificate, read_client_certificate
from rowpost.config.section import Section
from rowpost.config.vault import vault_secret

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SECRET_BYTES = range(24, 65)  # of a signature: https://github.com/standard-webhooks/standard-webhooks, "Signature scheme"
_MOST_SECRETS = 2
_OWN_PARAMETERS = frozenset(("grant_type", "client_id", "client_secret", "scope"))
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
SIGNATURE_HEADERS = frozenset(("webhook-id", "webhook-timestamp", "webhook-signature"))
WAYS = ("basic", "oauth2", "managed_identity")  # each of them sets the header Authorization

Refuse = Callable[[str, str], None]


class BasicConfig(Section, frozen=True):
    """User and password (RFC 7617), in UTF-8."""

    user: str
    password: str


class OAuth2Config(Section, frozen=True):
    """Client credentials of OAuth 2 (RFC 6749, section 4.4). ``parameters``: further fields of the request, such as ``audience``.

    ``client_authentication``: whether id and secret are sent as a header or in the body. ``ca``: as of a target, for this endpoint.
    """

    token_url: str
    client_id: str
    client_secret: str
    scope: str | None = None
    client_authentication: Literal["basic", "body"] = "basic"
    parameters: dict[str, str] = {}
    ca: str | None = None


class ManagedIdentityConfig(Section, frozen=True):
    """A token of Entra ID for ``resource``, by the identity of the app: that of ``client_id``, else of ``AZURE_CLIENT_ID``."""

    resource: str
    client_id: str | None = None


class SignatureConfig(Section, frozen=True):
    """Signatures of Standard Webhooks: one for each secret, so that a new secret can come before the old one goes."""

    secrets: list[str]


class ClientCertificateConfig(Section, frozen=True):
    """The certificate by which the app shows who it is. ``key``: if it is not in ``certificate``; ``password``: of the key."""

    certificate: str
    key: str | None = None
    password: str | None = None


class Credentials(Section, frozen=True, kw_only=True):
    """What a target may have of these sections."""

    basic: BasicConfig | None = None
    oauth2: OAuth2Config | None = None
    managed_identity: ManagedIdentityConfig | None = None
    signature: SignatureConfig | None = None
    client_certificate: ClientCertificateConfig | None = None


SECTIONS: dict[str, type[Section]] = {
    "basic": BasicConfig,
    "oauth2": OAuth2Config,
    "managed_identity": ManagedIdentityConfig,
    "signature": SignatureConfig,
    "client_certificate": ClientCertificateConfig,
}


def presented(credentials: Credentials) -> ClientCertificate | None:
    """The client certificate, once :func:`read_files` has put it in place."""
    given = credentials.client_certificate
    return None if given is None else ClientCertificate(given.certificate, given.key or "", given.password or "")


def read_files(credentials: Credentials, folder: Path) -> None:
    """Put certificates and keys in the place of the texts that may name files.

    Raises:
        ValueError: one cannot be read; the text begins with the field.
    """
    if credentials.oauth2 is not None and credentials.oauth2.ca is not None:
        try:
            msgspec.structs.force_setattr(credentials.oauth2, "ca", read_authorities(credentials.oauth2.ca, folder))
        except ValueError as error:
            raise ValueError(f"oauth2.ca: {error}") from None
    given = credentials.client_certificate
    if given is not None:
        read = read_client_certificate(given.certificate, given.key, given.password, folder)
        msgspec.structs.force_setattr(given, "certificate", read.certificate)
        msgspec.structs.force_setattr(given, "key", read.key)


def check(section: str, credentials: Credentials, url: str, headers: Mapping[str, str], refuse: Refuse) -> None:
    """Tell each mistake: one sentence, with the field and the remedy.

    Args:
        section: the name of the target's section.
        credentials: what it has.
        url: its address.
        headers: those that it sets itself.
        refuse: is told field and text.
    """
    given = [name for name in WAYS if getattr(credentials, name) is not None]
    names = {name.lower(): name for name in headers}
    if len(given) > 1:
        refuse(f"{section}.{given[1]}", f"a target has one of {', '.join(WAYS)}, and this one has {given[0]} too; remove one")
    if given and "authorization" in names:
        refuse(f"{section}.headers.{names['authorization']}", f"is what [targets.{given[0]}] sets; remove one of both")
    if given and _has_user(url):
        refuse(f"{section}.url", f"has a user, which would take the place of [targets.{given[0]}]; remove it from the address")
    if credentials.signature is not None:
        for name in sorted(SIGNATURE_HEADERS & names.keys()):
            refuse(f"{section}.headers.{names[name]}", "is what [targets.signature] sets; remove the header")
        check_signature(f"{section}.signature.secrets", credentials.signature.secrets, refuse)
    if credentials.basic is not None:
        _check_basic(f"{section}.basic", credentials.basic, refuse)
    if credentials.oauth2 is not None:
        _check_oauth2(f"{section}.oauth2", credentials.oauth2, refuse)
    if credentials.managed_identity is not None:
        _check_identity(f"{section}.managed_identity", credentials.managed_identity, refuse)
    if credentials.client_certificate is not None and url.lower().startswith("http:"):
        refuse(f"{section}.client_certificate", "is of no use with an http address; use https, or remove the section")


def _has_user(url: str) -> bool:
    try:
        return "@" in urlsplit(url).netloc
    except ValueError:  # told as an address that is none
        return False


def _check_basic(section: str, basic: BasicConfig, refuse: Refuse) -> None:
    if not basic.user or ":" in basic.user or _CONTROL.search(basic.user):
        refuse(f"{section}.user", "must be one line without a colon; write the user's name alone")
    if check_secret(f"{section}.password", basic.password, refuse) is None and _CONTROL.search(basic.password):
        refuse(f"{section}.password", "must be one line without control characters; remove the line break from the setting")


def _check_oauth2(section: str, oauth2: OAuth2Config, refuse: Refuse) -> None:
    if not is_http_address(oauth2.token_url):
        refuse(f"{section}.token_url", "must be an http or https address")
    elif _has_user(oauth2.token_url):
        refuse(f"{section}.token_url", "has a user; write it as client_id and client_secret instead")
    elif oauth2.ca is not None and oauth2.token_url.lower().startswith("http:"):
        refuse(f"{section}.ca", "is of no use with an http address; use https, or remove it")
    if not oauth2.client_id or _CONTROL.search(oauth2.client_id):
        refuse(f"{section}.client_id", "must be one line without control characters")
    if check_secret(f"{section}.client_secret", oauth2.client_secret, refuse) is None and (
        not oauth2.client_secret or _CONTROL.search(oauth2.client_secret)
    ):
        refuse(f"{section}.client_secret", "must be one line without control characters; remove the line break from the setting")
    for name in sorted(_OWN_PARAMETERS & oauth2.parameters.keys()):
        refuse(f"{section}.parameters.{name}", "is a field that the app sets itself; remove it")


def _check_identity(section: str, identity: ManagedIdentityConfig, refuse: Refuse) -> None:
    resource = identity.resource
    if resource.endswith("/.default"):
        refuse(f"{section}.resource", "write it without /.default")
    elif not resource.isascii() or not (_GUID.fullmatch(resource) or re.fullmatch(r"[a-z]+://[^\s?#]+", resource)):
        refuse(f"{section}.resource", "must be the application ID URI of the API in Entra ID, such as api://… or https://…")
    if identity.client_id is not None and not _GUID.fullmatch(identity.client_id):
        refuse(f"{section}.client_id", "must be the client id of a user-assigned identity, a GUID; remove it for AZURE_CLIENT_ID")


def check_signature(field: str, secrets: list[str], refuse: Refuse) -> None:
    """Tell each mistake in the secrets of a signature."""
    if not 1 <= len(secrets) <= _MOST_SECRETS:
        refuse(field, "must hold one secret, or two while one takes the place of the other")
    for index, secret in enumerate(secrets):
        if check_secret(f"{field}[{index}]", secret, refuse) is None:
            try:
                signing_bytes(secret)
            except ValueError as error:
                refuse(f"{field}[{index}]", str(error))
    if len(set(secrets)) < len(secrets):
        refuse(field, "holds a secret twice; remove one")


def check_secret(field: str, text: str, refuse: Refuse) -> bool | None:
    """Whether a secret is a sound reference to a Key Vault; None if it is none."""
    try:
        return None if vault_secret(text) is None else True
    except ValueError as error:
        refuse(field, str(error))
        return False


def signing_bytes(secret: str) -> bytes:
    """The secret of a signature as bytes.

    Raises:
        ValueError: it has another form; the text does not quote it.
    """
    remedy = "make one: python3 -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""
    text = secret.strip().removeprefix("whsec_").rstrip("=")
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"is no secret of Standard Webhooks: whsec_ and Base64; {remedy}") from None
    if len(found) not in _SECRET_BYTES:
        raise ValueError(f"must have {_SECRET_BYTES[0]} to {_SECRET_BYTES[-1]} bytes, and has {len(found)}; {remedy}")
    return found
