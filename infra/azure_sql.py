"""A deployer's way into an Azure SQL database: an Entra access token, and a firewall rule for as long as it is needed.

The server itself names the address that the rule must let in: it stands in the error of a refused connection. So nobody else is
asked for it, and it is right behind address translation too.
"""

from __future__ import annotations

import contextlib
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyodbc
import requests

from rowpost.config.errors import ConfigError

SQL_SCOPE = "https://database.windows.net/.default"
MANAGEMENT = "https://management.azure.com"
RULE = "rowpost-deployer"  # one fixed name: what a run that was killed left behind, the next one replaces and removes
_API_VERSION = "2025-01-01"
_SQL_COPT_SS_ACCESS_TOKEN = 1256  # msodbcsql.h
_REFUSED = re.compile(r"Client with IP address '([0-9.]+)' is not allowed")  # error 40615
_STARTING = re.compile(r"\(40613\)")  # a serverless database that wakes up, or a failover
_PRIVATE = re.compile(r"Deny Public Network Access|\(47073\)")
_PAUSE_SECONDS = 10
_PATIENCE_SECONDS = 360  # a firewall rule takes up to five minutes to count

Token = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class AzureDatabase:
    """A database on Azure, as the outputs of infra/main.bicep name it."""

    server_id: str
    host: str
    name: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> AzureDatabase:
        """What azd puts into the environment of a hook.

        Raises:
            ConfigError: an output is missing.
        """
        values = []
        for name in ("SQL_SERVER_ID", "SQL_SERVER_HOST", "SQL_DATABASE"):
            if not environment.get(name):
                raise ConfigError(
                    f"{name} is missing: it is an output of infra/main.bicep; run `azd provision`, or `azd hooks run postprovision`"
                )
            values.append(environment[name])
        return cls(*values)

    def odbc(self, driver: str) -> str:
        """The connection string; the token goes beside it, so it names no user."""
        return (
            f"Driver={{{driver.strip('{}')}}};Server=tcp:{self.host},1433;Database={{{self.name}}};Encrypt=yes;APP=rowpost-deployer"
        )


def deployer_token(tenant: str = "") -> Token:
    """Tokens of whoever is logged in to azd, or else to the Azure CLI.

    Args:
        tenant: the tenant of the subscription; empty takes the one of the login.

    Returns:
        A function from scope to token; it raises ConfigError if nobody is logged in.
    """
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential

    credential = ChainedTokenCredential(AzureDeveloperCliCredential(tenant_id=tenant), AzureCliCredential(tenant_id=tenant))

    def token(scope: str) -> str:
        try:
            return credential.get_token(scope).token
        except ClientAuthenticationError as error:
            raise ConfigError(f"no access token for {scope}: run `azd auth login`\n{error.message}") from None

    return token


def token_attribute(token: str) -> dict[int, bytes]:
    """pyodbc's ``attrs_before`` for a connection by access token: the driver wants UTF-16, with its length in bytes in front."""
    text = token.encode("utf-16-le")
    return {_SQL_COPT_SS_ACCESS_TOKEN: struct.pack("<I", len(text)) + text}


class FirewallRule:
    """The rule of the SQL server that lets the deployer in."""

    def __init__(self, database: AzureDatabase, token: Token, management: str = MANAGEMENT) -> None:
        self._url = f"{management}{database.server_id}/firewallRules/{RULE}?api-version={_API_VERSION}"
        self._token, self._scope = token, f"{MANAGEMENT}/.default"
        self.address: str | None = None

    def open(self, address: str) -> None:
        """Let exactly this address in.

        Raises:
            requests.RequestException: Azure refused, or cannot be reached.
        """
        body = {"properties": {"startIpAddress": address, "endIpAddress": address}}
        self._send("PUT", body)
        self.address = address

    def close(self) -> None:
        """Remove the rule, whether or not this run made it.

        Raises:
            requests.RequestException: it stands, and could not be removed.
        """
        try:
            self._send("DELETE")
        except requests.RequestException:
            if self.address is not None:
                raise  # without a rule of ours, not being allowed to remove one is no matter
        self.address = None

    def _send(self, method: str, body: object = None) -> None:
        headers = {"Authorization": f"Bearer {self._token(self._scope)}"}
        answer = requests.request(method, self._url, json=body, headers=headers, timeout=60)
        if answer.status_code not in (200, 201, 202, 204, *((404,) if method == "DELETE" else ())):
            raise requests.HTTPError(
                f"{method} of the firewall rule {RULE}: {answer.status_code} {answer.text[:500]}", response=answer
            )


@contextlib.contextmanager
def connected(
    connect: Callable[[], pyodbc.Connection], rule: FirewallRule, pause: Callable[[float], None] = time.sleep
) -> Iterator[pyodbc.Connection]:
    """A connection for the length of the block; the firewall lets its address in meanwhile if it must, and not any longer.

    Args:
        connect: one try to connect.
        rule: the firewall rule to use.
        pause: waits so many seconds between two tries.

    Raises:
        ConfigError: the server takes no connections from outside its network.
        pyodbc.Error: it refused for another reason, or all the time.
        requests.RequestException: the rule could not be made or removed.
    """
    with contextlib.ExitStack() as after:
        after.callback(rule.close)
        waited = 0.0
        while True:
            try:
                connection = connect()
                break
            except pyodbc.Error as error:
                if _PRIVATE.search(str(error)):
                    raise ConfigError(
                        "the SQL server takes no connections from public networks; run this on a machine inside its network"
                    ) from None
                refused = _REFUSED.search(str(error))
                if waited >= _PATIENCE_SECONDS or not (refused or _STARTING.search(str(error))):
                    raise
                if refused and refused[1] != rule.address:
                    print(f"letting {refused[1]} through the firewall for the time being", file=sys.stderr)
                    rule.open(refused[1])
                pause(_PAUSE_SECONDS)
                waited += _PAUSE_SECONDS
        after.callback(connection.close)
        yield connection
