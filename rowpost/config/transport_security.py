"""Where TLS is off, or says little, on the way to another machine."""

from __future__ import annotations

from urllib.parse import urlsplit

from rowpost.config.addresses import is_here
from rowpost.config.connection_string import OdbcConnection
from rowpost.config.sections import Config

_WEAKNESSES = {  # ODBC keyword: what it lets happen
    "Encrypt": "Encrypt is off: rows and password can be read on the way; set Encrypt=True",
    "TrustServerCertificate": "TrustServerCertificate is on: any server can pose as yours; set TrustServerCertificate=False",
}


def insecure(config: Config, connection: OdbcConnection) -> list[str]:
    """Where TLS is off, or says little, on the way to another machine: one sentence each, with the field and the remedy."""
    addresses = [(f"{section}.url", receiver.url) for section, receiver in config.receivers]
    logins = ((index, target.oauth2) for index, target in enumerate(config.targets))
    addresses += [(f"targets[{index}].oauth2.token_url", login.token_url) for index, login in logins if login is not None]
    email = config.notifications.email
    if email is not None:
        addresses.append((f"notifications.email.{'connection' if email.connection else 'endpoint'}", email.service[0]))
    exposed = [field for field, url in addresses if urlsplit(url).scheme == "http" and not is_here(urlsplit(url).hostname or "")]
    texts = [f"{field}: http is not encrypted, and anybody can answer; use an https address" for field in exposed]
    smtp = config.notifications.smtp
    if smtp is not None and smtp.security == "none" and not is_here(smtp.host):
        texts.append('notifications.smtp.security: mails are not encrypted on the way; use "starttls" or "tls"')
    weak = () if is_here(connection.host) else connection.weak
    return texts + [f"{config.database.connection}: {_WEAKNESSES[keyword]}" for keyword in weak]
