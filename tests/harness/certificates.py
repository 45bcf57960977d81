"""Servers' certificates for which no public authority vouches, and those that vouch for them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HERE = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and those above it, in PEM form."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: str = ""

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.locked_key_pem(None)

    def locked_key_pem(self, password: bytes | None) -> str:
        """The key, encrypted if there is a password."""
        locked = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked).decode()

    def tls(self, folder: Path) -> ssl.SSLContext:
        """TLS of a server that has this certificate, and sends those above but the root."""
        (folder / "server.pem").write_text(self.key_pem + self.pem + self.above)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        return context


@dataclass(frozen=True)
class Trusted:
    """TLS of a server, and the certificate that vouches for it."""

    tls: ssl.SSLContext
    ca: str


def issue(
    name: str,
    issuer: Issued | None = None,
    *,
    authority: bool = False,
    names: tuple[x509.GeneralName, ...] = (HERE,),
    days: tuple[int, int] = (-1, 1),
) -> Issued:
    """A certificate by ``issuer``, or by itself; valid from the first of ``days`` to the second, counted from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    by = issuer.certificate.subject if issuer else subject
    now = dt.datetime.now(dt.UTC)
    first, last = (now + dt.timedelta(days=each) for each in days)
    builder = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number(), first, last)
    builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return Issued(certificate, key, issuer.pem if issuer is not None and issuer.certificate.issuer != by else "")


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS of a server for which nobody vouches."""
    return issue("127.0.0.1").tls(folder)
