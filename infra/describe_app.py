"""Tell the deployment what relay.toml asks of it: triggers, app settings, secrets, mail.

``python infra/describe_app.py`` runs in the preprovision hook. Bicep cannot read TOML. So this program writes ``ROWPOST_APP`` into
the environment of azd, which is no file of the repository. It holds names and plain values, and no secret: a secret stays in the
Key Vault that ``azd env set-secret`` put it in, and the app gets a reference to it and the right to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from infra.azure_sql import MANAGEMENT, Token, deployer_token  # noqa: E402
from infra.hook_settings import SECRET_SCHEME, config_of_hooks, plain_settings  # noqa: E402
from rowpost.config.app_settings import places  # noqa: E402
from rowpost.config.errors import ConfigError  # noqa: E402
from rowpost.config.sections import Config  # noqa: E402

_SECRET = re.compile(rf"{SECRET_SCHEME}([^/]+)/([^/]+)/([^/]+)")  # what azd keeps for `azd env set-secret`
_SQL = re.compile(r"relays\[\d+\]\.where")  # a percent sign of LIKE stands for itself
# The fields whose settings may be plain. Whatever stands elsewhere may be a secret, and has to be one.
_MAY_BE_PLAIN = [
    r"targets\[\d+\]\.(url|source|basic\.user|oauth2\.(token_url|client_id|scope)|managed_identity\..+)",
    r"notifications\.email\.(endpoint|sender|recipients\[\d+\])",
    r"notifications\.(smtp\.(host|port|user|sender|recipients\[\d+\])|console_url|runbook_url)",
    r"relays\[\d+\]\..+",
]
_VAULTS_API = "2021-04-01"

FindVault = Callable[[str, str], str]


def named_settings(path: Path) -> dict[str, list[str]]:
    """The settings that the file names as ``%NAME%``, each with the fields that do.

    Raises:
        ConfigError: the file cannot be read, or is not TOML.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); make it with `python3 dev.py init`") from None
    except ValueError as error:
        raise ConfigError(f"{path.name}: not valid TOML: {error}") from None
    found: dict[str, list[str]] = {}
    for field, text in texts(document):
        for place in () if _SQL.fullmatch(field) else places(text, {}):
            found.setdefault(place[1], []).append(field)
    return found


