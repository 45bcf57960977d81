"""Translation of an ADO.NET connection string, the form a trigger's setting has, into an ODBC one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulators.functions_host.sql_trigger.errors import ListenerError
from emulators.odbc import odbc_driver

APPLICATION_NAME = "functions-host"
_DEFAULT_CONNECT_SECONDS = 15
_DEFAULT_COMMAND_SECONDS = 30

KEYWORDS = {
    "server": "server",
    "data source": "server",
    "addr": "server",
    "address": "server",
    "network address": "server",
    "database": "database",
    "initial catalog": "database",
    "user id": "user",
    "user": "user",
    "uid": "user",
    "password": "password",
    "pwd": "password",
    "encrypt": "encrypt",
    "trustservercertificate": "trust",
    "trust server certificate": "trust",
    "hostnameincertificate": "certificate host",
    "host name in certificate": "certificate host",
    "connect timeout": "connect timeout",
    "connection timeout": "connect timeout",
    "timeout": "connect timeout",
    "command timeout": "command timeout",
    "authentication": "authentication",
    "integrated security": "integrated",
    "trusted_connection": "integrated",
    "applicationintent": "intent",
    "application intent": "intent",
    "multisubnetfailover": "multi subnet",
    "multi subnet failover": "multi subnet",
}
# Keywords of the client library itself: pools, retries and naming have no bearing on what a listener observes.
WITHOUT_EFFECT = {
    "app",
    "application name",
    "connect retry count",
    "connect retry interval",
    "connection lifetime",
    "connectretrycount",
    "connectretryinterval",
    "current language",
    "enlist",
    "load balance timeout",
    "max pool size",
    "min pool size",
    "multipleactiveresultsets",
    "multiple active result sets",
    "packet size",
    "persist security info",
    "persistsecurityinfo",
    "pooling",
    "workstation id",
    "wsid",
}
_AUTHENTICATION = {
    "sql password": "SqlPassword",
    "active directory password": "ActiveDirectoryPassword",
    "active directory integrated": "ActiveDirectoryIntegrated",
    "active directory interactive": "ActiveDirectoryInteractive",
    "active directory service principal": "ActiveDirectoryServicePrincipal",
    "active directory managed identity": "ActiveDirectoryMsi",
    "active directory msi": "ActiveDirectoryMsi",
}
_ENCRYPT = {
    "true": "yes",
    "yes": "yes",
    "mandatory": "yes",
    "false": "no",
    "no": "no",
    "optional": "no",
    "strict": "strict",
}
_TEXTS = {"database": "DATABASE", "user": "UID", "password": "PWD", "certificate host": "HostnameInCertificate"}
_FLAGS = {"trust": "TrustServerCertificate", "integrated": "Trusted_Connection", "multi subnet": "MultiSubnetFailover"}
_PAIR = re.compile(
    r"""\s*(?P<key>(?:[^=;]|==)+?)\s*=(?!=)\s*
    (?:"(?P<double>(?:[^"]|"")*)"|'(?P<single>(?:[^']|'')*)'|(?P<plain>[^;]*?))\s*(?:;|$)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class OdbcConnection:
    """What is needed to connect.

    Attributes:
        text: the ODBC connection string.
        connect_seconds: longest time for opening a connection; 0 = no limit.
        command_seconds: longest time for one statement batch; 0 = no limit.
    """

    text: str
    connect_seconds: int
    command_seconds: int


def parse(text: str) -> dict[str, str]:
    """Split an ADO.NET connection string into lower-case keywords and values; the last of a repeated keyword counts.

    Raises:
        ListenerError: the text is no connection string.
    """
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        if text[position] in "; \t\r\n":
            position += 1
            continue
        match = _PAIR.match(text, position)
        if match is None:
            raise ListenerError(f"The connection string is malformed from character {position} on.")
        if match["double"] is not None:
            value = match["double"].replace('""', '"')
        elif match["single"] is not None:
            value = match["single"].replace("''", "'")
        else:
            value = match["plain"]
        pairs[match["key"].replace("==", "=").lower()] = value
        position = match.end()
    return pairs


def _boolean(keyword: str, value: str) -> str:
    folded = value.lower()
    if folded in ("true", "yes", "sspi"):
        return "yes"
    if folded in ("false", "no"):
        return "no"
    raise ListenerError(f"The connection string's value for '{keyword}' must be true or false.")


def _seconds(keyword: str, value: str) -> int:
    if not value.isdigit():
        raise ListenerError(f"The connection string's value for '{keyword}' must be a number of seconds.")
    return int(value)


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}"


def translate(text: str, application: str = APPLICATION_NAME) -> OdbcConnection:
    """The ODBC form of an ADO.NET connection string; the server knows its sessions by the name ``application``.

    Raises:
        ListenerError: malformed text, a keyword without an ODBC counterpart, a bad value, or no driver.
    """
    values: dict[str, str] = {}
    for keyword, value in parse(text).items():
        if keyword in WITHOUT_EFFECT:
            continue
        if keyword not in KEYWORDS:
            raise ListenerError(f"The connection string's keyword '{keyword}' is not supported.")
        values[KEYWORDS[keyword]] = value
    if not values.get("server"):
        raise ListenerError("The connection string names no server.")
    try:
        driver = odbc_driver()
    except FileNotFoundError as error:
        raise ListenerError(f"No SQL Server driver: {error}.") from error
    parts = [f"DRIVER={driver}", f"SERVER={_braced(values['server'])}", f"APP={_braced(application)}"]
    for key, odbc in _TEXTS.items():
        if values.get(key):
            parts.append(f"{odbc}={_braced(values[key])}")
    if "encrypt" in values:
        encrypt = _ENCRYPT.get(values["encrypt"].lower())
        if encrypt is None:
            raise ListenerError(f"The connection string's value for 'encrypt' must be one of: {', '.join(_ENCRYPT)}.")
        parts.append(f"Encrypt={encrypt}")
    for key, odbc in _FLAGS.items():
        if key in values and (flag := _boolean(key, values[key])) == "yes":
            parts.append(f"{odbc}={flag}")
    if "intent" in values:
        parts.append(f"ApplicationIntent={_braced(values['intent'])}")
    if "authentication" in values:
        method = _AUTHENTICATION.get(" ".join(values["authentication"].lower().split()))
        if method is None:
            raise ListenerError(f"The connection string's value for 'authentication' must be one of: {', '.join(_AUTHENTICATION)}.")
        parts.append(f"Authentication={method}")
    return OdbcConnection(
        ";".join(parts),
        _seconds("connect timeout", values.get("connect timeout", str(_DEFAULT_CONNECT_SECONDS))),
        _seconds("command timeout", values.get("command timeout", str(_DEFAULT_COMMAND_SECONDS))),
    )
