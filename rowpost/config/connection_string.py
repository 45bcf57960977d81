"""One SQL connection string for two readers: the trigger binding (Microsoft.Data.SqlClient) and pyodbc (ODBC Driver 18).

The app setting holds SqlClient's keywords; this module translates them. Keyword lists:
https://learn.microsoft.com/dotnet/api/microsoft.data.sqlclient.sqlconnection.connectionstring and
https://learn.microsoft.com/sql/connect/odbc/dsn-connection-string-attribute.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from rowpost.config.app_settings import unresolved
from rowpost.config.errors import ConfigError

_PART = re.compile(
    r"""[\s;]*(?P<key>[^=;]+?)\s*=\s*
    (?:"(?P<double>(?:[^"]|"")*)"|'(?P<single>(?:[^']|'')*)'|(?P<plain>(?:[^"';\s][^;]*?)?(?<!["'])))\s*(?:;|$)""",
    re.VERBOSE,
)
_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0"}

_AUTHENTICATION = {
    "sqlpassword": "SqlPassword",
    "activedirectorypassword": "ActiveDirectoryPassword",
    "activedirectoryintegrated": "ActiveDirectoryIntegrated",
    "activedirectoryinteractive": "ActiveDirectoryInteractive",
    "activedirectoryserviceprincipal": "ActiveDirectoryServicePrincipal",
    "activedirectorymanagedidentity": "ActiveDirectoryMsi",
    "activedirectorymsi": "ActiveDirectoryMsi",
}


class _Refused(ValueError):
    pass


def _text(value: str) -> str:
    return value


def _boolean(value: str) -> str:
    if value.lower() in _TRUE:
        return "yes"
    if value.lower() in _FALSE:
        return "no"
    raise _Refused("must be true or false")


def _encrypt(value: str) -> str:
    modes = {"mandatory": "yes", "optional": "no", "strict": "strict"}
    return modes.get(value.lower()) or _boolean(value)


def _integrated(value: str) -> str:
    return "yes" if value.lower() == "sspi" else _boolean(value)


def _authentication(value: str) -> str:
    found = _AUTHENTICATION.get(re.sub(r"\s", "", value).lower())
    if found is None:
        raise _Refused(
            "has no counterpart in the ODBC driver; use Active Directory Managed Identity (with User Id = the identity's "
            "client id), Active Directory Service Principal, or user and password"
        )
    return found


def _intent(value: str) -> str:
    intents = {"readwrite": "ReadWrite", "readonly": "ReadOnly"}
    found = intents.get(value.lower())
    if found is None:
        raise _Refused("must be ReadWrite")
    return found


def _seconds(value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise _Refused("must be a whole number")
    return value


# SqlClient keyword without blanks, lower case -> (ODBC keyword, translation of the value).
_KEYWORDS: dict[str, tuple[str, Callable[[str], str]]] = {
    **dict.fromkeys(("server", "datasource", "address", "addr", "networkaddress"), ("Server", _text)),
    **dict.fromkeys(("database", "initialcatalog"), ("Database", _text)),
    **dict.fromkeys(("userid", "uid", "user"), ("UID", _text)),
    **dict.fromkeys(("password", "pwd"), ("PWD", _text)),
    **dict.fromkeys(("applicationname", "app"), ("APP", _text)),
    **dict.fromkeys(("workstationid", "wsid"), ("WSID", _text)),
    **dict.fromkeys(("integratedsecurity", "trusted_connection"), ("Trusted_Connection", _integrated)),
    **dict.fromkeys(("currentlanguage", "language"), ("Language", _text)),
    "encrypt": ("Encrypt", _encrypt),
    "trustservercertificate": ("TrustServerCertificate", _boolean),
    "hostnameincertificate": ("HostNameInCertificate", _text),
    "servercertificate": ("ServerCertificate", _text),
    "serverspn": ("ServerSPN", _text),
    "authentication": ("Authentication", _authentication),
    "applicationintent": ("ApplicationIntent", _intent),
    "multisubnetfailover": ("MultiSubnetFailover", _boolean),
    "multipleactiveresultsets": ("MARS_Connection", _boolean),
    "failoverpartner": ("Failover_Partner", _text),
    "connectretrycount": ("ConnectRetryCount", _seconds),
    "connectretryinterval": ("ConnectRetryInterval", _seconds),
}
_LOGIN_TIMEOUT = {"connectiontimeout", "connecttimeout", "timeout"}
_COMMAND_TIMEOUT = {"commandtimeout"}
# They tune SqlClient's own pool or memory and say nothing about the server, so only the trigger needs them.
_TRIGGER_ONLY = {
    "pooling",
    "maxpoolsize",
    "minpoolsize",
    "connectionlifetime",
    "loadbalancetimeout",
    "persistsecurityinfo",
    "enlist",
    "poolblockingperiod",
}


# What weakens TLS. Without these keywords both drivers encrypt, and verify the server's certificate.
_WEAK = {"Encrypt": "no", "TrustServerCertificate": "yes"}


class OdbcConnection(Struct, frozen=True):
    """How pyodbc connects. ``repr`` hides the string, which holds the password; ``weak`` names the keywords that weaken TLS."""

    text: str
    login_timeout_seconds: int
    command_timeout_seconds: int
    server: str
    database: str
    weak: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The server's name without protocol, instance and port."""
        return re.sub(r"^(?:tcp|np|lpc|admin):|[,\\].*", "", self.server, flags=re.IGNORECASE | re.DOTALL).strip("[] ")

    def __repr__(self) -> str:
        return f"OdbcConnection({self.server!r}, {self.database!r})"


