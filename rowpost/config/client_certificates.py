"""The certificate by which the app shows a server who it is: from files, or from app settings that hold the PEM text."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
import textwrap
from pathlib import Path
from typing import NamedTuple

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from rowpost.config.authorities import BREAKS, read_text, trusting

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_KEY = re.compile(r"-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)


class ClientCertificate(NamedTuple):
    """A certificate with those above it, and its key, in PEM form."""

    certificate: str
    key: str
    password: str = ""

    def __repr__(self) -> str:
        return "ClientCertificate(…)"


def read_client_certificate(certificate: str, key: str | None, password: str | None, folder: Path) -> ClientCertificate:
    """The certificate and the key of these values, each a PEM text or the path of a file with one.

    Args:
        certificate: certificates, that of the app first; perhaps with the key.
        key: the key, if it is not there.
        password: of the key, if it is encrypted.
        folder: that a relative path begins at.

    Raises:
        ValueError: something is missing, unreadable or does not fit; the text begins with the field, and quotes nothing.
    """
    field = "client_certificate"
    try:
        text = read_text(certificate, folder)
    except ValueError as error:
        raise ValueError(f"{field}.certificate: {error}") from None
    where = f"{field}.certificate" if key is None else f"{field}.key"
    try:
        key_text = text if key is None else read_text(key, folder)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    blocks = [_block("CERTIFICATE", found) for found in _CERTIFICATE.findall(text)]
    keys = list(_KEY.finditer(key_text))
    if not blocks:
        raise ValueError(
            f"{field}.certificate: holds no certificate; give one in PEM form, which begins with -----BEGIN CERTIFICATE----- "
            f"(from a PFX file: openssl pkcs12 -in FILE -out client.pem)"
        )
    if len(keys) != 1:
        found = "holds no private key" if not keys else "holds several private keys"
        other = "" if key is not None else ", or name the file or the setting with the key as client_certificate.key"
        raise ValueError(f"{where}: {found}; give one in PEM form, which begins with -----BEGIN PRIVATE KEY-----{other}")
    read = ClientCertificate("".join(blocks), _key_block(keys[0]), password or "")
    encrypted = "ENCRYPTED" in read.key
    if encrypted and not read.password:
        raise ValueError(f"{field}.password: is missing, and the key is encrypted; add %NAME% of a setting with its password")
    try:
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), read)
    except (ssl.SSLError, ValueError, OSError) as error:
        reason = getattr(error, "reason", None) or ""
        if reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"{where}: the key is not that of the first certificate; give both of one pair") from None
        if encrypted:
            raise ValueError(f"{field}.password: does not open the key, or the key cannot be read; correct it") from None
        raise ValueError(f"{field}: the certificate or the key cannot be read; export both anew in PEM form") from None
    return read


def _block(label: str, content: str) -> str:
    return "\n".join([f"-----BEGIN {label}-----", *textwrap.wrap(BREAKS.sub("", content), 64), f"-----END {label}-----", ""])


def _key_block(found: re.Match[str]) -> str:
    content = found[2]
    if "Proc-Type" in content:  # the old form of an encrypted key: its header has lines of its own, which are kept
        lines = re.sub(r"\\r|\\n", "\n", content).strip()
        return f"-----BEGIN {found[1]}-----\n{lines}\n-----END {found[1]}-----\n"
    return _block(found[1], content)


def tls(ca: str | None, certificate: ClientCertificate | None) -> ssl.SSLContext | None:
    """TLS of a client; None for what is usual: to servers that the public trusts, without a certificate of one's own.

    Args:
        ca: who is trusted, see :func:`rowpost.config.authorities.trusting`.
        certificate: that of the app.

    Raises:
        ssl.SSLError: certificate or key cannot be read, or do not fit.
    """
    if certificate is None:
        return None if ca is None else trusting(ca)
    if ca is not None:
        context = trusting(ca)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    _load(context, certificate)
    return context


def _load(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Load certificate and key. OpenSSL wants a file: one in memory where the system has such, else one that is removed at once."""
    text = (certificate.key + certificate.certificate).encode("ascii")
    descriptor, path = -1, ""
    try:
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("rowpost")
            path = f"/proc/self/fd/{descriptor}"
            os.write(descriptor, text)
        else:
            descriptor, path = tempfile.mkstemp()  # for this user only
            os.write(descriptor, text)
        context.load_cert_chain(path, password=lambda: certificate.password)  # a function: else OpenSSL asks at the terminal
    finally:
        os.close(descriptor)
        if not path.startswith("/proc/"):
            os.unlink(path)
