"""Who may do what.

With keys, the host has checked the key of the function before the app is called. With Entra ID, App Service has checked the caller,
and passes the principal in a header. Nobody outside can set it while that authentication is on:
https://learn.microsoft.com/en-us/azure/app-service/configure-authentication-user-identities
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from enum import IntEnum

import azure.functions as func
import msgspec

from rowpost.config.sections import ApiConfig
from triggers.api.problems import Problem

_PRINCIPAL = "x-ms-client-principal"
_KEY_HEADER, _KEY_PARAMETER = "x-functions-key", "code"


class Level(IntEnum):
    """What a caller may do; each level includes those before it."""

    READ = 1
    OPERATE = 2
    ADMINISTER = 3

    @property
    def role(self) -> str:
        """The app role of Entra ID."""
        return f"Rowpost.{self.name.capitalize()}"


class _Claim(msgspec.Struct):
    typ: str
    val: str = ""


class _Principal(msgspec.Struct):
    claims: list[_Claim]
    name_typ: str = ""
    role_typ: str = "roles"


def caller(config: ApiConfig, req: func.HttpRequest, level: Level) -> str:
    """Who calls, for the audit: a name, or a key by its fingerprint.

    Raises:
        Problem: 401 or 403, if Entra ID decides and does not know the caller, or the caller does not have the role.
    """
    if config.auth == "entra":
        principal = _principal(req.headers)
        roles = {claim.val for claim in principal.claims if claim.typ in (principal.role_typ, "roles")}
        if not any(each.role in roles for each in Level if each >= level):
            raise Problem(403, f"the caller needs the app role {level.role}: assign it in the enterprise application of this app")
        return _name(principal)
    key = req.headers.get(_KEY_HEADER) or req.params.get(_KEY_PARAMETER)
    if not key:  # on this machine, where the host asks for none
        return "anonymous"
    fingerprint = hashlib.sha256(key.encode()).hexdigest()[:8]
    return next((name for name, known in config.keys.items() if known.lower() == fingerprint), f"key {fingerprint}")


def _principal(headers: Mapping[str, str]) -> _Principal:
    try:
        return msgspec.json.decode(base64.b64decode(headers.get(_PRINCIPAL, ""), validate=True), type=_Principal)
    except ValueError:
        raise Problem(401, "sign in with Microsoft Entra ID: the platform has passed no principal") from None


def _name(principal: _Principal) -> str:
    kinds = (principal.name_typ, "preferred_username", "name", "appid", "azp")
    found = {claim.typ: claim.val for claim in reversed(principal.claims)}
    return next((found[kind][:200] for kind in kinds if found.get(kind)), "a principal without a name")
