"""The server's certificate: self-signed, made once and kept beside the data file."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
from pathlib import Path

_VALID_DAYS = 3650


def tls_contexts(certificate: Path) -> tuple[ssl.SSLContext, ssl.SSLContext] | None:
    """The contexts for TDS 7 (Encrypt=yes) and TDS 8 (Encrypt=strict); the certificate is made if the file is missing.

    Returns:
        None if there is no certificate and the ``cryptography`` package, which makes it, is not installed: then
        connections are not encrypted.
    """
    if not certificate.exists():
        try:
            _make_certificate(certificate)
        except ImportError:
            return None
    wrapped = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    wrapped.load_cert_chain(certificate)
    wrapped.maximum_version = ssl.TLSVersion.TLSv1_2  # inside TDS 7 packets drivers stall on TLS 1.3's late tickets
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.load_cert_chain(certificate)
    strict.set_alpn_protocols(["tds/8.0"])
    return wrapped, strict


def _make_certificate(path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(private + certificate.public_bytes(serialization.Encoding.PEM))
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)  # the first process wins
    draft.unlink()
