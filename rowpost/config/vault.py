"""References to secrets in a Key Vault that the app reads itself, in the form that app settings have.

In an app setting the platform replaces such a reference when the worker starts, and the process never sees a newer value. So a
secret that shall change without a restart is named in relay.toml itself, and read again while the app runs.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from rowpost.config.addresses import is_here

_REFERENCE = re.compile(r"\s*@Microsoft\.KeyVault\((.*)\)\s*", re.IGNORECASE | re.DOTALL)
_CLOUDS = ("vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net")
_PATH = re.compile(r"/secrets/[0-9A-Za-z-]{1,127}(/[0-9A-Za-z]{1,64})?/?")
_VAULT = re.compile(r"[0-9A-Za-z-]{3,24}")
_REMEDY = (
    "write @Microsoft.KeyVault(SecretUri=https://VAULT.vault.azure.net/secrets/NAME), "
    "or @Microsoft.KeyVault(VaultName=VAULT;SecretName=NAME)"
)
# Where a reference may stand: secrets that are used at each request or for each token, not once at the start.
RE_READABLE = re.compile(
    r"targets\[\d+\]\.(basic\.password|oauth2\.client_secret|signature\.secrets\[\d+\])"
    r"|notifications\.(smtp\.password|webhooks\[\d+\]\.signature\.secrets\[\d+\])"
)


class VaultSecret(NamedTuple):
    """A secret of a Key Vault: its address, and the resource that a token is asked for."""

    address: str
    resource: str


def vault_secret(text: str) -> VaultSecret | None:
    """The secret that a text refers to; None if it is no reference.

    Raises:
        ValueError: it is a reference, and not a sound one; the text says what to write.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None:
        if re.match(r"\s*@Microsoft\.KeyVault\(", text, re.IGNORECASE):
            raise ValueError(f"is a reference to a Key Vault without an end; {_REMEDY}")
        return None
    pairs = (part.partition("=") for part in found[1].split(";") if part.strip())
    parts = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if parts.keys() == {"secreturi"}:
        address = parts["secreturi"]
    elif {"vaultname", "secretname"} <= parts.keys() <= {"vaultname", "secretname", "secretversion"}:
        version = f"/{parts['secretversion']}" if parts.get("secretversion") else ""
        if not _VAULT.fullmatch(parts["vaultname"]):
            raise ValueError(f"is no sound reference to a Key Vault; {_REMEDY}")
        address = f"https://{parts['vaultname']}.{_CLOUDS[0]}/secrets/{parts['secretname']}{version}"
    else:
        raise ValueError(f"is no sound reference to a Key Vault; {_REMEDY}")
    return _checked(address)


def _checked(address: str) -> VaultSecret:
    try:
        parts = urlsplit(address)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ValueError(f"is no sound reference to a Key Vault; {_REMEDY}") from None
    cloud = next((cloud for cloud in _CLOUDS if re.fullmatch(rf"{_VAULT.pattern}\.{re.escape(cloud)}", host)), None)
    # The token that opens a vault is sent there: to a server of Microsoft's, or to one on this machine, which stands in for it.
    known = parts.scheme == "https" and cloud is not None and parts.port is None or is_here(host)
    if not known or parts.query or parts.fragment or "@" in parts.netloc or not _PATH.fullmatch(parts.path):
        raise ValueError(f"is no sound reference to a Key Vault; {_REMEDY}")
    return VaultSecret(address.rstrip("/"), f"https://{cloud or _CLOUDS[0]}")