def texts(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Each text of a TOML document with its field, as the loader names it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts(item, f"{field}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, f"{field}[{index}]")
    elif isinstance(value, str):
        yield field, value


def describe(config: Config, named: Mapping[str, list[str]], given: Mapping[str, str], find_vault: FindVault) -> dict[str, Any]:
    """The parameter ``app`` of infra/main.bicep.

    Args:
        config: of the file.
        named: the settings that it names, each with its fields.
        given: the environment of azd.
        find_vault: the resource group of a Key Vault, by subscription and name.

    Returns:
        ``connection``: the name of the connection string's setting; ``triggerFunctions``: in the order of relay.toml; ``settings``:
        name to value; ``secrets`` and ``grants``: where each secret is, and which ones the app may read; ``mail``: the settings
        that the mail service of the deployment fills, or nothing; ``openTelemetry``: whether metrics and spans are sent.

    Raises:
        ConfigError: a setting is missing, or is plain where secrets stand; the text has a line for each, with the remedy.
    """
    mail = _mail(named, given)
    settings: dict[str, str] = {}
    secrets: list[dict[str, str]] = []
    grants: list[dict[str, str]] = []
    wrong: list[str] = []
    for name, fields in named.items():
        value = given.get(name, "")
        if name in (mail.get("service"), mail.get("sender")) or name == config.database.connection:
            continue
        if secret := _SECRET.fullmatch(value):
            subscription, vault, key = secret.groups()
            secrets.append({"setting": name, "vault": vault, "secret": key})
            grant = {"subscription": subscription, "resourceGroup": find_vault(subscription, vault), "vault": vault, "secret": key}
            grants += [grant] if grant not in grants else []
        elif not value:
            wrong.append(f"relay.toml names the app setting {name} ({fields[0]}), azd does not know it: {_remedy(name, fields)}")
        elif not all(_may_be_plain(field) for field in fields):
            wrong.append(f"the app setting {name} ({fields[0]}) may be a secret: keep it in a Key Vault: {_remedy(name, fields)}")
        else:
            settings[name] = value
    if wrong:
        raise ConfigError("\n".join(wrong))
    functions = [relay.function for relay in config.relays]
    return {
        "connection": config.database.connection,
        "grants": grants,
        "mail": mail,
        "openTelemetry": config.telemetry.opentelemetry,
        "secrets": secrets,
        "settings": settings,
        "triggerFunctions": functions,
    }


def behind(app: Mapping[str, Any], config: Config, named: Mapping[str, list[str]]) -> list[str]:
    """What relay.toml asks for and the last provision did not know of: names of settings and of trigger functions.

    Args:
        app: what :func:`describe` gave then.
        config: of the file as it is now.
        named: the settings that it names now.
    """
    known = {app["connection"], *app["settings"], *(secret["setting"] for secret in app["secrets"])}
    known |= {app["mail"][part] for part in ("service", "sender") if app["mail"]}
    missing = [name for name in (config.database.connection, *named) if name not in known]
    if config.telemetry.opentelemetry and not app["openTelemetry"]:
        missing.append("telemetry.opentelemetry")
    return [*missing, *(relay.function for relay in config.relays if relay.function not in app["triggerFunctions"])]


def _may_be_plain(field: str) -> bool:
    return any(re.fullmatch(pattern, field) for pattern in _MAY_BE_PLAIN)


def _remedy(name: str, fields: list[str]) -> str:
    return f"`azd env set {name} VALUE`" if all(map(_may_be_plain, fields)) else f"`azd env set-secret {name}`"


def _mail(named: Mapping[str, list[str]], given: Mapping[str, str]) -> dict[str, str]:
    """The settings of ``[notifications.email]`` that nobody gives: the deployment makes a mail service and fills them."""
    field_of = {field: name for name, fields in named.items() for field in fields}
    sender = field_of.get("notifications.email.sender", "")
    for form in ("connection", "endpoint"):
        service = field_of.get(f"notifications.email.{form}", "")
        if service and sender and not given.get(service) and not given.get(sender):
            return {"form": form, "service": service, "sender": sender}
    return {}


def vault_finder(token: Token, management: str = MANAGEMENT) -> FindVault:
    """Asks Azure Resource Manager for the resource group of a Key Vault.

    Raises:
        ConfigError: from the function: the deployer sees no such vault.
        requests.RequestException: from the function: Azure cannot be reached, or refused.
    """
    known: dict[tuple[str, str], str] = {}

    def find(subscription: str, vault: str) -> str:
        if (subscription, vault) not in known:
            query = f"resourceType eq 'Microsoft.KeyVault/vaults' and name eq '{vault}'"
            answer = requests.get(
                f"{management}/subscriptions/{subscription}/resources",
                params={"$filter": query, "api-version": _VAULTS_API},
                headers={"Authorization": f"Bearer {token(f'{MANAGEMENT}/.default')}"},
                timeout=60,
            )
            answer.raise_for_status()
            ids = [str(item["id"]) for item in answer.json()["value"]]
            if not ids:
                raise ConfigError(f"the subscription {subscription} has no Key Vault {vault} that you see: set the secret again")
            known[subscription, vault] = ids[0].split("/")[4]
        return known[subscription, vault]

    return find


def check(config: Config, named: Mapping[str, list[str]], provisioned: str) -> None:
    """Whether what was provisioned serves the file.

    Raises:
        ConfigError: it does not, or nothing was provisioned.
    """
    missing = behind(json.loads(provisioned), config, named) if provisioned else ["everything"]
    if missing:
        raise ConfigError(
            f"relay.toml asks for what was not provisioned yet: {', '.join(missing)}; run `azd provision`, then deploy again"
        )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write ROWPOST_APP into the environment of azd, for Bicep.")
    parser.add_argument("--config", type=Path, default=ROOT / "relay.toml")
    parser.add_argument("--check", action="store_true", help="write nothing: ask whether what was provisioned serves relay.toml")
    options = parser.parse_args()
    try:
        named = named_settings(options.config)
        config = config_of_hooks(options.config, plain_settings(os.environ))
        if options.check:
            check(config, named, os.environ.get("ROWPOST_APP", ""))
            return 0
        find_vault = vault_finder(deployer_token(os.environ.get("AZURE_TENANT_ID", "")))
        text = json.dumps(describe(config, named, os.environ, find_vault))
    except (ConfigError, requests.RequestException) as error:
        print(error, file=sys.stderr)
        return 1
    return subprocess.run(["azd", "env", "set", "ROWPOST_APP", text]).returncode


if __name__ == "__main__":
    sys.exit(main())