def translate(connection_string: str, setting: str, driver: str) -> OdbcConnection:
    """Turn SqlClient's connection string into ODBC's.

    Args:
        connection_string: the value of the app setting.
        setting: the setting's name, for messages; the value itself never appears in one.
        driver: the registered name of the ODBC driver, or the path of its library.

    Raises:
        ConfigError: the string is empty or malformed, lacks the server or the database, or holds a keyword or a value that
            has no translation; the text names the keyword.
    """
    pairs = _parse(connection_string, setting)
    odbc: dict[str, str] = {"Driver": driver}
    login_timeout, command_timeout = 15, 30
    for key, value in pairs:
        name = re.sub(r"\s", "", key).lower()
        try:
            if name in _TRIGGER_ONLY:
                continue
            if name in _LOGIN_TIMEOUT:
                login_timeout = int(_seconds(value))
            elif name in _COMMAND_TIMEOUT:
                command_timeout = int(_seconds(value))
            elif name in _KEYWORDS:
                keyword, translation = _KEYWORDS[name]
                odbc[keyword] = translation(value)
            else:
                raise _Refused("is not a keyword that pyodbc's driver has a translation for; remove it")
        except _Refused as reason:
            raise ConfigError(f"{setting}: the keyword {key!r} {reason}") from None
    for needed, keyword in (("Server", "Server"), ("Database", "Database (Initial Catalog)")):
        if not odbc.get(needed):
            raise ConfigError(f"{setting}: the keyword {keyword} is missing; add it to the connection string")
    odbc.setdefault("APP", "rowpost")
    if odbc.get("Authentication") == "ActiveDirectoryMsi":
        odbc.pop("PWD", None)
    text = ";".join(f"{keyword}={_quote(value)}" for keyword, value in odbc.items())
    strict = odbc.get("Encrypt") == "strict"  # the certificate is verified, whatever the other keyword says
    weak = () if strict else tuple(keyword for keyword, value in _WEAK.items() if odbc.get(keyword) == value)
    return OdbcConnection(text, login_timeout, command_timeout, odbc["Server"], odbc["Database"], weak)


def _parse(connection_string: str, setting: str) -> list[tuple[str, str]]:
    if not connection_string.strip():
        raise ConfigError(
            f"{setting}: the app setting is missing or empty; set it to the SQL connection string, with the keywords Server, "
            f"Database, and Authentication or User ID and Password"
        )
    reason = unresolved(connection_string)
    if reason is not None:
        raise ConfigError(f"{setting}: the app setting {reason}")
    pairs: list[tuple[str, str]] = []
    position = 0
    text = connection_string.rstrip("; \t\r\n")
    while position < len(text):
        match = _PART.match(text, position)
        if match is None or match.end() == position:
            raise ConfigError(
                f"{setting}: malformed connection string at part {len(pairs) + 1}; expected keyword=value pairs separated by "
                f"semicolons, with quotes around a value that holds a semicolon"
            )
        if match["double"] is not None:
            value = match["double"].replace('""', '"')
        elif match["single"] is not None:
            value = match["single"].replace("''", "'")
        else:
            value = match["plain"]
        pairs.append((match["key"], value))
        position = match.end()
    return pairs


def _quote(value: str) -> str:
    """ODBC's quoting: braces, with a closing brace doubled."""
    if re.search(r"[\[\]{}(),;?*=!@]", value) or value != value.strip():
        return "{" + value.replace("}", "}}") + "}"
    return value
