"""App settings in the texts of ``relay.toml``: ``%NAME%`` stands for the value. A percent-encoded byte such as ``%C3`` does not."""

from __future__ import annotations

import re
from collections.abc import Mapping

SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]*")
_PLACE = re.compile(f"%({SETTING_NAME.pattern})%")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_REFERENCE = re.compile(r"@Microsoft\.(KeyVault|AppConfiguration)\(", re.IGNORECASE)
_SERVICES = {"keyvault": "Key Vault", "appconfiguration": "App Configuration"}


def places(text: str, settings: Mapping[str, str]) -> list[re.Match[str]]:
    """Where settings stand in a text; group 1 of each is the name.

    In ``/%C3%A4`` there is none: what reads as two percent-encoded bytes is no setting, unless one of that name exists.
    """
    found: list[re.Match[str]] = []
    position = text.find("%")
    while position >= 0:
        place, encoded = _PLACE.match(text, position), _ENCODED.match(text, position)
        doubtful = place and encoded and (len(place[1]) == 2 or _ENCODED.match(text, place.end() - 1))
        if place and (settings.get(place[1]) or not doubtful):
            found.append(place)
            position = place.end()
        else:
            position += 3 if encoded else 1
        position = text.find("%", position)
    return found


def unresolved(value: str) -> str | None:
    """What to say if the value of a setting holds a reference that the platform should have replaced by a secret; else None.

    The platform hands the reference itself over when it cannot read the secret
    (https://learn.microsoft.com/azure/app-service/app-service-key-vault-references).
    """
    match = _REFERENCE.search(value)
    if match is None:
        return None
    service = _SERVICES[match[1].lower()]
    if value[: match.start()].strip():
        return (
            f"holds a {service} reference inside a longer text, and the platform resolves none there; a reference must be the "
            f"whole value: put the whole text into the secret, or the secret into a setting of its own"
        )
    role = "Key Vault Secrets User" if service == "Key Vault" else "App Configuration Data Reader"
    return (
        f"holds a {service} reference that the platform has not resolved; check that the app's identity has the role {role}, "
        f"that the network lets the app in, and the names in the reference"
    )
