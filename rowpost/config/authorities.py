"""The certificates that vouch for a target's own: a file, or an app setting that holds them."""

from __future__ import annotations

import re
import ssl
import textwrap
from pathlib import Path

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
BREAKS = re.compile(r"\\r|\\n|\s")  # an app setting is one line: its breaks are blanks then, or are written as \n
_LONGEST_PATH = 4096


def read_authorities(value: str, folder: Path) -> str:
    """The certificates of a value of ``ca``, in PEM form.

    Args:
        value: certificates in PEM form, or the path of a file with such.
        folder: that a relative path begins at.

    Raises:
        ValueError: there is no certificate, or one cannot be read; the text says what to do and does not quote the value.
    """
    text = read_text(value, folder)
    blocks = ["\n".join(textwrap.wrap(BREAKS.sub("", block), 64)) for block in _CERTIFICATE.findall(text)]
    if not blocks:
        raise ValueError("holds no certificate; give one in PEM form, which begins with -----BEGIN CERTIFICATE-----")
    certificates = [f"-----BEGIN CERTIFICATE-----\n{block}\n-----END CERTIFICATE-----\n" for block in blocks]
    for number, certificate in enumerate(certificates, 1):
        try:
            trusting(certificate)
        except (ssl.SSLError, ValueError):
            which = "a certificate" if len(certificates) == 1 else f"certificate {number} of {len(certificates)}"
            raise ValueError(f"{which} cannot be read; export it anew in PEM form") from None
    return "".join(certificates)


def read_text(value: str, folder: Path) -> str:
    """A text in PEM form: the value itself, or what is in the file of that path.

    Raises:
        ValueError: the file cannot be read; the text says what to do and does not quote the value.
    """
    if "-----BEGIN" in value:
        return value
    try:
        return (folder / value[:_LONGEST_PATH]).read_text(encoding="latin-1")
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = getattr(error, "strerror", None) or "not a path"
        raise ValueError(
            f"the file cannot be read ({reason}); give a path from the folder of relay.toml, or the text itself in PEM form"
        ) from None


def trusting(pem: str) -> ssl.SSLContext:
    """TLS 1.2 or newer to servers for which one of these certificates vouches, and no other.

    An intermediate authority is enough, and so is the server's own certificate. The name is verified too.

    Raises:
        ssl.SSLError: a certificate cannot be read.
        ValueError: it is not ASCII.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pem.encode("ascii")
    context.load_verify_locations(cadata=pem)
    return context
