"""Whether a server can be reached: its name, a connection, and TLS. No request is sent."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from rowpost.config.client_certificates import ClientCertificate, tls

_PORTS = {"http": 80, "https": 443}


def why_out_of_reach(
    url: str, seconds: float, *, ca: str | None = None, certificate: ClientCertificate | None = None
) -> str | None:
    """Why the server of an address cannot be reached, in words that name no secret; None if it can.

    Args:
        url: the address; only its scheme, host and port count.
        seconds: for the connection, and again for TLS.
        ca: certificates in PEM form: only whom they vouch for is trusted; without, whom the public trusts.
        certificate: by which the app shows who it is.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or _PORTS.get(parts.scheme, 443)
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            if secure:
                context = tls(ca, certificate) or ssl.create_default_context()
                with context.wrap_socket(connection, server_hostname=host) as wrapped, suppress(OSError):
                    wrapped.unwrap()
    except socket.gaierror:
        return f"the name {host} does not resolve"
    except ssl.SSLError:
        return f"TLS with {host}:{port} fails: the certificate or the protocol was not accepted"
    except TimeoutError:
        return f"{host}:{port} does not answer within {seconds:g} s"
    except (OSError, UnicodeError):
        return f"{host}:{port} refuses the connection, or is out of reach"
    return None
